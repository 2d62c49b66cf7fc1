//! `deploy`: a bot's host in one request, by what its parts do one by one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::access::{answer, in_own_etc};
use crate::support::messages::snapshot;
use crate::support::privileges::{is_root, roots_place};
use crate::support::{SoftwareTpm, fail, run, succeed};

/// A unit that no machine has.
const NAME: &str = "tbot-tpm-no-such-unit";

/// A request with all but the service, below this folder.
fn request(folder: &str, tcti: Option<&str>) -> Value {
    let access = tcti.map(|tcti| json!({ "tcti": tcti, "user": "teleport", "group": "teleport" }));
    json!({
        "action": "deploy",
        "access": access,
        "storage": { "path": format!("{folder}/bot") },
        "config": { "path": format!("{folder}/tbot.yaml"), "proxy_server": "example.com:443", "token": "fleet" },
        "systemd": { "directory": folder, "name": NAME, "hardening": true },
        "_ansible_diff": true,
    })
}

fn with(mut request: Value, more: &Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn a_bare_host_is_set_up_in_one_request_as_check_mode_foresaw() {
    if !is_root() {
        return;
    }
    let tpm = SoftwareTpm::start();
    let place = roots_place();
    let folder = place.path().to_str().unwrap();
    let wanted = request(folder, Some(&tpm.tcti()));
    let script = r#"
        printf %s "$1" | "$TBOT_TPM"
        printf %s "$2" | "$TBOT_TPM"
        stat -c "%U %G %a" "$3/bot" "$3/tbot.yaml"
        printf %s "$2" | "$TBOT_TPM"
        printf %s "$4" | "$TBOT_TPM"
        ls "$3"
        printf %s "$4" | "$TBOT_TPM"
    "#;
    let check = with(wanted.clone(), &json!({ "_ansible_check_mode": true }));
    let absent = with(wanted.clone(), &json!({ "state": "absent" }));
    let lines =
        in_own_etc(script, &[check.to_string(), wanted.to_string(), folder.to_owned(), absent.to_string()]);
    let foreseen = answer(&lines[0]);
    assert_eq!((&foreseen["changed"], &foreseen["warnings"]), (&json!(true), &json!([])), "{foreseen}");
    let made = answer(&lines[1]);
    assert_eq!((&made["access"]["verified"], &made["warnings"]), (&json!(true), &json!([])), "{made}");
    assert_eq!(made["diff"], foreseen["diff"]);
    assert_eq!(made["diff"].as_array().unwrap().len(), 4);
    // Names, not numbers, of an account that was not there yet.
    assert!(made["diff"][1]["after"].as_str().unwrap().contains("owner: teleport\ngroup: teleport\n"));
    assert_eq!(lines[2..4], ["teleport teleport 700", "root teleport 640"]);
    // What the configuration says that the bot writes, which check mode has not written.
    let unit = foreseen["systemd"]["content"].as_str().unwrap();
    assert!(unit.contains(&format!("{folder}/bot")) && !unit.contains("/var/lib/teleport"), "{unit}");
    assert!(unit.contains(&format!("-c {folder}/tbot.yaml")), "{unit}");
    let again = answer(&lines[4]);
    assert_eq!(again["changed"], false, "{again}");
    let gone = answer(&lines[5]);
    assert_eq!((&gone["changed"], gone.get("access")), (&json!(true), None), "{gone}");
    assert_eq!(answer(&lines[6])["changed"], false, "nothing is left, not even a line of ls: {lines:?}");
}

#[test]
fn it_stops_at_the_first_failure_says_where_and_goes_on_from_there() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let folder = place.path().to_str().unwrap();
    let file = place.path().join("tbot.yaml");
    fs::write(&file, "not: a\nbot: [").unwrap();
    let mut wanted = request(folder, None);
    wanted["config"]["group"] = json!("root");
    wanted["storage"]["owner"] = json!("root");
    let answer = run(&wanted);
    assert_eq!((&answer["failed"], &answer["error"]["kind"]), (&json!(true), &json!("conflict")), "{answer}");
    // What was done before is told all the same.
    assert_eq!((&answer["changed"], &answer["storage"]["changed"]), (&json!(true), &json!(true)));
    assert_eq!(answer["diff"].as_array().unwrap().len(), 1);
    let message = answer["msg"].as_str().unwrap();
    assert!(message.starts_with("config failed after storage had been done: /"), "{message}");
    assert!(place.path().join("bot").is_dir() && !place.path().join(format!("{NAME}.service")).exists());
    for check_mode in [true, false] {
        let again = with(wanted.clone(), &json!({ "_ansible_check_mode": check_mode }));
        assert!(fail(&again, "conflict").starts_with("config failed: /"));
    }
    fs::remove_file(file).unwrap();
    let answer = succeed(&wanted);
    assert_eq!(
        (&answer["storage"]["changed"], &answer["config"]["changed"]),
        (&json!(false), &json!(true)),
        "{answer}"
    );
}

#[test]
fn nothing_is_done_where_any_part_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let bot = place.path().join("bot");
    let wrong = [
        json!({ "config": { "proxy_server": "a b" } }),
        json!({ "config": "proxy_server" }),
        json!({ "systemd": { "hardning": true } }),
        json!({ "storage": { "path": bot, "state": "absent" } }),
        json!({ "service": { "state": "running" } }),
        json!({ "service": { "enabled": "perhaps" } }),
        json!({ "unit": {} }),
    ];
    for more in wrong {
        let request = with(json!({ "action": "deploy", "storage": { "path": bot } }), &more);
        fail(&request, "invalid_request");
        assert!(!bot.exists(), "{more}");
    }
    snapshot!(fail(&json!({ "action": "deploy" }), "invalid_request"), @"action `deploy` has nothing to do; give at least one of program, access, storage, config, destinations, systemd and service, each as an object");
    snapshot!(fail(&json!({ "action": "deploy", "storage": { "state": "absent" } }), "invalid_request"), @"parameter `storage` of action `deploy` may not have `state`: give `state` of the deployment");
}

#[test]
fn module_defaults_reach_the_parts_that_have_such_parameters() {
    let place = tempfile::tempdir().unwrap();
    let request = json!({
        "action": "deploy", "_ansible_check_mode": true,
        "systemd": { "directory": place.path(), "user": "root", "group": "root", "name": NAME },
        "supplementary_groups": ["root"], "config": "/etc/other.yaml", "tcti": "device:/dev/no-such-tpm", "group": "daemon",
        "_tbot_defaults": ["supplementary_groups", "config", "tcti", "group"],
    });
    let answer = succeed(&request);
    let unit = answer["systemd"]["content"].as_str().unwrap();
    assert!(
        unit.contains("SupplementaryGroups=root\n")
            && unit.contains("-c /etc/other.yaml")
            && unit.contains("Group=root\n")
    );
    assert!(answer.get("config").is_none(), "{answer}");
}

#[test]
fn secrets_of_a_part_are_masked_and_the_name_of_its_token_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let onboarding = json!({ "onboarding": { "registration_secret": "hunter2" } });
    let request = json!({
        "action": "deploy", "_ansible_check_mode": true, "_ansible_diff": true,
        "config": {
            "path": place.path().join("tbot.yaml"), "proxy_server": "example.com:443", "token": "fleet", "group": "root",
            "extra": { "credential": { "password": "hunter2" } },
        },
    });
    let text = run(&request).to_string();
    assert!(
        !text.contains("hunter2") && text.contains("token: fleet") && text.contains(r#""token":"fleet""#),
        "{text}"
    );
    let mut wrong = request;
    wrong["config"]["defaults"] = onboarding;
    assert!(!run(&wrong).to_string().contains("hunter2"));
}

#[test]
fn without_systemd_a_service_is_foreseen_with_a_word_and_else_refused() {
    let request = json!({ "action": "service", "name": NAME, "state": "started", "enabled": true });
    let foreseen = succeed(&with(request.clone(), &json!({ "_ansible_check_mode": true })));
    assert_eq!(foreseen["changed"], true);
    let commands = [format!("systemctl enable {NAME}.service"), format!("systemctl start {NAME}.service")];
    assert_eq!(foreseen["commands"], json!(commands));
    assert_eq!(foreseen["warnings"].as_array().unwrap().len(), 1, "{foreseen}");
    fail(&request, "not_found");
    // What does not run needs no systemd to be stopped.
    let stopped =
        succeed(&json!({ "action": "service", "name": NAME, "state": "stopped", "enabled": false }));
    assert_eq!((&stopped["changed"], &stopped["commands"]), (&json!(false), &json!([])));
}

/// A program that says this version of itself.
fn program(folder: &str, version: &str) -> String {
    let path = format!("{folder}/tbot");
    fs::write(&path, format!("#!/bin/sh\necho Teleport v{version} git:v{version}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_the_program_does_not_start_with_is_said_before_it_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    let roles = json!([{ "type": "identity", "destination": { "type": "memory" }, "roles": ["access"] }]);
    let request = |services: &Value, found: &str, wanted: &str| {
        json!({
            "action": "deploy",
            "program": { "path": program(folder, found), "version": wanted },
            "config": {
                "path": format!("{folder}/tbot.yaml"), "proxy_server": "example.com:443", "token": "fleet", "services": services,
                "group": rustix::process::getegid().as_raw().to_string(),
            },
        })
    };
    let said = "tbot 19 does not start with `services[0].roles`";
    for (found, wanted) in [("18.9.9", "19.0.0"), ("19.0.0", "19.0.0")] {
        for state in ["present", "compared"] {
            let answer = run(&with(request(&roles, found, wanted), &json!({ "state": state })));
            let message = answer["msg"].as_str().unwrap();
            assert!(
                message.contains("would not work with tbot 19.0.0") && message.contains(said),
                "{message}"
            );
            assert_eq!(answer["error"]["kind"], "conflict");
            assert!(!place.path().join("tbot.yaml").exists());
        }
    }
    // What is fine is compared, and no more.
    let compared = succeed(&with(request(&json!([]), "18.9.9", "19.0.0"), &json!({ "state": "compared" })));
    assert_eq!((&compared["changed"], &compared["program"]["to_install"]), (&json!(false), &json!(true)));
    assert!(compared.get("config").is_none() && !place.path().join("tbot.yaml").exists());
    // An older one starts, and people are told in advance.
    let answer = succeed(&request(&roles, "18.9.9", "18.9.9"));
    assert!(answer["warnings"][0].as_str().unwrap().starts_with(said), "{answer}");
    let mut alone = request(&roles, "18.9.9", "18.9.9")["config"].clone();
    alone["action"] = json!("config");
    assert_eq!(succeed(&alone)["changed"], false);
    alone["tbot_version"] = json!("19.1.0");
    assert!(fail(&alone, "conflict").contains("would not work with tbot 19.1.0"));
    alone["services"] = json!([{ "type": "spiffe-svid", "destination": { "type": "memory" } }]);
    assert!(fail(&alone, "conflict").contains("use workload-identity-x509 instead"));
}
