//! Tokens and bots of a scope.

use serde_json::{Value, json};

use super::Fleet;

fn scoped() -> Value {
    json!({ "scope": "/prod", "bot": { "roles": [] } })
}

fn with(mut parameters: Value, more: &Value) -> Value {
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameters
}

fn hosts(fleet: &Fleet) -> Vec<String> {
    let token = fleet.stored("scoped_token", "hosts");
    let rules = token["spec"]["tpm"]["allow"].as_array().unwrap();
    rules.iter().map(|rule| rule["description"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_token_and_the_bot_are_made_in_the_scope_and_kept() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    let made = fleet.enroll(&with(scoped(), &json!({ "_ansible_diff": true })));
    assert_eq!(made["diff"]["before_header"], "scoped_token/hosts", "{made}");
    assert!(made["warnings"][0].as_str().unwrap().starts_with("scopes are new in Teleport"), "{made}");
    let token = fleet.stored("scoped_token", "hosts");
    assert_eq!((&token["version"], &token["scope"]), (&json!("v1"), &json!("/prod")), "{token}");
    let spec = &token["spec"];
    assert_eq!(
        (&spec["roles"], &spec["join_method"], &spec["usage_mode"], &spec["bot"], spec.get("bot_name")),
        (&json!(["Bot"]), &json!("tpm"), &json!("bot"), &json!("/prod::deploy"), None),
        "{token}"
    );
    assert_eq!(hosts(&fleet), ["db-1", "web-1"]);
    let bot = fleet.stored("bot", "%2Fprod::deploy");
    assert_eq!((&bot["scope"], bot["spec"].get("roles")), (&json!("/prod"), None), "{bot}");
    let again = fleet.enroll(&scoped());
    assert_eq!((&again["changed"], &again["bot"]["state"]), (&json!(false), &json!("unchanged")), "{again}");
    // Others may add to it, and a host comes and goes.
    fleet.add("web-2");
    assert_eq!(fleet.enroll(&scoped())["rules"]["added"], json!(["web-2"]));
    fleet.archive("db-1");
    assert_eq!(fleet.enroll(&scoped())["rules"]["removed"], json!(["db-1"]));
    assert_eq!(hosts(&fleet), ["web-1", "web-2"]);
    assert!(fleet.tokens().is_empty(), "there is no token without a scope");
}

#[test]
fn a_token_does_not_move_into_a_scope_or_out_of_it() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&scoped());
    let token = fleet.stored("scoped_token", "hosts");
    let of = |current: &Value, scope: &Value| json!({ "action": "token", "name": "hosts", "bot_name": "deploy", "registry": fleet.path("registry"), "current": [current], "scope": scope });
    let refused = |request: &Value| crate::support::fail(request, "conflict");
    assert!(refused(&of(&token, &Value::Null)).contains("token `hosts` is in the scope /prod"));
    assert!(refused(&of(&token, &json!("/other"))).contains("token `hosts` is in the scope /prod"));
    assert_eq!(crate::support::succeed(&of(&token, &json!("/prod")))["rules"]["kept"], json!(["web-1"]));
    let mut plain = token.clone();
    plain["kind"] = json!("token");
    plain["version"] = json!("v2");
    plain["spec"]["bot_name"] = json!("deploy");
    assert!(refused(&of(&plain, &json!("/prod"))).contains("token `hosts` is in no scope"));
    // What a newer cluster writes stays.
    let mut newer = token;
    newer["spec"]["assigned"] = json!("later");
    let built = crate::support::succeed(&of(&newer, &json!("/prod")));
    assert!(built["content"].as_str().unwrap().contains("assigned: later"), "{built}");
    for other in ["/prod/eu::deploy", "/other::deploy"] {
        let mut foreign = newer.clone();
        foreign["spec"]["bot"] = json!(other);
        assert!(refused(&of(&foreign, &json!("/prod"))).contains("for a bot of another"), "{other}");
    }
    newer["spec"]["usage_mode"] = json!("single_use");
    assert!(refused(&of(&newer, &json!("/prod"))).contains("usage mode single_use"));
}

#[test]
fn what_a_scope_has_not_is_refused() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let message =
        fleet.refuse(&json!({ "scope": "/prod", "bot": { "roles": ["access"] } }), "invalid_request");
    assert!(message.contains("takes no roles of its own"), "{message}");
    for scope in ["prod", "/prod/", "/a::b", ""] {
        assert!(fleet.refuse(&json!({ "scope": scope }), "invalid_request").contains("invalid scope"));
    }
    let message =
        fleet.refuse(&json!({ "scope": "/prod", "roles": ["Node"], "bot_name": null }), "invalid_request");
    assert!(message.contains("a token in a scope is for bots alone"), "{message}");
}

#[test]
fn the_decision_is_that_of_a_token_without_a_scope() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&scoped());
    fleet.add("db-1");
    let answer = crate::support::succeed(&json!({
        "action": "preflight", "token": fleet.stored("scoped_token", "hosts"), "registry": fleet.path("registry"),
    }));
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(1), &json!(1)), "{answer}");
}
