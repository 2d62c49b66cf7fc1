//! `systemd`: the service unit.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{fail, succeed};

fn request(directory: &Path, extra: Value) -> Value {
    let mut request = json!({ "action": "systemd", "directory": directory, "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

#[test]
fn the_unit_is_what_tbot_itself_installs() {
    let directory = tempfile::tempdir().unwrap();
    let answer = succeed(&request(directory.path(), json!({})));
    let expected = "\
# Written by tbot_tpm. Put changes of your own into a drop-in: systemctl edit tbot
[Unit]
Description=\"tbot - Teleport Machine & Workload Identity Service\"
After=network.target

[Service]
Type=simple
User=teleport
Group=teleport
Restart=always
RestartSec=5
Environment=\"TELEPORT_ANONYMOUS_TELEMETRY=0\"
ExecStart=/usr/local/bin/tbot start -c /etc/tbot.yaml --pid-file=/run/tbot.pid
ExecReload=/bin/kill -HUP $MAINPID
PIDFile=/run/tbot.pid
LimitNOFILE=524288

[Install]
WantedBy=multi-user.target
";
    assert_eq!(answer["content"], expected);
    let path = directory.path().join("tbot.service");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(true), &json!(true)));
}

#[test]
fn every_parameter_shows_in_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let answer = succeed(&request(
        directory.path(),
        json!({
            "name": "tbot-web", "user": "web", "group": "1500", "supplementary_groups": ["tss", 1500],
            "config": "/etc/web.yaml", "tbot_path": "/opt/teleport/bin/tbot", "anonymous_telemetry": "yes", "pid_file": "",
        }),
    ));
    let content = answer["content"].as_str().unwrap();
    for line in [
        "User=web",
        "Group=1500",
        "SupplementaryGroups=tss 1500",
        "Environment=\"TELEPORT_ANONYMOUS_TELEMETRY=1\"",
        "ExecStart=/opt/teleport/bin/tbot start -c /etc/web.yaml",
    ] {
        assert!(content.lines().any(|found| found == line), "{line} is not in\n{content}");
    }
    assert!(!content.contains("pid"), "{content}");
    assert!(directory.path().join("tbot-web.service").exists());
}

#[test]
fn systemd_accepts_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("skipped: there is no systemd-analyze");
        return;
    }
    if !Path::new("/run/systemd").exists() && !nix::unistd::geteuid().is_root() {
        println!("skipped: systemd is not running, and systemd-analyze then needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let extra = json!({ "tbot_path": "/bin/true", "user": "root", "group": "root", "supplementary_groups": ["daemon"] });
    succeed(&request(directory.path(), extra));
    let unit = directory.path().join("tbot.service");
    let output = Command::new("systemd-analyze").args(["verify", unit.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("tbot")).collect();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

#[test]
fn check_mode_foresees_and_a_second_run_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let foreseen = succeed(&request(directory.path(), json!({ "_ansible_check_mode": true })));
    assert_eq!(foreseen["changed"], true);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let first = succeed(&request(directory.path(), json!({})));
    assert_eq!(first["diff"], foreseen["diff"]);
    let second = succeed(&request(directory.path(), json!({})));
    assert_eq!((&second["changed"], &second["needs_daemon_reload"]), (&json!(false), &json!(false)));
    let changed = succeed(&request(directory.path(), json!({ "user": "web" })));
    assert_eq!(changed["changed"], true);
    assert!(changed["diff"]["before"].as_str().unwrap().contains("User=teleport"));
    assert!(changed["diff"]["after"].as_str().unwrap().contains("User=web"));
}

#[test]
fn a_missing_directory_is_an_error_and_in_check_mode_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let message = fail(&request(&missing, json!({})), "not_found");
    assert!(message.ends_with(&format!("there is no directory {}", missing.display())), "{message}");
    let foreseen = succeed(&request(&missing, json!({ "_ansible_check_mode": true })));
    assert_eq!((&foreseen["changed"], foreseen["warnings"].as_array().unwrap().len()), (&json!(true), 1));
}

#[test]
fn a_unit_of_someone_else_stays_unless_forced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    let theirs = "[Service]\nExecStart=/usr/bin/true\n";
    fs::write(&path, theirs).unwrap();
    fail(&request(directory.path(), json!({})), "conflict");
    fail(&request(directory.path(), json!({ "_ansible_check_mode": true })), "conflict");
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    assert_eq!(succeed(&request(directory.path(), json!({ "force": true })))["changed"], true);
    assert!(fs::read_to_string(&path).unwrap().contains("tbot start"));
}

#[test]
fn a_unit_that_says_the_same_is_unchanged_whoever_wrote_it() {
    let directory = tempfile::tempdir().unwrap();
    let content = succeed(&request(directory.path(), json!({})))["content"].as_str().unwrap().to_owned();
    let path = directory.path().join("tbot.service");
    let theirs = content.lines().skip(1).collect::<Vec<_>>().join("\n").replace("User=", "User = ");
    fs::write(&path, &theirs).unwrap();
    assert_eq!(succeed(&request(directory.path(), json!({})))["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
}

#[test]
fn a_unit_that_others_may_write_is_put_right() {
    let directory = tempfile::tempdir().unwrap();
    succeed(&request(directory.path(), json!({})));
    let path = directory.path().join("tbot.service");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let answer = succeed(&request(directory.path(), json!({})));
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(true), &json!(false)));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert!(answer["diff"]["before"].as_str().unwrap().contains("'0666'"), "{answer}");
}

#[test]
fn names_and_paths_that_systemd_would_read_differently_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for extra in [
        json!({ "name": "../x" }),
        json!({ "name": "a b" }),
        json!({ "user": "a b" }),
        json!({ "user": "root\\" }),
        json!({ "supplementary_groups": ["tss\\"] }),
        json!({ "user": "a\nExecStartPre=/bin/sh" }),
        json!({ "supplementary_groups": ["tss wheel"] }),
        json!({ "config": "/etc/t bot.yaml" }),
        json!({ "config": "/etc/%h.yaml" }),
        json!({ "tbot_path": "/usr/bin/tbot\n" }),
        json!({ "tbot_path": "tbot" }),
        json!({ "pid_file": "tbot.pid" }),
    ] {
        fail(&request(directory.path(), extra), "invalid_request");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_link_in_the_units_place_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    symlink("/dev/null", directory.path().join("tbot.service")).unwrap();
    for check_mode in [true, false] {
        let extra = json!({ "force": true, "_ansible_check_mode": check_mode });
        fail(&request(directory.path(), extra), "unsafe_path");
    }
}
