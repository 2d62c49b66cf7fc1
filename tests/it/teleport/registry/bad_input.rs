//! `registry` and what it refuses: malformed entries, files in the way, names and identities that are none.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::registry::{HOST, Place, certified, found};
use crate::support::tokens::hash;

#[test]
fn a_malformed_entry_is_left_as_it_is_and_named() {
    let twice = format!(r#"{{"ek_public_hash": "{}", "ek_public_hash": "{}"}}"#, hash('c'), hash('d'));
    for (text, why) in [
        ("", "is no JSON object"),
        ("{", "is no JSON object"),
        ("[]", "no JSON object"),
        ("{}", "has no `ek_public_hash`"),
        (r#"{"ek_public_hash": 12}"#, "is no identity"),
        (r#"{"ek_public_hash": "12"}"#, "64 hexadecimal digits"),
        (&twice, "twice"),
    ] {
        let place = Place::new();
        fs::write(place.entry(HOST), text).unwrap();
        for change in [
            json!({ "identity": found('a'), "accept_identity_change": true }),
            json!({ "state": "archived" }),
        ] {
            let message = place.refuse(change, "invalid_request");
            let is_clear = message.contains(why)
                && message.contains(place.entry(HOST).to_str().unwrap())
                && message.contains("restore it");
            assert!(is_clear, "{message}");
        }
        // Other hosts are none the worse for it.
        place.change(json!({ "host": "web-2", "identity": found('a') }));
    }
}

#[test]
fn files_that_are_in_the_way_are_left_as_they_are() {
    let archive = |place: &Place| fs::create_dir(place.registry().join("archive")).unwrap();
    let accepted = json!({ "identity": found('b'), "accept_identity_change": true });

    let place = Place::new();
    symlink("nowhere", place.entry(HOST)).unwrap();
    place.refuse(json!({ "identity": found('a') }), "unsafe_path");

    let place = Place::new();
    fs::write(place.registry().join("web-1.JSON"), json!({ "ek_public_hash": hash('a') }).to_string())
        .unwrap();
    let message = place.refuse(json!({ "identity": found('a') }), "conflict");
    assert!(message.contains("web-1.JSON"), "{message}");

    let place = Place::new();
    place.record(found('a'));
    archive(&place);
    for (text, kind) in [("{", "invalid_request"), (r#"{"ek_public_hash": "HASH"}"#, "conflict")] {
        let other = format!("{}b", &hash('a')[1..]);
        fs::write(place.archived(HOST, 'a'), text.replace("HASH", &other)).unwrap();
        for change in [accepted.clone(), json!({ "state": "archived" })] {
            let message = place.refuse(change, kind);
            assert!(message.contains("archive/web-1."), "{message}");
        }
    }

    let place = Place::new();
    place.record(found('a'));
    fs::write(place.registry().join("archive"), "").unwrap();
    place.refuse(json!({ "state": "archived" }), "io");

    let place = Place::new();
    place.refuse(json!({ "registry": "/proc/self/status", "identity": found('a') }), "io");
}

#[test]
fn a_name_that_cannot_be_a_files_is_refused() {
    let place = Place::new();
    for name in ["", ".", "..", ".a", "a/b", "../a", "a b", "é", "a\n", &"x".repeat(201)] {
        for state in [json!({ "identity": found('a') }), json!({ "state": "archived" })] {
            let mut change = state;
            change["host"] = json!(name);
            let message = place.refuse(change, "invalid_request");
            assert!(message.contains("ansible_host"), "{message}");
        }
    }
    place.change(json!({ "host": "x".repeat(200), "identity": found('a') }));
    place.change(json!({ "host": "x".repeat(200), "state": "archived" }));
    place.change(json!({ "host": "-A_b.example.com", "identity": found('b') }));
}

#[test]
fn an_identity_that_says_too_little_or_contradicts_itself_is_refused() {
    let with = |identity: Value, name: &str, value: Value| {
        let mut identity = identity;
        identity[name] = value;
        identity
    };
    let place = Place::new();
    for (identity, why) in [
        (Value::Null, "needs parameter `identity`"),
        (json!({}), "needs parameter `identity.ek_public_hash`"),
        (json!({ "ek_public_hash": hash('a') }), "needs parameter `identity.ek_cert_present`"),
        (with(found('a'), "ek_public_hash", json!("ab")), "64 hexadecimal digits"),
        (with(found('a'), "ek_cert_present", json!(true)), "has no `ek_cert_serial`"),
        (with(certified('a'), "ek_cert_pem", Value::Null), "has no `ek_cert_pem`"),
        (with(certified('a'), "ek_cert_present", json!(false)), "says that there is none"),
        (with(certified('a'), "ek_cert_serial", json!(754)), "ek_cert_serial"),
    ] {
        let message = place.refuse(json!({ "identity": identity }), "invalid_request");
        assert!(message.contains(why), "{message}");
    }
    place.refuse(json!({ "registry": "registry", "identity": found('a') }), "invalid_request");
    place.refuse(json!({ "state": "absent", "identity": found('a') }), "invalid_request");
    place.refuse(json!({ "registry": null, "identity": found('a') }), "invalid_request");
}
