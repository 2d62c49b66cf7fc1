//! `registry` where a host's entry, or an archived one, cannot be read: it is moved out of the way as it is.

use std::fs::{self, File};

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
use crate::support::registry::{HOST, Place, found};
use crate::support::succeed;
use crate::support::tokens::{hash, host, outcome, request, stored, warnings};

/// Entries of which nothing can be read.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let with = |fields: Value| fields.to_string().into_bytes();
    vec![
        ("nothing", Vec::new()),
        ("broken JSON", b"{".to_vec()),
        ("a list", b"[]".to_vec()),
        ("no hash", b"{}".to_vec()),
        ("no text", b"\xff\xfe".to_vec()),
        ("far down", "[".repeat(5000).into_bytes()),
        (
            "an endless serial number",
            with(json!({ "ek_public_hash": hash('c'), "ek_cert_serial": vec!["0f"; 200_000].join(":") })),
        ),
        ("too large", with(json!({ "ek_public_hash": hash('c'), "ek_cert_pem": "x".repeat(1 << 20) }))),
    ]
}

#[test]
fn an_entry_that_cannot_be_read_is_archived_as_it_is() {
    let said = listed(unreadable(), |(what, content)| {
        let place = Place::new();
        fs::write(place.entry(HOST), content).unwrap();
        let answer = place.change(json!({ "state": "archived" }));
        let target = place.registry().join("archive/web-1.unreadable.json");
        assert_eq!(fs::read(&target).unwrap(), *content);
        assert!(!place.entry(HOST).exists());
        assert_eq!((&answer["changed"], &answer["archived"]), (&json!(true), &json!([target])));
        assert_eq!((&answer["identity"], &answer["former_ek_public_hash"]), (&Value::Null, &Value::Null));
        ((*what).to_owned(), warnings(&answer))
    });
    snapshot!(said, @"
    nothing
        the registry's file [DIR]/registry/web-1.json is no JSON object: EOF while parsing a value at line 1 column 0. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    broken JSON
        the registry's file [DIR]/registry/web-1.json is no JSON object: EOF while parsing an object at line 1 column 1. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    a list
        the registry's file [DIR]/registry/web-1.json is JSON, but no JSON object. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    no hash
        the registry's file [DIR]/registry/web-1.json has no `ek_public_hash`. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    no text
        [DIR]/registry/web-1.json is not a text file. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    far down
        the registry's file [DIR]/registry/web-1.json is no JSON object: it goes down more than 100 levels at line 1 column 101. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    an endless serial number
        the registry's file [DIR]/registry/web-1.json is no identity: an EK certificate serial has at most 64 pairs of hexadecimal digits, this has 200000. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    too large
        the registry's file [DIR]/registry/web-1.json is larger than 1048576 bytes. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    ");
}

#[test]
fn an_entry_larger_than_any_file_that_is_read_is_archived_too() {
    let place = Place::new();
    File::create(place.entry(HOST)).unwrap().set_len(1 << 40).unwrap();
    let answer = succeed(&place.request(json!({ "state": "archived" })));
    snapshot!(warnings(&answer), @"[DIR]/registry/web-1.json is larger than 67108864 bytes. The file moves to [DIR]/registry/archive/web-1.unreadable.json as it is. Its TPM is not known, so a rule of `web-1` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash");
    assert_eq!(fs::metadata(place.registry().join("archive/web-1.unreadable.json")).unwrap().len(), 1 << 40);
}

#[test]
fn entries_that_cannot_be_read_do_not_take_each_others_places() {
    let place = Place::new();
    for (number, name) in ["unreadable", "unreadable-2", "unreadable-3"].into_iter().enumerate() {
        fs::write(place.entry(HOST), format!("{{ {number}")).unwrap();
        let answer = place.change(json!({ "state": "archived" }));
        let target = place.registry().join(format!("archive/web-1.{name}.json"));
        assert_eq!(fs::read_to_string(&target).unwrap(), format!("{{ {number}"));
        assert_eq!(answer["archived"].as_array().unwrap().len(), number + 1);
    }
    // They are in no other host's way, nor in this one's when it comes back.
    place.change(json!({ "host": "web-2", "identity": found('b') }));
    place.record(found('a'));
    place.change(json!({ "state": "archived" }));
}

#[test]
fn a_token_keeps_the_rule_of_an_archived_entry_that_cannot_be_read_until_it_is_named() {
    let place = Place::new();
    fs::write(place.entry(HOST), "{").unwrap();
    place.change(json!({ "state": "archived" }));
    place.change(json!({ "host": "web-2", "identity": found('b') }));
    let current = stored(json!([host("web-1", 'a'), host("web-2", 'b')]));
    let with = |extra: Value| {
        let mut parameters = json!({ "hosts": null, "registry": place.registry(), "current": current });
        parameters.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        succeed(&request(parameters))
    };
    let answer = with(json!({}));
    assert_eq!(
        (&answer["changed"], outcome(&answer)),
        (&json!(false), json!({ "kept": ["web-1", "web-2"] }))
    );
    snapshot!(warnings(&answer), @"left out of the archive: the registry's file [DIR]/registry/archive/web-1.unreadable.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, or restore it from version control; if neither is possible, name its host's rule in `remove`, then remove the file");
    assert_eq!(outcome(&with(json!({ "remove": ["web-1"] })))["removed"], json!(["web-1"]));
    assert_eq!(outcome(&with(json!({ "prune": true })))["removed"], json!(["web-1"]));
    // One that somebody corrects counts as if it had been readable.
    let archived = place.registry().join("archive/web-1.unreadable.json");
    fs::write(archived, json!({ "ek_public_hash": hash('a') }).to_string()).unwrap();
    let answer = with(json!({}));
    assert_eq!((outcome(&answer)["removed"].clone(), &answer["warnings"]), (json!(["web-1"]), &json!([])));
}
