//! `registry` with `state: listed`: which hosts there are, whatever the directory is called. With `contents`: what is recorded of
//! them, for a machine that does not have the directory.

use std::fs;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::tokens::hash;
use crate::support::{fail, succeed};

fn entry(digit: char) -> String {
    json!({ "ek_public_hash": hash(digit) }).to_string()
}

#[test]
fn hosts_and_withdrawn_tpms_are_listed_whatever_the_directory_is_called() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fleet [prod]", "a*b", "{x,y}", "what?", "$HOME", "~", "back\\slash"] {
        let registry = folder.path().join(name);
        fs::create_dir_all(registry.join("archive")).unwrap();
        for (host, digit) in [("web-1", 'a'), ("db-1", 'b')] {
            fs::write(registry.join(format!("{host}.json")), entry(digit)).unwrap();
        }
        fs::write(registry.join("bad.json"), "{").unwrap();
        fs::write(registry.join(".hidden.json"), entry('9')).unwrap();
        let archived = |host: &str, digit: char| {
            let name = format!("{host}.{}.json", digit.to_string().repeat(16));
            fs::write(registry.join("archive").join(name), entry(digit)).unwrap();
        };
        archived("web-1", 'c');
        archived("gone", 'd');
        // Another host has this one now, and nobody knows which this one has.
        archived("gone", 'b');
        archived("bad", 'e');
        let answer = succeed(&json!({ "action": "registry", "registry": registry, "state": "listed" }));
        assert_eq!(answer["host_names"], json!(["bad", "db-1", "gone", "web-1"]));
        assert_eq!(answer["withdrawn_hashes"], json!([hash('c'), hash('d')]));
        assert!(answer["warnings"][0].as_str().unwrap().contains("bad.json"), "{answer}");
        assert_eq!(answer["changed"], false);
    }
}

#[test]
fn a_registry_that_is_not_there_is_an_error_but_in_check_mode() {
    let mut request = json!({ "action": "registry", "registry": "/no/such/registry", "state": "listed" });
    snapshot!(fail(&request, "not_found"), @"cannot read the registry /no/such/registry: No such file or directory (os error 2)");
    request["_ansible_check_mode"] = json!(true);
    let answer = succeed(&request);
    assert_eq!((&answer["host_names"], &answer["withdrawn_hashes"]), (&json!([]), &json!([])));
    request["host"] = json!("web-1");
    snapshot!(fail(&request, "invalid_request"), @"`state: listed` is about all hosts: leave out `host` and `hosts`");
    request["host"] = Value::Null;
    request["state"] = json!("archived");
    snapshot!(fail(&request, "invalid_request"), @"action `registry` needs parameter `host` or `hosts`");
}

#[test]
fn the_contents_are_what_is_recorded_of_hosts_and_of_former_tpms() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, entry: Value| fs::write(folder.path().join(name), entry.to_string()).unwrap();
    fs::create_dir(folder.path().join("archive")).unwrap();
    // A host is called as its file is, whatever that says.
    let web = json!({
        "description": "another", "ek_public_hash": hash('a'), "rule_description": "web (rack 1)",
        "former_rule_descriptions": ["web (rack 0)"], "ek_cert_serial": "12:34", "ek_cert_present": true, "ek_source": "nv",
    });
    write("web-1.json", web);
    write("db-1.json", json!({ "ek_public_hash": hash('b') }));
    write("archive/web-1.cccccccccccccccc.json", json!({ "ek_public_hash": hash('c') }));
    write(".hidden.json", json!({ "ek_public_hash": hash('9') }));
    let answer = succeed(
        &json!({ "action": "registry", "registry": folder.path(), "state": "contents", "_ansible_check_mode": true }),
    );
    let bare = |name: &str, digit: char| {
        json!({
            "description": name, "rule_description": null, "former_rule_descriptions": [], "ek_public_hash": hash(digit),
            "ek_cert_serial": null, "ek_cert_pem": null, "ek_cert_chain_pem": null, "ek_cert_present": null,
        })
    };
    let mut full = bare("web-1", 'a');
    full["rule_description"] = json!("web (rack 1)");
    full["former_rule_descriptions"] = json!(["web (rack 0)"]);
    full["ek_cert_serial"] = json!("12:34");
    full["ek_cert_present"] = json!(true);
    assert_eq!(answer["hosts"], json!([bare("db-1", 'b'), full]));
    assert_eq!(answer["former"], json!([bare("web-1", 'c')]));
    assert_eq!(answer["changed"], false);
}

#[test]
fn the_contents_of_a_registry_with_a_file_that_says_nothing_are_an_error() {
    for bad in ["bad.json", "archive/bad.dddddddddddddddd.json"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("archive")).unwrap();
        fs::write(folder.path().join("web-1.json"), entry('a')).unwrap();
        let request = json!({ "action": "registry", "registry": folder.path(), "state": "contents" });
        succeed(&request);
        fs::write(folder.path().join(bad), "{").unwrap();
        let message = fail(&request, "invalid_request");
        assert!(message.contains(bad), "{message}");
    }
}

#[test]
fn the_contents_of_no_registry_are_an_error_but_in_check_mode_and_are_of_all_hosts() {
    let mut request = json!({ "action": "registry", "registry": "/no/such/registry", "state": "contents" });
    snapshot!(fail(&request, "not_found"), @"cannot read the registry /no/such/registry: No such file or directory (os error 2)");
    request["_ansible_check_mode"] = json!(true);
    let answer = succeed(&request);
    assert_eq!(
        (&answer["hosts"], &answer["former"], &answer["changed"]),
        (&json!([]), &json!([]), &json!(false))
    );
    for (name, value) in [("host", json!("web-1")), ("hosts", json!([]))] {
        let mut request = request.clone();
        request[name] = value;
        let message = fail(&request, "invalid_request");
        assert_eq!(message, "`state: contents` is about all hosts: leave out `host` and `hosts`");
    }
}
