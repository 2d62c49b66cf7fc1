//! `registry` with `state: listed`: which hosts there are, whatever the directory is called.

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
    snapshot!(fail(&request, "invalid_request"), @"`state: listed` lists all hosts: leave out `host` and `hosts`");
    request["host"] = Value::Null;
    request["state"] = json!("archived");
    snapshot!(fail(&request, "invalid_request"), @"action `registry` needs parameter `host` or `hosts`");
}
