//! What a run tells whoever started it: what differs, what is known, and what is left to do.

use std::fs;

use serde_json::{Value, json};

use super::{Fleet, hash};
use crate::support::manufacturer::Manufacturer;

fn left_to_do(answer: &Value) -> Vec<&str> {
    answer["left_to_do"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn tokens_differ_in_more_than_rules_that_come_or_are_brought_up_to_date() {
    for layout in [json!({}), json!({ "tokens": "per_host" })] {
        let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
        let differ = |more: Value| {
            let mut parameters = layout.clone();
            parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let mut foreseen = parameters.clone();
            foreseen["_ansible_check_mode"] = json!(true);
            let answers = [fleet.enroll(&foreseen), fleet.enroll(&parameters)];
            assert_eq!(answers[0]["tokens_differ"], answers[1]["tokens_differ"], "check mode foresees it");
            assert_eq!(answers[0]["changed"], answers[1]["changed"], "check mode foresees it");
            (answers[1]["changed"] == true, answers[1]["tokens_differ"] == true)
        };
        assert_eq!(differ(json!({})), (true, false), "new rules");
        assert_eq!(differ(json!({})), (false, false), "nothing");
        let entry = json!({ "ek_public_hash": hash("web-1"), "rule_description": "web (rack 1)" });
        fs::write(fleet.path("registry/web-1.json"), entry.to_string()).unwrap();
        assert_eq!(differ(json!({})), (true, false), "a rule that says something else");
        assert_eq!(differ(json!({ "labels": { "team": "web" } })), (true, true), "labels");
        fleet.archive("db-1");
        assert_eq!(differ(json!({})), (true, true), "a rule that goes");
        assert_eq!(differ(json!({})), (false, false), "nothing again");
    }
}

#[test]
fn whether_an_archived_host_has_a_rule_is_known_from_the_cluster_or_a_file() {
    for layout in [json!({}), json!({ "tokens": "sharded", "shards": 2 }), json!({ "tokens": "per_host" })] {
        let Some(fleet) = Fleet::of(&["web-1"]) else { return };
        let is_known = |apply: bool| {
            let mut parameters = layout.clone();
            parameters["apply"] = json!(apply);
            fleet.enroll(&parameters)["rules_are_known"].as_bool().unwrap()
        };
        let file = fs::read_dir(fleet.path("")).unwrap().count();
        assert!(is_known(false), "{layout}: nobody is archived");
        assert!(fs::read_dir(fleet.path("")).unwrap().count() > file, "there is a file of it");
        fleet.archive("web-1");
        assert!(is_known(false), "{layout}: its rule leaves the file");
        assert!(!is_known(false), "{layout}: there is no file any more");
        assert!(is_known(true), "{layout}: the cluster tells");
    }
}

#[test]
fn where_nothing_was_applied_a_person_is_told_what_to_run_and_what_is_missing() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let file = fleet.path("token.yaml");
    let answer = fleet.enroll(&json!({ "apply": false }));
    let told = left_to_do(&answer);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(&format!("run: tctl create -f {}. ", file.display())), "{told:?}");
    assert!(told[0].contains("compare with tctl get token/hosts first"), "{told:?}");
    assert!(told[1].starts_with("The cluster must have the bot deploy: "), "{told:?}");

    let answer = fleet.enroll(&json!({ "apply": false, "bot": { "roles": ["access"] } }));
    let told = left_to_do(&answer);
    assert_eq!(told.len(), 1, "{told:?}");
    let bot = fleet.path("deploy.bot.yaml");
    let commands = format!("run: tctl create -f {}; tctl create -f {}. ", bot.display(), file.display());
    assert!(told[0].contains(&commands), "{told:?}");

    fleet.archive("web-1");
    let answer = fleet.enroll(&json!({ "apply": false, "bot": { "roles": ["access"] } }));
    assert!(left_to_do(&answer)[0].contains("; tctl rm token/hosts. "), "{answer}");
}

#[test]
fn where_all_was_applied_only_those_who_would_be_refused_are_left() {
    let acme = Manufacturer::new("Acme");
    let Some(fleet) = Fleet::of(&["db-1"]) else { return };
    fs::write(fleet.path("registry/web-1.json"), acme.tpm("web-1", "01").to_string()).unwrap();
    let answer = fleet.enroll(&json!({ "ekcert_allowed_cas": [acme.issuing] }));
    let told = left_to_do(&answer);
    assert!(told.len() == 1 && told[0].starts_with("db-1: "), "{told:?}");
    assert!(told[0].contains("has no EK certificate") || told[0].contains("certificate"), "{told:?}");
    assert_eq!(answer["refused"][0]["description"], "db-1");
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);

    fs::remove_file(fleet.path("registry/db-1.json")).unwrap();
    assert_eq!(
        left_to_do(&fleet.enroll(&json!({ "ekcert_allowed_cas": [acme.issuing] }))),
        Vec::<&str>::new()
    );
}

fn warnings(answer: &Value) -> Vec<&str> {
    answer["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn locks_that_keep_the_hosts_out_are_told() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let bot = json!({ "bot": { "name": "deploy", "roles": ["access"] } });
    for (target, whom) in [
        (json!({ "user": "bot-deploy" }), "the bot's user `bot-deploy`"),
        (json!({ "join_token": "hosts" }), "the token `hosts`"),
        (json!({ "user": "alice" }), ""),
    ] {
        let lock = json!({
            "kind": "lock", "version": "v2", "metadata": { "name": "aa" }, "spec": { "target": target, "message": "stolen" },
        });
        fleet.cluster.store(&lock);
        for _ in ["new", "again"] {
            let answer = fleet.enroll(&bot);
            let told = warnings(&answer);
            assert_eq!(told.is_empty(), whom.is_empty(), "{told:?}");
            assert!(told.iter().all(|text| text.contains(whom) && text.contains("stolen")), "{told:?}");
        }
    }
    // Where they cannot be read, hosts are enrolled all the same.
    fs::write(fleet.cluster.file("lock/aa.json"), "not JSON").unwrap();
    assert!(fleet.cluster.tctl().locks().is_err());
    assert!(warnings(&fleet.enroll(&bot)).is_empty());
}

#[test]
fn roles_that_are_not_known_or_repeated_are_warned_of() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let told = |roles: Value| {
        let parameters = json!({ "roles": roles, "apply": false, "tctl": null });
        warnings(&fleet.enroll(&parameters)).iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    assert!(told(json!(["bot", "node", "Relay"])).iter().all(|text| !text.contains("`roles`")));
    let repeated = told(json!(["Bot", "Node", "bot"]));
    assert!(
        repeated.contains(&"`roles` names `Bot` more than once; once is enough".to_owned()),
        "{repeated:?}"
    );
    let unknown = told(json!(["Bot", "Gizmo", "Node", "Gizmo"]));
    assert!(
        unknown.iter().any(|text| text.starts_with("`roles` has `Gizmo`, which this version does not know")),
        "{unknown:?}"
    );
    assert!(fs::read_to_string(fleet.path("token.yaml")).unwrap().contains("    - Gizmo\n"));
}
