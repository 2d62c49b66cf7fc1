//! `registry` where a TPM comes back that was archived: not under another name, nor in another's place, unless that is
//! accepted.

use std::fs;

use serde_json::json;

use crate::support::messages::snapshot;
use crate::support::registry::{HOST, Place, found, read};
use crate::support::tokens::hash;

/// A registry whose host `web-1` was archived with the TPM of hash a.
fn archived() -> Place {
    let place = Place::new();
    place.record(found('a'));
    place.change(json!({ "state": "archived" }));
    place
}

#[test]
fn an_archived_tpm_does_not_come_back_under_another_name_until_that_is_accepted() {
    let place = archived();
    let new = json!({ "host": "web-9", "identity": found('a') });
    let message = place.refuse(new, "identity_changed");
    snapshot!(message.replace(&hash('a'), "[A]"), @r#"`web-9` has a TPM that was archived for host `web-1` ([DIR]/registry/archive/web-1.aaaaaaaaaaaaaaaa.json): the EK public hash [A]; if that TPM may join as `web-9` again, run once with --extra-vars '{"tbot_accept_identity_change": ["web-9"]}' (parameter `accept_identity_change`); if not, find out why it came back"#);
    let accepted = json!({ "host": "web-9", "identity": found('a'), "accept_identity_change": true });
    place.change(accepted);
    // From then on it is that host's.
    place.change(json!({ "host": "web-9", "identity": found('a') }));
    assert!(place.archived(HOST, 'a').exists());
    // Others are none the worse for it.
    place.change(json!({ "host": "web-2", "identity": found('b') }));
}

#[test]
fn an_archived_tpm_does_not_take_a_known_hosts_place_without_a_word_about_it() {
    let place = archived();
    place.change(json!({ "host": "web-9", "identity": found('b') }));
    let message = place.refuse(json!({ "host": "web-9", "identity": found('a') }), "identity_changed");
    assert!(message.contains("`web-9` has another TPM"), "{message}");
    assert!(
        message.contains("was archived for host `web-1`") && message.contains("archive/web-1."),
        "{message}"
    );
    place.change(json!({ "host": "web-9", "identity": found('a'), "accept_identity_change": true }));
}

#[test]
fn a_host_that_was_taken_out_of_service_comes_back_with_its_tpm() {
    let place = archived();
    assert_eq!(place.record(found('a'))["changed"], true);
}

#[test]
fn a_tpm_that_was_replaced_does_not_come_back_once_its_host_is_archived() {
    let place = Place::new();
    place.record(found('a'));
    place.change(json!({ "identity": found('b'), "accept_identity_change": true }));
    place.refuse(json!({ "identity": found('a') }), "identity_changed");
    place.change(json!({ "state": "archived" }));
    let message = place.refuse(json!({ "identity": found('a') }), "identity_changed");
    snapshot!(message.replace(&hash('a'), "[A]"), @r#"`web-1` has one of several TPMs that were archived for it ([DIR]/registry/archive/web-1.aaaaaaaaaaaaaaaa.json), which may be one that was replaced: the EK public hash [A]; if that TPM may join as `web-1` again, run once with --extra-vars '{"tbot_accept_identity_change": ["web-1"]}' (parameter `accept_identity_change`); if not, find out why it came back"#);
    place.change(json!({ "identity": found('a'), "accept_identity_change": true }));
}

#[test]
fn the_name_of_an_archived_file_tells_its_tpm_where_the_content_is_damaged() {
    let place = archived();
    fs::write(place.archived(HOST, 'a'), "{").unwrap();
    let message = place.refuse(json!({ "host": "web-9", "identity": found('a') }), "identity_changed");
    assert!(message.contains("archived for host `web-1`"), "{message}");
    // It stops nobody else.
    fs::write(place.registry().join("archive/by-hand.json"), "").unwrap();
    place.change(json!({ "host": "web-2", "identity": found('b') }));
    assert_eq!(read(&place.entry("web-2"))["ek_public_hash"], hash('b'));
}

#[test]
fn a_current_host_of_that_tpm_is_the_graver_problem() {
    let place = archived();
    place.record(found('a'));
    let message = place.refuse(json!({ "host": "web-9", "identity": found('a') }), "conflict");
    assert!(message.contains("has the same TPM as `web-1`"), "{message}");
}
