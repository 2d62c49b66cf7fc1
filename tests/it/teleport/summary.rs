//! `summary`: the table at the end of a run.

use std::fs;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::{fail, succeed};

fn identified(recorded: &Value) -> Value {
    json!({ "ek_cert_present": true, "tpm": { "manufacturer": "IFX" }, "recorded": recorded })
}

fn deployed(changed: bool, state: &str, ready: &Value) -> Value {
    json!({
        "program": { "found_version": "17.5.1", "to_install": false },
        "storage": { "changed": changed }, "config": { "changed": changed }, "systemd": { "changed": changed },
        "service": {
            "changed": changed, "active_state": state, "ready": ready, "up_to_date": ready, "exists": true,
            "enabled": true, "needs_daemon_reload": false, "restart_reasons": [], "health": "503",
        },
    })
}

fn fleet() -> Value {
    json!({
        "action": "summary",
        "hosts": [
            { "host": "web-1", "identified": identified(&json!({ "changed": false })), "deployed": deployed(false, "active", &json!(true)) },
            { "host": "web-2", "identified": identified(&json!({ "changed": true })), "deployed": deployed(true, "active", &json!(true)) },
            {
                "host": "web-3", "identified": identified(&json!({ "changed": true, "former_ek_public_hash": "ab" })),
                "deployed": { "program": { "found_version": "17.5.0", "wanted_version": "17.5.1", "to_install": true } },
                "compared": { "program": { "found_version": "17.5.1", "to_install": false } },
            },
            { "host": "db-1", "problem": "there is no TPM", "identified": { "problem": "there is no TPM" }, "deployed": deployed(false, "active", &json!(true)) },
            { "host": "db-2", "problem": "there is no TPM", "identified": { "problem": "there is no TPM" } },
        ],
        "enrolled": {
            "host_tokens": { "web-1": "fleet", "web-2": "fleet", "web-3": "fleet" },
            "rules": { "added": ["web-2"], "updated": ["web-3"] }, "refused": [], "left_to_do": [],
        },
    })
}

fn lines(answer: &Value) -> String {
    let lines: Vec<&str> =
        answer["summary"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

#[test]
fn each_host_has_a_row_and_each_reason_stands_once() {
    let answer = succeed(&fleet());
    assert_eq!(answer["left_out"], json!(["db-1", "db-2"]));
    snapshot!(lines(&answer), @r"
    host   TPM            EK cert  token            tbot              service       bot
    web-1  IFX            yes      fleet            17.5.1            active        ready
    web-2  IFX (new)      yes      fleet (new)      17.5.1            active (new)  ready
    web-3  IFX (changed)  yes      fleet (changed)  17.5.1 (changed)  -             -
    db-1   failed         -        -                -                 -             -
    db-2   failed         -        -                -                 -             -
    5 hosts: 2 left out.
    2 hosts were changed.
    db-1, db-2: there is no TPM
    ");
}

#[test]
fn hosts_that_the_cluster_would_refuse_are_left_out_and_what_is_left_to_do_is_said() {
    let mut request = fleet();
    request["hosts"].as_array_mut().unwrap().truncate(2);
    request["enrolled"]["refused"] =
        json!([{ "description": "web-2", "reason": "its certificate is of another CA" }]);
    request["enrolled"]["left_to_do"] = json!(["Run tctl create -f token.yaml."]);
    let answer = succeed(&request);
    assert_eq!(answer["left_out"], json!(["web-2"]));
    snapshot!(lines(&answer), @r"
    host   TPM        EK cert  token    tbot    service       bot
    web-1  IFX        yes      fleet    17.5.1  active        ready
    web-2  IFX (new)  yes      refused  17.5.1  active (new)  ready
    2 hosts: 1 left out.
    1 host was changed.
    Run tctl create -f token.yaml.
    web-2: The cluster would refuse it: its certificate is of another CA
    ");
}

#[test]
fn what_stops_all_hosts_is_said_once() {
    let mut request = fleet();
    request["problems"] = json!(["No token was applied: tctl cannot log in"]);
    let answer = succeed(&request);
    assert_eq!(answer["left_out"].as_array().unwrap().len(), 5);
    assert_eq!(lines(&answer).matches("tctl cannot log in").count(), 1);
}

#[test]
fn bots_without_a_token_of_the_same_run_are_a_problem_where_one_was_to_be_built() {
    let mut request = fleet();
    request["expects_token"] = json!(true);
    assert_eq!(succeed(&request)["left_out"], json!(["db-1", "db-2"]));
    request["enrolled"] = json!({});
    let answer = succeed(&request);
    assert_eq!(answer["left_out"].as_array().unwrap().len(), 5);
    assert_eq!(lines(&answer).matches("all hosts: Bots were set up, and no token was built").count(), 1);
    // Nobody was set up by it.
    request["hosts"].as_array_mut().unwrap().drain(..4);
    assert_eq!(succeed(&request)["left_out"], json!(["db-2"]));
}

#[test]
fn verification_says_in_what_hosts_differ() {
    let mut request = fleet();
    request["verifies"] = json!(true);
    request["hosts"][0]["deployed"]["service"]["up_to_date"] = json!(false);
    request["hosts"][0]["deployed"]["service"]["ready"] = json!(false);
    request["hosts"][0]["deployed"]["service"]["active_state"] = json!("failed");
    let answer = succeed(&request);
    assert_eq!(answer["left_out"], json!(["web-1", "web-2", "web-3", "db-1", "db-2"]));
    snapshot!(lines(&answer), @r"
    host   TPM            EK cert  token            tbot              service       bot
    web-1  IFX            yes      fleet            17.5.1            failed        not ready
    web-2  IFX (new)      yes      fleet (new)      17.5.1            active (new)  ready
    web-3  IFX (changed)  yes      fleet (changed)  17.5.1 (changed)  -             -
    db-1   failed         -        -                -                 -             -
    db-2   failed         -        -                -                 -             -
    5 hosts: 5 not as they should be.
    2 hosts would be changed.
    web-1: the service is failed; the bot is not well: 503
    web-2: its entry of the registry is missing or out of date; the token has no rule for its TPM; the directory of the state differs; the configuration differs; the unit differs
    web-3: its entry of the registry is missing or out of date; the rule for its TPM is out of date; the program tbot is missing or of another version
    db-1, db-2: there is no TPM
    ");
    let mut request = fleet();
    request["verifies"] = json!(true);
    request["hosts"].as_array_mut().unwrap().truncate(1);
    assert!(
        lines(&succeed(&request)).ends_with("1 host: all are as they should be.\nNothing would be changed.")
    );
}

#[test]
fn the_file_has_all_hosts_where_the_screen_has_those_of_which_there_is_something_to_say() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("report.txt");
    let quiet = |number: usize| json!({ "host": format!("host-{number}"), "identified": identified(&json!({ "changed": number == 7 })) });
    let hosts: Vec<Value> = (0..60).map(quiet).collect();
    let request = |check: bool| json!({ "action": "summary", "hosts": hosts, "path": path, "_ansible_check_mode": check });
    succeed(&request(true));
    assert!(!path.exists());
    let answer = succeed(&request(false));
    // One that is new, its header, and two sentences.
    assert_eq!(answer["summary"].as_array().unwrap().len(), 4, "{answer}");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 63);
}

#[test]
fn nothing_that_a_host_says_moves_a_column_or_steers_a_terminal() {
    let hosts = json!([{
        "host": "web-1",
        "identified": { "tpm": { "manufacturer": "\u{1b}[2J\n\u{202e}" } },
        "deployed": { "program": { "found_version": "x".repeat(500) }, "service": { "active_state": ["no", "text"] } },
    }]);
    let answer = succeed(&json!({ "action": "summary", "hosts": hosts }));
    let lines = lines(&answer);
    assert!(!lines.contains(['\u{1b}', '\u{202e}']) && lines.lines().all(|line| line.len() < 120), "{lines}");
    let message = fail(&json!({ "action": "summary", "hosts": [{ "hots": "web-1" }] }), "invalid_request");
    assert!(message.contains("hosts[0].hots"), "{message}");
}

#[test]
fn what_shows_in_no_cell_is_a_change_all_the_same() {
    let of = |more: &Value| {
        let mut request = json!({ "action": "summary", "hosts": [{ "host": "web-1" }] });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lines(&succeed(&request)).lines().last().unwrap().to_owned()
    };
    assert_eq!(of(&json!({})), "Nothing was changed.");
    assert_eq!(of(&json!({ "enrolled": { "changed": true } })), "The token was changed.");
    assert_eq!(of(&json!({ "hosts": [{ "host": "web-1", "changed": true }] })), "1 host was changed.");
    let foreseen = json!({ "verifies": true, "enrolled": { "changed": true } });
    assert_eq!(of(&foreseen), "The token would be changed.");
}
