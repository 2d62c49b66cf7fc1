//! `config` with a scope.

use std::fs;

use serde_json::json;

use crate::support::{fail, succeed};

#[test]
fn the_token_is_named_with_its_scope_and_tbot_is_told_of_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tbot.yaml");
    let mut request = json!({
        "action": "config", "path": path, "proxy_server": "example.com:443", "token": "hosts", "scope": "/prod/eu",
        "group": rustix::process::getegid().as_raw().to_string(),
    });
    let made = succeed(&request);
    assert_eq!((&made["changed"], &made["warnings"]), (&json!(true), &json!([])), "{made}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("scoped: true\n") && text.contains("  token: \"/prod/eu::hosts\"\n"), "{text}");
    assert_eq!(succeed(&request)["changed"], false);
    // Without it, nothing about scopes changes but the token that is given.
    request["scope"] = json!(null);
    request["token"] = json!(null);
    let kept = succeed(&request);
    assert_eq!((&kept["changed"], kept["warnings"].as_array().unwrap().len()), (&json!(false), 1), "{kept}");
    request["scope"] = json!("/prod/eu");
    request["services"] = json!([{ "type": "identity", "destination": { "type": "memory" } }]);
    assert_eq!(
        succeed(&request)["warnings"],
        json!(["tbot refuses most types of services with `scoped: true`: see whether yours start"])
    );
    request["scope"] = json!("prod");
    assert!(fail(&request, "invalid_request").contains("invalid scope"));
}
