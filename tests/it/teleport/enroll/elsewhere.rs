//! A run where tctl is on another machine than the registry and the files: it is told of the registry, and answers the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Fleet, hash};
use crate::support::{self, succeed, tool};

fn layouts() -> [Value; 3] {
    [json!({}), json!({ "tokens": "sharded", "shards": 2 }), json!({ "tokens": "per_host" })]
}

fn with(parameters: &Value, more: &Value) -> Value {
    let mut all = parameters.clone();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// The parameters by which a machine without the registry knows what that says.
fn told(fleet: &Fleet) -> Value {
    let contents =
        succeed(&json!({ "action": "registry", "state": "contents", "registry": fleet.path("registry") }));
    json!({ "registry": null, "hosts": contents["hosts"], "former": contents["former"] })
}

/// What `identify` returns for a TPM.
fn found(tpm: &str) -> Value {
    let mut found = support::registry::found('0');
    found["ek_public_hash"] = json!(hash(tpm));
    found
}

fn record(fleet: &Fleet, host: &str, parameters: &Value) {
    let request = json!({ "action": "registry", "registry": fleet.path("registry"), "host": host });
    succeed(&with(&request, parameters));
}

/// The files of tokens and bots in the folder of a fleet, by name.
fn files(fleet: &Fleet) -> BTreeMap<String, String> {
    let files = fs::read_dir(fleet.path("")).unwrap().map(|file| file.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files
        .filter(|path| path.is_file())
        .map(|path| (named(&path), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// What an answer says of them. Those without content are to go.
fn contents(fleet: &Fleet, answer: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let relative = |path: &Value| {
        let path = Path::new(path.as_str().unwrap()).strip_prefix(fleet.path("")).unwrap().to_owned();
        path.to_str().unwrap().to_owned()
    };
    let items = answer["contents"].as_array().unwrap();
    items.iter().map(|item| (relative(&item["path"]), text(&item["content"]))).collect()
}

/// Enrolls as role `join_token` does it there: it keeps the files here.
pub fn enroll(fleet: &Fleet, parameters: &Value) -> Value {
    let marks: Vec<String> = files(fleet)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".applied"))
        .map(|(_, text)| text)
        .collect();
    let more = with(&told(fleet), &json!({ "write_files": false, "applied_before": marks }));
    let answer = fleet.enroll(&with(parameters, &more));
    for (name, text) in contents(fleet, &answer) {
        if text.is_empty() {
            let _ = fs::remove_file(fleet.path(&name));
        } else {
            fs::write(fleet.path(&name), text).unwrap();
        }
    }
    answer
}

/// All that the cluster has of its tokens, but for what is new with each change.
fn cluster(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut tokens = BTreeMap::new();
    for name in fleet.tokens().into_keys() {
        let mut token = fleet.stored("token", &name);
        token["metadata"].as_object_mut().unwrap().remove("revision");
        tokens.insert(name, token);
    }
    tokens
}

#[test]
fn files_of_another_machine_are_answered_to_the_byte_as_they_would_be_written() {
    for layout in layouts() {
        let hosts = ["web-1", "db-1", "build-1"];
        let (Some(here), Some(elsewhere)) = (Fleet::of(&hosts), Fleet::of(&hosts)) else { return };
        let parameters =
            with(&layout, &json!({ "bot": { "roles": ["access"] }, "labels": { "team": "web" } }));
        let answered = with(&parameters, &json!({ "write_files": false }));
        let foreseen = elsewhere.enroll(&with(&answered, &json!({ "_ansible_check_mode": true })));
        let written = here.enroll(&parameters);
        assert_eq!(written["contents"], json!([]), "{layout}");
        assert_eq!(contents(&elsewhere, &foreseen), files(&here), "{layout}");
        let marks = files(&here).into_keys().filter(|name| name.ends_with(".applied")).count();
        assert!(marks > 0 && files(&here).contains_key("deploy.bot.yaml"), "{:?}", files(&here));

        // After a run they are what the cluster shows, which adds labels of its own.
        let answer = elsewhere.enroll(&answered);
        assert_eq!(files(&elsewhere), BTreeMap::new(), "{layout}");
        assert_eq!(cluster(&elsewhere), cluster(&here), "{layout}");
        assert_eq!(elsewhere.enroll(&answered)["contents"], answer["contents"], "{layout}");
        assert_eq!(elsewhere.enroll(&parameters)["files"], answer["files"], "{layout}");
        assert_eq!(contents(&elsewhere, &answer), files(&elsewhere), "{layout}");
    }
}

#[test]
fn those_of_a_token_that_goes_are_without_content() {
    let hosts = ["web-1", "db-1"];
    for layout in layouts() {
        let (Some(here), Some(elsewhere)) = (Fleet::of(&hosts), Fleet::of(&hosts)) else { return };
        let parameters = with(&layout, &json!({ "write_files": false }));
        let before = contents(&elsewhere, &elsewhere.enroll(&parameters));
        here.enroll(&layout);
        for host in hosts {
            here.archive(host);
            elsewhere.archive(host);
        }
        here.enroll(&layout);
        let answer = elsewhere.enroll(&parameters);
        assert_eq!(files(&here), BTreeMap::new(), "{layout}");
        let gone = before.into_keys().map(|name| (name, String::new())).collect();
        assert_eq!(contents(&elsewhere, &answer), gone, "{layout}");
    }
}

#[test]
fn where_the_cluster_does_not_answer_what_it_had_is_not_forgotten() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let answer = fleet.enroll(&json!({ "write_files": false, "apply": false }));
    assert_eq!(contents(&fleet, &answer).into_keys().collect::<Vec<_>>(), ["token.yaml"]);
}

#[test]
fn a_token_that_was_applied_before_and_is_lost_stops_the_run() {
    let mark = "# The cluster has these tokens.\nhosts\n";
    for (layout, mark) in [
        (json!({}), mark),
        // One of a former layout.
        (json!({}), "hosts-1\n"),
        (json!({ "tokens": "sharded", "shards": 2 }), mark),
        (json!({ "tokens": "per_host" }), "hosts-web-1\n"),
    ] {
        let Some(fleet) = Fleet::of(&["web-1"]) else { return };
        let name = mark.lines().last().unwrap();
        let parameters =
            with(&layout, &json!({ "write_files": false, "applied_before": ["# nothing\n", mark] }));
        for check_mode in [true, false] {
            let message =
                fleet.refuse(&with(&parameters, &json!({ "_ansible_check_mode": check_mode })), "conflict");
            assert!(message.contains(&format!("no token {name}, although")), "{message}");
        }
        assert!(fleet.tokens().is_empty(), "{layout}");
        fleet.enroll(&with(&parameters, &json!({ "recreate": true })));
        assert!(
            fleet.tokens().values().all(|rules| rules.contains_key("web-1")) && !fleet.tokens().is_empty()
        );
    }
}

#[test]
fn one_that_goes_between_two_reads_is_not_made_anew() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let token = fleet.cluster.file("token/hosts.json");
    // The second read is the first one that finds it gone.
    let script = format!(
        "#!/bin/sh\n{} \"$@\" && case \"$*\" in create*) rm -f {};; esac\n",
        fleet.cluster.command().join(" "),
        token.display()
    );
    let tctl = fleet.path("registry/tctl");
    fs::write(&tctl, script).unwrap();
    tool("chmod", &["755", tctl.to_str().unwrap()]);
    let message = fleet.refuse(&json!({ "tctl": [tctl], "write_files": false }), "conflict");
    assert!(message.contains("no token hosts, although"), "{message}");
    assert!(fleet.tokens().is_empty());
}

#[test]
fn tokens_that_are_there_or_of_runs_of_others_are_not_lost() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    for (layout, marks) in [
        (json!({}), json!(["hosts\n"])),
        (json!({ "tokens": "per_host" }), json!(["hosts-web-1\n", "hosts-db-1\n"])),
        (json!({ "tokens": "per_host", "only": ["web-1"] }), json!(["hosts-web-1\n", "hosts-new-1\n"])),
        // These have files of their own, which nobody looks at here either.
        (json!({}), json!(["hosts\n", "hosts-new-1\n", "other\n"])),
    ] {
        fleet.enroll(&layout);
        let answer = fleet.enroll(&with(&layout, &json!({ "applied_before": marks, "write_files": false })));
        assert_eq!(answer["changed"], false, "{answer}");
    }
}

#[test]
fn whoever_is_told_of_the_registry_comes_to_the_same_tokens() {
    for layout in layouts() {
        let hosts = ["web-1", "db-1", "build-1"];
        let (Some(here), Some(elsewhere)) = (Fleet::of(&hosts), Fleet::of(&hosts)) else { return };
        let same = |step: &str, hosts: &[&str]| {
            let answers = [here.enroll(&layout), enroll(&elsewhere, &layout)];
            for result in ["rules", "deleted", "host_tokens", "tokens", "former_tokens", "changed"] {
                assert_eq!(answers[0][result], answers[1][result], "{layout} {step} {result}");
            }
            assert_eq!(cluster(&elsewhere), cluster(&here), "{layout} {step}");
            let names = |fleet: &Fleet| files(fleet).into_keys().collect::<Vec<_>>();
            assert_eq!(names(&elsewhere), names(&here), "{layout} {step}");
            let tokens = here.tokens();
            let mut found: Vec<&String> = tokens.values().flat_map(BTreeMap::keys).collect();
            found.sort();
            assert_eq!(found, hosts, "{layout} {step}");
        };
        let both = |change: &dyn Fn(&Fleet)| [&here, &elsewhere].into_iter().for_each(change);
        same("the first", &["build-1", "db-1", "web-1"]);
        both(&|fleet| fleet.add("new-1"));
        same("one more", &["build-1", "db-1", "new-1", "web-1"]);
        both(&|fleet| fleet.archive("db-1"));
        same("one less", &["build-1", "new-1", "web-1"]);
        both(&|fleet| {
            record(fleet, "web-1", &json!({ "identity": found("another"), "accept_identity_change": true }));
        });
        same("another TPM", &["build-1", "new-1", "web-1"]);
        assert!(!format!("{:?}", elsewhere.tokens()).contains(&hash("web-1")), "{layout}");
        both(&|fleet| {
            record(
                fleet,
                "new-1",
                &json!({ "identity": found("new-1"), "rule_description": "new (rack 1)" }),
            );
        });
        same("another text", &["build-1", "new (rack 1)", "web-1"]);
        both(&|fleet| {
            fleet.archive("new-1");
            fleet.archive("build-1");
            fleet.archive("web-1");
        });
        same("the last", &[]);
    }
}

#[test]
fn a_host_that_would_be_archived_leaves_although_it_is_among_those_told() {
    for layout in layouts() {
        let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
        fleet.enroll(&layout);
        let foreseeing = json!({ "archived": ["db-1"], "_ansible_check_mode": true });
        let answers = [
            fleet.enroll(&with(&layout, &foreseeing)),
            fleet.enroll(&with(&with(&layout, &told(&fleet)), &foreseeing)),
        ];
        assert_eq!(answers[0]["rules"]["removed"], json!(["db-1"]), "{layout}");
        assert_eq!(answers[1]["rules"], answers[0]["rules"], "{layout}");
        assert_eq!(answers[1]["deleted"], answers[0]["deleted"], "{layout}");
    }
}

#[test]
fn the_archive_is_told_by_the_registry_or_beside_hosts() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let message = fleet.refuse(&json!({ "former": [] }), "invalid_request");
    assert!(message.contains("either `registry` or `hosts` with `former`"), "{message}");
    let message = fleet.refuse(&json!({ "registry": null, "former": [] }), "invalid_request");
    assert!(message.contains("needs `hosts` or `registry`"), "{message}");
    assert!(fleet.asked().is_empty());
    // A TPM that a host has again is not out of use.
    let hosts = json!([{ "description": "web-1", "ek_public_hash": hash("web-1") }]);
    fleet.enroll(&json!({ "registry": null, "hosts": hosts, "former": hosts }));
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
}
