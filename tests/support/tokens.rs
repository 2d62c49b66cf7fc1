//! Requests for tokens that several tests start from.

use serde_json::{Value, json};

/// A hash of one repeated digit.
pub fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// Two hosts, one with an EK certificate and one without.
pub fn hosts() -> Value {
    json!([
        { "description": "web-2", "ek_public_hash": hash('b'), "ek_cert_serial": "12:34", "ek_cert_present": true },
        { "description": "web-1", "ek_public_hash": hash('a'), "ek_cert_serial": null, "ek_cert_present": false },
    ])
}

/// The token `web` for both hosts, and further parameters.
pub fn request(extra: Value) -> Value {
    let mut request = json!({ "action": "token", "name": "web", "bot_name": "web-bot", "hosts": hosts() });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// A token `web` of bot `web-bot` with these rules, as `tctl get` shows one.
pub fn token(rules: Value) -> Value {
    json!({
        "kind": "token", "version": "v2", "metadata": { "name": "web" },
        "spec": { "roles": ["Bot"], "join_method": "tpm", "bot_name": "web-bot", "tpm": { "allow": rules } },
    })
}
