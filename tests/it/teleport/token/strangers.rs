//! `token` where the cluster's token has rules under names that the registry never knew: another inventory's, or written by
//! hand. They let their TPMs in, keep their names, and go only where that is asked for.

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::succeed;
use crate::support::tokens::{hash, host, merged, named, outcome, rules, stored, warnings};
use tempfile::TempDir;

/// A registry with these hosts, each with a hash of one digit.
fn registry(hosts: &[(&str, char)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, digit) in hosts {
        change(
            &directory,
            name,
            &json!({ "identity": { "ek_public_hash": hash(*digit), "ek_cert_present": false } }),
        );
    }
    directory
}

fn change(registry: &TempDir, name: &str, extra: &Value) {
    let mut request = json!({ "action": "registry", "registry": registry.path(), "host": name, "accept_identity_change": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    succeed(&request);
}

fn archive(registry: &TempDir, name: &str) {
    change(registry, name, &json!({ "state": "archived" }));
}

/// The answer, after which there is nothing to do, and the same is said again.
fn built(registry: &TempDir, current: &Value, extra: Value) -> Value {
    let mut parameters = json!({ "hosts": null, "registry": registry.path() });
    parameters.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let answer = merged(current, parameters.clone());
    let again = merged(&answer["content"], parameters);
    assert_eq!(again["warnings"], answer["warnings"]);
    answer
}

/// The rules of another inventory's host, and of one that this registry knows.
fn shared() -> Value {
    stored(json!([host("other-1", 'e'), host("web-1", 'a')]))
}

#[test]
fn a_host_with_the_tpm_of_a_rule_that_the_registry_does_not_know_leaves_it_as_it_is() {
    let registry = registry(&[("web-1", 'a'), ("web-9", 'e')]);
    let answer = built(&registry, &shared(), json!({}));
    assert_eq!(
        (&answer["changed"], outcome(&answer)),
        (&json!(false), json!({ "kept": ["other-1", "web-1"] }))
    );
    assert_eq!(answer["host_tokens"]["web-9"], "web");
    snapshot!(warnings(&answer), @"`web-9` has the TPM that the token lists as `other-1`, which this registry does not know: such a rule lets the host in, and stays as it is. If nobody else needs it, name it in `remove`: then it is written under the host's name");
    archive(&registry, "web-9");
    let answer = built(&registry, &shared(), json!({}));
    assert_eq!(
        (&answer["changed"], outcome(&answer)),
        (&json!(false), json!({ "kept": ["other-1", "web-1"] }))
    );
    snapshot!(warnings(&answer), @"the TPMs of these rules are archived, but the rules stay, since this registry does not know their names: `other-1` (the TPM of `web-9`). If nobody else needs them, name them in `remove`");
    // Whoever knows that it is nobody else's says so.
    let answer = succeed(&crate::support::tokens::request(
        json!({ "hosts": null, "registry": registry.path(), "current": shared(), "remove": ["other-1"] }),
    ));
    assert_eq!((outcome(&answer)["removed"].clone(), &answer["warnings"]), (json!(["other-1"]), &json!([])));
}

#[test]
fn a_rule_that_is_named_is_written_anew_under_the_hosts_name() {
    let registry = registry(&[("web-1", 'a'), ("web-9", 'e')]);
    let request =
        json!({ "hosts": null, "registry": registry.path(), "current": shared(), "remove": ["other-1"] });
    let answer = succeed(&crate::support::tokens::request(request));
    assert_eq!(rules(&answer)["web"], json!([host("web-1", 'a'), host("web-9", 'e')]));
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn where_all_other_rules_go_no_name_is_anybody_elses() {
    let registry = registry(&[("web-1", 'a'), ("web-9", 'e')]);
    let answer = built(&registry, &shared(), json!({ "prune": true }));
    assert_eq!(outcome(&answer), json!({ "updated": ["web-9"], "kept": ["web-1"] }));
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn a_host_that_was_renamed_in_the_registry_takes_its_rule_along() {
    let registry = registry(&[("old", 'e')]);
    archive(&registry, "old");
    change(
        &registry,
        "new",
        &json!({ "identity": { "ek_public_hash": hash('e'), "ek_cert_present": false } }),
    );
    let answer = built(&registry, &stored(json!([host("old", 'e')])), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("new", 'e')]));
    assert_eq!((outcome(&answer), &answer["warnings"]), (json!({ "updated": ["new"] }), &json!([])));
    // So does a rule that nobody gave a name.
    let answer = built(&registry, &stored(json!([{ "ek_public_hash": hash('e') }])), json!({}));
    assert_eq!(rules(&answer)["web"], json!([host("new", 'e')]));
    archive(&registry, "new");
    let answer = succeed(&crate::support::tokens::request(
        json!({ "hosts": null, "registry": registry.path(), "current": stored(json!([{ "ek_public_hash": hash('e') }])) }),
    ));
    assert_eq!(answer["delete"], json!(["web"]));
}

#[test]
fn a_rule_without_a_serial_number_gets_none_from_a_host_that_it_is_not_named_for() {
    let tpm = |serial: &str| json!([{ "description": "web-9", "ek_public_hash": hash('e'), "ek_cert_serial": serial }]);
    let with = |rule: Value, serial: &str| {
        merged(&stored(json!([rule])), json!({ "hosts": tpm(serial), "match": "hash_and_serial" }))
    };
    let answer = with(host("other-1", 'e'), "0a");
    assert_eq!((&answer["changed"], outcome(&answer)), (&json!(false), json!({ "kept": ["other-1"] })));
    assert!(warnings(&answer).contains("`web-9` has the TPM that the token lists as `other-1`"), "{answer}");
    // One that would not let the host in gets another beside it.
    let pinned =
        json!({ "description": "other-1", "ek_public_hash": hash('e'), "ek_certificate_serial": "0b" });
    let answer = with(pinned.clone(), "0a");
    let own = json!({ "description": "web-9", "ek_public_hash": hash('e'), "ek_certificate_serial": "0a" });
    assert_eq!(rules(&answer)["web"], json!([pinned, own]));
}

#[test]
fn such_a_rule_keeps_its_name_in_every_token_of_several() {
    let registry = registry(&[("web-9", 'e')]);
    let mut former = named("web", json!([host("other-1", 'e')]));
    former
        .as_array_mut()
        .unwrap()
        .extend(named("web-0", json!([host("x", '1')])).as_array().unwrap().clone());
    let answer = built(&registry, &former, json!({ "shards": 2 }));
    let all = rules(&answer);
    let home = answer["host_tokens"]["web-9"].as_str().unwrap().to_owned();
    let home = home.as_str();
    let home_has_it = all[home].as_array().unwrap().contains(&host("other-1", 'e'));
    assert!(home != "web" && home_has_it && all["web"] == json!([host("other-1", 'e')]), "{all}");
    assert!(warnings(&answer).contains("`other-1`"), "{answer}");
    archive(&registry, "web-9");
    let answer = built(&registry, &json!(answer["content"]), json!({ "shards": 2 }));
    assert_eq!(rules(&answer), all);
    assert!(warnings(&answer).contains("`other-1` (the TPM of `web-9`)"), "{answer}");
    let answer = merged(
        &json!(answer["content"]),
        json!({ "hosts": null, "registry": registry.path(), "shards": 2, "retire": true }),
    );
    assert!(rules(&answer)[home].as_array().unwrap().contains(&host("other-1", 'e')), "{answer}");
    assert_eq!(answer["delete"], json!(["web"]));
}

#[test]
fn a_token_of_one_host_keeps_such_a_rule_too() {
    let registry = registry(&[("web-1", 'a'), ("web-9", 'e')]);
    let current = stored(json!([host("other-1", 'e')]));
    let answer = built(&registry, &current, json!({ "only": ["web-9"] }));
    assert_eq!((&answer["changed"], outcome(&answer)), (&json!(false), json!({ "kept": ["other-1"] })));
    // Another host of the registry is none that it does not know.
    let answer = built(&registry, &stored(json!([host("web-1", 'e')])), json!({ "only": ["web-9"] }));
    assert_eq!(outcome(&answer), json!({ "updated": ["web-9"] }));
    archive(&registry, "web-9");
    let answer = built(&registry, &current, json!({ "only": ["web-9"] }));
    assert_eq!((&answer["delete"], outcome(&answer)), (&json!([]), json!({ "kept": ["other-1"] })));
}

#[test]
fn a_host_beside_whose_rule_is_such_a_one_takes_its_own_along() {
    let registry = registry(&[("web-9", 'e')]);
    let pinned =
        json!({ "description": "other-1", "ek_public_hash": hash('e'), "ek_certificate_serial": "0b" });
    let current = stored(json!([pinned, host("web-9", 'e')]));
    // That its serial number proves nothing is all there is to say.
    let warnings = built(&registry, &current, json!({}))["warnings"].clone();
    assert!(warnings.as_array().unwrap().len() == 1 && warnings.to_string().contains("serial"), "{warnings}");
    archive(&registry, "web-9");
    let answer = built(&registry, &current, json!({}));
    assert_eq!(outcome(&answer), json!({ "removed": ["web-9"], "kept": ["other-1"] }));
}
