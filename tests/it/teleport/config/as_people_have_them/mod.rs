//! `config` with files as people and other tools have them: what joins is set, everything else stays to the byte, and what
//! will not work is said.

mod join_uri;
mod slow_what_tbot_reads;

use std::fs;

use serde_json::{Value, json};

use crate::support::config::{base, place_with, request, with};
use crate::support::messages::snapshot;
use crate::support::{fail, run};

/// A file of this folder.
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!($name, ".yaml"))
    };
}
use file;

/// What joins, as the request says it.
const SERVER: &str = "proxy_server: \"example.teleport.sh:443\"";

/// The file with these texts replaced, each of which it has once.
fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replace(from, to)
    })
}

/// Asks for the usual proxy and token, and more: the file must come out with these edits, foreseen by check mode, and stay
/// so. The warnings, a line each.
fn changed(text: &str, more: Value, edits: &[(&str, &str)]) -> String {
    let (_directory, path) = place_with(text);
    let wanted = request(&path, with(base(), more));
    let foreseen = run(&with(wanted.clone(), json!({ "_ansible_check_mode": true })));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let answer = run(&wanted);
    assert_eq!(answer["changed"], true, "{answer}");
    assert_eq!(fs::read_to_string(&path).unwrap(), edited(text, edits));
    for part in ["diff", "warnings", "content"] {
        assert_eq!(foreseen[part], answer[part]);
    }
    let again = run(&wanted);
    assert_eq!(again["changed"], false, "{again}");
    let warnings = answer["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn dumped_by_a_tool_with_oneshot() {
    let edits = [
        ("join_method: token", "join_method: tpm"),
        ("token: 0a1b2c3d", "token: web"),
        ("proxy_server: teleport.corp.example", SERVER),
    ];
    snapshot!(changed(file!("oneshot"), json!({}), &edits), @"`oneshot: true` ends tbot after it has written its files once, and a systemd service starts it again for ever: set it to false for a service");
}

#[test]
fn a_proxy_without_a_port_stays_where_no_other_is_given() {
    let edits = [("join_method: token", "join_method: tpm"), ("token: 0a1b2c3d", "token: web")];
    let more = json!({ "proxy_server": null, "extra": { "oneshot": false } });
    let edits = [&edits[..], &[("oneshot: true", "oneshot: false")]].concat();
    snapshot!(changed(file!("oneshot"), more, &edits), @"");
}

#[test]
fn commented_with_relative_paths() {
    let edits = [
        ("proxy_server: corp.example:443 ", &format!("{SERVER} ")[..]),
        ("join_method: token ", "join_method: tpm "),
        ("token: PASTE_IT_HERE", "token: web"),
    ];
    snapshot!(changed(file!("relative"), json!({}), &edits), @r"
    `storage.path` ./state is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path
    `services[0].destination.path` ./kube is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path
    ");
}

#[test]
fn a_relative_storage_goes_where_another_is_given() {
    let edits = [
        ("proxy_server: corp.example:443 ", &format!("{SERVER} ")[..]),
        ("join_method: token ", "join_method: tpm "),
        ("token: PASTE_IT_HERE", "token: web"),
        ("./state", "\"/srv/bot\""),
    ];
    snapshot!(changed(file!("relative"), json!({ "storage_path": "/srv/bot" }), &edits), @"`services[0].destination.path` ./kube is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path");
}

#[test]
fn a_proxys_address_as_auth_server() {
    let server = format!("    username: reader\n{SERVER}\n");
    let edits = [
        ("auth_server: corp.example:443\n", ""),
        ("join_method: iam", "join_method: tpm"),
        ("token: builders", "token: web"),
        ("    username: reader\n", &server),
    ];
    snapshot!(changed(file!("auth-tunnel"), json!({}), &edits), @"`auth_server` goes, since `proxy_server` comes in its place");
}

#[test]
fn outputs_and_services_in_one_directory() {
    let edits = [
        ("proxy_server: corp.example:3080", SERVER),
        ("join_method: token", "join_method: tpm"),
        ("token: /etc/tbot/token", "token: web"),
    ];
    snapshot!(changed(file!("both"), json!({}), &edits), @r"
    `diag_addr` 0.0.0.0:3001 listens on all addresses, so that the network can read tbot's status without a password; 127.0.0.1:[PORT] is for this host alone
    `services[0].destination` and `outputs[0].destination` share the directory /opt/machine-id, where each overwrites files of the other: give each its own
    ");
}

#[test]
fn the_former_methods_secrets_go() {
    let edits = [
        ("proxy_server: corp.example:443", SERVER),
        ("join_method: bound-keypair", "join_method: tpm"),
        ("token: \"d41d8cd98f00b204e9800998ecf8427e\"", "token: web"),
        ("  bound_keypair:\n    registration_secret: s3cr3t-of-the-first-join\n", ""),
    ];
    let text = file!("secret");
    snapshot!(changed(text, json!({}), &edits), @"`onboarding.bound_keypair` goes, since it is for the former join method");
    let (_directory, path) = place_with(text);
    for check_mode in [true, false] {
        let more = json!({ "_ansible_check_mode": check_mode, "_ansible_verbosity": 4 });
        let answer = run(&request(&path, with(base(), more))).to_string();
        assert!(!answer.contains("d41d8cd9") && !answer.contains("s3cr3t"), "{answer}");
    }
}

#[test]
fn scoped_in_flow_style() {
    let edits = [("proxy_server: corp.example:443", SERVER), ("token: \"/lab::web\"", "token: \"web\"")];
    snapshot!(changed(file!("scoped"), json!({}), &edits), @"`scoped: true` stays, but nothing asks for a scope: tbot ends unless the cluster gives it scoped certificates; set `scoped` in `extra` to what you mean");
    let edits = [&edits[..], &[("scoped: true", "scoped: false")]].concat();
    snapshot!(changed(file!("scoped"), json!({ "extra": { "scoped": false } }), &edits), @"");
}

#[test]
fn anchors_and_merge_keys() {
    let edits = [
        ("proxy_server: corp.example:443", SERVER),
        ("join_method: token", "join_method: tpm"),
        ("token: t\n", "token: web\n"),
    ];
    snapshot!(changed(file!("anchors"), json!({}), &edits), @"");
    // The services have paths of their own.
    let edits = [&edits[..], &[("path: /var/lib/teleport/bot", "path: \"/srv/bot\"")]].concat();
    snapshot!(changed(file!("anchors"), json!({ "storage_path": "/srv/bot" }), &edits), @"");
    // They would be in memory, too.
    let (_directory, path) = place_with(file!("anchors"));
    let message = fail(&request(&path, with(base(), json!({ "storage_type": "memory" }))), "conflict");
    snapshot!(message, @"[DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors, aliases and `<<`");
    assert_eq!(fs::read_to_string(&path).unwrap(), file!("anchors"));
}

#[test]
fn a_second_document() {
    let edits = [
        ("proxy_server: corp.example:443", SERVER),
        ("join_method: token", "join_method: tpm"),
        ("token: t\n", "token: web\n"),
    ];
    snapshot!(changed(file!("two-documents"), json!({}), &edits), @"[DIR]/tbot.yaml has several YAML documents, and tbot reads the first alone: the others stay and change nothing");
}

#[test]
fn a_second_documents_secrets_are_masked() {
    let text = format!(
        "{}onboarding: {{join_method: token, &a token: &b s3cret-of-old}}\nx: *b\n",
        file!("two-documents")
    );
    let (_directory, path) = place_with(&text);
    let answer = run(&request(&path, base()));
    assert_eq!(answer["changed"], true, "{answer}");
    assert!(!answer.to_string().contains("s3cret"), "{answer}");
    assert!(fs::read_to_string(&path).unwrap().contains("s3cret-of-old"));
}

#[test]
fn line_ends_and_the_mark_of_windows() {
    let edits = [
        ("proxy_server: corp.example:443", SERVER),
        ("join_method: token", "join_method: tpm"),
        ("token: t\r\n", "token: web\r\n"),
    ];
    let text = file!("crlf");
    assert!(text.starts_with('\u{feff}') && text.matches("\r\n").count() == text.matches('\n').count());
    snapshot!(changed(text, json!({}), &edits), @"");
}

#[test]
fn roles_in_services() {
    let edits = [("proxy_server: corp.example:443", SERVER), ("token: t\n", "token: web\n")];
    snapshot!(changed(file!("roles"), json!({}), &edits), @r"
    tbot 19 does not start with `services[0].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
    tbot 19 does not start with `services[1].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
    ");
}

#[test]
fn a_workload_api_with_attestors() {
    let edits = [
        ("proxy_server: corp.example:443", SERVER),
        ("join_method: kubernetes", "join_method: tpm"),
        ("token: nodes", "token: web"),
    ];
    snapshot!(changed(file!("workload"), json!({}), &edits), @"");
}

#[test]
fn version_1_and_a_broken_file_are_left_alone() {
    let refused = |text: &str| {
        let (_directory, path) = place_with(text);
        let message = fail(&request(&path, base()), "conflict");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        message
    };
    snapshot!(refused(file!("v1")), @"[DIR]/tbot.yaml is a configuration of version v1, not v2; it was left as it is; migrate it first (`tbot migrate`)");
    snapshot!(refused(file!("broken")), @"[DIR]/tbot.yaml is no configuration of tbot: found character that cannot start any token at line 4 column 1, while scanning for the next token; it was left as it is; put that right, or move the file away");
}
