//! `config`: keys that a configuration gets only where it has none of that name.

use serde_json::json;

use crate::support::config::{EXISTING, base, changed, place, request, with};
use crate::support::{fail, succeed};

fn defaults() -> serde_json::Value {
    with(base(), json!({ "defaults": { "diag_addr": "127.0.0.1:3001" } }))
}

#[test]
fn a_default_is_added_once() {
    let (text, _) = changed(EXISTING, defaults());
    assert!(text.contains("diag_addr: \"127.0.0.1:3001\"\n"), "{text}");
    assert_eq!(changed(&text, defaults()).0, text);
    let (_directory, path) = place();
    succeed(&request(&path, defaults()));
    assert_eq!(succeed(&request(&path, defaults()))["changed"], false);
}

#[test]
fn what_the_file_has_stays_even_if_it_is_empty() {
    for own in ["diag_addr: 0.0.0.0:9000 # mine\n", "diag_addr: \"\"\n"] {
        let (text, _) = changed(&format!("{EXISTING}{own}"), defaults());
        assert!(text.ends_with(own), "{text}");
    }
}

#[test]
fn extra_wins_over_a_default() {
    let (text, _) =
        changed(EXISTING, with(defaults(), json!({ "extra": { "diag_addr": "127.0.0.1:4000" } })));
    assert!(text.contains(":4000") && !text.contains(":3001"), "{text}");
}

#[test]
fn a_default_does_not_drive_out_what_it_cannot_stand_beside() {
    let text = "version: v2\nauth_server: auth.example:3025\nonboarding: {join_method: tpm, token: a}\n";
    let (now, _) = changed(text, json!({ "defaults": { "proxy_server": "example.com:443" } }));
    assert_eq!(now, text);
}

#[test]
fn a_default_that_tbot_would_refuse_is_refused() {
    let (_directory, path) = place();
    for wrong in [
        json!({ "diag_addr": "nowhere" }),
        json!({ "onboarding": {} }),
        json!({ "debug": 7 }),
        json!({ "version": "v1" }),
    ] {
        let message = fail(&request(&path, with(base(), json!({ "defaults": wrong }))), "invalid_request");
        assert!(message.contains("`defaults`"), "{message}");
    }
    assert!(!path.exists());
}
