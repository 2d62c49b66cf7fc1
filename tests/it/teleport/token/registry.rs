//! `token` from a registry: every file counts, and none is left out silently.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::{listed, snapshot};
use crate::support::tokens::{hash, host, merged, outcome, request, stored, warnings};
use crate::support::{fail, run, succeed, tool};

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
    let answer = run(&json!({
        "action": "ekcert_ca", "registry": directory.path(), "fetch": false, "skip_untrusted": true,
    }));
    let usable = hosts.iter().filter(|host| !["web-1003", "web-1290"].contains(&host.as_str()));
    let usable = usable.map(String::as_str).collect::<Vec<_>>().join(", ");
    let detail = answer["error"]["detail"].as_str().unwrap();
    let lines: Vec<&str> = detail.lines().collect();
    let [unresolved, first, second] = lines[..] else { panic!("{detail}") };
    assert!(unresolved.starts_with(&format!("{usable}: ")), "{detail}");
    assert!(first.contains("web-1003.json") && second.contains("web-1290.json"), "{detail}");
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
fn a_file_that_says_nothing_usable_is_an_error_where_its_rule_is_not_known() {
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
        let new = refused(json!({}));
        assert_eq!(refused(json!({ "path": path })), new);
        (text.clone(), new)
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
fn pruning_keeps_the_rules_of_entries_that_say_nothing_usable() {
    for text in malformed() {
        let registry = registry();
        write(&registry, "bad.json", text.clone());
        let pruned = |current: Value| merged(&current, from(registry.path(), json!({ "prune": true })));
        let answer = pruned(stored(json!([host("web-1", 'a'), host("bad", 'c'), host("gone", 'd')])));
        assert_eq!(answer["rules"]["kept"], json!(["bad", "web-1"]), "{text}");
        assert_eq!(answer["rules"]["removed"], json!(["gone"]), "{text}");
        assert_eq!(answer["rules"]["added"], json!(["web-2"]));
        assert!(warnings(&answer).contains("bad"), "{answer}");
    }
}

#[test]
fn nothing_is_pruned_or_replaced_where_any_rule_may_be_of_an_entry_that_says_nothing_usable() {
    let registry = registry();
    write(&registry, "bad.json", "{".to_owned());
    let current = stored(json!([host("web-1", 'c'), host("by hand", 'd')]));
    for extra in
        [json!({ "prune": true }), json!({ "replace": true }), json!({ "prune": true, "replace": true })]
    {
        let answer = merged(&current, from(registry.path(), extra));
        assert_eq!(outcome(&answer)["kept"], json!(["by hand", "web-1"]));
        assert_eq!(
            (&answer["rules"]["added"], &answer["rules"]["removed"]),
            (&json!(["web-1", "web-2"]), &json!([]))
        );
        let said = warnings(&answer);
        assert!(
            said.contains("`prune` and `replace` remove no rule in this run") && said.contains("`bad`"),
            "{said}"
        );
    }
    // The rule that is named goes.
    let named = json!({ "prune": true, "remove": [hash('d')] });
    let answer = succeed(&from(registry.path(), json!({ "current": current, "remove": named["remove"] })));
    assert_eq!(answer["rules"]["removed"], json!(["by hand"]));
    // One that is archived, or out of the token's scope, is in nobody's way.
    for extra in [json!({ "archived": ["bad"] }), json!({ "only": ["web-1", "web-2"] })] {
        let mut request = from(registry.path(), extra);
        request["current"] = current.clone();
        request["prune"] = json!(true);
        let answer = succeed(&request);
        assert_eq!(answer["rules"]["removed"], json!(["by hand", "web-1"]), "{answer}");
        assert!(!warnings(&answer).contains("bad.json"), "{answer}");
    }
    // A given host stands above its file.
    let mut given = from(registry.path(), json!({ "hosts": [host("bad", 'd')], "prune": true }));
    given["current"] = current;
    let answer = succeed(&given);
    assert_eq!(
        (&answer["rules"]["removed"], &answer["warnings"]),
        (&json!(["web-1"]), &json!([])),
        "{answer}"
    );
}

#[test]
fn an_entry_that_is_too_large_leaves_its_host_out_at_once() {
    let registry = registry();
    let entry = fs::File::create(registry.path().join("bad.json")).unwrap();
    entry.set_len(1 << 40).unwrap();
    write(
        &registry,
        "large.json",
        json!({ "ek_public_hash": hash('d'), "note": "x".repeat(1 << 20) }).to_string(),
    );
    let serial = vec!["0f"; 200_000].join(":");
    write(
        &registry,
        "long.json",
        json!({ "ek_public_hash": hash('e'), "ek_cert_serial": serial }).to_string(),
    );
    let current =
        stored(json!([host("web-1", 'a'), host("bad", 'c'), host("large", 'd'), host("long", 'e')]));
    let answer =
        merged(&current, from(registry.path(), json!({ "prune": true, "match": "hash_and_serial" })));
    assert_eq!(outcome(&answer), json!({ "added": ["web-2"], "kept": ["bad", "large", "long", "web-1"] }));
    snapshot!(warnings(&answer), @"
    left out, but any rule that it has stays: [DIR]/bad.json is larger than 1048576 bytes; correct it, restore it from version control, or remove it and identify the host again
    left out, but any rule that it has stays: [DIR]/large.json is larger than 1048576 bytes; correct it, restore it from version control, or remove it and identify the host again
    left out, but any rule that it has stays: the registry's file [DIR]/long.json is no identity: an EK certificate serial has at most 64 pairs of hexadecimal digits, this has 200000; correct it, restore it from version control, or remove it and identify the host again
    ");
    let token = json!({ "action": "preflight", "token": current, "registry": registry.path() });
    let answer = succeed(&token);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(1), &json!(1)));
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 3, "{answer}");
    let asked = json!({ "action": "ekcert_ca", "registry": registry.path(), "fetch": false });
    let answer = run(&asked);
    let detail = answer["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("web-1, web-2"), "{answer}");
    assert!(detail.contains("bad.json is larger than 1048576 bytes"), "{answer}");
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
