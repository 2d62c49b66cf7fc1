//! `token` from a registry: every file counts, and none is left out silently.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::tokens::{hash, host, outcome, request, stored, warnings};
use crate::support::{fail, succeed, tool};

/// A registry with an identity for `web-1` and `web-2` each.
fn registry() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "web-1.json", json!({ "ek_public_hash": hash('a') }).to_string());
    write(&directory, "web-2.json", json!({ "ek_public_hash": hash('b') }).to_string());
    directory
}

fn write(directory: &TempDir, name: &str, text: String) {
    fs::write(directory.path().join(name), text).unwrap();
}

/// The token of a registry's hosts, and further parameters.
fn from(registry: &Path, extra: Value) -> Value {
    let mut request = request(json!({ "hosts": null, "registry": registry }));
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

#[test]
fn the_registry_is_one_identity_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| write(&directory, name, text);
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
        ("[]", "no JSON object"),
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
fn a_registry_of_many_files_is_read_in_their_order_with_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    let hosts: Vec<String> = (1000..1300).map(|number| format!("web-{number}")).collect();
    for host in &hosts {
        let identity = json!({ "ek_public_hash": host.replace("web-", &"0".repeat(60)) });
        write(&directory, &format!("{host}.json"), identity.to_string());
    }
    for broken in ["web-1003.json", "web-1290.json"] {
        write(&directory, broken, "{".to_owned());
    }
    let answer = succeed(&json!({ "action": "ekcert_ca", "registry": directory.path(), "fetch": false }));
    let usable = hosts.iter().filter(|host| !["web-1003", "web-1290"].contains(&host.as_str()));
    assert_eq!(answer["unresolved"][0]["hosts"], json!(usable.collect::<Vec<_>>()));
    let problems = warnings(&answer);
    let lines: Vec<&str> = problems.lines().collect();
    let [first, second] = lines[..] else { panic!("{problems}") };
    assert!(first.contains("web-1003.json") && second.contains("web-1290.json"), "{problems}");
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

/// Files of which a registry can say nothing, each with what is wrong.
fn malformed() -> Vec<(String, &'static str)> {
    let twice = format!(r#"{{"ek_public_hash": "{}", "ek_public_hash": "{}"}}"#, hash('c'), hash('d'));
    vec![
        ("{".to_owned(), "is no JSON object"),
        (twice, "twice"),
        (json!({ "ek_public_hash": hash('a') }).to_string(), "the same TPM"),
        (json!({ "ek_public_hash": hash('c'), "ek_cert_serial": 754 }).to_string(), "is no identity"),
        (json!({ "ek_public_hash": null }).to_string(), "has no `ek_public_hash`"),
    ]
}

#[test]
fn a_file_that_says_nothing_usable_is_a_warning_where_its_rule_stays() {
    let current = stored(json!([host("web-1", 'a'), host("bad", 'c')]));
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("web.yaml");
    fs::write(&path, current.to_string()).unwrap();
    for (text, why) in malformed() {
        let registry = registry();
        write(&registry, "bad.json", text);
        for known in [json!({ "current": current }), json!({ "path": path, "_ansible_check_mode": true })] {
            let answer = succeed(&from(registry.path(), known));
            let warning = warnings(&answer);
            assert!(warning.contains("bad") && warning.contains(why), "{warning}");
            let kept = outcome(&answer)["kept"].clone();
            assert_eq!((&kept, &answer["rules"]["removed"]), (&json!(["bad", "web-1"]), &json!([])));
        }
    }
}

#[test]
fn a_file_that_says_nothing_usable_is_an_error_where_its_rule_would_go_or_is_not_known() {
    let current = stored(json!([host("web-1", 'a'), host("bad", 'c')]));
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("web.yaml");
    for (text, why) in malformed() {
        let registry = registry();
        write(&registry, "bad.json", text);
        write(&registry, "worse.json", "x".to_owned());
        for extra in [json!({ "current": current, "prune": true }), json!({}), json!({ "path": path })] {
            let answer = crate::support::run(&from(registry.path(), extra));
            let message = answer["msg"].as_str().unwrap();
            assert!(
                message.contains("bad") && message.contains(why) && message.contains("worse"),
                "{message}"
            );
            assert_eq!(answer["error"]["kind"], "invalid_request", "{answer}");
            assert!(!path.exists());
        }
    }
}

#[test]
fn a_registry_of_which_nothing_is_usable_names_its_files() {
    let registry = tempfile::tempdir().unwrap();
    write(&registry, "bad.json", "{".to_owned());
    for current in [json!([]), json!("")] {
        let message = fail(&from(registry.path(), json!({ "current": current })), "invalid_request");
        assert!(message.contains("bad.json"), "{message}");
    }
    let answer = succeed(&from(registry.path(), json!({ "current": stored(json!([host("x", 'c')])) })));
    assert!(answer["changed"] == false && warnings(&answer).contains("bad.json"), "{answer}");
}

#[test]
fn two_files_of_one_name_are_not_told_apart_silently() {
    let registry = registry();
    write(&registry, "web-1.JSON", json!({ "ek_public_hash": hash('c') }).to_string());
    let message = fail(&from(registry.path(), json!({})), "conflict");
    assert!(message.contains("web-1.JSON") && message.contains("web-1.json"), "{message}");
    let current = stored(json!([host("web-1", 'a')]));
    let answer = succeed(&from(registry.path(), json!({ "current": current, "replace": true })));
    assert_eq!(outcome(&answer), json!({ "added": ["web-2"], "kept": ["web-1"] }));
    assert!(warnings(&answer).contains("web-1.JSON"), "{answer}");
}

#[test]
fn a_file_name_that_is_no_description_is_an_error() {
    let identity = json!({ "ek_public_hash": hash('c') }).to_string();
    for name in [&b"a\nb.json"[..], b"\xff.json", b" .json"] {
        let registry = registry();
        fs::write(registry.path().join(OsStr::from_bytes(name)), &identity).unwrap();
        let message = fail(&from(registry.path(), json!({})), "invalid_request");
        assert!(message.contains("no usable name"), "{message}");
    }
}

#[test]
fn a_registry_that_is_no_directory_is_an_error() {
    let registry = registry();
    fail(&from(&registry.path().join("web-1.json"), json!({})), "io");
    fail(&from(Path::new("registry"), json!({})), "invalid_request");
}
