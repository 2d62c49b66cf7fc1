//! `registry` with `hosts`: any number of hosts in one request, each by itself.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::registry::{Place, certified, found, mode, read};
use crate::support::tokens::{hash, warnings};
use crate::support::{fail, run, strace, succeed};

/// Hosts with identities of these digits.
pub fn hosts(all: &[(&str, char)]) -> Value {
    all.iter().map(|(host, digit)| json!({ "host": host, "identity": found(*digit) })).collect()
}

pub fn request(place: &Place, extra: Value) -> Value {
    let mut request = json!({ "action": "registry", "registry": place.registry(), "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// The answer, which check mode must have foreseen.
fn change(place: &Place, extra: Value) -> Value {
    let request = request(place, extra);
    let mut check = request.clone();
    check["_ansible_check_mode"] = json!(true);
    let before = place.files();
    let foreseen = succeed(&check);
    assert_eq!(place.files(), before, "check mode wrote something");
    let answer = succeed(&request);
    assert_eq!(foreseen, answer);
    assert_eq!(answer["changed"], place.files() != before);
    assert_eq!(answer.get("diff").is_some(), answer["changed"] == true);
    answer
}

/// What became of each host: whether it changed, or why it failed.
fn outcomes(place: &Place, answer: &Value) -> String {
    let hash = |text: &str| {
        ['a', 'b', 'c', 'd']
            .iter()
            .fold(text.to_owned(), |text, digit| text.replace(&hash(*digit), &format!("[{digit}]")))
    };
    let line = |result: &Value| {
        let host = result["host"].as_str().unwrap();
        let said = match (&result["failed"], &result["changed"]) {
            (Value::Null, Value::Bool(changed)) => format!("changed: {changed}"),
            (Value::Bool(true), Value::Bool(false)) => {
                format!(
                    "{}: {}",
                    result["error"]["kind"].as_str().unwrap(),
                    hash(result["msg"].as_str().unwrap())
                )
            }
            other => panic!("{other:?}"),
        };
        format!("{host}: {said}\n").replace(place.0.path().to_str().unwrap(), "[DIR]")
    };
    answer["entries"].as_array().unwrap().iter().map(line).collect()
}

/// The single requests in their order say the same of each host, and leave the same.
fn assert_as_one_by_one(before: impl Fn() -> Place, all: &[(&str, Value)]) {
    let [many, single] = [before(), before()];
    let list: Vec<Value> = all
        .iter()
        .map(|(host, extra)| {
            let mut one = extra.clone();
            one["host"] = json!(host);
            one
        })
        .collect();
    let named = |text: &str, place: &Place| text.replace(place.0.path().to_str().unwrap(), "[DIR]");
    let answer = change(&many, json!({ "hosts": list }));
    for ((host, extra), result) in all.iter().zip(answer["entries"].as_array().unwrap()) {
        let mut alone = single.request(extra.clone());
        alone["host"] = json!(host);
        let mut expected = run(&alone);
        for name in ["warnings", "invocation", "diff"] {
            expected.as_object_mut().unwrap().shift_remove(name);
        }
        expected["host"] = json!(host);
        expected["changed"] = json!(expected["changed"] == true);
        assert_eq!(
            serde_json::from_str::<Value>(&named(&result.to_string(), &many)).unwrap(),
            serde_json::from_str::<Value>(&named(&expected.to_string(), &single)).unwrap()
        );
    }
    let files = |place: &Place| -> Vec<(String, String)> {
        let files = place.files().into_iter();
        files.map(|(path, text)| (named(path.to_str().unwrap(), place), text)).collect()
    };
    assert_eq!(files(&many), files(&single));
}

/// A registry with web-1 and web-2, and an archive with a TPM of web-9.
pub fn filled() -> Place {
    let place = Place::new();
    for (host, digit) in [("web-1", 'a'), ("web-2", 'b'), ("web-9", 'd')] {
        succeed(&place.request(json!({ "host": host, "identity": found(digit) })));
    }
    succeed(&place.request(json!({ "host": "web-9", "state": "archived" })));
    place
}

#[test]
fn new_hosts_are_recorded_and_known_ones_compared() {
    let place = Place::new();
    fs::remove_dir(place.registry()).unwrap();
    let first = change(&place, json!({ "hosts": hosts(&[("web-2", 'b'), ("web-1", 'a')]) }));
    assert_eq!((mode(&place.registry()), mode(&place.entry("web-1"))), (0o755, 0o644));
    assert_eq!(first["entries"][1]["identity"], read(&place.entry("web-1")));
    assert_eq!(first["entries"][1]["path"], place.entry("web-1").to_str().unwrap());
    let again = change(&place, json!({ "hosts": hosts(&[("web-1", 'a'), ("web-3", 'c'), ("web-2", 'b')]) }));
    snapshot!(outcomes(&place, &first) + "\n" + &outcomes(&place, &again), @"
    web-2: changed: true
    web-1: changed: true

    web-1: changed: false
    web-3: changed: true
    web-2: changed: false
    ");
    let none = change(&place, json!({ "hosts": [] }));
    assert_eq!((&none["changed"], &none["entries"]), (&json!(false), &json!([])));
}

#[test]
fn each_host_is_answered_as_in_a_request_of_its_own() {
    let mut damaged = certified();
    damaged["ek_cert_sha256"] = json!(hash('f'));
    assert_as_one_by_one(
        filled,
        &[
            ("web-1", json!({ "identity": found('a') })),
            ("web-2", json!({ "identity": found('c') })),
            ("web-3", json!({ "identity": certified(), "rule_description": "asset 0815" })),
            ("web-4", json!({ "identity": found('a') })),
            ("web-5", json!({ "identity": found('d') })),
            ("web-6", json!({ "identity": damaged })),
            ("web-7", json!({})),
            ("web 8", json!({ "identity": found('e') })),
            ("web-10", json!({ "identity": found('e'), "rule_description": "asset 0815" })),
            ("web-11", json!({ "identity": found('e'), "rule_description": "a\nb" })),
            ("web-12", json!({ "identity": found('e') })),
        ],
    );
}

#[test]
fn what_is_wrong_with_one_host_is_said_of_it_and_stops_no_other() {
    let place = filled();
    let mut all = hosts(&[("web-1", 'c'), ("../x", 'c'), ("web-3", 'c'), ("web-5", 'd'), ("web-6", 'e')]);
    all[4]["identity"]["ek_cert_present"] = json!("maybe");
    symlink("nowhere", place.entry("web-7")).unwrap();
    for host in [json!({ "host": "web-4" }), json!({ "host": "web-7", "identity": found('f') })] {
        all.as_array_mut().unwrap().push(host);
    }
    let answer = change(&place, json!({ "hosts": all }));
    snapshot!(outcomes(&place, &answer), @r#"
    web-1: identity_changed: `web-1` has another TPM than the one that [DIR]/registry/web-1.json records: the EK public hash was [a], and is [c]; if its mainboard or virtual TPM was replaced on purpose, run once with --extra-vars '{"tbot_accept_identity_change": ["web-1"]}' (parameter `accept_identity_change`); if not, find out why
    ../x: invalid_request: parameter `host` of action `registry`: "../x" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    web-3: changed: true
    web-5: identity_changed: `web-5` has a TPM that was archived for host `web-9` ([DIR]/registry/archive/web-9.dddddddddddddddd.json): the EK public hash [d]; if that TPM may join as `web-5` again, run once with --extra-vars '{"tbot_accept_identity_change": ["web-5"]}' (parameter `accept_identity_change`); if not, find out why it came back
    web-6: invalid_request: parameter `identity.ek_cert_present` of action `registry`: expected a boolean (yes or no, true or false), found the text "maybe"
    web-4: invalid_request: action `registry` needs parameter `identity`; give what `identify` returned for the host, or `state: archived`
    web-7: unsafe_path: [DIR]/registry/web-7.json is not a regular file; remove it, or give another path; where a file is to be written, not even a link to one will do
    "#);
    snapshot!(warnings(&answer), @"6 of 7 elements of `hosts` failed, and changed nothing; the result `entries` says why: `web-1`, `../x`, `web-5`, `web-6`, `web-4`, `web-7`");
    assert_eq!(answer["entries"][0]["error"]["hint"].as_str().unwrap().matches("--extra-vars").count(), 1);
    assert!(!place.entry("web-5").exists() && place.entry("web-3").exists());
}

#[test]
fn of_two_hosts_with_one_tpm_and_of_two_that_are_one_the_first_counts() {
    let place = filled();
    let answer = change(
        &place,
        json!({ "hosts": hosts(&[("web-8", 'c'), ("web-3", 'c'), ("web-4", 'b'), ("web-8", 'e'), ("web-8", 'c'), ("web-5", 'e')]) }),
    );
    snapshot!(outcomes(&place, &answer), @"
    web-8: changed: true
    web-3: conflict: `web-3` has the same TPM as `web-8`, which the registry [DIR]/registry has already: the EK public hash [c]; a cloned virtual TPM must be replaced by a new one, since either host could join as the other; where it is one host under another name, archive the old entry first (`state: archived`)
    web-4: conflict: `web-4` has the same TPM as `web-2`, which the registry [DIR]/registry has already: the EK public hash [b]; a cloned virtual TPM must be replaced by a new one, since either host could join as the other; where it is one host under another name, archive the old entry first (`state: archived`)
    web-8: conflict: `web-8` is in `hosts` more than once, and only the first one counts; give each host once
    web-8: conflict: `web-8` is in `hosts` more than once, and only the first one counts; give each host once
    web-5: changed: true
    ");
    assert_eq!(read(&place.entry("web-8"))["ek_public_hash"], hash('c'));
    // The texts of rules likewise.
    let mut all = hosts(&[("web-6", '1'), ("web-7", '2')]);
    all[0]["rule_description"] = json!("asset 0815");
    all[1]["rule_description"] = json!("asset 0815");
    snapshot!(outcomes(&place, &change(&place, json!({ "hosts": all }))), @"
    web-6: changed: true
    web-7: conflict: the rules of `web-7` and `web-6` would have the same description `asset 0815`; give each host a text of its own (`tbot_description`) that differs from all hosts' names; if a text moves to another host, change or archive the former host first
    ");
}

#[test]
fn other_tpms_are_accepted_of_the_hosts_that_are_named_or_of_all() {
    let place = filled();
    let all = hosts(&[("web-1", 'c'), ("web-2", '1'), ("web-3", 'd')]);
    let answer =
        change(&place, json!({ "hosts": all, "accept_identity_change": ["web-1", "web-3", "web-77"] }));
    let changed: Vec<bool> =
        answer["entries"].as_array().unwrap().iter().map(|host| host["changed"] == true).collect();
    assert_eq!(changed, [true, false, true]);
    assert_eq!(answer["entries"][0]["former_ek_public_hash"], hash('a'));
    assert_eq!(answer["entries"][0]["archived"], json!([place.archived("web-1", 'a')]));
    for accepted in [json!("web-2,web-3"), json!("yes"), json!(true)] {
        let answer = change(&place, json!({ "hosts": all, "accept_identity_change": accepted }));
        assert_eq!(answer["entries"][1]["failed"], Value::Null);
    }
    // What one host gives up in a request, no other one takes from the archive without a word.
    let answer = change(
        &place,
        json!({ "hosts": hosts(&[("web-1", '5'), ("web-6", 'c')]), "accept_identity_change": ["web-1"] }),
    );
    snapshot!(outcomes(&place, &answer), @r#"
    web-1: changed: true
    web-6: identity_changed: `web-6` has a TPM that was archived for host `web-1` ([DIR]/registry/archive/web-1.cccccccccccccccc.json): the EK public hash [c]; if that TPM may join as `web-6` again, run once with --extra-vars '{"tbot_accept_identity_change": ["web-6"]}' (parameter `accept_identity_change`); if not, find out why it came back
    "#);
    succeed(
        &place
            .request(json!({ "host": "web-1", "identity": found('6'), "accept_identity_change": ["web-1"] })),
    );
    fail(
        &place
            .request(json!({ "host": "web-1", "identity": found('7'), "accept_identity_change": ["web-2"] })),
        "identity_changed",
    );
    let wrong = place.request(json!({ "identity": found('7'), "accept_identity_change": { "web-1": true } }));
    snapshot!(fail(&wrong, "invalid_request"), @"parameter `accept_identity_change` of action `registry`: expected true, false or a list of hosts' names");
}

#[test]
fn many_hosts_are_archived_at_once() {
    let place = filled();
    fs::write(place.entry("web-3"), "{").unwrap();
    let names = ["web-2", "web-3", "web-4", "web-1", "a b", "web-2"];
    let all: Vec<Value> = names.iter().map(|host| json!({ "host": host })).collect();
    let answer = change(&place, json!({ "state": "archived", "hosts": all }));
    snapshot!(outcomes(&place, &answer), @r#"
    web-2: changed: true
    web-3: changed: true
    web-4: changed: false
    web-1: changed: true
    a b: invalid_request: parameter `host` of action `registry`: "a b" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    web-2: conflict: `web-2` is in `hosts` more than once, and only the first one counts; give each host once
    "#);
    snapshot!(warnings(&answer), @"
    2 of 6 elements of `hosts` failed, and changed nothing; the result `entries` says why: `a b`, `web-2`
    the registry's file [DIR]/registry/web-3.json is no JSON object: EOF while parsing an object at line 1 column 1. The file moves to [DIR]/registry/archive/web-3.unreadable.json as it is. Its TPM is not known, so a rule of `web-3` stays in the token: name it in `remove` (`tbot_token_remove`), by what it says of the host or by its hash
    ");
    assert_eq!(answer["entries"][0]["former_ek_public_hash"], hash('b'));
    assert_eq!(answer["entries"][0]["archived"], json!([place.archived("web-2", 'b')]));
    assert_eq!(answer["entries"][0]["identity"], Value::Null);
    // What is given besides the names plays no part.
    let again = change(&place, json!({ "state": "archived", "hosts": hosts(&[("web-1", 'c')]) }));
    assert_eq!((&again["changed"], &again["warnings"]), (&json!(false), &json!([])));
    fs::remove_dir_all(place.registry()).unwrap();
    change(&place, json!({ "state": "archived", "hosts": hosts(&[("web-1", 'c')]) }));
    assert!(!place.registry().exists());
}

#[test]
fn the_difference_is_a_list_with_the_hosts_that_change() {
    let place = filled();
    let all = hosts(&[("web-1", 'a'), ("web-3", 'c'), ("web-4", 'a'), ("web-2", 'e')]);
    let answer = change(&place, json!({ "hosts": all, "accept_identity_change": ["web-2"] }));
    let diffs = answer["diff"].as_array().unwrap();
    let headers: Vec<&Value> =
        diffs.iter().flat_map(|diff| [&diff["before_header"], &diff["after_header"]]).collect();
    let paths = ["web-3", "web-3", "web-2", "web-2"].map(|host| json!(place.entry(host)));
    assert_eq!(headers, paths.iter().collect::<Vec<_>>());
    assert_eq!(diffs[0]["before"], "");
    assert_eq!(diffs[1]["after"], fs::read_to_string(place.entry("web-2")).unwrap());
    let mut quiet = request(&place, json!({ "hosts": hosts(&[("web-5", '5')]) }));
    quiet["_ansible_diff"] = json!(false);
    assert_eq!(succeed(&quiet).get("diff"), None);
}

#[test]
fn a_request_that_is_wrong_by_itself_or_a_registry_that_cannot_be_used_changes_nothing() {
    let place = filled();
    let all = hosts(&[("web-3", 'c')]);
    let mut misspelt = all.clone();
    misspelt[0]["identiy"] = json!({});
    let mut nameless = all.clone();
    nameless[0]["host"] = Value::Null;
    let described = json!([{ "host": "web-1", "rule_description": "x" }]);
    let before = place.files();
    let said = crate::support::messages::listed(
        [
            json!({ "hosts": all, "host": "web-1" }),
            json!({ "hosts": all, "identity": found('a') }),
            json!({ "hosts": all, "rule_description": "x" }),
            json!({ "hosts": described, "state": "archived" }),
            json!({ "hosts": all, "state": "listed" }),
            json!({ "hosts": all, "state": "leaving", "only": ["web-1"], "name": "x" }),
            json!({ "hosts": misspelt }),
            json!({ "hosts": nameless }),
            json!({ "hosts": "web-1,web-2" }),
            json!({ "hosts": [{ "host": 5 }] }),
            json!({}),
        ],
        |extra| {
            let message = fail(&request(&place, extra.clone()), "invalid_request");
            (
                extra.to_string().replace(&found('c').to_string(), "…").replace(&found('a').to_string(), "…"),
                message,
            )
        },
    );
    snapshot!(said, @r#"
    {"hosts":[{"host":"web-3","identity":…}],"host":"web-1"}
        `hosts` has everything about each host: leave out `host`, `identity` and `rule_description`
    {"hosts":[{"host":"web-3","identity":…}],"identity":…}
        `hosts` has everything about each host: leave out `host`, `identity` and `rule_description`
    {"hosts":[{"host":"web-3","identity":…}],"rule_description":"x"}
        `hosts` has everything about each host: leave out `host`, `identity` and `rule_description`
    {"hosts":[{"host":"web-1","rule_description":"x"}],"state":"archived"}
        `rule_description` is recorded with an identity: leave it out here
    {"hosts":[{"host":"web-3","identity":…}],"state":"listed"}
        `state: listed` is about all hosts: leave out `host` and `hosts`
    {"hosts":[{"host":"web-3","identity":…}],"state":"leaving","only":["web-1"],"name":"x"}
        `state: leaving` takes the hosts as `only`: leave out `host`, `identity` and `hosts`
    {"hosts":[{"host":"web-3","identity":…,"identiy":{}}]}
        action `registry` has no parameter `hosts[0] (web-3).identiy`; did you mean (nearest first): identity, host, rule_description
    {"hosts":[{"host":null,"identity":…}]}
        action `registry` needs parameter `hosts[0].host`
    {"hosts":"web-1,web-2"}
        parameter `hosts[0]` of action `registry`: expected an object, found the text "web-1"
    {"hosts":[{"host":5}]}
        parameter `hosts[0].host` of action `registry`: expected a text (quote it, as in "12:34"), found the number 5
    {}
        action `registry` needs parameter `host` or `hosts`
    "#);
    assert_eq!(place.files(), before);
    let file = place.0.path().join("file");
    fs::write(&file, "").unwrap();
    snapshot!(fail(&request(&place, json!({ "hosts": all, "registry": file })), "io"), @"cannot read [DIR]/file: Not a directory (os error 20); a file is where a directory is named");
}

#[test]
fn an_archive_that_cannot_be_read_fails_each_host_before_anything_is_written() {
    let place = Place::new();
    succeed(&place.request(json!({ "host": "web-1", "identity": found('a') })));
    fs::write(place.registry().join("archive"), "").unwrap();
    let all = json!({ "hosts": hosts(&[("web-1", 'a'), ("web-2", 'b'), ("web-1", 'c')]) });
    let answer = change(&place, all);
    snapshot!(outcomes(&place, &answer), @"
    web-1: io: cannot read the registry's archive [DIR]/registry/archive: Not a directory (os error 20); a file is where a directory is named
    web-2: io: cannot read the registry's archive [DIR]/registry/archive: Not a directory (os error 20); a file is where a directory is named
    web-1: conflict: `web-1` is in `hosts` more than once, and only the first one counts; give each host once
    ");
}

#[test]
fn a_host_whose_entry_cannot_be_written_is_left_as_it_was_and_the_next_are_done() {
    if !strace::is_usable() {
        return;
    }
    let place = filled();
    let (_directory, file) = request_file(&request(&place, accepted()));
    let calls = strace::calls_from_first_change(&file);
    let renames: Vec<_> = calls.iter().filter(|call| call.name == "renameat").collect();
    // Of web-1, the archived entry and the new one; then the entries of web-3 and web-2.
    assert_eq!(renames.len(), 5, "{renames:?}");
    for (number, failed) in ["web-1", "web-1", "web-3", "web-2", "web-2"].into_iter().enumerate() {
        let place = filled();
        let before = place.files();
        let (_directory, file) = request_file(&request(&place, accepted()));
        let output = renames[number].tampered("error=ENOSPC", "022", &file);
        let answer = crate::support::parse(&output);
        for result in answer["entries"].as_array().unwrap() {
            let host = result["host"].as_str().unwrap();
            let its = |files: Vec<(std::path::PathBuf, String)>| -> Vec<_> {
                files.into_iter().filter(|(path, _)| path.to_str().unwrap().contains(host)).collect()
            };
            assert_eq!(result["failed"] == true, host == failed, "{number}: {result}");
            assert_eq!(its(place.files()) == its(before.clone()), host == failed, "{number}: {host}");
        }
        assert!(answer["entries"].to_string().contains("make room on that file system"), "{answer}");
        succeed(&request(&place, accepted()));
    }
}

pub fn accepted() -> Value {
    json!({ "hosts": hosts(&[("web-1", 'c'), ("web-3", 'e'), ("web-2", '1')]), "accept_identity_change": true })
}

pub fn request_file(request: &Value) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    fs::write(&file, request.to_string()).unwrap();
    (directory, file)
}
