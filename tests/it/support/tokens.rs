//! Requests for tokens that several tests start from, and what their answers say.

use serde_json::{Value, json};

use super::succeed;

/// A hash of one repeated digit.
pub fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A host with a hash of one repeated digit.
pub fn host(description: &str, digit: char) -> Value {
    json!({ "description": description, "ek_public_hash": hash(digit) })
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

/// The token `web` with these rules, as `tctl get --format=json` shows it: a list, with what the cluster adds.
pub fn stored(rules: Value) -> Value {
    named("web", rules)
}

/// The same alone, without a list.
pub fn token(rules: Value) -> Value {
    stored(rules)[0].take()
}

/// The same list by another name.
pub fn named(name: &str, rules: Value) -> Value {
    json!([{
        "kind": "token", "version": "v2",
        "metadata": {
            "name": name, "revision": "0b7a", "expires": "0001-01-01T00:00:00Z",
            "labels": { "teleport.dev/origin": "dynamic" },
        },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "web-bot", "suggested_labels": {},
            "tpm": { "allow": rules },
        },
    }])
}

/// The resources that an answer has in `content`.
pub fn resources(answer: &Value) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(answer["content"].as_str().unwrap());
    let read = |document| <Value as serde::Deserialize>::deserialize(document).unwrap();
    documents.map(read).filter(|document| !document.is_null()).collect()
}

/// The rules of each token in `content`, by its name.
pub fn rules(answer: &Value) -> Value {
    let rules = |token: Value| {
        let name = token["metadata"]["name"].as_str().unwrap().to_owned();
        (name, token["spec"]["tpm"]["allow"].clone())
    };
    Value::Object(resources(answer).into_iter().map(rules).collect())
}

/// What became of the rules, without what has none.
pub fn outcome(answer: &Value) -> Value {
    let mut outcome = answer["rules"].clone();
    outcome.as_object_mut().unwrap().retain(|_, labels| labels != &json!([]));
    outcome
}

/// All warnings in one text.
pub fn warnings(answer: &Value) -> String {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    warnings.map(|warning| warning.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The answer where the cluster has these tokens, which must be no change when it is made twice.
pub fn merged(current: &Value, extra: Value) -> Value {
    let mut request = request(extra);
    request["current"] = current.clone();
    let answer = succeed(&request);
    request["current"] = answer["content"].clone();
    let again = succeed(&request);
    assert_eq!(again["content"], answer["content"]);
    assert_eq!(again["changed"], false, "{again}");
    answer
}
