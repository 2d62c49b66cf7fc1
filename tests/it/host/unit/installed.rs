//! `systemd`: the service unit.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use serde_json::{Value, json};

use crate::support::privileges::is_root;
use crate::support::systemd::{BY_TBOT, MARKER, install, request, warnings};
use crate::support::{fail, succeed};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_unit_is_what_tbot_itself_installs() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(directory.path(), json!({ "user": "root", "group": "root" }));
    let by_tbot = BY_TBOT.replace("=teleport", "=root");
    let expected = format!("{MARKER} tbot\n{by_tbot}");
    assert_eq!(answer["content"], expected);
    let path = directory.path().join("tbot.service");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(mode(&path), 0o644);
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(true), &json!(true)));
}

#[test]
fn every_parameter_shows_in_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(
        directory.path(),
        json!({
            "name": "tbot-web", "user": "web", "group": "1500", "supplementary_groups": ["tss", 1500],
            "config": "/etc/web.yaml", "tbot_path": "/opt/teleport/bin/tbot", "anonymous_telemetry": "yes", "pid_file": "",
        }),
    );
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
fn accounts_that_do_not_exist_are_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(
        directory.path(),
        json!({ "user": "no-such-user", "group": "root", "supplementary_groups": ["no-such-group", 71_234, "daemon"] }),
    );
    let expected = ["no group `no-such-group`", "no user `no-such-user`"]
        .map(|what| format!("there is {what} on this host, without which the service cannot start"));
    assert_eq!(answer["warnings"], json!(expected));
    let known = json!({ "user": "root", "group": "root" });
    assert_eq!(install(directory.path(), known)["warnings"], json!([]));
}

#[test]
fn a_missing_directory_is_made_but_in_check_mode() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let foreseen = succeed(&request(&missing, json!({ "_ansible_check_mode": true })));
    assert_eq!((&foreseen["changed"], warnings(&foreseen).len()), (&json!(true), 0));
    assert!(!missing.exists(), "check mode made something");
    assert_eq!(install(&missing, json!({}))["content"], foreseen["content"]);
    assert_eq!(mode(&missing), 0o755);
    assert_eq!(install(&missing, json!({}))["changed"], false);
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
    assert_eq!(mode(&path), 0o644);
    assert!(answer["diff"]["before"].as_str().unwrap().contains("'0666'"), "{answer}");
}

#[test]
fn a_unit_that_another_user_owns_becomes_roots() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    install(directory.path(), json!({}));
    chown(&path, Some(1), Some(1)).unwrap();
    let foreseen = succeed(&request(directory.path(), json!({ "_ansible_check_mode": true })));
    let answer = install(directory.path(), json!({}));
    assert_eq!((&answer["changed"], &answer["diff"]), (&json!(true), &foreseen["diff"]));
    assert!(
        answer["diff"]["after"].as_str().unwrap().starts_with("# owner: root, mode: '0644'\n"),
        "{answer}"
    );
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
    assert_eq!(install(directory.path(), json!({}))["changed"], false);
}

#[test]
fn a_unit_of_ours_is_replaced_without_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    fs::write(&path, format!("{MARKER} tbot\n[Service]\nExecStart=/bin/false\n")).unwrap();
    let answer = install(directory.path(), json!({}));
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(true), &json!(true)));
}

#[test]
fn a_masked_unit_is_an_error_that_says_how_to_unmask_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    symlink("/dev/null", &path).unwrap();
    for mode in ["auto", "unit", "drop_in"] {
        for check_mode in [true, false] {
            let extra = json!({ "force": true, "mode": mode, "_ansible_check_mode": check_mode });
            let message = fail(&request(directory.path(), extra), "unsafe_path");
            assert!(message.contains("systemctl unmask tbot.service"), "{message}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    // It is nobody's unit, so there is nothing to remove.
    let absent = succeed(&request(directory.path(), json!({ "state": "absent" })));
    assert_eq!((&absent["changed"], &absent["warnings"]), (&json!(false), &json!([])));
    assert!(path.is_symlink());
}

#[test]
fn a_link_to_elsewhere_is_not_replaced_by_a_unit() {
    let directory = tempfile::tempdir().unwrap();
    let (path, target) = (directory.path().join("tbot.service"), directory.path().join("elsewhere"));
    fs::write(&target, "[Service]\nExecStart=/bin/true\n").unwrap();
    symlink(&target, &path).unwrap();
    for check_mode in [true, false] {
        let extra = json!({ "force": true, "mode": "unit", "_ansible_check_mode": check_mode });
        fail(&request(directory.path(), extra), "unsafe_path");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "[Service]\nExecStart=/bin/true\n");
}

#[test]
fn our_unit_is_removed_and_then_nothing_is_left_to_remove() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    install(directory.path(), json!({ "user": "web" }));
    let absent = |check_mode| json!({ "state": "absent", "_ansible_check_mode": check_mode });
    let foreseen = succeed(&request(directory.path(), absent(true)));
    assert!(foreseen["changed"] == true && path.exists(), "{foreseen}");
    let answer = succeed(&request(directory.path(), absent(false)));
    for name in ["changed", "diff", "path", "content", "mode", "needs_daemon_reload"] {
        assert_eq!(answer[name], foreseen[name], "{name}");
    }
    assert_eq!(
        (&answer["path"], &answer["content"], &answer["mode"], &answer["needs_daemon_reload"]),
        (&json!(path), &json!(""), &json!("unit"), &json!(true))
    );
    assert!(answer["diff"]["before"].as_str().unwrap().contains("User=web"), "{answer}");
    assert_eq!(answer["diff"]["after"], "");
    for check_mode in [true, false] {
        let again = succeed(&request(directory.path(), absent(check_mode)));
        assert_eq!((&again["changed"], &again["needs_daemon_reload"]), (&json!(false), &json!(false)));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let missing = request(&directory.path().join("missing"), absent(false));
    assert_eq!(succeed(&missing)["changed"], false);
}

#[test]
fn several_at_once_end_as_one_does() {
    let directory = tempfile::tempdir().unwrap();
    let several = |extra: Value| {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| succeed(&request(directory.path(), extra.clone())));
            }
        });
    };
    let content = |path: &str| fs::read_to_string(directory.path().join(path)).unwrap();
    let expected = succeed(&request(directory.path(), json!({ "_ansible_check_mode": true })));
    several(json!({}));
    assert_eq!(content("tbot.service"), expected["content"].as_str().unwrap());
    several(json!({ "name": "other", "mode": "drop_in" }));
    assert!(content("other.service.d/10-tbot-tpm.conf").starts_with(MARKER));
    assert_eq!(mode(&directory.path().join("other.service.d")), 0o755);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "a temporary file was left");
    several(json!({ "state": "absent" }));
    several(json!({ "name": "other", "state": "absent" }));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
