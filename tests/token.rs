//! `token`: what it writes is what a cluster takes, and what a cluster refuses it refuses.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{certificate, fail, succeed, tool};

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn hosts() -> Value {
    json!([
        { "description": "web-2", "ek_public_hash": hash('b'), "ek_cert_serial": "12:34", "ek_cert_present": true },
        { "description": "web-1", "ek_public_hash": hash('a'), "ek_cert_serial": null, "ek_cert_present": false },
    ])
}

fn request(extra: Value) -> Value {
    let mut request = json!({ "action": "token", "name": "web", "bot_name": "web-bot", "hosts": hosts() });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

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
# Join token for 2 hosts, written by tbot_tpm; the next run replaces what is changed here.
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
        ek_public_hash: {}
      - description: web-2
        ek_public_hash: {}
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
        "expires": "2100-01-01T02:00:00+02:00", "roles": ["bot"],
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
        (json!({ "roles": ["Bott"] }), "refuses the role \"Bott\""),
        (json!({ "bot_name": null }), "needs `bot_name`"),
        (json!({ "roles": ["Node"] }), "goes with the role Bot only"),
        (json!({ "hosts": [] }), "without a rule"),
        (json!({ "hosts": [{ "description": "x" }] }), "neither `ek_public_hash` nor `ek_cert_serial`"),
        (json!({ "hosts": serial_only }), "without `ekcert_allowed_cas`"),
        (json!({ "registry": "/srv/registry" }), "not both"),
        (json!({ "hosts": null }), "either `hosts` or `registry`"),
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
    assert!(message.contains("`web-1`") && !message.contains("`web-2`"), "{message}");
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
fn a_token_file_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let mut request = request(json!({ "path": path, "_ansible_check_mode": true, "_ansible_diff": true }));
    let foreseen = succeed(&request);
    assert_eq!(foreseen["changed"], true);
    assert!(!path.exists(), "check mode wrote the file");
    request["_ansible_check_mode"] = json!(false);
    let first = succeed(&request);
    assert_eq!((&first["changed"], &first["diff"]), (&json!(true), &foreseen["diff"]));
    assert_eq!(fs::read_to_string(&path).unwrap(), first["content"].as_str().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::metadata(&path).unwrap();
    let second = succeed(&request);
    assert_eq!(second["changed"], false);
    assert!(second.get("diff").is_none());
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "an unchanged file was replaced");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_file_that_says_the_same_in_another_form_is_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let request = request(json!({ "path": path }));
    let content = succeed(&request)["content"].as_str().unwrap().to_owned();
    let other: Value = serde_yaml::from_str(&content).unwrap();
    fs::write(&path, other.to_string()).unwrap();
    assert_eq!(succeed(&request)["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), other.to_string());
}

#[test]
fn hosts_that_a_token_file_lets_in_are_not_lost_unless_that_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let first = succeed(&request(json!({ "path": path })))["content"].clone();
    let only = json!([{ "description": "web-2", "ek_public_hash": hash('b') }]);
    let message = fail(&request(json!({ "path": path, "hosts": only })), "would_lock_out");
    assert!(message.contains("web-1") && !message.contains("web-2"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), first.as_str().unwrap());
    let answer = succeed(&request(json!({ "path": path, "hosts": only, "allow_lockout": true })));
    assert_eq!((&answer["changed"], &answer["tokens"][0]["rules"]), (&json!(true), &json!(1)));
}

#[test]
fn anything_else_in_the_files_place_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let token = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    for other in [
        "kind: role\n".to_owned(),
        "just text".to_owned(),
        "a: [".to_owned(),
        token.replace("join_method: tpm", "join_method: iam"),
        token.replace("name: web\n", "name: other\n"),
        token.replace("web-bot", "other-bot"),
    ] {
        fs::write(&path, &other).unwrap();
        fail(&request(json!({ "path": path })), "conflict");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    fail(&request(json!({ "path": path })), "unsafe_path");
    assert!(!directory.path().join("elsewhere").exists());
    fail(&request(json!({ "path": directory.path().join("no/dir/t.yaml") })), "not_found");
}

#[test]
fn a_token_larger_than_max_bytes_is_refused() {
    let size = succeed(&request(json!({})))["tokens"][0]["bytes"].as_u64().unwrap();
    succeed(&request(json!({ "max_bytes": size })));
    let message = fail(&request(json!({ "max_bytes": size - 1 })), "token_too_large");
    assert!(message.contains(&size.to_string()), "{message}");
}

#[test]
fn the_registry_is_one_identity_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
    write(
        "web-1.json",
        json!({ "ek_public_hash": hash('a'), "description": "what the host says" }).to_string(),
    );
    write("web-2.json", json!({ "ek_public_hash": hash('b').to_uppercase(), "other": [1] }).to_string());
    write("README.md", "not an identity".to_owned());
    write(".hidden.json", "not an identity".to_owned());
    let from_registry = request(json!({ "hosts": null, "registry": directory.path() }));
    let content = succeed(&from_registry)["content"].clone();
    assert_eq!(content, succeed(&request(json!({})))["content"]);
    for (text, expected) in [
        ("{", "is no JSON object"),
        ("[]", "is no JSON object"),
        ("{}", "has no `ek_public_hash`"),
        (r#"{"ek_public_hash": "12"}"#, "64 hexadecimal digits"),
        (r#"{"ek_public_hash": 12}"#, "is no identity"),
    ] {
        write("bad.json", text.to_owned());
        let message = fail(&from_registry, "invalid_request");
        assert!(message.contains("bad.json") && message.contains(expected), "{message}");
    }
    write("bad.json", json!({ "ek_public_hash": hash('a') }).to_string());
    let message = fail(&from_registry, "conflict");
    assert!(message.contains("`bad`") && message.contains("`web-1`"), "{message}");
}

#[test]
fn a_registry_that_earlier_tasks_would_fill_is_a_warning_in_check_mode() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("registry");
    for registry in [missing.as_path(), directory.path()] {
        let request = request(json!({ "hosts": null, "registry": registry, "_ansible_check_mode": true }));
        let answer = succeed(&request);
        assert_eq!(answer["changed"], true);
        assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{answer}");
    }
    fail(&request(json!({ "hosts": null, "registry": missing })), "not_found");
}

/// The token as `tctl get --format=json` shows it: a list, with what the cluster adds.
fn as_the_cluster_has_it(content: &Value) -> Value {
    let mut resource: Value = serde_yaml::from_str(content.as_str().unwrap()).unwrap();
    resource["metadata"]["revision"] = json!("0b7a");
    resource["metadata"]["labels"] = json!({ "teleport.dev/origin": "dynamic" });
    resource["metadata"]["expires"] = json!("0001-01-01T00:00:00Z");
    resource["spec"]["suggested_labels"] = json!({});
    resource["spec"]["tpm"]["allow"].as_array_mut().unwrap().reverse();
    json!([resource])
}

#[test]
fn what_the_cluster_has_already_is_no_change() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    for form in [current.clone(), json!(current.to_string()), current[0].clone()] {
        assert_eq!(succeed(&request(json!({ "current": form })))["changed"], false);
    }
    let mut upper_case = current.clone();
    upper_case[0]["spec"]["tpm"]["allow"][0]["ek_public_hash"] = json!(hash('b').to_uppercase());
    assert_eq!(succeed(&request(json!({ "current": upper_case })))["changed"], true, "it never matches");
    assert_eq!(succeed(&request(json!({ "current": current, "labels": "a=b" })))["changed"], true);
    for none in [json!([]), json!(""), json!("[]")] {
        assert_eq!(succeed(&request(json!({ "current": none })))["changed"], true);
    }
}

#[test]
fn hosts_that_the_cluster_lets_in_are_not_lost_unless_that_is_meant() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let only = json!([{ "description": "web-2", "ek_public_hash": hash('b') }]);
    let message = fail(&request(json!({ "current": current, "hosts": only })), "would_lock_out");
    assert!(message.contains("web-1") && !message.contains("web-2"), "{message}");
    let meant = succeed(&request(json!({ "current": current, "hosts": only, "allow_lockout": true })));
    assert_eq!((&meant["changed"], &meant["tokens"][0]["rules"]), (&json!(true), &json!(1)));
}

#[test]
fn a_replaced_tpm_of_a_given_host_is_a_warning() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let mut replaced = hosts();
    replaced[1]["ek_public_hash"] = json!(hash('c'));
    let answer = succeed(&request(json!({ "current": current, "hosts": replaced })));
    assert_eq!(answer["changed"], true);
    assert!(answer["warnings"][0].as_str().unwrap().starts_with("`web-1` joins by another TPM"), "{answer}");
}

#[test]
fn a_current_token_that_is_another_is_a_conflict() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let changed = |pointer: &str, value: &str| {
        let mut other = current.clone();
        *other.pointer_mut(pointer).unwrap() = json!(value);
        other
    };
    for other in [
        changed("/0/metadata/name", "other"),
        changed("/0/spec/bot_name", "other"),
        changed("/0/spec/join_method", "iam"),
        changed("/0/kind", "role"),
        json!([current[0], current[0]]),
        json!("a: ["),
        json!(["x"]),
    ] {
        fail(&request(json!({ "current": other })), "conflict");
    }
}

#[test]
fn only_the_one_rule_of_a_host_counts_as_its_former_tpm() {
    let rule = |digit: char| json!({ "description": "web-1", "ek_public_hash": hash(digit) });
    let mut current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    current[0]["spec"]["tpm"]["allow"] = json!([rule('a'), rule('c'), rule('d')]);
    let message = fail(&request(json!({ "current": current })), "would_lock_out");
    assert_eq!(message.matches("web-1").count(), 2, "{message}");
    let answer = succeed(&request(json!({ "current": current, "allow_lockout": true })));
    assert!(answer["warnings"][0].as_str().unwrap().contains("web-1, web-1"), "what goes is named: {answer}");
}

#[test]
fn a_rule_for_the_same_tpm_in_other_words_is_not_lost() {
    let mut current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let web_1 = json!({ "description": "x", "ek_public_hash": hash('a').to_uppercase() });
    for web_2 in [
        json!({ "description": "y", "ek_public_hash": hash('b') }),
        json!({ "description": "y", "ek_public_hash": hash('b'), "ek_certificate_serial": "99" }),
        json!({ "description": "y", "ek_certificate_serial": "12:34" }),
    ] {
        current[0]["spec"]["tpm"]["allow"] = json!([web_1, web_2]);
        assert_eq!(succeed(&request(json!({ "current": current })))["warnings"], json!([]), "{web_2}");
    }
    // A TPM with this key and serial number is let in now, and would not be by hash and another serial number.
    current[0]["spec"]["tpm"]["allow"] = json!([
        web_1, { "description": "y", "ek_public_hash": hash('b'), "ek_certificate_serial": "99" },
    ]);
    fail(&request(json!({ "current": current, "match": "hash_and_serial" })), "would_lock_out");
}

#[test]
fn a_stored_rule_that_is_not_understood_is_a_conflict() {
    let content = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    let with_rules = |rules: &str| {
        let (head, _) = content.split_once("    allow:").unwrap();
        format!("{head}    allow:{rules}\n")
    };
    for rules in [
        " []\n    allow: []",
        " {}",
        "\n      - description: x",
        "\n      - ek_certificate_serial: 11",
        "\n      - ek_public_hash: 1111111111111111111111111111111111111111111111111111111111111111",
        "\n      - &r {description: a}\n      - <<: *r",
        "\n      - text",
    ] {
        fail(&request(json!({ "current": with_rules(rules) })), "conflict");
    }
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

#[test]
fn a_token_file_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    succeed(&request(json!({ "path": path })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    succeed(&request(json!({ "path": path, "labels": "a=b" })));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn check_mode_meets_the_obstacles_that_the_run_would() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link.yaml");
    symlink("/dev/null", &link).unwrap();
    let fifo = directory.path().join("fifo.yaml");
    tool("mkfifo", &[fifo.to_str().unwrap()]);
    for path in [&link, &fifo, &directory.path().to_path_buf()] {
        fail(&request(json!({ "path": path, "_ansible_check_mode": true })), "unsafe_path");
    }
    let path = directory.path().join("missing/web.yaml");
    let foreseen = succeed(&request(json!({ "path": path, "_ansible_check_mode": true })));
    assert!(foreseen["warnings"][0].as_str().unwrap().contains("there is no directory"), "{foreseen}");
}

#[test]
fn what_could_block_in_the_registry_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.JSON"), json!({ "ek_public_hash": hash('a') }).to_string()).unwrap();
    let from_registry =
        request(json!({ "hosts": null, "registry": directory.path(), "_ansible_check_mode": true }));
    assert_eq!(succeed(&from_registry)["tokens"][0]["rules"], 1);
    let other = directory.path().join("b.json");
    tool("mkfifo", &[other.to_str().unwrap()]);
    assert!(fail(&from_registry, "unsafe_path").contains("b.json"));
    fs::remove_file(&other).unwrap();
    symlink("nowhere", &other).unwrap();
    assert!(fail(&from_registry, "not_found").contains("b.json"));
    fs::remove_file(&other).unwrap();
    fs::create_dir(&other).unwrap();
    assert!(fail(&from_registry, "unsafe_path").contains("b.json"));
}

#[test]
fn a_change_of_the_clusters_token_alone_is_shown() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let answer = succeed(&request(json!({ "current": current, "labels": "a=b", "_ansible_diff": true })));
    assert_eq!(answer["diff"]["before_header"], "token/web");
    assert!(answer["diff"]["before"].as_str().unwrap().contains("revision"), "{answer}");
    assert!(answer["diff"]["after"].as_str().unwrap().contains("a: b"), "{answer}");
}
