//! `token`: what it writes is what a cluster takes, and what a cluster refuses it refuses.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::tokens::{hash, hosts, request};
use crate::support::{certificate, fail, succeed, tool};

fn ca(directory: &Path) -> String {
    let der = certificate(directory, &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &[]);
    let file = directory.join("ca.der");
    fs::write(&file, der).unwrap();
    String::from_utf8(tool("openssl", &["x509", "-inform", "DER", "-in", file.to_str().unwrap()])).unwrap()
}

#[test]
fn a_token_is_the_resource_that_tctl_takes() {
    let answer = succeed(&request(json!({})));
    let expected = format!(
        "\
# Join token for 2 hosts, written by tbot_tpm; the next run keeps what it is not told to change.
kind: token
version: v2
metadata:
  name: web
spec:
  roles:
    - Bot
  join_method: tpm
  bot_name: web-bot
  tpm:
    allow:
      - description: web-1
        ek_public_hash: \"{}\"
      - description: web-2
        ek_public_hash: \"{}\"
",
        hash('a'),
        hash('b')
    );
    assert_eq!(answer["content"], expected);
    assert_eq!(answer["changed"], false, "nothing is written without a path");
    assert_eq!(answer["host_tokens"], json!({ "web-1": "web", "web-2": "web" }));
    assert_eq!(answer["tokens"][0]["name"], "web");
    assert_eq!(answer["tokens"][0]["rules"], 2);
}

#[test]
fn a_file_with_hashes_without_quotes_is_left_alone_until_something_else_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let text = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    let bare = text.replace('"', "");
    assert_ne!(bare, text);
    fs::write(&path, &bare).unwrap();
    let ask = |more: Value| {
        let mut asked = json!({ "path": path });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        succeed(&request(asked))
    };
    assert_eq!(ask(json!({}))["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), bare);
    assert_eq!(ask(json!({ "labels": { "a": "b" } }))["changed"], true);
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.split_once("spec:").unwrap().1, text.split_once("spec:").unwrap().1);
}

#[test]
fn the_order_of_hosts_makes_no_difference() {
    let mut reversed = hosts();
    reversed.as_array_mut().unwrap().reverse();
    assert_eq!(
        succeed(&request(json!({})))["content"],
        succeed(&request(json!({ "hosts": reversed })))["content"]
    );
}

#[test]
fn every_optional_part_is_read_by_yaml_1_1_and_1_2_readers_alike() {
    let directory = tempfile::tempdir().unwrap();
    let pem = ca(directory.path());
    let digits = "1".repeat(64);
    let request = request(json!({
        "hosts": [{ "description": "no", "ek_public_hash": digits, "ek_cert_serial": "12:34", "ek_cert_present": true }],
        "match": "hash_and_serial", "ekcert_allowed_cas": [pem], "labels": { "on": "yes", "n": "1" },
        "expires": "2100-01-01T02:00:00+02:00", "roles": ["bot"], "allow_lockout": true,
    }));
    let content = succeed(&request)["content"].as_str().unwrap().to_owned();
    let expected = json!({
        "kind": "token", "version": "v2",
        "metadata": { "name": "web", "expires": "2100-01-01T00:00:00Z", "labels": { "n": "1", "on": "yes" } },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "web-bot",
            "tpm": {
                "ekcert_allowed_cas": [pem],
                "allow": [{ "description": "no", "ek_public_hash": digits, "ek_certificate_serial": "12:34" }],
            },
        },
    });
    assert_eq!(serde_yaml::from_str::<Value>(&content).unwrap(), expected);
    assert!(content.contains("- |\n"), "the certificate is no literal block:\n{content}");
    let file = directory.path().join("t.yaml");
    fs::write(&file, &content).unwrap();
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    let python = if Path::new(python).exists() { python } else { "python3" };
    let output = Command::new(python).args(["-c", script, file.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "PyYAML: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected);
}

#[test]
fn what_a_cluster_refuses_is_refused_with_the_rule() {
    let serial_only = json!([{ "description": "x", "ek_cert_serial": "12:34" }]);
    for (extra, expected) in [
        (json!({ "roles": [] }), "without a role"),
        (json!({ "roles": ["Bot!"] }), "\"Bot!\" cannot be a role"),
        (json!({ "bot_name": null }), "needs `bot_name`"),
        (json!({ "roles": ["Node"] }), "goes with the role Bot only"),
        (json!({ "hosts": [] }), "without a rule"),
        (json!({ "hosts": [{ "description": "x" }] }), "neither `ek_public_hash` nor `ek_cert_serial`"),
        (json!({ "hosts": serial_only }), "without `ekcert_allowed_cas`"),
        (json!({ "hosts": null }), "needs `hosts` or `registry`"),
        (json!({ "expires": "tomorrow" }), "RFC 3339"),
        (json!({ "name": "a/b" }), "is no name"),
        (json!({ "name": "$(reboot)" }), "is no name"),
        (json!({ "name": ".." }), "is no name"),
        (json!({ "labels": { "x".repeat(300): "y" } }), "at most 255 bytes"),
        (json!({ "hosts": [{ "description": "x", "ek_public_hash": "12" }] }), "64 hexadecimal digits"),
    ] {
        let message = fail(&request(extra), "invalid_request");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn agents_have_no_bot() {
    let answer = succeed(&request(json!({ "roles": "node,Kube", "bot_name": null })));
    let content = answer["content"].as_str().unwrap();
    assert!(
        content.contains("  roles:\n    - Node\n    - Kube\n") && !content.contains("bot_name"),
        "{content}"
    );
}

#[test]
fn two_hosts_with_one_tpm_are_a_conflict() {
    let host = |name: &str, digit: char| json!({ "description": name, "ek_public_hash": hash(digit) });
    let message = fail(&request(json!({ "hosts": [host("a", 'c'), host("b", 'c')] })), "conflict");
    assert!(message.contains("`a`") && message.contains("`b`"), "{message}");
    let message = fail(&request(json!({ "hosts": [host("a", 'c'), host("a", 'd')] })), "conflict");
    assert!(message.contains("`a`"), "{message}");
    let answer = succeed(&request(json!({ "hosts": [host("a", 'c'), host("b", 'd'), host("a", 'c')] })));
    assert_eq!(answer["tokens"][0]["rules"], 2);
}

#[test]
fn cas_would_lock_out_a_host_without_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let cas = json!([ca(directory.path())]);
    let message = fail(&request(json!({ "ekcert_allowed_cas": cas })), "would_lock_out");
    assert!(message.contains("`web-1` (the TPM has no EK certificate"), "{message}");
    assert!(message.contains("`web-2` (its EK certificate is not given"), "{message}");
    succeed(&request(json!({ "ekcert_allowed_cas": cas, "allow_lockout": true })));
    fail(&request(json!({ "expires": "2001-01-01T00:00:00Z" })), "would_lock_out");
}

#[test]
fn a_ca_is_certificates_in_pem_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let pem = ca(directory.path());
    let file = directory.path().join("bundle.pem");
    fs::write(&file, format!("first\n{pem}second\n{pem}")).unwrap();
    let answer = succeed(&request(json!({ "ekcert_allowed_cas": [file], "allow_lockout": true })));
    assert_eq!(answer["content"].as_str().unwrap().matches("BEGIN CERTIFICATE").count(), 1, "repeated");
    let key = String::from_utf8(tool("openssl", &["genpkey", "-algorithm", "ed25519"])).unwrap();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let torn = "-----BEGIN CERTIFICATE-----\nAAAA".to_owned();
    for bad in [format!("{pem}{key}"), garbage, torn] {
        fail(&request(json!({ "ekcert_allowed_cas": [bad], "allow_lockout": true })), "certificate_invalid");
    }
    fail(&request(json!({ "ekcert_allowed_cas": ["/no/such/ca.pem"] })), "not_found");
}

#[test]
fn an_expiry_at_the_ends_of_time_is_refused() {
    for wrong in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
        fail(&request(json!({ "expires": wrong, "allow_lockout": true })), "invalid_request");
    }
}

#[test]
fn a_serial_with_a_leading_zero_byte_is_written_as_the_cluster_compares_it() {
    let host = json!([{ "description": "x", "ek_public_hash": hash('a'), "ek_cert_serial": "00:F5:a5" }]);
    let content = succeed(&request(json!({ "hosts": host, "match": "hash_and_serial" })))["content"].clone();
    assert!(content.as_str().unwrap().contains("ek_certificate_serial: \"f5:a5\""), "{content}");
}

#[test]
fn roles_are_not_repeated() {
    let content = succeed(&request(json!({ "roles": "Bot,bot,BOT" })))["content"].clone();
    assert_eq!(content.as_str().unwrap().matches("- Bot").count(), 1, "{content}");
}

#[test]
fn one_host_with_two_entries_that_differ_is_a_conflict() {
    let entry =
        |serial: &str| json!({ "description": "x", "ek_public_hash": hash('a'), "ek_cert_serial": serial });
    fail(&request(json!({ "hosts": [entry("22"), entry("33")] })), "conflict");
}
