//! `token` where rules say something else of their hosts than the hosts' names. Rules go by hash and host, never by that text.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::tokens::{hash, host, merged, outcome, request, rules, stored, warnings};
use crate::support::{fail, succeed};

/// A registry with hosts, and what their rules are to say.
struct Registry(TempDir);

impl Registry {
    fn new(hosts: &[(&str, char, &str)]) -> Self {
        let registry = Self(tempfile::tempdir().unwrap());
        for (name, digit, text) in hosts {
            registry.record(name, *digit, text);
        }
        registry
    }

    fn record(&self, name: &str, digit: char, text: &str) {
        let identity = json!({ "ek_public_hash": hash(digit), "ek_cert_present": false });
        let state = json!({ "identity": identity, "rule_description": text, "accept_identity_change": true });
        self.change(name, state);
    }

    fn archive(&self, name: &str) {
        self.change(name, json!({ "state": "archived" }));
    }

    fn change(&self, name: &str, extra: Value) {
        let mut request = json!({ "action": "registry", "registry": self.0.path(), "host": name });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        succeed(&request);
    }

    /// What the registry's hosts make of these rules.
    fn built(&self, current: Value, extra: Value) -> Value {
        let mut parameters = json!({ "hosts": null, "registry": self.0.path() });
        parameters.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        merged(&stored(current), parameters)
    }
}

#[test]
fn rules_say_the_text_and_answers_the_hosts_name() {
    let registry = Registry::new(&[("web-1", 'a', "asset 0815"), ("web-2", 'b', "")]);
    let answer = registry.built(json!([]), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("asset 0815", 'a'), host("web-2", 'b')]));
    assert_eq!(outcome(&answer), json!({ "added": ["web-1", "web-2"] }));
    assert_eq!(answer["host_tokens"], json!({ "web-1": "web", "web-2": "web" }));
}

#[test]
fn a_rule_is_written_anew_when_the_text_changes_whatever_it_was() {
    let registry = Registry::new(&[("web-1", 'a', "")]);
    let mut current = json!([host("web-1", 'a')]);
    for text in ["asset 1", "asset 2", "", "asset 3"] {
        registry.record("web-1", 'a', text);
        let expected = json!([host(if text.is_empty() { "web-1" } else { text }, 'a')]);
        // Also if the token missed the texts between.
        for before in [current, json!([host("web-1", 'a')])] {
            let answer = registry.built(before, json!({}));
            assert_eq!((&rules(&answer)["web"], warnings(&answer)), (&expected, String::new()));
        }
        current = expected;
    }
}

#[test]
fn the_rule_of_a_replaced_tpm_goes_when_the_text_changes_with_it() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1")]);
    registry.record("web-1", 'b', "asset 2");
    let answer = registry.built(json!([host("asset 1", 'a')]), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("asset 2", 'b')]));
    assert_eq!(warnings(&answer), "");
}

#[test]
fn the_rule_of_an_archived_host_goes_by_its_hash() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1"), ("web-2", 'b', "asset 2")]);
    registry.record("web-1", 'a', "asset 3");
    registry.archive("web-1");
    for text in ["asset 1", "asset 3", "web-1"] {
        let answer = registry.built(json!([host(text, 'a'), host("asset 2", 'b')]), json!({}));
        assert_eq!(
            (&rules(&answer)["web"], warnings(&answer)),
            (&json!([host("asset 2", 'b')]), String::new())
        );
    }
}

#[test]
fn a_rule_of_others_with_the_same_text_is_never_touched() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1"), ("web-2", 'b', "")]);
    let theirs = host("asset 1", 'e');
    let both = json!([host("asset 1", 'a'), theirs]);
    assert_eq!(registry.built(both.clone(), json!({ "replace": true }))["changed"].as_bool(), Some(true));
    let answer = registry.built(both.clone(), json!({ "replace": true }));
    assert_eq!(rules(&answer)["web"], json!([host("asset 1", 'a'), theirs, host("web-2", 'b')]));
    registry.archive("web-1");
    let answer = registry.built(both.clone(), json!({}));
    assert_eq!(rules(&answer)["web"], json!([theirs, host("web-2", 'b')]));
    // Nor does another host that has the text now take the place of theirs.
    registry.record("web-2", 'b', "asset 1");
    let answer = registry.built(both, json!({ "replace": true }));
    assert_eq!(rules(&answer)["web"], json!([host("asset 1", 'b'), theirs]));
}

#[test]
fn texts_that_two_hosts_swap_come_right() {
    let registry = Registry::new(&[("web-1", 'a', "asset 2"), ("web-2", 'b', "asset 1")]);
    let answer = registry.built(json!([host("asset 1", 'a'), host("asset 2", 'b')]), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("asset 1", 'b'), host("asset 2", 'a')]));
    assert_eq!(warnings(&answer), "");
}

#[test]
fn of_several_rules_of_one_tpm_the_hosts_own_follow_its_text() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1")]);
    registry.record("web-1", 'a', "asset 2");
    let answer = registry.built(json!([host("asset 1", 'a'), host("elsewhere", 'a')]), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("asset 2", 'a'), host("elsewhere", 'a')]));
}

#[test]
fn remove_does_not_take_the_text_of_a_host_that_is_let_in() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1")]);
    let extra = json!({ "hosts": null, "registry": registry.0.path(), "current": stored(json!([host("asset 1", 'a')])), "remove": ["asset 1"] });
    snapshot!(fail(&request(extra), "invalid_request"), @"`remove` names `asset 1`, which is given as a host too; take it out of one of the two; a host's former TPM goes by its hash, or with `replace: true`");
}

#[test]
fn hosts_whose_rules_would_say_the_same_are_refused_by_their_names() {
    let hosts = json!([
        { "description": "web-1", "ek_public_hash": hash('a'), "rule_description": "asset 1" },
        { "description": "web-2", "ek_public_hash": hash('b'), "rule_description": "asset 1" },
    ]);
    snapshot!(fail(&request(json!({ "hosts": hosts })), "conflict"), @"the rules of `web-1` and `web-2` would have the same description `asset 1`; give each host a text of its own (`tbot_description`) that differs from all hosts' names; if a text moves to another host, change or archive the former host first");
}

#[test]
fn withdraw_takes_rules_of_archived_tpms_away_and_adds_none() {
    let registry = Registry::new(&[("web-1", 'a', "asset 1"), ("web-2", 'b', ""), ("web-3", 'c', "")]);
    registry.archive("web-1");
    let current = json!([host("asset 1", 'a'), host("web-2", 'b'), host("elsewhere", 'e')]);
    let answer = registry.built(current.clone(), json!({ "withdraw": true }));
    assert_eq!(outcome(&answer), json!({ "removed": ["asset 1"], "kept": ["elsewhere", "web-2"] }));
    let answer = registry.built(json!([host("asset 1", 'a')]), json!({ "withdraw": true }));
    assert_eq!((&answer["delete"], &answer["content"]), (&json!(["web"]), &json!("")));
    let extra = json!({ "withdraw": true, "current": stored(current) });
    snapshot!(fail(&request(extra), "invalid_request"), @"`withdraw` takes away the rules of TPMs that `registry` has archived, and no others: it needs `registry`, and no `prune`");
}
