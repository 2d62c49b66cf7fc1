//! `_tbot_validate_only`: the controller asks by it what is wrong with a request before it sends that to a host. The answer is
//! the host's to the byte, and nothing that the parameters name is looked at, since it is the host's.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::{fail, run, run_raw, strace, succeed};

const HASH: &str = "4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766";

/// An action: requests that are wrong by themselves, each with a part of what is said of it, and one that is not.
struct Case {
    action: &'static str,
    wrong: Vec<(Value, &'static str)>,
    right: Value,
}

fn case(action: &'static str, right: Value, wrong: Vec<(Value, &'static str)>) -> Case {
    Case { action, wrong, right }
}

fn cases() -> Vec<Case> {
    [of_one_host(), of_a_fleet()].into_iter().flatten().collect()
}

fn of_one_host() -> Vec<Case> {
    vec![
        case(
            "access",
            json!({ "user": "teleport", "tcti": "swtpm:host=127.0.0.1,port=1" }),
            vec![(json!({ "tcti": "/dev/tpm0" }), "no TCTI"), (json!({ "user": "-x" }), "no name of a user")],
        ),
        case(
            "cluster",
            json!({ "proxy_server": "127.0.0.1:1", "timeout": 1, "ca_file": "/no/such/ca" }),
            vec![(json!({}), "needs parameter"), (json!({ "proxy_server": "a", "timeout": 0 }), "1 to 3600")],
        ),
        case(
            "config",
            json!({ "path": "/no/such/tbot.yaml", "proxy_server": "a:1", "token": "b", "owner": "nobody" }),
            vec![
                (json!({ "storage_type": "memory", "storage_path": "/a" }), "no use with"),
                (json!({ "extra": { "version": "v1" } }), "parameter `extra`"),
                (json!({ "defaults": { "onboarding": {} } }), "parameter `defaults`"),
            ],
        ),
        case(
            "identify",
            json!({ "tcti": "device" }),
            vec![
                (json!({ "tcti": "swtpm:prot=1" }), "no TCTI"),
                (json!({ "expected_ek_public_hash": "ab" }), "parameter `expected_ek_public_hash`"),
                (json!({ "tctii": "device" }), "has no parameter"),
            ],
        ),
        case(
            "service",
            json!({ "config": "/no/such/tbot.yaml" }),
            vec![(json!({ "wait": 3601 }), "more than 3600"), (json!({ "name": "a/b" }), "parameter `name`")],
        ),
        case(
            "storage",
            json!({ "path": "/no/such/directory", "owner": "nobody" }),
            vec![
                (json!({ "path": "bot" }), "not absolute"),
                (json!({ "path": "/etc/bot" }), "directory of the system"),
                (json!({ "path": "/var", "state": "absent" }), "directory of the system"),
                (json!({ "mode": "rwx" }), "octal"),
            ],
        ),
        case(
            "systemd",
            json!({ "directory": "/no/such/directory", "hardening": true }),
            vec![(json!({ "pid_file": "tbot.pid" }), "parameter `pid_file`")],
        ),
    ]
}

fn of_a_fleet() -> Vec<Case> {
    let host = |name: &str, hash: &str| json!({ "description": name, "ek_public_hash": hash });
    let twice = json!([host("a", HASH), host("b", HASH)]);
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----";
    let token = json!({
        "kind": "token", "version": "v2", "metadata": { "name": "a" },
        "spec": { "roles": ["Node"], "join_method": "tpm", "tpm": { "allow": [{ "ek_public_hash": HASH }] } },
    });
    vec![
        case(
            "ekcert_ca",
            json!({ "registry": "/no/such/registry", "ca_bundle": ["/no/such/ca"], "fetch": false }),
            vec![
                (json!({}), "needs `hosts` or `registry`"),
                (json!({ "hosts": [], "ek_cert_pem": certificate }), "not both"),
                (json!({ "hosts": twice }), "have the same TPM"),
                (json!({ "hosts": [], "archived": ["a"] }), "needs `registry`"),
                (json!({ "registry": "/a", "trusted_roots": certificate }), "holds no certificate"),
                (json!({ "registry": "/a", "current": "- x" }), "`current`"),
            ],
        ),
        case(
            "preflight",
            json!({ "token": token, "registry": "/no/such/registry" }),
            vec![
                (json!({ "token": [], "hosts": [] }), "holds no token"),
                (json!({ "token": token }), "needs `hosts` or `registry`"),
                (json!({ "token": token, "hosts": twice }), "have the same TPM"),
            ],
        ),
        case(
            "registry",
            json!({ "registry": "/no/such/registry", "host": "a", "state": "archived" }),
            vec![(json!({ "registry": "/a", "host": "a" }), "needs parameter `identity`")],
        ),
        case(
            "token",
            json!({ "name": "a", "registry": "/no/such/registry", "path": "/no/such/file", "ekcert_allowed_cas": "/no/such/ca" }),
            vec![
                (json!({ "name": "a" }), "needs `hosts` or `registry`"),
                (json!({ "name": "a", "hosts": twice }), "have the same TPM"),
                (json!({ "name": "a", "hosts": [], "archived": "b" }), "needs `registry`"),
                (json!({ "name": "a", "hosts": [], "shards": 0 }), "`shards` is 0"),
                (json!({ "name": "a", "remove": [" "] }), "empty element"),
                (
                    json!({ "name": "a", "hosts": [], "ekcert_allowed_cas": "ca.pem" }),
                    "neither PEM nor a path",
                ),
                (
                    json!({ "name": "a", "hosts": [], "ekcert_allowed_cas": certificate }),
                    "ekcert_allowed_cas[0]",
                ),
                (json!({ "name": "a", "hosts": [], "current": "kind: user" }), "`current`"),
            ],
        ),
    ]
}

/// The request of an action with these parameters, and the same that only asks whether it makes sense.
fn requests(action: &str, parameters: &Value) -> [Value; 2] {
    let mut request = parameters.clone();
    request["action"] = action.into();
    let mut question = request.clone();
    question["_tbot_validate_only"] = true.into();
    [request, question]
}

#[test]
fn every_action_has_cases() {
    let message = fail(&json!({ "action": "" }), "invalid_request");
    let (_, listed) = message.split_once("(nearest first): ").unwrap();
    let known: BTreeSet<&str> = listed.split(", ").collect();
    assert_eq!(cases().iter().map(|case| case.action).collect::<BTreeSet<_>>(), known);
}

#[test]
fn what_is_wrong_by_itself_is_said_in_the_same_bytes() {
    for case in cases() {
        for (parameters, expected) in &case.wrong {
            let [request, question] = requests(case.action, parameters);
            let answers = [&request, &question].map(|request| run_raw(request.to_string().as_bytes()).stdout);
            let said = String::from_utf8_lossy(&answers[0]);
            assert!(said.contains("\"failed\":true") && said.contains(expected), "{request}: {said}");
            assert_eq!(said, String::from_utf8_lossy(&answers[1]), "{question}");
        }
    }
}

#[test]
fn what_makes_sense_is_answered_without_looking_at_anything() {
    if !strace::is_usable() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    let places = |request: &Value| {
        fs::write(&file, request.to_string()).unwrap();
        strace::places(&file)
    };
    // What is looked at to read a request and to answer it.
    let none = places(&json!({ "action": "nonsense" }));
    for case in cases() {
        let [mut request, question] = requests(case.action, &case.right);
        let answer = succeed(&question);
        assert_eq!(answer["changed"], false);
        assert_eq!(answer["invocation"]["module_args"], request);
        let of_question: Vec<String> = places(&question).difference(&none).cloned().collect();
        assert_eq!(of_question, Vec::<String>::new(), "{question}");
        request["_ansible_check_mode"] = true.into();
        assert_ne!(places(&request), none, "{request} would touch nothing anyway, and proves nothing");
    }
}

#[test]
fn a_question_that_is_not_understood_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bot");
    let request = |name: &str, value: Value| {
        let mut request = json!({ "action": "storage", "path": path });
        request[name] = value;
        fail(&request, "invalid_request")
    };
    assert!(
        request("_tbot_validate_only", json!("perhaps")).contains("`_tbot_validate_only` is true or false")
    );
    // A name of the same kind that this version does not know, as an older one does not know this.
    assert!(request("_tbot_something_else", json!(true)).contains("no parameter `_tbot_something_else`"));
    assert!(!path.exists());
}

#[test]
fn a_question_denied_is_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bot");
    let answer = run(&json!({ "action": "storage", "path": path, "_tbot_validate_only": "no" }));
    assert_eq!(answer["changed"], true, "{answer}");
    assert!(path.is_dir());
}
