//! `token` where the cluster has one already: hosts are added, and nobody is lost unless that is meant.

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::tokens::{
    hash, host, hosts, merged, named, outcome, request, resources, rules, stored, warnings,
};
use crate::support::{fail, succeed};

/// The rules of both given hosts.
fn both() -> Value {
    json!([host("web-1", 'a'), host("web-2", 'b')])
}

/// The rules of the token `web`.
fn web(answer: &Value) -> Value {
    rules(answer)["web"].clone()
}

#[test]
fn hosts_that_a_run_does_not_mention_stay() {
    let current = stored(json!([host("web-3", 'c'), host("web-1", 'a')]));
    let answer = merged(&current, json!({}));
    assert_eq!(web(&answer), json!([host("web-1", 'a'), host("web-2", 'b'), host("web-3", 'c')]));
    assert_eq!(outcome(&answer), json!({ "added": ["web-2"], "kept": ["web-1", "web-3"] }));
    assert_eq!((&answer["changed"], &answer["warnings"]), (&json!(true), &json!([])));
}

#[test]
fn what_the_cluster_has_already_is_no_change_in_any_form() {
    let current = stored(json!([host("web-2", 'b'), host("web-1", 'a')]));
    let yaml = "{kind: token, version: v2, metadata: {name: web}, spec: {roles: [bot], bot_name: web-bot, join_method: tpm, \
                tpm: {allow: [{description: web-1, ek_public_hash: HASH_A}, {ek_public_hash: HASH_B, description: web-2}]}}}";
    let yaml = yaml.replace("HASH_A", &format!("'{}'", hash('a'))).replace("HASH_B", &hash('b'));
    let twice = stored(json!([host("web-1", 'a'), host("web-2", 'b'), host("web-1", 'a')]));
    let text = json!(current.to_string());
    for form in [text, current[0].clone(), current, json!(yaml), json!(format!("---\n{yaml}\n---\n")), twice]
    {
        let answer = merged(&form, json!({ "_ansible_diff": true }));
        assert_eq!(answer["changed"], false, "{form}");
        assert_eq!(answer.get("diff"), None, "{answer}");
        assert_eq!(outcome(&answer), json!({ "kept": ["web-1", "web-2"] }));
    }
    for none in [json!([]), json!(""), json!("[]"), json!("# nothing\n")] {
        assert_eq!(succeed(&request(json!({ "current": none })))["changed"], true);
    }
}

#[test]
fn a_hosts_rule_gets_its_serial_number() {
    let current = stored(json!([host("web-2", 'b'), host("web-1", 'a')]));
    let answer = merged(&current, json!({ "match": "hash_and_serial" }));
    let web_2 =
        json!({ "description": "web-2", "ek_public_hash": hash('b'), "ek_certificate_serial": "12:34" });
    assert_eq!(web(&answer), json!([host("web-1", 'a'), web_2]));
    assert_eq!(outcome(&answer), json!({ "updated": ["web-2"], "kept": ["web-1"] }));
}

#[test]
fn a_serial_number_that_an_operator_put_on_a_rule_stays() {
    let pinned =
        json!({ "description": "web-2", "ek_public_hash": hash('b'), "ek_certificate_serial": "12:34" });
    let answer = merged(&stored(json!([pinned, host("web-1", 'a')])), json!({}));
    assert_eq!(web(&answer), json!([host("web-1", 'a'), pinned]));
    assert_eq!(answer["changed"], false);
    // One that locks the given host out is not silently kept.
    let other = json!({ "description": "web-2", "ek_public_hash": hash('b'), "ek_certificate_serial": "99" });
    let message = fail(&request(json!({ "current": stored(json!([other])) })), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 2 hosts: `web-2` (token `web` wants the serial number 99 with its hash, and the host's EK certificate has 12:34: write the host's with `match: hash_and_serial`, or correct the rule); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
}

#[test]
fn upper_case_never_matches_so_that_to_rewrite_it_is_a_change() {
    let upper = json!({ "description": "web-2", "ek_public_hash": hash('b').to_uppercase() });
    let answer = merged(&stored(json!([upper, host("web-1", 'a')])), json!({}));
    assert_eq!(web(&answer), both());
    assert_eq!((&answer["changed"], outcome(&answer)["updated"].clone()), (&json!(true), json!(["web-2"])));
    let upper = json!({ "description": "x", "ek_public_hash": hash('c'), "ek_certificate_serial": "AB:cd" });
    let answer = merged(&stored(json!([upper])), json!({}));
    assert_eq!(web(&answer)[2]["ek_certificate_serial"], "ab:cd", "of a host that is not given");
    assert_eq!(outcome(&answer)["updated"], json!(["x"]));
    let doubled =
        json!([{ "description": "web-1", "ek_public_hash": hash('a').to_uppercase() }, host("web-1", 'a')]);
    assert_eq!(web(&merged(&stored(doubled), json!({}))), both());
}

#[test]
fn rules_that_share_a_hash_and_differ_are_alternatives_that_stay() {
    let with = |serial: &str, description: &str| json!({ "description": description, "ek_public_hash": hash('b'), "ek_certificate_serial": serial });
    let alternatives = json!([host("web-1", 'a'), with("12:34", "web-2"), with("56", "web-2 after repair")]);
    let answer = merged(&stored(alternatives.clone()), json!({}));
    assert_eq!((web(&answer), &answer["changed"]), (alternatives.clone(), &json!(false)));
    let answer = merged(&stored(alternatives.clone()), json!({ "match": "hash_and_serial" }));
    assert_eq!(web(&answer), alternatives);
    let mut third = hosts();
    third[0]["ek_cert_serial"] = json!("78");
    let answer = merged(&stored(alternatives.clone()), json!({ "match": "hash_and_serial", "hosts": third }));
    assert_eq!(web(&answer).as_array().unwrap().len(), 4, "{answer}");
    assert_eq!(outcome(&answer)["added"], json!(["web-2"]));
    // The hash names all of them.
    let answer =
        merged(&stored(alternatives), json!({ "hosts": [host("web-1", 'a')], "remove": [hash('b')] }));
    assert_eq!(web(&answer), json!([host("web-1", 'a')]));
}

#[test]
fn a_new_mainboards_former_rule_stays_until_replace_drops_it() {
    let current = stored(both());
    let new = json!([host("web-1", 'c'), host("web-2", 'b')]);
    let answer = merged(&current, json!({ "hosts": new }));
    assert_eq!(web(&answer), json!([host("web-1", 'a'), host("web-1", 'c'), host("web-2", 'b')]));
    assert_eq!(outcome(&answer)["superseded"], json!(["web-1"]));
    let warning = warnings(&answer);
    assert!(warning.contains(&hash('a')) && warning.contains("replace: true"), "{warning}");
    for before in [current, json!(answer["content"])] {
        let answer = merged(&before, json!({ "hosts": new, "replace": true }));
        assert_eq!(web(&answer), new);
        assert_eq!(outcome(&answer)["removed"], json!(["web-1"]));
        assert_eq!(answer["warnings"], json!([]));
    }
    // Two hosts that swapped their names have no former TPM.
    let swapped = json!([host("web-2", 'a'), host("web-1", 'b')]);
    let answer = merged(&stored(both()), json!({ "hosts": swapped, "replace": true }));
    assert_eq!(web(&answer), json!([host("web-1", 'b'), host("web-2", 'a')]));
    assert_eq!(outcome(&answer), json!({ "updated": ["web-1", "web-2"] }));
}

#[test]
fn to_replace_several_tpms_of_one_name_is_ambiguous() {
    let current = stored(json!([host("web-1", 'c'), host("web-1", 'd')]));
    let message = fail(&request(json!({ "current": current, "replace": true })), "conflict");
    assert!(message.contains(&hash('c')) && message.contains(&hash('d')), "{message}");
    let answer = merged(&current, json!({}));
    assert_eq!(outcome(&answer)["superseded"], json!(["web-1", "web-1"]));
}

/// A token with a CA, without which a cluster refuses rules without a hash.
fn stored_with_ca(rules: Value) -> Value {
    let mut current = stored(rules);
    current[0]["spec"]["tpm"]["ekcert_allowed_cas"] = json!([Manufacturer::new("Acme").issuing]);
    current
}

#[test]
fn remove_names_a_rule_by_hash_serial_number_or_description() {
    let serial = json!({ "description": "by serial", "ek_certificate_serial": "ab:cd" });
    let current = stored_with_ca(json!([host("web-1", 'a'), host("gone", 'c'), serial]));
    let (web_1, gone) = (host("web-1", 'a'), host("gone", 'c'));
    for (name, removed, left) in [
        (hash('c'), "gone", json!([serial, web_1])),
        (hash('c').to_uppercase(), "gone", json!([serial, web_1])),
        ("gone".to_owned(), "gone", json!([serial, web_1])),
        ("AB:cd".to_owned(), "by serial", json!([gone, web_1])),
        ("by serial".to_owned(), "by serial", json!([gone, web_1])),
    ] {
        let answer = merged(&current, json!({ "hosts": null, "remove": [name] }));
        assert_eq!(web(&answer), left, "{name}");
        assert_eq!(outcome(&answer)["removed"], json!([removed]));
        assert!(answer["changed"] == true && answer["warnings"] == json!([]), "{answer}");
    }
    let answer = merged(&current, json!({ "hosts": null, "remove": ["Gone", "ef"] }));
    assert_eq!((&answer["changed"], web(&answer)), (&json!(false), json!([serial, gone, web_1])));
    snapshot!(warnings(&answer), @"
    no rule has the hash, serial number or description `Gone`, which `remove` names
    no rule has the hash, serial number or description `ef`, which `remove` names
    ");
}

#[test]
fn remove_of_what_several_rules_have_or_what_is_given_too_is_refused() {
    let pinned = |digit: char| json!({ "description": "twin", "ek_public_hash": hash(digit), "ek_certificate_serial": "01" });
    let current = stored(json!([pinned('c'), pinned('d'), host("e", 'e')]));
    for name in ["twin", "01"] {
        let message = fail(&request(json!({ "current": current, "remove": [name] })), "conflict");
        assert!(message.contains(&hash('c')) && message.contains(&hash('d')), "{message}");
    }
    // A description that is another rule's hash could mean either.
    let current = stored(json!([host(&hash('c'), 'd'), host("x", 'c')]));
    fail(&request(json!({ "current": current, "remove": [hash('c')] })), "conflict");
    for name in ["web-1", "12:34", &hash('a'), &hash('a').to_uppercase()] {
        let message =
            fail(&request(json!({ "current": stored(both()), "remove": [name] })), "invalid_request");
        assert!(message.contains(name), "{message}");
    }
    fail(&request(json!({ "remove": [" "] })), "invalid_request");
}

#[test]
fn prune_removes_the_rules_of_hosts_that_are_not_given() {
    let junk = json!({ "description": "junk", "ek_public_hash": "12" });
    let current = stored(json!([host("web-1", 'a'), host("x", 'b'), host("gone", 'c'), junk]));
    let answer = merged(&current, json!({ "prune": true }));
    assert_eq!(web(&answer), both());
    assert_eq!(
        outcome(&answer),
        json!({ "updated": ["web-2"], "removed": ["gone", "junk"], "kept": ["web-1"] })
    );
    let message = fail(&request(json!({ "current": current, "prune": true, "hosts": [] })), "would_lock_out");
    snapshot!(message, @"no host is given, and `prune` would remove every one that the token lets in; see that it is the right registry, or set `allow_lockout: true`");
    let nobody = json!({ "current": current, "prune": true, "hosts": [], "allow_lockout": true });
    let answer = succeed(&request(nobody));
    assert_eq!((&answer["content"], &answer["delete"]), (&json!(""), &json!(["web"])));
}

#[test]
fn rules_without_a_hash_stay_even_where_others_are_pruned() {
    let serial = json!({ "description": "by serial", "ek_certificate_serial": "ab:cd" });
    let current = stored_with_ca(json!([serial, host("gone", 'c'), host("web-1", 'a')]));
    let extra = json!({ "hosts": [host("web-1", 'a')], "prune": true, "allow_lockout": true });
    let answer = merged(&current, extra);
    assert_eq!(web(&answer), json!([serial, host("web-1", 'a')]));
    snapshot!(warnings(&answer), @"
    `prune` leaves rules without a hash, whose hosts it cannot tell; name them in `remove`: `by serial`
    the cluster will refuse 1 hosts: `web-1` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again)
    ");
}

#[test]
fn a_token_with_no_rule_left_is_listed_and_not_written() {
    let current = stored(json!([host("a", 'a'), host("b", 'b')]));
    let request =
        json!({ "hosts": null, "remove": ["a", hash('b')], "current": current, "_ansible_diff": true });
    let answer = succeed(&self::request(request));
    assert_eq!((&answer["content"], &answer["tokens"]), (&json!(""), &json!([])));
    assert_eq!((&answer["delete"], &answer["changed"]), (&json!(["web"]), &json!(true)));
    assert_eq!(answer["diff"]["after"], "");
}

#[test]
fn what_no_parameter_changes_is_kept() {
    let mut current = stored(json!([
        { "description": "web-1", "ek_public_hash": hash('a'), "note": { "y": [1, { "b": 2, "a": 1.5 }], "x": true } },
        host("web-2", 'b'),
    ]));
    current[0]["metadata"]["expires"] = json!("2100-01-01T00:00:00Z");
    current[0]["metadata"]["labels"]["team"] = json!("blue");
    current[0]["metadata"]["description"] = json!("by hand");
    current[0]["spec"]["roles"] = json!(["Bot", "Telescope"]);
    current[0]["spec"]["suggested_labels"] = json!({ "a": ["b"] });
    current[0]["spec"]["tpm"]["newer"] = json!({ "deep": [null, "x"] });
    current[0]["sub_kind"] = json!("x");
    let answer = merged(&current, json!({}));
    assert_eq!(answer["changed"], false, "{answer}");
    let mut expected = current[0].clone();
    expected["metadata"].as_object_mut().unwrap().remove("revision");
    assert_eq!(resources(&answer), [expected.clone()]);
    let extra = json!({ "labels": "team=red", "expires": "never", "roles": ["Bot"] });
    let answer = merged(&current, extra);
    expected["metadata"]["labels"]["team"] = json!("red");
    expected["metadata"].as_object_mut().unwrap().remove("expires");
    expected["spec"]["roles"] = json!(["Bot"]);
    assert_eq!(resources(&answer), [expected]);
    assert_eq!((&answer["changed"], outcome(&answer)), (&json!(true), json!({ "kept": ["web-1", "web-2"] })));
}

#[test]
fn roles_and_bot_are_the_clusters_where_they_are_not_given() {
    let mut agents = stored(both());
    agents[0]["spec"]["roles"] = json!(["App", "Node"]);
    agents[0]["spec"].as_object_mut().unwrap().remove("bot_name");
    assert_eq!(merged(&agents, json!({ "bot_name": null }))["changed"], false);
    assert_eq!(merged(&agents, json!({ "bot_name": null, "roles": "Node, App" }))["changed"], false);
    assert_eq!(merged(&stored(both()), json!({ "bot_name": null }))["changed"], false);
    fail(&request(json!({ "current": agents })), "conflict");
}

#[test]
fn a_current_that_is_no_token_of_this_fleet_and_bot_is_a_conflict() {
    let changed = |pointer: &str, value: Value| {
        let mut other = stored(both());
        *other.pointer_mut(pointer).unwrap() = value;
        other
    };
    for other in [
        changed("/0/metadata/name", json!("other")),
        changed("/0/metadata/name", json!("web-01")),
        changed("/0/metadata/name", json!("web-blue")),
        changed("/0/metadata/name", json!("a b")),
        changed("/0/spec/bot_name", json!("other")),
        changed("/0/spec/bot_name", json!("")),
        changed("/0/spec/join_method", json!("iam")),
        changed("/0/spec/join_method", json!(null)),
        changed("/0/kind", json!("role")),
        changed("/0/version", json!("v3")),
        json!([stored(both())[0], stored(both())[0]]),
        json!(["x"]),
        json!("just text"),
    ] {
        let message = fail(&request(json!({ "current": other })), "conflict");
        assert!(message.contains("left as it is") || message.contains("left as it was"), "{message}");
    }
    let message =
        fail(&request(json!({ "current": stored(both()), "bot_name": null, "roles": ["Node"] })), "conflict");
    snapshot!(message, @"token `web` belongs to another bot, `web-bot`; it was left as it is; give this fleet's token another name, or give only its own tokens as the current ones");
}

#[test]
fn tokens_of_two_bots_are_no_fleet_even_where_none_is_given() {
    let mut current = named("web-0", json!([host("x", 'c')]));
    let mut other = named("web-1", json!([host("y", 'd')]));
    other[0]["spec"]["bot_name"] = json!("other-bot");
    current.as_array_mut().unwrap().push(other[0].clone());
    for shards in [1, 2, 3] {
        let extra = json!({ "current": current, "shards": shards, "bot_name": null });
        let message = fail(&request(extra), "conflict");
        assert!(message.contains("web-bot") && message.contains("other-bot"), "{message}");
    }
}

#[test]
fn a_change_of_the_clusters_token_alone_is_shown() {
    let current = stored(both());
    let answer = succeed(&request(json!({ "current": current, "labels": "a=b", "_ansible_diff": true })));
    assert_eq!(answer["diff"]["before_header"], "token/web");
    let [before, after] = ["before", "after"].map(|side| answer["diff"][side].as_str().unwrap());
    assert!(!before.contains("revision") && !before.contains("a: b"), "{before}");
    assert!(after.contains("a: b"), "{after}");
}
