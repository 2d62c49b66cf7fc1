//! `program`: the version of a program that is there, and whether another is to be installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{fail, succeed};

/// A program that says this, and its path.
fn program(says: &str) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tbot");
    fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let text = path.display().to_string();
    (place, text)
}

fn request(path: &str, more: &Value) -> Value {
    let mut request = json!({ "action": "program", "path": path });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn another_program_is_to_be_installed_only_where_somebody_wants_one() {
    let (_place, path) = program("Teleport v17.5.1 git:v17.5.1-0-g1 go1.23");
    let cluster = |version: &str| json!({ "follow_cluster": true, "cluster": { "server_version": version } });
    let agents = json!({
        "follow_cluster": true,
        "cluster": { "server_version": "18.0.0", "auto_update": { "agent_version": "17.5.2" } },
    });
    for (more, to_install, wanted) in [
        (json!({}), false, Value::Null),
        (json!({ "version": "17.5.1" }), false, json!("17.5.1")),
        (json!({ "version": "18.0.0-rc.1" }), true, json!("18.0.0-rc.1")),
        (json!({ "version": "17.4.0", "allow_downgrade": true }), true, json!("17.4.0")),
        (cluster("17.5.2"), true, json!("17.5.2")),
        // A newer one stays: nobody asked for another.
        (cluster("17.5.0"), false, json!("17.5.0")),
        (agents, true, json!("17.5.2")),
        (json!({ "cluster": { "server_version": "17.5.2" } }), false, Value::Null),
        // What is no version says nothing.
        (cluster("newest"), false, Value::Null),
    ] {
        let answer = succeed(&request(&path, &more));
        assert_eq!(answer["found_version"], "17.5.1", "{more}");
        assert_eq!(
            (&answer["to_install"], &answer["wanted_version"]),
            (&json!(to_install), &wanted),
            "{more}"
        );
        assert_eq!(answer["changed"], false);
    }
}

#[test]
fn a_newer_program_stays_and_where_it_is_not_wanted_that_is_an_error() {
    let (_place, path) = program("Teleport Enterprise v18.0.0 git: go1.24");
    let message = fail(&request(&path, &json!({ "version": "17.5.1" })), "conflict");
    assert!(message.contains("is version 18.0.0, newer than the wanted 17.5.1"), "{message}");
}

#[test]
fn a_program_that_does_not_fit_the_cluster_is_told_of() {
    let (_place, path) = program("Teleport v17.5.1");
    for (cluster, said) in [
        (json!({ "server_version": "17.4.0" }), "newer than the cluster, which runs 17.4.0"),
        (json!({ "server_version": "19.1.0" }), "more than one major version behind the cluster"),
        (
            json!({ "server_version": "18.0.0", "min_client_version": "17.6.0" }),
            "older than the oldest client",
        ),
        (json!({ "msg": "the proxy cannot be asked" }), "version is not known"),
    ] {
        let answer = succeed(&request(&path, &json!({ "cluster": cluster })));
        assert!(answer["warnings"][0].as_str().unwrap().contains(said), "{answer}");
    }
    let fitting = json!({ "cluster": { "server_version": "18.2.0", "min_client_version": "17.0.0-aa" } });
    assert_eq!(succeed(&request(&path, &fitting))["warnings"], json!([]));
}

#[test]
fn without_a_program_one_is_to_be_installed_if_it_is_known_which() {
    let (_place, path) = program("no version");
    for path in [path.as_str(), "/no/such/tbot"] {
        let answer = succeed(&request(path, &json!({ "version": "17.5.1" })));
        assert_eq!((&answer["to_install"], &answer["found_version"]), (&json!(true), &Value::Null));
        assert_eq!(succeed(&request(path, &json!({})))["to_install"], true);
        let unknown = json!({ "follow_cluster": true, "cluster": { "msg": "it is down." } });
        let message = fail(&request(path, &unknown), "not_found");
        assert!(
            message.contains("is the cluster's, which is not known: it is down; set `version`"),
            "{message}"
        );
    }
}

#[test]
fn a_deployment_stops_before_anything_else_where_the_program_is_to_be_installed() {
    let place = tempfile::tempdir().unwrap();
    let storage = place.path().join("bot").display().to_string();
    let request = |check: bool| {
        json!({
            "action": "deploy", "_ansible_check_mode": check, "storage": { "path": storage },
            "program": { "path": "/no/such/tbot", "version": "17.5.1" },
        })
    };
    let answer = succeed(&request(false));
    assert_eq!((&answer["changed"], answer.get("storage")), (&json!(false), None), "{answer}");
    assert_eq!(answer["program"]["to_install"], true);
    let foreseen = succeed(&request(true));
    assert_eq!(
        (&foreseen["changed"], &foreseen["storage"]["changed"]),
        (&json!(true), &json!(true)),
        "{foreseen}"
    );
}
