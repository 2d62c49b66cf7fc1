//! `token` from a registry: every file counts, and none is left out silently.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::{listed, snapshot};
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
    let said =
        listed(["{", "[]", "{}", r#"{"ek_public_hash": "12"}"#, r#"{"ek_public_hash": 12}"#], |text| {
            ((*text).to_owned(), {
                write("bad.json", (*text).to_owned());
                fail(&from_registry, "invalid_request")
            })
        });
    snapshot!(said, @r#"
    {
        the registry's file [DIR]/bad.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    []
        the registry's file [DIR]/bad.json is JSON, but no JSON object; correct it, restore it from version control, or remove it and identify the host again
    {}
        the registry's file [DIR]/bad.json has no `ek_public_hash`; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": "12"}
        the registry's file [DIR]/bad.json is no identity: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "12"; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": 12}
        the registry's file [DIR]/bad.json is no identity: invalid type: integer `12`, expected a string; correct it, restore it from version control, or remove it and identify the host again
    "#);
    write("bad.json", json!({ "ek_public_hash": hash('a') }).to_string());
    let message = fail(&from_registry, "conflict");
    snapshot!(message, @"`bad` and `web-1` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other");
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
    snapshot!(fail(&from_registry, "unsafe_path"), @"[DIR]/b.json is not a regular file; remove it, or give another path; where a file is to be written, not even a link to one will do");
    fs::remove_file(&other).unwrap();
    symlink("nowhere", &other).unwrap();
    snapshot!(fail(&from_registry, "not_found"), @"cannot read [DIR]/b.json: No such file or directory (os error 2)");
    fs::remove_file(&other).unwrap();
    fs::create_dir(&other).unwrap();
    snapshot!(fail(&from_registry, "unsafe_path"), @"[DIR]/b.json is not a regular file; remove it, or give another path; where a file is to be written, not even a link to one will do");
}

/// Files of which a registry can say nothing.
fn malformed() -> Vec<String> {
    let twice = format!(r#"{{"ek_public_hash": "{}", "ek_public_hash": "{}"}}"#, hash('c'), hash('d'));
    vec![
        "{".to_owned(),
        twice,
        json!({ "ek_public_hash": hash('a') }).to_string(),
        json!({ "ek_public_hash": hash('c'), "ek_cert_serial": 754 }).to_string(),
        json!({ "ek_public_hash": null }).to_string(),
    ]
}

#[test]
fn a_file_that_says_nothing_usable_is_a_warning_where_its_rule_stays() {
    let current = stored(json!([host("web-1", 'a'), host("bad", 'c')]));
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("web.yaml");
    fs::write(&path, current.to_string()).unwrap();
    let said = listed(malformed(), |text| {
        let registry = registry();
        write(&registry, "bad.json", text.clone());
        let warned = |known: Value| {
            let answer = succeed(&from(registry.path(), known));
            let kept = outcome(&answer)["kept"].clone();
            assert_eq!((&kept, &answer["rules"]["removed"]), (&json!(["bad", "web-1"]), &json!([])));
            warnings(&answer)
        };
        let warning = warned(json!({ "current": current }));
        assert_eq!(warned(json!({ "path": path, "_ansible_check_mode": true })), warning);
        (text.clone(), warning)
    });
    snapshot!(said, @r#"
    {
        left out, but any rule that it has stays: the registry's file [DIR]/bad.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", "ek_public_hash": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}
        left out, but any rule that it has stays: the registry's file [DIR]/bad.json is no JSON object: the key `ek_public_hash` is there twice at line 1 column 103; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
        left out, but any rule that it has stays: `bad` and `web-1` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other
    {"ek_public_hash":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","ek_cert_serial":754}
        left out, but any rule that it has stays: the registry's file [DIR]/bad.json is no identity: invalid type: integer `754`, expected a string; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":null}
        left out, but any rule that it has stays: the registry's file [DIR]/bad.json has no `ek_public_hash`; correct it, restore it from version control, or remove it and identify the host again
    "#);
}

#[test]
fn a_file_that_says_nothing_usable_is_an_error_where_its_rule_would_go_or_is_not_known() {
    let current = stored(json!([host("web-1", 'a'), host("bad", 'c')]));
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("web.yaml");
    let said = listed(malformed(), |text| {
        let registry = registry();
        write(&registry, "bad.json", text.clone());
        write(&registry, "worse.json", "x".to_owned());
        let refused = |extra: Value| {
            let message = fail(&from(registry.path(), extra), "invalid_request");
            assert!(!path.exists());
            message
        };
        let pruning = refused(json!({ "current": current, "prune": true }));
        let new = refused(json!({}));
        assert_eq!(refused(json!({ "path": path })), new);
        (text.clone(), if new == pruning { new } else { format!("{pruning}\n{new}") })
    });
    snapshot!(said, @r#"
    {
        the registry's file [DIR]/bad.json is no JSON object: EOF while parsing an object at line 1 column 1; the registry's file [DIR]/worse.json is no JSON object: expected value at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", "ek_public_hash": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}
        the registry's file [DIR]/bad.json is no JSON object: the key `ek_public_hash` is there twice at line 1 column 103; the registry's file [DIR]/worse.json is no JSON object: expected value at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
        the registry's file [DIR]/worse.json is no JSON object: expected value at line 1 column 1; `bad` and `web-1` have the same TPM (one EK public hash); correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","ek_cert_serial":754}
        the registry's file [DIR]/bad.json is no identity: invalid type: integer `754`, expected a string; the registry's file [DIR]/worse.json is no JSON object: expected value at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":null}
        the registry's file [DIR]/bad.json has no `ek_public_hash`; the registry's file [DIR]/worse.json is no JSON object: expected value at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    "#);
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
    snapshot!(message, @"the registry has several files of one host: [DIR]/web-1.JSON, [DIR]/web-1.json; remove those that are out of date");
    let current = stored(json!([host("web-1", 'a')]));
    let answer = succeed(&from(registry.path(), json!({ "current": current, "replace": true })));
    assert_eq!(outcome(&answer), json!({ "added": ["web-2"], "kept": ["web-1"] }));
    snapshot!(warnings(&answer), @"left out, but any rule that it has stays: the registry has several files of one host: [DIR]/web-1.JSON, [DIR]/web-1.json; remove those that are out of date");
}

#[test]
fn a_file_name_that_is_no_description_is_an_error() {
    let identity = json!({ "ek_public_hash": hash('c') }).to_string();
    let said = listed([&b"a\nb.json"[..], b"\xff.json", b" .json"], |name| {
        let registry = registry();
        fs::write(registry.path().join(OsStr::from_bytes(name)), &identity).unwrap();
        (name.escape_ascii().to_string(), fail(&from(registry.path(), json!({})), "invalid_request"))
    });
    snapshot!(said, @r#"
    a\nb.json
        the registry's file [DIR]/a
        b.json has no usable name: a description is one line of at most 1024 bytes, not "a\nb"; correct it, restore it from version control, or remove it and identify the host again
    \xff.json
        the registry's file [DIR]/�.json has no usable name: a description is one line of at most 1024 bytes, not ""; correct it, restore it from version control, or remove it and identify the host again
     .json
        the registry's file [DIR]/ .json has no usable name: a description is one line of at most 1024 bytes, not " "; correct it, restore it from version control, or remove it and identify the host again
    "#);
}

#[test]
fn a_registry_that_is_no_directory_is_an_error() {
    let registry = registry();
    fail(&from(&registry.path().join("web-1.json"), json!({})), "io");
    fail(&from(Path::new("registry"), json!({})), "invalid_request");
}
