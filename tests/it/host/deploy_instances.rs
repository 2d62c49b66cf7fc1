//! `deploy` for several bots of one host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::privileges::is_root;
use crate::support::{fail, run, succeed};

/// A unit that no machine has.
const NAME: &str = "tbot-tpm-no-such-unit";

/// A folder of root's, and not below `/run`, where systemd makes what services need.
fn place() -> TempDir {
    let place = tempfile::Builder::new().prefix("tbot-tpm-test.").tempdir_in("/opt").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn identity(path: &str) -> Value {
    json!([{ "type": "identity", "destination": { "type": "directory", "path": path } }])
}

/// The unnamed bot and `second`, below this folder.
fn request(folder: &str, second: &Value) -> Value {
    let mut second = second.clone();
    let paths = json!({
        "name": "second", "storage_path": format!("{folder}/second"), "config_path": format!("{folder}/second.yaml"),
        "service_name": format!("{NAME}-second"),
    });
    for (name, value) in paths.as_object().unwrap() {
        second.as_object_mut().unwrap().entry(name).or_insert(value.clone());
    }
    json!({
        "action": "deploy",
        "storage": { "path": format!("{folder}/first"), "owner": "root", "group": "root" },
        "config": {
            "path": format!("{folder}/first.yaml"), "proxy_server": "example.com:443", "token": "hosts-2",
            "services": identity(&format!("{folder}/out-1")), "extra": { "debug": true }, "defaults": { "diag_addr": "127.0.0.1:3001" },
        },
        "destinations": {},
        "systemd": { "directory": folder, "name": NAME, "hardening": true, "user": "root", "group": "root" },
        "instances": [second],
        "token_suffix": "-2",
    })
}

#[test]
fn each_bot_has_its_own_of_everything_and_a_second_run_changes_nothing() {
    if !is_root() {
        return;
    }
    let place = place();
    let folder = place.path().to_str().unwrap();
    let second =
        json!({ "user": "daemon", "group": "daemon", "services": identity(&format!("{folder}/out-2")) });
    let wanted = request(folder, &second);
    let mut check = wanted.clone();
    check["_ansible_check_mode"] = json!(true);
    assert_eq!(succeed(&check)["instances"]["second"]["changed"], true);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    let made = succeed(&wanted);
    let own = &made["instances"]["second"];
    assert_eq!((&own["state"], &own["storage"]["owner"]), (&json!("present"), &json!("daemon")), "{made}");
    let content = own["config"]["content"].as_str().unwrap();
    assert!(
        content.contains("token: tbot-second-2") && content.contains(&format!("{folder}/out-2")),
        "{content}"
    );
    assert!(
        !content.contains("debug") && !content.contains("out-1") && !content.contains("3001"),
        "{content}"
    );
    for (path, uid) in [("first", 0), ("second", 1), ("out-1", 0), ("out-2", 1)] {
        let found = fs::metadata(format!("{folder}/{path}")).unwrap();
        assert_eq!((found.uid(), found.permissions().mode() & 0o777), (uid, 0o700), "{path}");
    }
    let unit = fs::read_to_string(format!("{folder}/{NAME}-second.service")).unwrap();
    assert!(unit.contains("User=daemon") && unit.contains(&format!("-c {folder}/second.yaml")), "{unit}");
    assert!(!unit.contains("out-1"), "{unit}");
    let again = succeed(&wanted);
    assert_eq!(
        (&again["changed"], &again["instances"]["second"]["changed"]),
        (&json!(false), &json!(false)),
        "{again}"
    );
}

#[test]
fn one_of_them_goes_and_then_all() {
    if !is_root() {
        return;
    }
    let place = place();
    let folder = place.path().to_str().unwrap();
    succeed(&request(folder, &json!({ "services": [] })));
    let absent = request(folder, &json!({ "state": "absent" }));
    let answer = succeed(&absent);
    assert_eq!(
        (&answer["changed"], &answer["instances"]["second"]["state"]),
        (&json!(true), &json!("absent")),
        "{answer}"
    );
    assert_eq!(answer["config"]["changed"], false);
    let names = || {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["first", "first.yaml", "out-1", &format!("{NAME}.service")]);
    assert_eq!(succeed(&absent)["changed"], false);
    succeed(&request(folder, &json!({ "services": [] })));
    let mut all = request(folder, &json!({}));
    all["state"] = json!("absent");
    succeed(&all);
    assert_eq!(names(), ["out-1"], "what services wrote may be somebody's");
    assert_eq!(succeed(&all)["changed"], false);
}

#[test]
fn the_token_stays_where_that_of_the_unnamed_bot_does() {
    if !is_root() {
        return;
    }
    let place = place();
    let folder = place.path().to_str().unwrap();
    let mut wanted = request(folder, &json!({ "services": [] }));
    succeed(&wanted);
    wanted["config"].as_object_mut().unwrap().remove("token");
    wanted.as_object_mut().unwrap().remove("token_suffix");
    assert_eq!(succeed(&wanted)["changed"], false);
}

#[test]
fn two_bots_have_nothing_in_common() {
    let refused = |second: Value| fail(&request("/srv", &second), "invalid_request");
    snapshot!(refused(json!({ "service_name": format!("{NAME}.service") })), @"`instances`: the unnamed bot and `second` would both have the service tbot-tpm-no-such-unit.service; give one another `service_name`");
    snapshot!(refused(json!({ "config_path": "/srv/first.yaml" })), @"`instances`: the unnamed bot and `second` would both have the configuration /srv/first.yaml; give one another `config_path`");
    snapshot!(refused(json!({ "storage_path": "/srv/first/second" })), @"`instances`: the unnamed bot and `second` would both have the directory /srv/first/second for their state; give one another `storage_path`, outside of the other's");
    snapshot!(refused(json!({ "diag_addr": "127.0.0.1:3001" })), @"`instances`: the unnamed bot and `second` would both have `diag_addr` 127.0.0.1:[PORT]; give one another `diag_addr`");
    snapshot!(refused(json!({ "services": identity("/srv/out-1") })), @"`instances`: the unnamed bot and `second` would both have the directory /srv/out-1 for what their services write; give one another `path` in `destination`");
    // Whichever way it is written.
    for path in ["/srv//first.yaml", "/srv/./first.yaml"] {
        for state in ["present", "absent"] {
            let mut request = request("/srv", &json!({ "config_path": "/srv/first.yaml", "state": state }));
            request["config"]["path"] = json!(path);
            assert!(
                fail(&request, "invalid_request").contains("the configuration /srv/first.yaml"),
                "{path}"
            );
        }
        assert!(
            refused(json!({ "services": identity("/srv//out-1/") })).contains("the directory /srv/out-1")
        );
    }
    // What goes takes nothing that stays.
    snapshot!(refused(json!({ "state": "absent", "config_path": "/srv/first.yaml" })), @"`instances`: `second` and the unnamed bot would both have the configuration /srv/first.yaml; give one another `config_path`");
    let mut tunnels = request(
        "/srv",
        &json!({ "services": [{ "type": "application-tunnel", "app_name": "a", "listen": "tcp://127.0.0.1:80" }] }),
    );
    tunnels["config"]["services"] =
        json!([{ "type": "application-tunnel", "app_name": "b", "listen": "TCP://127.0.0.1:80" }]);
    snapshot!(fail(&tunnels, "invalid_request"), @"`instances`: the unnamed bot and `second` would both have the address tcp://127.0.0.1:[PORT] for their services; give one another `listen`");
    let mut twice = request("/srv", &json!({}));
    twice["instances"] = json!([twice["instances"][0], twice["instances"][0]]);
    snapshot!(fail(&twice, "invalid_request"), @"two of `instances` are called `second`: give each a name of its own");
    snapshot!(refused(json!({ "services": [{ "type": "identity" }] })), @"instance second: the configuration would not be valid: `services[0]`: tbot does not start a service of type identity without `destination`");
    snapshot!(refused(json!({ "name": "../etc" })), @r#"parameter `instances[0].name` of action `deploy`: "../etc" cannot name an instance: use letters, digits, `-` and `_` (1 to 32, a letter or digit first)"#);
}

#[test]
fn what_configurations_have_already_counts_before_anything_is_done() {
    if !is_root() {
        return;
    }
    let place = place();
    let folder = place.path().to_str().unwrap();
    fs::write(format!("{folder}/second.yaml"), "version: v2\ndiag_addr: 127.0.0.1:3001\n").unwrap();
    let answer = run(&request(folder, &json!({ "services": [] })));
    assert_eq!((&answer["error"]["kind"], answer.get("changed")), (&json!("conflict"), None), "{answer}");
    assert!(answer["msg"].as_str().unwrap().contains("`diag_addr` 127.0.0.1:3001"), "{answer}");
    assert!(!place.path().join("first").exists() && !place.path().join("first.yaml").exists());
}
