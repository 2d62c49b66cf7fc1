//! `token` where there is one already, in a file or in the cluster: no host is lost.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::{Value, json};
use support::tokens::{hash, hosts, request};
use support::{fail, succeed, tool};

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
fn a_change_of_the_clusters_token_alone_is_shown() {
    let current = as_the_cluster_has_it(&succeed(&request(json!({})))["content"]);
    let answer = succeed(&request(json!({ "current": current, "labels": "a=b", "_ansible_diff": true })));
    assert_eq!(answer["diff"]["before_header"], "token/web");
    assert!(answer["diff"]["before"].as_str().unwrap().contains("revision"), "{answer}");
    assert!(answer["diff"]["after"].as_str().unwrap().contains("a: b"), "{answer}");
}
