//! tctl as it is.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::Fleet;

fn stored() -> Value {
    json!({
        "kind": "token", "version": "v2", "metadata": { "name": "hosts" },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "deploy",
            "tpm": { "allow": [{ "description": "elsewhere", "ek_public_hash": "e".repeat(64) }] },
        },
    })
}

#[test]
fn what_it_prints_before_its_answer_does_not_matter() {
    for noise in [
        json!({ "progress": "line" }),
        json!({ "progress": "same-line" }),
        json!({ "deprecation": "stdout" }),
        json!({ "deprecation": "stderr", "logs": true }),
    ] {
        let Some(fleet) = Fleet::of(&["web-1"]) else { return };
        fleet.cluster.store(&stored());
        fleet.cluster.be_awkward(&noise);
        fleet.enroll(&json!({}));
        assert_eq!(fleet.hosts_of("hosts"), ["elsewhere", "web-1"], "{noise}");
    }
}

#[test]
fn a_failure_leaves_everything_as_it_is_and_is_told_in_its_own_words() {
    for (awkward, said) in [
        (json!({ "fails": "access-denied" }), "access denied"),
        (json!({ "fails": "host-uuid" }), "host_uuid"),
        (json!({ "fails": "lookup" }), "no such host"),
        (json!({ "fails": "host" }), "not found"),
        (json!({ "fails": "file" }), "not found"),
        (json!({ "fails": "command" }), "not found"),
        (json!({ "fails": "user" }), "not found"),
        (json!({ "mfa": true }), "MFA"),
        (json!({ "cut": "exit" }), "tctl"),
        (json!({ "cut": "signal" }), "signal"),
    ] {
        let Some(fleet) = Fleet::of(&["web-1"]) else { return };
        fleet.cluster.store(&stored());
        let mut awkward = awkward;
        awkward["commands"] = json!(["get"]);
        fleet.cluster.be_awkward(&awkward);
        let answer = fleet.try_to(&json!({}));
        let message = answer["msg"].as_str().unwrap_or_default();
        assert!(answer["failed"] == true && message.contains(said), "{awkward}: {answer}");
        assert_eq!(fleet.stored("token", "hosts"), stored(), "{awkward}");
    }
}

#[test]
fn a_first_apply_that_failed_is_simply_done_again() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.cluster.be_awkward(&json!({ "fails": "access-denied", "commands": ["create"], "calls": 1 }));
    let message = fleet.refuse(&json!({}), "permission_denied");
    assert!(message.contains("access denied"), "{message}");
    fleet.enroll(&json!({}));
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
}

#[test]
fn two_runs_at_the_same_time_lose_nobody() {
    let Some(one) = Fleet::of(&["web-1"]) else { return };
    let Some(other) = Fleet::of(&["db-1"]) else { return };
    let hook = one.cluster.file("before-create");
    fs::write(&hook, "#!/bin/sh\nsleep 1\n").unwrap();
    crate::support::tool("chmod", &["755", hook.to_str().unwrap()]);
    let parameters = json!({ "tctl": one.cluster.command(), "settle_seconds": 3 });
    thread::scope(|scope| {
        let runs = [&one, &other].map(|fleet| {
            let parameters = parameters.clone();
            scope.spawn(move || fleet.enroll(&parameters))
        });
        for run in runs {
            run.join().unwrap();
        }
    });
    assert_eq!(one.hosts_of("hosts"), ["db-1", "web-1"]);
}

#[test]
fn what_something_else_changes_all_the_time_is_an_error() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.cluster.store(&stored());
    let copy = fleet.path("copy.json");
    fs::write(&copy, stored().to_string()).unwrap();
    // Whatever is applied, the next read finds the former token.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in \"get token\"*) cp {} {};; esac\nexec {} \"$@\"\n",
        copy.display(),
        fleet.cluster.file("token/hosts.json").display(),
        fleet.cluster.command().join(" ")
    );
    let tctl = fleet.path("tctl");
    fs::write(&tctl, script).unwrap();
    crate::support::tool("chmod", &["755", tctl.to_str().unwrap()]);
    let message = fleet.refuse(&json!({ "tctl": [tctl] }), "conflict");
    assert!(message.contains("was applied 5 times"), "{message}");
}
