//! `token` from a registry with an archive: TPMs that are out of use are not let in any more, and nobody else is
//! the worse for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::tokens::{hash, host, merged, outcome, request, stored, token, warnings};
use crate::support::{fail, succeed};

/// A registry in which `web-1` (hash a) is, and from which `old` (hash c) was archived.
struct Registry(TempDir);

impl Registry {
    fn new() -> Self {
        let registry = Self::empty();
        registry.record("web-1", 'a');
        registry.record("old", 'c');
        registry.archive("old");
        registry
    }

    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn record(&self, host: &str, digit: char) {
        self.change(
            json!({ "host": host, "identity": { "ek_public_hash": hash(digit), "ek_cert_present": false } }),
        );
    }

    fn archive(&self, host: &str) {
        self.change(json!({ "host": host, "state": "archived" }));
    }

    fn change(&self, extra: Value) {
        let mut request =
            json!({ "action": "registry", "registry": self.path(), "accept_identity_change": true });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        succeed(&request);
    }

    fn archived(&self, host: &str, digit: char) -> PathBuf {
        self.path().join(format!("archive/{host}.{}.json", digit.to_string().repeat(16)))
    }

    /// The registry's hosts merged into these rules, and further parameters.
    fn merged(&self, rules: Value, extra: Value) -> Value {
        merged(&stored(rules), self.and(extra))
    }

    fn and(&self, extra: Value) -> Value {
        let mut parameters = json!({ "hosts": null, "registry": self.path() });
        parameters.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        parameters
    }
}

/// The rules of `web-1`, `old`, and a host that the registry does not know.
fn three() -> Value {
    json!([host("web-1", 'a'), host("old", 'c'), host("elsewhere", 'e')])
}

#[test]
fn the_rule_of_an_archived_tpm_goes_and_rules_of_unknown_hosts_stay() {
    let registry = Registry::new();
    let answer = registry.merged(three(), json!({}));
    assert_eq!(outcome(&answer), json!({ "removed": ["old"], "kept": ["elsewhere", "web-1"] }));
    assert_eq!(answer["warnings"], json!([]));
    let answer = registry.merged(json!([host("web-1", 'a')]), json!({}));
    assert_eq!((&answer["changed"], &answer["warnings"]), (&json!(false), &json!([])), "nothing to remove");
    let upper = json!([host("web-1", 'a'), { "ek_public_hash": hash('c').to_uppercase() }]);
    assert_eq!(outcome(&registry.merged(upper, json!({})))["removed"], json!([hash('c')]));
}

#[test]
fn an_archived_tpm_that_a_host_has_is_let_in() {
    let registry = Registry::new();
    // Under another name, and under the same again.
    for name in ["new", "old"] {
        registry.record(name, 'c');
        let answer = registry.merged(three(), json!({}));
        assert_eq!(answer["rules"]["removed"], json!([]), "{answer}");
        assert_eq!(answer["tokens"][0]["rules"], 3);
        registry.archive(name);
    }
    let given = json!({ "hosts": [host("new", 'c')] });
    assert_eq!(registry.merged(three(), given)["rules"]["removed"], json!([]));
    assert_eq!(registry.merged(three(), json!({}))["rules"]["removed"], json!(["old"]));
}

#[test]
fn a_replaced_tpm_goes_without_a_word_about_it() {
    let registry = Registry::new();
    registry.record("web-1", 'b');
    let answer = registry.merged(three(), json!({}));
    assert_eq!(
        outcome(&answer),
        json!({ "added": ["web-1"], "removed": ["old", "web-1"], "kept": ["elsewhere"] })
    );
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn hosts_stand_above_the_registry() {
    let registry = Registry::new();
    registry.record("web-2", 'b');
    let given = json!({ "hosts": [host("web-1", 'd'), host("web-3", 'f')] });
    let current = json!([host("web-1", 'a'), host("web-2", 'b'), host("elsewhere", 'e')]);
    let answer = registry.merged(current, given.clone());
    let expected =
        json!({ "added": ["web-1", "web-3"], "removed": ["web-1"], "kept": ["elsewhere", "web-2"] });
    assert_eq!(outcome(&answer), expected);

    let judge = |extra: Value| {
        let token = token(json!([host("web-1", 'd'), host("web-2", 'b')]));
        let mut request = json!({ "action": "preflight", "token": token, "registry": registry.path() });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        succeed(&request)
    };
    let counts = |answer: Value| (answer["accepted"].clone(), answer["refused"].clone());
    assert_eq!(counts(judge(json!({}))), (json!(1), json!(1)));
    assert_eq!(counts(judge(given)), (json!(2), json!(1)));
}

#[test]
fn check_mode_foresees_a_registry_that_is_not_there_by_the_given_hosts() {
    let directory = tempfile::tempdir().unwrap();
    let extra = json!({
        "registry": directory.path().join("none"), "hosts": [host("web-1", 'a')], "_ansible_check_mode": true,
    });
    let answer = succeed(&request(extra));
    assert_eq!(outcome(&answer), json!({ "added": ["web-1"] }));
}

#[test]
fn a_given_host_with_the_tpm_of_a_registered_one_is_left_out_with_it() {
    let registry = Registry::new();
    let answer = registry.merged(three(), json!({ "hosts": [host("clone", 'a'), host("web-2", 'b')] }));
    assert_eq!(outcome(&answer)["kept"], json!(["elsewhere", "web-1"]));
    assert_eq!(outcome(&answer)["added"], json!(["web-2"]));
    snapshot!(warnings(&answer), @"left out, but any rule that it has stays: `web-1` and `clone` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other");
    fail(&request(registry.and(json!({ "hosts": [host("clone", 'a')] }))), "conflict");
}

#[test]
fn hosts_named_as_archived_count_as_that_already() {
    let registry = Registry::new();
    registry.record("web-2", 'b');
    let current = json!([host("web-1", 'a'), host("web-2", 'b'), host("elsewhere", 'e')]);
    let foreseen = registry.merged(current.clone(), json!({ "archived": ["web-2", "unknown"] }));
    assert_eq!(outcome(&foreseen), json!({ "removed": ["web-2"], "kept": ["elsewhere", "web-1"] }));
    registry.archive("web-2");
    let answer = registry.merged(current, json!({ "archived": ["web-2"] }));
    for name in ["content", "rules", "warnings", "delete", "changed"] {
        assert_eq!(answer[name], foreseen[name], "{name}");
    }
    let both = json!({ "archived": ["web-1"], "hosts": [host("web-1", 'a')] });
    snapshot!(fail(&request(registry.and(both)), "invalid_request"), @"`archived` names `web-1`, which is given as a host too");
    snapshot!(fail(&request(json!({ "archived": ["web-1"] })), "invalid_request"), @"`archived` names hosts of the registry, and needs `registry`");
}

#[test]
fn the_last_host_leaves_no_token() {
    let registry = Registry::new();
    registry.archive("web-1");
    let known = json!([host("web-1", 'a'), host("old", 'c')]);
    for extra in [json!({}), json!({ "prune": true })] {
        let mut with = registry.and(extra.clone());
        with["current"] = stored(known.clone());
        let answer = succeed(&request(with.clone()));
        assert_eq!(
            (&answer["delete"], &answer["tokens"], &answer["content"]),
            (&json!(["web"]), &json!([]), &json!(""))
        );
        assert_eq!(answer["rules"]["removed"], json!(["old", "web-1"]));
        assert_eq!(answer["changed"], true);
        for check in [false, true] {
            with["current"] = json!([]);
            with["_ansible_check_mode"] = json!(check);
            let answer = succeed(&request(with.clone()));
            assert_eq!((&answer["changed"], &answer["tokens"]), (&json!(false), &json!([])), "{answer}");
            assert_eq!(answer["warnings"], json!([]));
        }
    }
    let answer = registry.merged(three(), json!({}));
    assert_eq!((&answer["delete"], &answer["rules"]["kept"]), (&json!([]), &json!(["elsewhere"])));
    let prune = registry.and(json!({ "prune": true, "current": stored(three()) }));
    snapshot!(fail(&request(prune), "would_lock_out"), @"no host is given, and `prune` would remove every one that the token lets in; see that it is the right registry, or set `allow_lockout: true`");
}

#[test]
fn a_registry_that_is_really_empty_is_still_an_error() {
    let registry = Registry::empty();
    fs::create_dir(registry.path().join("archive")).unwrap();
    let message = fail(&request(registry.and(json!({ "current": [] }))), "invalid_request");
    snapshot!(message, @"there are no hosts, and a cluster refuses a token without a rule");
}

#[test]
fn a_malformed_archive_file_is_a_warning_and_takes_nothing_away() {
    let registry = Registry::new();
    let other = json!({ "ek_public_hash": hash('e') }).to_string();
    for (text, why) in
        [("{", "is no JSON object"), ("{}", "has no `ek_public_hash`"), (&other, "its name says another")]
    {
        fs::write(registry.archived("old", 'c'), text).unwrap();
        for extra in [json!({}), json!({ "prune": false, "replace": true })] {
            let answer = registry.merged(three(), extra);
            assert_eq!(answer["rules"]["removed"], json!([]));
            let warning = warnings(&answer);
            assert!(warning.contains("archive/old.") && warning.contains(why), "{warning}");
        }
        let alone = succeed(&request(registry.and(json!({}))));
        assert_eq!(alone["tokens"][0]["rules"], 1, "it is no error for a new token either");
    }
    fs::remove_dir_all(registry.path().join("archive")).unwrap();
    fs::write(registry.path().join("archive"), "").unwrap();
    fail(&request(registry.and(json!({}))), "io");
}

#[test]
fn a_file_that_a_person_put_into_the_archive_counts() {
    let registry = Registry::new();
    let entry = json!({ "ek_public_hash": hash('e') }).to_string();
    fs::write(registry.path().join("archive/elsewhere.json"), entry).unwrap();
    fs::write(registry.path().join("archive/README.md"), "").unwrap();
    assert_eq!(registry.merged(three(), json!({}))["rules"]["removed"], json!(["elsewhere", "old"]));
}

#[test]
fn an_archived_tpm_stays_where_nobody_knows_which_one_its_host_has() {
    let registry = Registry::new();
    fs::write(registry.path().join("old.json"), "{").unwrap();
    let answer = registry.merged(three(), json!({}));
    assert_eq!(answer["rules"]["removed"], json!([]));
    snapshot!(warnings(&answer), @"left out, but any rule that it has stays: the registry's file [DIR]/old.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again");
}

#[test]
fn an_archived_tpm_that_a_rule_without_a_hash_lets_in_is_a_warning() {
    let registry = Registry::new();
    let path = registry.archived("old", 'c');
    let mut entry: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    entry["ek_cert_serial"] = json!("0f:ff");
    fs::write(path, entry.to_string()).unwrap();
    let with = |serial: &str| {
        let rules = json!([host("web-1", 'a'), { "description": "any", "ek_certificate_serial": serial }]);
        registry.merged(rules, json!({}))
    };
    let answer = with("0f:ff");
    assert_eq!(answer["rules"]["kept"], json!(["any", "web-1"]));
    let warning = warnings(&answer);
    snapshot!(warning, @"
    the rule `any` of token `web` has a serial number and no hash; a cluster refuses that without `ekcert_allowed_cas`, since any CA could issue that number
    the cluster will still let archived TPMs in (name these rules in `remove` where they are nobody else's): `old` by the rule `any` of token `web`
    ");
    assert!(!warnings(&with("0f:fe")).contains("`old`"));
}

#[test]
fn the_file_at_path_loses_an_archived_rule_too() {
    let registry = Registry::new();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("web.yaml");
    fs::write(&path, stored(three()).to_string()).unwrap();
    let request = request(registry.and(json!({ "path": path })));
    assert_eq!(outcome(&succeed(&request))["removed"], json!(["old"]));
    assert_eq!(succeed(&request)["changed"], false);
    assert!(!fs::read_to_string(&path).unwrap().contains(&hash('c')));
}

#[test]
fn only_the_named_hosts_of_a_registry_and_its_archive_concern_a_token_of_their_own() {
    let registry = Registry::new();
    registry.record("db-1", 'd');
    registry.record("gone", 'e');
    registry.archive("gone");
    fs::write(registry.path().join("broken.json"), "{ not json").unwrap();
    let rules = json!([
        { "description": "old", "ek_public_hash": hash('c') },
        { "description": "gone", "ek_public_hash": hash('e') },
    ]);
    let answer = registry.merged(rules.clone(), json!({ "only": ["db-1", "gone"] }));
    assert_eq!(outcome(&answer), json!({ "added": ["db-1"], "removed": ["gone"], "kept": ["old"] }));
    assert_eq!(answer["host_tokens"].as_object().unwrap().len(), 1, "{answer}");
    assert!(warnings(&answer).is_empty(), "another host's broken file is nothing to it: {answer}");

    let nobody = registry.merged(rules, json!({ "only": ["old"] }));
    assert_eq!(outcome(&nobody), json!({ "removed": ["old"], "kept": ["gone"] }));
}
