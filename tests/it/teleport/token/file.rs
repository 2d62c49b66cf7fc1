//! `token` with a file at `path`: what it holds is merged, and nothing else is overwritten.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::tokens::{host, outcome, request, rules, stored, warnings};
use crate::support::{fail, succeed, tool};

/// A place for a token file.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    (directory, path)
}

#[test]
fn a_token_file_is_written_once() {
    let (directory, path) = place();
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
    let (_directory, path) = place();
    let request = request(json!({ "path": path }));
    let content = succeed(&request)["content"].as_str().unwrap().to_owned();
    let other: Value = serde_yaml::from_str(&content).unwrap();
    fs::write(&path, other.to_string()).unwrap();
    assert_eq!(succeed(&request)["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), other.to_string());
}

#[test]
fn hosts_are_merged_into_the_file_where_the_clusters_tokens_are_not_given() {
    let (_directory, path) = place();
    succeed(&request(json!({ "path": path })));
    let answer = succeed(&request(json!({ "path": path, "hosts": [host("web-3", 'c')] })));
    assert_eq!(outcome(&answer), json!({ "added": ["web-3"], "kept": ["web-1", "web-2"] }));
    assert_eq!(fs::read_to_string(&path).unwrap(), answer["content"].as_str().unwrap());
}

#[test]
fn the_clusters_tokens_overwrite_the_file_and_what_only_it_has_is_named() {
    let (_directory, path) = place();
    let by_serial =
        |name: &str, serial: &str| json!({ "description": name, "ek_certificate_serial": serial });
    let manufacturer = Manufacturer::new("Acme");
    let with_ca = |rules: Value| {
        let mut tokens = stored(rules);
        tokens[0]["spec"]["tpm"]["ekcert_allowed_cas"] = json!([manufacturer.issuing]);
        tokens
    };
    let file =
        json!([host("web-1", 'a'), host("drafted", 'd'), host("gone", 'e'), by_serial("serial", "02")]);
    fs::write(&path, with_ca(file).to_string()).unwrap();
    let current =
        with_ca(json!([host("web-1", 'a'), host("web-3", 'c'), host("gone", 'e'), by_serial("x", "01")]));
    let extra = json!({ "path": path, "current": current, "hosts": null, "remove": ["gone"] });
    let answer = succeed(&request(extra.clone()));
    let left = json!([host("web-1", 'a'), host("web-3", 'c'), by_serial("x", "01")]);
    assert_eq!((&answer["changed"], &rules(&answer)["web"]), (&json!(true), &left));
    let warning = warnings(&answer);
    snapshot!(warning, @"rules of the file that the cluster's tokens do not have leave it: `drafted`, `serial`");
    assert!(!warning.contains("`gone`"), "that was meant: {warning}");
    assert_eq!(fs::read_to_string(&path).unwrap(), answer["content"].as_str().unwrap());
    // The file says it now, and the cluster does not yet.
    let again = succeed(&request(extra));
    assert_eq!((&again["changed"], &again["warnings"]), (&json!(true), &json!([])));
}

#[test]
fn the_file_goes_with_its_last_rule() {
    let (directory, path) = place();
    succeed(&request(json!({ "path": path, "hosts": [host("a", 'a')] })));
    let mut request = request(json!({
        "path": path, "hosts": null, "remove": ["a"], "_ansible_check_mode": true, "_ansible_diff": true,
    }));
    let foreseen = succeed(&request);
    assert!(foreseen["changed"] == true && path.exists(), "{foreseen}");
    request["_ansible_check_mode"] = json!(false);
    let answer = succeed(&request);
    assert_eq!((&answer["changed"], &answer["delete"]), (&json!(true), &json!(["web"])));
    assert_eq!(answer["diff"], foreseen["diff"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    for check_mode in [true, false] {
        request["_ansible_check_mode"] = json!(check_mode);
        let again = succeed(&request);
        assert_eq!((&again["changed"], &again["content"]), (&json!(false), &json!("")), "{again}");
    }
}

#[test]
fn anything_else_in_the_files_place_stays() {
    let (directory, path) = place();
    let token = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    for other in [
        "kind: role\n".to_owned(),
        "just text".to_owned(),
        "a: [".to_owned(),
        token.replace("join_method: tpm", "join_method: iam"),
        token.replace("name: web\n", "name: other\n"),
        token.replace("web-bot", "other-bot"),
        token.replace("    allow:", "    allow: []\n    allow:"),
    ] {
        fs::write(&path, &other).unwrap();
        for current in [json!(null), json!([])] {
            fail(&request(json!({ "path": path, "current": current })), "conflict");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    fail(&request(json!({ "path": path })), "unsafe_path");
    assert!(!directory.path().join("elsewhere").exists());
    fail(&request(json!({ "path": directory.path().join("no/dir/t.yaml") })), "not_found");
}

#[test]
fn a_token_file_keeps_its_mode() {
    let (_directory, path) = place();
    succeed(&request(json!({ "path": path })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    succeed(&request(json!({ "path": path, "labels": "a=b" })));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn check_mode_meets_the_obstacles_that_the_run_would() {
    let (directory, _) = place();
    let link = directory.path().join("link.yaml");
    symlink("/dev/null", &link).unwrap();
    let fifo = directory.path().join("fifo.yaml");
    tool("mkfifo", &[fifo.to_str().unwrap()]);
    for path in [&link, &fifo, &directory.path().to_path_buf()] {
        fail(&request(json!({ "path": path, "_ansible_check_mode": true })), "unsafe_path");
    }
    let path = directory.path().join("missing/web.yaml");
    let foreseen = succeed(&request(json!({ "path": path, "_ansible_check_mode": true })));
    snapshot!(foreseen["warnings"][0].as_str().unwrap(), @"there is no directory [DIR]/missing; the run fails unless an earlier task makes it");
}
