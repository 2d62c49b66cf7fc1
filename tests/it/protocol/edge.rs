//! The binary's edge: one JSON object out, whatever comes in.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tbot_tpm::error::Kind;
use tbot_tpm::protocol::{self, Answer, Request};

use crate::support::messages::{listed, snapshot};
use crate::support::{fail, parse, run_raw, succeed};

const HASH: &str = "4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766";

fn message(input: &[u8], kind: &str) -> String {
    let answer = parse(&run_raw(input));
    assert_eq!(answer["failed"], true, "{answer}");
    assert_eq!(answer["error"]["kind"], kind, "{answer}");
    answer["msg"].as_str().unwrap().to_owned()
}

#[test]
fn every_input_that_is_no_request_is_answered_with_an_error() {
    let deep = "[".repeat(100_000);
    let inputs: [&[u8]; 14] = [
        b"",
        b" \n",
        b"not JSON",
        b"{",
        b"[]",
        b"[{\"action\": \"identify\"}]",
        b"null",
        b"42",
        b"\"identify\"",
        b"{}",
        b"{\"action\": null}",
        b"{\"action\": 3}",
        b"\xff\xfe",
        deep.as_bytes(),
    ];
    let said = listed(inputs, |input| {
        let shown: String = input.escape_ascii().to_string().chars().take(30).collect();
        (shown, message(input, "invalid_request"))
    });
    snapshot!(said, @r#"

        the request is empty; send one JSON object such as {"action": "identify"}
     \n
        the request is empty; send one JSON object such as {"action": "identify"}
    not JSON
        the request is not valid JSON; send one JSON object such as {"action": "identify"}
    {
        the request is not valid JSON; send one JSON object such as {"action": "identify"}
    []
        the request is JSON, but not an object; send one JSON object such as {"action": "identify"}
    [{\"action\": \"identify\"}]
        the request is JSON, but not an object; send one JSON object such as {"action": "identify"}
    null
        the request is JSON, but not an object; send one JSON object such as {"action": "identify"}
    42
        the request is JSON, but not an object; send one JSON object such as {"action": "identify"}
    \"identify\"
        the request is JSON, but not an object; send one JSON object such as {"action": "identify"}
    {}
        parameter `action` is missing; send one JSON object such as {"action": "identify"}
    {\"action\": null}
        parameter `action` must be a text; send one JSON object such as {"action": "identify"}
    {\"action\": 3}
        parameter `action` must be a text; send one JSON object such as {"action": "identify"}
    \xff\xfe
        the request is not valid JSON; send one JSON object such as {"action": "identify"}
    [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
        the request is refused: it goes down more than 100 levels at line 1 column 101; give many hosts by `registry`, or in several requests
    "#);
}

#[test]
fn an_unknown_action_names_the_nearest() {
    let message = fail(&json!({ "action": "identfy" }), "invalid_request");
    snapshot!(message, @"there is no action `identfy`; did you mean (nearest first): identify, deploy, cluster, config, enroll, registry, summary, token, access, ekcert_ca, program, service, storage, systemd, preflight, destinations");
}

#[test]
fn an_unknown_parameter_names_the_nearest_even_where_another_is_missing() {
    let message = fail(&json!({ "action": "token", "nmae": "web" }), "invalid_request");
    snapshot!(message, @"action `token` has no parameter `nmae`; did you mean (nearest first): name, scope, roles, prune, remove, only, match, path, bot_name, hosts, labels, replace, retire, shards, current, expires, archived, withdraw, max_bytes, registry, skip_refused, allow_lockout, ekcert_allowed_cas, allow_without_cas");
}

#[test]
fn a_missing_parameter_is_named() {
    let message = fail(&json!({ "action": "token", "bot_name": "web" }), "invalid_request");
    snapshot!(message, @"action `token` needs parameter `name`");
}

#[test]
fn a_mistyped_parameter_is_named_with_what_was_expected() {
    let said = listed(
        [
            json!({ "action": "systemd", "force": "perhaps" }),
            json!({ "action": "systemd", "force": [] }),
            json!({ "action": "systemd", "user": true }),
            json!({ "action": "systemd", "mode": "dropin" }),
            json!({ "action": "storage", "mode": "rwx" }),
            json!({ "action": "config", "path": "tbot.yaml" }),
            json!({ "action": "token", "name": "a", "max_bytes": "many" }),
            json!({ "action": "token", "name": "a", "max_bytes": -1 }),
            json!({ "action": "token", "name": "a", "hosts": { "description": "x" } }),
            json!({ "action": "token", "name": "a", "hosts": "[{]" }),
            json!({ "action": "token", "name": "a", "labels": "x" }),
            json!({ "action": "token", "name": "a", "hosts": [{ "ek_cert_serial": 754 }] }),
            json!({ "action": "token", "name": "a", "hosts": [{ "ek_cert_serial": 754 }] }),
        ],
        |request| (request.to_string(), fail(request, "invalid_request")),
    );
    snapshot!(said, @r#"
    {"action":"systemd","force":"perhaps"}
        parameter `force` of action `systemd`: expected a boolean (yes or no, true or false), found the text "perhaps"
    {"action":"systemd","force":[]}
        parameter `force` of action `systemd`: expected a boolean (yes or no, true or false), found a list
    {"action":"systemd","user":true}
        parameter `user` of action `systemd`: invalid type: boolean `true`, expected the name or number of a user or group (quote it, as in "on")
    {"action":"systemd","mode":"dropin"}
        parameter `mode` of action `systemd`: `dropin` is none of its values: drop_in, unit, auto
    {"action":"storage","mode":"rwx"}
        parameter `mode` of action `storage`: "rwx" is no mode; write it in octal, such as "0700"
    {"action":"config","path":"tbot.yaml"}
        parameter `path` of action `config`: the path "tbot.yaml" is not absolute; write it from the root (/…)
    {"action":"token","name":"a","max_bytes":"many"}
        parameter `max_bytes` of action `token`: expected a whole number, found the text "many"
    {"action":"token","name":"a","max_bytes":-1}
        parameter `max_bytes` of action `token`: expected a whole number in range, found the number -1
    {"action":"token","name":"a","hosts":{"description":"x"}}
        parameter `hosts` of action `token`: expected a list, or comma-separated text, found an object
    {"action":"token","name":"a","hosts":"[{]"}
        parameter `hosts` of action `token`: expected a JSON list: key must be a string at line 1 column 3
    {"action":"token","name":"a","labels":"x"}
        parameter `labels` of action `token`: expected an object, as JSON or as key=value pairs, found the text "x"
    {"action":"token","name":"a","hosts":[{"ek_cert_serial":754}]}
        parameter `hosts[0].ek_cert_serial` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    {"action":"token","name":"a","hosts":[{"ek_cert_serial":754}]}
        parameter `hosts[0].ek_cert_serial` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    "#);
}

#[test]
fn text_values_mean_the_same_as_typed_ones() {
    let typed = json!({
        "action": "token", "name": "web", "roles": ["Node", "App"], "allow_lockout": false, "max_bytes": 9000,
        "hosts": [{ "description": "a", "ek_public_hash": HASH }], "labels": { "env": "prod", "team": "x" },
    });
    let text = json!({
        "action": "token", "name": "web", "roles": "Node, App", "allow_lockout": "no", "max_bytes": "9000",
        "hosts": format!(r#"[{{"description": "a", "ek_public_hash": "{HASH}"}}]"#), "labels": "env=prod,team=x",
    });
    assert_eq!(succeed(&typed)["content"], succeed(&text)["content"]);
}

#[test]
fn booleans_are_ansibles_words() {
    let directory = tempfile::tempdir().unwrap();
    let unit = |telemetry: Value| {
        let request = json!({
            "action": "systemd", "directory": directory.path(), "anonymous_telemetry": telemetry,
            "_ansible_check_mode": true,
        });
        succeed(&request)["content"].as_str().unwrap().contains("TELEPORT_ANONYMOUS_TELEMETRY=1")
    };
    for yes in [json!(true), json!("yes"), json!("On"), json!("TRUE"), json!("1"), json!(1), json!(" y ")] {
        assert!(unit(yes.clone()), "{yes}");
    }
    for no in [json!(false), json!("no"), json!("off"), json!("False"), json!("0"), json!(0), json!(null)] {
        assert!(!unit(no.clone()), "{no}");
    }
}

#[test]
fn ansibles_own_keys_are_taken_and_unknown_ones_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let request = json!({
        "action": "systemd", "directory": directory.path(), "_ansible_check_mode": true, "_ansible_diff": true,
        "_ansible_module_name": "tbot_tpm", "_ansible_something_new": { "x": 1 },
    });
    let answer = succeed(&request);
    assert_eq!(answer["changed"], true);
    assert!(answer["diff"]["after"].as_str().unwrap().contains("ExecStart="));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "check mode wrote something");
    let arguments = answer["invocation"]["module_args"].as_object().unwrap();
    assert!(arguments.keys().all(|key| !key.starts_with("_ansible")), "{arguments:?}");
}

#[test]
fn a_check_mode_that_is_not_understood_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bot");
    let request = json!({ "action": "storage", "path": path, "_ansible_check_mode": "maybe" });
    let message = fail(&request, "invalid_request");
    snapshot!(message, @r#"`_ansible_check_mode` is true or false, not "maybe""#);
    assert!(!path.exists());
}

#[test]
fn null_means_not_given_and_not_unchecked() {
    let token = |extra: &str| {
        let mut request =
            json!({ "action": "token", "name": "a", "roles": "Node", "hosts": [{ "ek_public_hash": HASH }] });
        request[extra] = Value::Null;
        request
    };
    succeed(&token("expires"));
    succeed(&token("shards"));
    snapshot!(fail(&token("expirs"), "invalid_request"), @"action `token` has no parameter `expirs`; did you mean (nearest first): expires, retire, roles, hosts, labels, shards, path, name, scope, registry, prune, remove, only, replace, match, current, archived, withdraw, max_bytes, bot_name, skip_refused, allow_lockout, ekcert_allowed_cas, allow_without_cas");
}

#[test]
fn an_enormous_name_is_answered_at_once_and_shortened() {
    let long = "x".repeat(2_000_000);
    for request in [json!({ "action": "storage", long.as_str(): 1 }), json!({ "action": long })] {
        let message = fail(&request, "invalid_request");
        assert!(message.len() < 500, "{} bytes", message.len());
    }
}

#[test]
fn a_long_list_is_not_echoed() {
    let hosts: Vec<Value> = (0..50)
        .map(|i| json!({ "description": format!("h{i}"), "ek_public_hash": format!("{i:064x}") }))
        .collect();
    let answer = succeed(&json!({ "action": "token", "name": "a", "bot_name": "b", "hosts": hosts }));
    assert_eq!(answer["invocation"]["module_args"]["hosts"], "(a list of 50 items)");
}

#[test]
fn a_request_file_is_run_as_ansible_runs_it() {
    let directory = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_tbot_tpm");
    let file = directory.path().join("args");
    fs::write(&file, r#"{"action": "preflight", "_ansible_verbosity": 0}"#).unwrap();
    let answer = parse(&Command::new(binary).arg(&file).output().unwrap());
    assert_eq!(answer["error"]["kind"], "invalid_request");
    let answer = parse(&Command::new(binary).arg("/no/such/file").output().unwrap());
    assert_eq!(answer["error"]["kind"], "not_found");
    let answer = parse(&Command::new(binary).args(["a", "b"]).output().unwrap());
    assert_eq!(answer["error"]["kind"], "invalid_request");
}

#[test]
fn help_and_version_are_text() {
    let binary = env!("CARGO_BIN_EXE_tbot_tpm");
    let help = Command::new(binary).arg("--help").output().unwrap();
    assert!(
        help.status.success() && String::from_utf8(help.stdout).unwrap().contains("tbot_tpm < request.json")
    );
    let version = Command::new(binary).arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("tbot_tpm {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_output_that_cannot_be_written_ends_the_program_quietly() {
    let binary = env!("CARGO_BIN_EXE_tbot_tpm");
    let request =
        json!({ "action": "token", "name": "a", "roles": "Node", "hosts": [{ "ek_public_hash": HASH }] });
    let script = format!("echo '{request}' | {binary} >/dev/full; echo status $?");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "status 1\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_panic_is_answered_as_a_defect() {
    let request = Request::parse(br#"{"action": "identify"}"#);
    let (text, failed) = protocol::respond(request, |_| panic!("number {}", 7));
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert!(failed);
    assert_eq!(answer["error"]["kind"], json!(Kind::Internal));
    let detail = answer["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("number 7 (") && detail.contains("tests/it/protocol/edge.rs"), "{detail}");
}

#[test]
fn a_diff_is_shown_only_when_asked_for_and_changed() {
    let respond = |diff: bool, changed: bool| {
        let request = Request::parse(json!({ "action": "x", "_ansible_diff": diff }).to_string().as_bytes());
        let answer = Answer::new(changed).diff(Some(protocol::Diff::of("f", "a\n", "b\n")));
        let (text, _) = protocol::respond(request, |_| Ok(answer));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let shown = respond(true, true);
    assert_eq!(
        shown["diff"],
        json!({ "before": "a\n", "after": "b\n", "before_header": "f", "after_header": "f" })
    );
    assert!(respond(false, true).get("diff").is_none());
    assert!(respond(true, false).get("diff").is_none());
}
