//! `systemd` where the unit is another's: what a drop-in says, and when one is written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::systemd::{MARKER, PACKAGED, install, request, warnings};
use crate::support::{fail, succeed};

/// A directory with a unit of someone else's.
fn with_unit_of_someone_else() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("tbot.service"), PACKAGED).unwrap();
    directory
}

fn drop_in(directory: &Path) -> PathBuf {
    directory.join("tbot.service.d/10-tbot-tpm.conf")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_drop_in_leaves_the_command_to_the_unit() {
    let directory = with_unit_of_someone_else();
    let answer = install(
        directory.path(),
        json!({ "mode": "drop_in", "supplementary_groups": ["tss"], "user": "web" }),
    );
    let expected = "\
# Written by tbot_tpm. Put changes of your own into a drop-in: systemctl edit tbot
[Service]
User=web
Group=teleport
SupplementaryGroups=tss
Environment=\"TELEPORT_ANONYMOUS_TELEMETRY=0\"
";
    let path = drop_in(directory.path());
    assert_eq!(
        (&answer["content"], &answer["path"], &answer["mode"], &answer["needs_daemon_reload"]),
        (&json!(expected), &json!(path), &json!("drop_in"), &json!(true))
    );
    assert_eq!(warnings(&answer), [""; 0]);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
    assert_eq!(fs::read_to_string(directory.path().join("tbot.service")).unwrap(), PACKAGED);
    let again = install(
        directory.path(),
        json!({ "mode": "drop_in", "supplementary_groups": ["tss"], "user": "web" }),
    );
    assert_eq!((&again["changed"], &again["needs_daemon_reload"]), (&json!(false), &json!(false)));
}

#[test]
fn a_drop_in_has_the_command_where_any_of_it_is_given() {
    for (extra, command) in [
        (
            json!({ "config": "/etc/web.yaml" }),
            "ExecStart=/usr/local/bin/tbot start -c /etc/web.yaml --pid-file=/run/tbot/tbot.pid\nPIDFile=/run/tbot/tbot.pid\nRuntimeDirectory=tbot",
        ),
        (
            json!({ "tbot_path": "/opt/tbot" }),
            "ExecStart=/opt/tbot start -c /etc/tbot.yaml --pid-file=/run/tbot/tbot.pid\nPIDFile=/run/tbot/tbot.pid\nRuntimeDirectory=tbot",
        ),
        (json!({ "pid_file": "" }), "ExecStart=/usr/local/bin/tbot start -c /etc/tbot.yaml\nPIDFile="),
        (
            json!({ "pid_file": "/run/x.pid", "user": "root" }),
            "ExecStart=/usr/local/bin/tbot start -c /etc/tbot.yaml --pid-file=/run/x.pid\nPIDFile=/run/x.pid",
        ),
    ] {
        let directory = with_unit_of_someone_else();
        let mut request = json!({ "mode": "drop_in" });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = install(directory.path(), request.clone());
        let content = answer["content"].as_str().unwrap();
        assert!(content.ends_with(&format!("\nExecStart=\n{command}\n")), "{content}");
        assert_eq!(install(directory.path(), request)["changed"], false);
    }
}

#[test]
fn check_mode_foresees_a_drop_in_and_its_directory() {
    let directory = with_unit_of_someone_else();
    let extra = |check_mode| json!({ "mode": "drop_in", "_ansible_check_mode": check_mode });
    let foreseen = succeed(&request(directory.path(), extra(true)));
    assert_eq!((&foreseen["changed"], warnings(&foreseen)), (&json!(true), vec![]));
    assert!(!drop_in(directory.path()).parent().unwrap().exists(), "check mode made something");
    let answer = succeed(&request(directory.path(), extra(false)));
    for name in ["changed", "diff", "path", "content", "mode", "needs_daemon_reload"] {
        assert_eq!(answer[name], foreseen[name], "{name}");
    }
    let missing = directory.path().join("missing");
    assert_eq!(succeed(&request(&missing, extra(true)))["changed"], true);
    assert!(!missing.exists(), "check mode made something");
    assert_eq!(succeed(&request(&missing, extra(false)))["changed"], true);
    assert!(drop_in(&missing).is_file());
}

#[test]
fn a_drop_in_without_a_unit_is_written_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(directory.path(), json!({ "mode": "drop_in" }));
    assert!(answer["warnings"].to_string().contains("no unit tbot.service"), "{answer}");
}

#[test]
fn the_users_own_drop_in_stays_and_sorts_after_ours() {
    let directory = with_unit_of_someone_else();
    let theirs = drop_in(directory.path()).with_file_name("override.conf");
    fs::create_dir(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "[Service]\nUser=me\n").unwrap();
    let ours = install(directory.path(), json!({ "mode": "drop_in" }))["path"].as_str().unwrap().to_owned();
    assert!(Path::new(&ours).file_name() < theirs.file_name());
    succeed(&request(directory.path(), json!({ "state": "absent", "force": true })));
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "[Service]\nUser=me\n");
    assert!(!Path::new(&ours).exists());
}

#[test]
fn a_drop_in_of_someone_else_stays_unless_forced() {
    let directory = with_unit_of_someone_else();
    let path = drop_in(directory.path());
    let theirs = "[Service]\nUser=me\n";
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, theirs).unwrap();
    fail(&request(directory.path(), json!({ "mode": "drop_in" })), "conflict");
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    assert_eq!(install(directory.path(), json!({ "mode": "drop_in", "force": true }))["changed"], true);
    fs::write(&path, format!("{MARKER} tbot\n[Service]\n")).unwrap();
    assert_eq!(install(directory.path(), json!({ "mode": "drop_in" }))["changed"], true);
}

#[test]
fn a_drop_in_goes_and_the_unit_that_it_added_to_stays() {
    let directory = with_unit_of_someone_else();
    for force in [false, true] {
        install(directory.path(), json!({ "mode": "drop_in" }));
        let extra = json!({ "mode": "drop_in", "state": "absent", "force": force });
        let answer = succeed(&request(directory.path(), extra));
        assert_eq!((&answer["changed"], &answer["mode"]), (&json!(true), &json!("drop_in")));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(directory.path().join("tbot.service")).unwrap(), PACKAGED);
    }
}

#[test]
fn a_link_in_place_of_the_drop_ins_directory_is_not_followed() {
    let directory = with_unit_of_someone_else();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), directory.path().join("tbot.service.d")).unwrap();
    for extra in [json!({ "mode": "drop_in" }), json!({ "state": "absent" }), json!({ "mode": "unit" })] {
        fail(&request(directory.path(), extra), "unsafe_path");
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn our_other_file_goes_once_the_wanted_one_is_there() {
    let directory = tempfile::tempdir().unwrap();
    install(directory.path(), json!({ "mode": "drop_in" }));
    let extra = |check_mode| json!({ "mode": "unit", "_ansible_check_mode": check_mode });
    let foreseen = succeed(&request(directory.path(), extra(true)));
    assert!(drop_in(directory.path()).exists());
    let answer = succeed(&request(directory.path(), extra(false)));
    assert_eq!(answer["diff"], foreseen["diff"]);
    let before = answer["diff"]["before"].as_str().unwrap();
    assert!(before.contains("[Service]") && !before.contains("[Install]"), "{before}");
    assert!(!directory.path().join("tbot.service.d").exists());
    assert_eq!(succeed(&request(directory.path(), extra(false)))["changed"], false);
    // Of another's drop-in nothing is known.
    fs::create_dir(directory.path().join("tbot.service.d")).unwrap();
    fs::write(drop_in(directory.path()), "[Service]\n").unwrap();
    assert_eq!(succeed(&request(directory.path(), extra(false)))["changed"], false);
    assert!(drop_in(directory.path()).exists());
}

#[test]
fn an_empty_directory_of_someone_elses_stays() {
    for extra in [json!({}), json!({ "state": "absent" })] {
        let directory = tempfile::tempdir().unwrap();
        install(directory.path(), json!({}));
        fs::create_dir(directory.path().join("tbot.service.d")).unwrap();
        succeed(&request(directory.path(), extra));
        assert!(directory.path().join("tbot.service.d").exists());
    }
}

#[test]
fn a_drop_in_to_a_persons_own_unit_comes_and_goes_and_the_unit_stays() {
    let directory = with_unit_of_someone_else();
    let unit = directory.path().join("tbot.service");
    // Nobody said that it is to be added to, and it is no package's.
    fail(&request(directory.path(), json!({})), "conflict");
    install(directory.path(), json!({ "mode": "drop_in" }));
    let again = install(directory.path(), json!({}));
    assert_eq!((&again["changed"], &again["mode"]), (&json!(false), &json!("drop_in")));
    for force in [false, true] {
        install(directory.path(), json!({ "mode": "drop_in" }));
        let absent = request(directory.path(), json!({ "state": "absent", "force": force }));
        assert_eq!(succeed(&absent)["changed"], true);
        assert_eq!(succeed(&absent)["changed"], false);
        assert!(!unit.with_extension("service.d").exists());
        assert_eq!(fs::read_to_string(&unit).unwrap(), PACKAGED);
    }
}

#[test]
fn a_drop_in_follows_the_command_of_its_unit_where_it_can() {
    let command = |answer: &serde_json::Value| {
        let content = answer["content"].as_str().unwrap();
        content.lines().rev().find_map(|line| line.strip_prefix("ExecStart=")).map(str::to_owned)
    };
    for (unit, extra, expected) in [
        ("/opt/t/tbot start -c /etc/t.yaml", json!({ "config": "/etc/t.yaml" }), None),
        (
            "/opt/t/tbot start -c /etc/t.yaml",
            json!({ "config": "/etc/t.yaml", "tbot_path": "/opt/t/tbot" }),
            None,
        ),
        (
            "/opt/t/tbot start -c /etc/t.yaml",
            json!({ "config": "/etc/other.yaml", "pid_file": "" }),
            Some("/opt/t/tbot start -c /etc/other.yaml"),
        ),
        (
            "/opt/t/tbot start -c /etc/t.yaml",
            json!({ "pid_file": "" }),
            Some("/opt/t/tbot start -c /etc/t.yaml"),
        ),
        (
            "/opt/t/wrapper -c /etc/t.yaml",
            json!({ "pid_file": "" }),
            Some("/usr/local/bin/tbot start -c /etc/t.yaml"),
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("[Service]\nExecStart={unit}\n");
        fs::write(directory.path().join("tbot.service"), text).unwrap();
        let mut all = json!({ "mode": "drop_in" });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = succeed(&request(directory.path(), all));
        assert_eq!(command(&answer).as_deref(), expected, "{unit} {extra}");
    }
}

#[test]
fn our_unit_does_not_go_where_it_is_the_only_one() {
    let directory = tempfile::tempdir().unwrap();
    install(directory.path(), json!({}));
    let message = fail(&request(directory.path(), json!({ "mode": "drop_in" })), "conflict");
    snapshot!(message, @"[DIR]/tbot.service is the only unit of its name, and a drop-in alone starts nothing; install the unit that the drop-in is for first, or use `mode: unit`");
    assert!(directory.path().join("tbot.service").exists() && !drop_in(directory.path()).exists());
    // An earlier task may be about to install one.
    let foreseen =
        succeed(&request(directory.path(), json!({ "mode": "drop_in", "_ansible_check_mode": true })));
    assert!(foreseen["warnings"].to_string().contains("the only unit"), "{foreseen}");
}

#[test]
fn a_linked_unit_gets_a_drop_in_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("from-teleport-update");
    fs::write(&target, PACKAGED).unwrap();
    symlink(&target, directory.path().join("tbot.service")).unwrap();
    let answer = install(directory.path(), json!({}));
    assert_eq!((&answer["mode"], warnings(&answer)), (&json!("drop_in"), vec![]));
    assert_eq!(install(directory.path(), json!({}))["changed"], false);
    assert_eq!(succeed(&request(directory.path(), json!({ "state": "absent" })))["changed"], true);
    assert_eq!(fs::read_to_string(&target).unwrap(), PACKAGED);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}
