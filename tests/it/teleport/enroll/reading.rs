//! What is asked before any host is touched, and where nobody knows whether there is a tctl.

use std::fs;

use serde_json::{Value, json};

use super::{Fleet, hash};
use crate::support::{run_under, succeed, tool};

/// A request to read alone, by a registry that is not there yet.
fn reading(parameters: Value) -> Value {
    let mut request = json!({ "read_only": true, "registry": "/no/such/registry" });
    request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    request
}

fn stored(name: &str, join_method: &str, bot: &str) -> Value {
    let mut spec = json!({ "roles": ["Bot"], "join_method": join_method, "bot_name": bot });
    if join_method == "tpm" {
        spec["tpm"] = json!({ "allow": [{ "description": "web-1", "ek_public_hash": hash("web-1") }] });
    }
    json!({ "kind": "token", "version": "v2", "metadata": { "name": name }, "spec": spec })
}

#[test]
fn to_read_alone_applies_and_writes_nothing() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    for registry in [fleet.path("registry"), "/no/such/registry".into()] {
        for (layout, asked) in [(json!(null), "get token/hosts"), (json!("per_host"), "get tokens")] {
            let answer = fleet.enroll(&reading(json!({
                "registry": registry, "tokens": layout, "bot": { "roles": ["access"] },
            })));
            let said = (&answer["is_read"], &answer["changed"], &answer["current"]);
            assert_eq!(said, (&json!(true), &json!(false), &json!(null)), "{answer}");
            assert_eq!(fleet.asked(), ["get bot/deploy", asked]);
        }
    }
    let left: Vec<_> = fs::read_dir(fleet.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["registry"]);
}

#[test]
fn what_tctl_says_where_it_fails_is_told() {
    for all_tokens in [false, true] {
        for (fails, kind, said) in [
            ("access-denied", "permission_denied", "access denied"),
            ("lookup", "network", "no such host"),
            // Something else than the token is missing.
            ("file", "not_found", "identity file"),
        ] {
            let Some(fleet) = Fleet::of(&["web-1"]) else { return };
            fleet.cluster.be_awkward(&json!({ "fails": fails }));
            let message = fleet.refuse(&reading(json!({ "all_tokens": all_tokens })), kind);
            assert!(message.contains(said), "{message}");
        }
    }
}

#[test]
fn without_the_usual_tctl_the_cluster_is_not_read_and_one_that_is_named_must_be_there() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let folder = fleet.path("programs");
    fs::create_dir(&folder).unwrap();
    let path = [("PATH", folder.to_str().unwrap())];
    for all_tokens in [false, true] {
        let parameters = |tctl: Value| reading(json!({ "tctl": tctl, "all_tokens": all_tokens }));
        let answer = run_under(&fleet.request(&parameters(json!(null))), &path);
        assert_eq!((&answer["is_read"], &answer["changed"]), (&json!(false), &json!(false)), "{answer}");
        for named in [json!("tctl"), json!(["/no/such/tctl", "--insecure"])] {
            let answer = run_under(&fleet.request(&parameters(named)), &path);
            assert_eq!(answer["error"]["kind"], "not_found", "{answer}");
        }
    }
    let answer = run_under(&fleet.request(&json!({ "tctl": null })), &path);
    assert_eq!((&answer["applied"], &answer["changed"]), (&json!(false), &json!(true)), "{answer}");
    assert!(fleet.path("token.yaml").exists());

    // It is there, and misses something else.
    let tctl = folder.join("tctl");
    fs::write(&tctl, "#!/bin/sh\necho 'ERROR: open /srv/identity: no such file or directory' >&2\nexit 1\n")
        .unwrap();
    tool("chmod", &["755", tctl.to_str().unwrap()]);
    for parameters in [reading(json!({ "tctl": null })), json!({ "tctl": null })] {
        let answer = run_under(&fleet.request(&parameters), &path);
        assert_eq!(answer["error"]["kind"], "not_found", "{answer}");
        assert!(answer["msg"].as_str().unwrap().contains("/srv/identity"), "{answer}");
    }
}

#[test]
fn nothing_is_read_where_nothing_is_to_be_applied() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let answer = fleet.enroll(&reading(json!({ "apply": false })));
    assert_eq!(answer["is_read"], false, "{answer}");
    assert!(fleet.asked().is_empty());
}

#[test]
fn all_tokens_by_tpm_are_answered_and_no_other_whose_name_may_be_a_secret() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let (ours, others) = (stored("hosts", "tpm", "deploy"), stored("elsewhere", "tpm", "other"));
    for token in [&ours, &others, &stored("s3cret", "token", "deploy"), &stored("hosts-1", "iam", "deploy")] {
        fleet.cluster.store(token);
    }
    let answer = fleet.enroll(&reading(json!({ "all_tokens": true })));
    assert_eq!(answer["current"], json!([others, ours]));
    assert!(!answer.to_string().contains("s3cret"), "{answer}");
    assert_eq!(fleet.asked(), ["get tokens"]);
    // As `registry` takes them.
    let leaving = succeed(&json!({
        "action": "registry", "state": "leaving", "registry": fleet.path("registry"), "only": ["web-1"], "name": "hosts",
        "bot_name": "deploy", "current": answer["current"], "allow_lockout": true,
    }));
    assert_eq!(leaving["shared"], json!([{ "host": "web-1", "token": "elsewhere", "bot_name": "other" }]));

    let message = fleet.refuse(&json!({ "all_tokens": true }), "invalid_request");
    assert!(message.contains("`all_tokens` goes with `read_only`"), "{message}");
    assert!(fleet.asked().is_empty());
}
