//! How large a request may be, and what an answer repeats of it.

use std::process::Command;

use serde_json::{Value, json};
use tbot_tpm::error::Error;
use tbot_tpm::protocol::{self, Answer, Request};

use crate::support::messages::{listed, snapshot};
use crate::support::{fail, parse, run_raw, succeed};

#[test]
fn a_request_of_more_than_64_mib_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    let script = format!(
        "head -c 67108865 /dev/zero | tr '\\0' ' ' > {0}; exec {1} {0}",
        file.display(),
        env!("CARGO_BIN_EXE_tbot_tpm")
    );
    let answer = parse(&Command::new("sh").args(["-c", &script]).output().unwrap());
    snapshot!(answer["msg"].as_str().unwrap(), @"the request is larger than 64 MiB; give many hosts by `registry`, or in several requests");
    let endless = format!("yes | {}", env!("CARGO_BIN_EXE_tbot_tpm"));
    let answer = parse(&Command::new("sh").args(["-c", &endless]).output().unwrap());
    assert_eq!(answer["error"]["kind"], "invalid_request");
}

#[test]
fn a_key_that_is_there_twice_is_refused_at_any_depth() {
    let said = listed(
        [
            r#"{"action": "identify", "action": "storage"}"#,
            r#"{"action": "token", "hosts": [], "hosts": []}"#,
            r#"{"action": "token", "hosts": [{"ek_public_hash": "a", "description": "x", "ek_public_hash": "b"}]}"#,
            r#"{"action": "token", "_ansible_check_mode": true, "_ansible_check_mode": false}"#,
            r#"{"action": "token", "_ansible_new": {"a": [{"b": 1, "b": 1}]}}"#,
            r#"{"action": "token", "name": "a", "hosts": "[{\"ek_public_hash\": \"a\", \"ek_public_hash\": \"b\"}]"}"#,
            r#"{"action": "token", "name": "a", "labels": "{\"a\": 1, \"a\": 2}"}"#,
        ],
        |request| {
            let answer = parse(&run_raw(request.as_bytes()));
            assert_eq!(answer["error"]["kind"], "invalid_request", "{answer}");
            ((*request).to_owned(), answer["msg"].as_str().unwrap().to_owned())
        },
    );
    snapshot!(said, @r#"
    {"action": "identify", "action": "storage"}
        the request is refused: the key `action` is there twice at line 1 column 31
    {"action": "token", "hosts": [], "hosts": []}
        the request is refused: the key `hosts` is there twice at line 1 column 40
    {"action": "token", "hosts": [{"ek_public_hash": "a", "description": "x", "ek_public_hash": "b"}]}
        the request is refused: the key `ek_public_hash` is there twice at line 1 column 90
    {"action": "token", "_ansible_check_mode": true, "_ansible_check_mode": false}
        the request is refused: the key `_ansible_check_mode` is there twice at line 1 column 70
    {"action": "token", "_ansible_new": {"a": [{"b": 1, "b": 1}]}}
        the request is refused: the key `b` is there twice at line 1 column 55
    {"action": "token", "name": "a", "hosts": "[{\"ek_public_hash\": \"a\", \"ek_public_hash\": \"b\"}]"}
        parameter `hosts` of action `token`: expected a JSON list: the key `ek_public_hash` is there twice at line 1 column 41
    {"action": "token", "name": "a", "labels": "{\"a\": 1, \"a\": 2}"}
        parameter `labels` of action `token`: expected a JSON object: the key `a` is there twice at line 1 column 12
    "#);
}

#[test]
fn a_key_that_is_there_twice_among_many_is_refused() {
    for many in [31, 32, 33, 100] {
        let keys: Vec<String> = (0..many).map(|number| format!(r#""key-{number}": 1"#)).collect();
        let request =
            format!(r#"{{"action": "identify", "_ansible_new": {{{}, "key-0": 2}}}}"#, keys.join(", "));
        let answer = parse(&run_raw(request.as_bytes()));
        let said = answer["msg"].as_str().unwrap();
        assert!(said.starts_with("the request is refused: the key `key-0` is there twice"), "{many}: {said}");
    }
}

#[test]
fn an_answer_repeats_little_of_any_value() {
    let (word, spaced) = ("x".repeat(1_000_000), "x ` \" y ".repeat(100_000));
    for long in [word.as_str(), &spaced] {
        for request in [
            json!({ "action": "storage", "path": long }),
            json!({ "action": "token", "name": long, "hosts": [] }),
            json!({ "action": "token", "name": "a", "hosts": [{ "description": long }] }),
            json!({ "action": "token", "name": "a", "hosts": [{ "ek_public_hash": long }] }),
            json!({ "action": "token", "name": "a", "hosts": [], "current": [{ "kind": long }] }),
            json!({ "action": "token", "name": "a", "hosts": [], "current": [{ "kind": "token", "version": long }] }),
            json!({ "action": "registry", "registry": "/a", "host": long }),
            json!({ "action": "cluster", "proxy_server": long }),
            json!({ "action": "identify", "tcti": long }),
            json!({ "action": "config", "proxy_server": "a:1", "token": "a", "services": [{ "type": long }] }),
            json!({ "action": "systemd", "user": long }),
            json!({ "action": "token", "_ansible_check_mode": long }),
        ] {
            let answer = parse(&run_raw(request.to_string().as_bytes()));
            assert_eq!(answer["failed"], true, "{answer}");
            let length = answer.to_string().chars().count();
            assert!(length < 10_000, "{} answers {length}: {}", request["action"], answer["msg"]);
            let message = answer["msg"].as_str().unwrap().chars().count();
            assert!(message < 4500, "{message}");
        }
    }
}

#[test]
fn reasons_are_bounded_too() {
    let serial = vec!["0f"; 100_000].join(":");
    let hash = "a".repeat(64);
    let token = json!({
        "kind": "token", "version": "v2", "metadata": { "name": "a" },
        "spec": {
            "roles": ["Bot"], "bot_name": "b", "join_method": "tpm",
            "tpm": { "allow": [{ "ek_public_hash": hash, "ek_certificate_serial": serial }] },
        },
    });
    let request = json!({ "action": "preflight", "token": token, "hosts": [{ "ek_public_hash": hash }] });
    let answer = succeed(&request);
    let reason = answer["hosts"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("wants the serial number 0f:") && reason.len() < 600, "{reason}");
}

#[test]
fn warnings_and_details_are_bounded_too() {
    let request = || Request::parse(br#"{"action": "x"}"#);
    let long = "é".repeat(20_000);
    let many = vec![format!("the path `{long}` is long"); 1000];
    let (text, _) = protocol::respond(request(), |_| Ok(Answer::new(false).warnings(many.clone())));
    let answer: Value = serde_json::from_str(&text).unwrap();
    let warnings = answer["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 201);
    assert_eq!(warnings[200], "there are 800 more warnings, which are not shown");
    assert!(warnings.iter().all(|warning| warning.as_str().unwrap().chars().count() < 400));
    let error = Error::invalid(long.clone()).hint(long.clone()).detail(vec![long.as_str(); 1000].join("\n"));
    let (text, _) = protocol::respond(request(), |_| Err(error));
    let answer: Value = serde_json::from_str(&text).unwrap();
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert!(length(&answer["msg"]) < 1000 && length(&answer["error"]["hint"]) < 400);
    assert!(length(&answer["error"]["detail"]) <= 64 * 1024);
}

#[test]
fn parameters_are_not_repeated_without_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let answer = succeed(&json!({
        "action": "config", "path": directory.path().join("tbot.yaml"), "proxy_server": "a.example:443", "token": "a",
        "group": nix::unistd::getegid().as_raw(),
        "extra": { "note": "x".repeat(1_000_000) },
    }));
    assert_eq!(answer["invocation"]["module_args"]["extra"], "(1000011 bytes)");
    let many: serde_json::Map<String, Value> =
        (0..200).map(|number| (format!("p{number}"), json!(1))).collect();
    let mut request = json!({ "action": "identify" });
    request.as_object_mut().unwrap().extend(many);
    snapshot!(fail(&request, "invalid_request"), @r#"the request has 201 parameters, and no action takes so many; send one JSON object such as {"action": "identify"}"#);
}
