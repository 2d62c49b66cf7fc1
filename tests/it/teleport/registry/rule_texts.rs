//! `registry` with `rule_description`: what a host's rule is to say in the place of the host's name.

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::registry::{HOST, Place, found};
use crate::support::succeed;

fn record(place: &Place, host: &str, digit: char, text: &str) -> Value {
    place.change(json!({ "host": host, "identity": found(digit), "rule_description": text }))["identity"]
        .take()
}

#[test]
fn a_text_is_recorded_beside_the_hosts_name_and_former_ones_are_kept() {
    let place = Place::new();
    let entry = record(&place, HOST, 'a', "asset 0815");
    assert_eq!((&entry["description"], &entry["rule_description"]), (&json!(HOST), &json!("asset 0815")));
    assert_eq!(entry.get("former_rule_descriptions"), None);
    record(&place, HOST, 'a', "asset 0816");
    let entry = record(&place, HOST, 'a', "asset 0817");
    assert_eq!(entry["former_rule_descriptions"], json!(["asset 0816", "asset 0815"]));
    let entry = record(&place, HOST, 'a', "asset 0815");
    assert_eq!(entry["former_rule_descriptions"], json!(["asset 0817", "asset 0816"]));
    // A run that knows nothing of it leaves it, and an empty one is the host's name again.
    assert_eq!(place.record(found('a'))["identity"], entry);
    let entry = record(&place, HOST, 'a', "");
    assert_eq!(entry.get("rule_description"), None);
    assert_eq!(entry["former_rule_descriptions"], json!(["asset 0815", "asset 0817", "asset 0816"]));
    assert_eq!(record(&place, HOST, 'a', HOST), entry);
}

#[test]
fn the_archive_keeps_the_text_of_the_tpm_that_was_replaced() {
    let place = Place::new();
    record(&place, HOST, 'a', "asset 0815");
    let other =
        json!({ "identity": found('b'), "rule_description": "asset 0816", "accept_identity_change": true });
    succeed(&place.request(other));
    let archived: Value =
        serde_json::from_str(&std::fs::read_to_string(place.archived(HOST, 'a')).unwrap()).unwrap();
    assert_eq!(archived["rule_description"], "asset 0815");
}

#[test]
fn a_host_cannot_choose_its_text() {
    let place = Place::new();
    let mut identity = found('a');
    identity["rule_description"] = json!("web-2");
    identity["former_rule_descriptions"] = json!(["web-3"]);
    let entry = place.record(identity)["identity"].take();
    assert_eq!((entry.get("rule_description"), entry.get("former_rule_descriptions")), (None, None));
}

#[test]
fn two_hosts_with_one_text_are_refused_by_their_names() {
    let place = Place::new();
    record(&place, HOST, 'a', "asset 0815");
    let second = json!({ "host": "web-2", "identity": found('b'), "rule_description": "asset 0815" });
    snapshot!(place.refuse(second, "conflict"), @"the rules of `web-2` and `web-1` would have the same description `asset 0815`; give each host a text of its own (`tbot_description`) that differs from all hosts' names; if a text moves to another host, change or archive the former host first");
    // Nor may it be another host's name, whichever comes first.
    record(&place, "web-2", 'b', "web-3");
    let third = json!({ "host": "web-3", "identity": found('c') });
    snapshot!(place.refuse(third, "conflict"), @"the rules of `web-3` and `web-2` would have the same description `web-3`; give each host a text of its own (`tbot_description`) that differs from all hosts' names; if a text moves to another host, change or archive the former host first");
    // A host that is out of use leaves it to others.
    place.change(json!({ "host": HOST, "state": "archived" }));
    record(&place, "web-4", 'd', "asset 0815");
}

#[test]
fn a_text_that_is_none_is_refused() {
    let place = Place::new();
    let request = |text: &str| json!({ "identity": found('a'), "rule_description": text });
    snapshot!(place.refuse(request("a\nb"), "invalid_request"), @r#"parameter `rule_description` of action `registry`: a description is one line of at most 1024 bytes, not "a\nb""#);
    let archived = json!({ "state": "archived", "rule_description": "x" });
    snapshot!(place.refuse(archived, "invalid_request"), @"`rule_description` is recorded with an identity: leave it out here");
}
