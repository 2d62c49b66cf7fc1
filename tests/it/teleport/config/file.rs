//! The file of a configuration: its mode and owners, and how it comes and goes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use serde_json::json;

use crate::support::config::{EXISTING, base, changed, place, place_with, request, with};
use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY as USER, is_root, run_as};
use crate::support::{fail, succeed};

#[test]
fn the_mode_is_put_right_and_shown() {
    let (_directory, path) = place_with(EXISTING);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let foreseen = succeed(&request(&path, json!({ "_ansible_check_mode": true })));
    assert_eq!((&foreseen["changed"], fs::metadata(&path).unwrap().mode() & 0o7777), (&json!(true), 0o644));
    let answer = succeed(&request(&path, json!({})));
    assert_eq!((&answer["changed"], &answer["diff"]), (&json!(true), &foreseen["diff"]));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_to_string(&path).unwrap(), EXISTING);
    for (side, mode) in [("before", "'0644'"), ("after", "'0640'")] {
        let text = answer["diff"][side].as_str().unwrap();
        assert!(text.contains(&format!("# mode: {mode}\n# Managed by hand")), "{text}");
    }
    assert_eq!(succeed(&request(&path, json!({})))["changed"], false);
}

#[test]
fn owner_and_group_are_put_right_and_an_owner_that_is_not_given_stays() {
    if !is_root() {
        return;
    }
    let (_directory, path) = place_with(EXISTING);
    chown(&path, Some(65_534), Some(65_534)).unwrap();
    let answer = succeed(&request(&path, json!({ "group": "daemon" })));
    let found = fs::metadata(&path).unwrap();
    let daemon = nix::unistd::Group::from_name("daemon").unwrap().unwrap().gid.as_raw();
    assert_eq!((&answer["changed"], found.uid(), found.gid()), (&json!(true), 65_534, daemon));
    assert!(answer["diff"]["after"].as_str().unwrap().contains("# group: daemon\n"), "{answer}");
    succeed(&request(&path, json!({ "group": "daemon", "owner": 0 })));
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
    let again = succeed(&request(&path, json!({ "group": daemon, "owner": "root" })));
    assert_eq!(again["changed"], false);
}

#[test]
fn a_missing_account_is_an_error_and_in_check_mode_a_warning() {
    let (_directory, path) = place();
    let extra = with(base(), json!({ "group": "no-such-group" }));
    let message = fail(&request(&path, extra.clone()), "not_found");
    assert!(message.contains("no group `no-such-group`") && !path.exists(), "{message}");
    let foreseen = succeed(&request(&path, with(extra, json!({ "_ansible_check_mode": true }))));
    assert_eq!(foreseen["changed"], true);
    snapshot!(foreseen["warnings"][0].as_str().unwrap(), @"there is no group `no-such-group` on this host");
}

#[test]
fn another_user_writes_its_own_file_and_no_other() {
    if !is_root() {
        return;
    }
    let (directory, path) = place();
    let own = with(base(), json!({ "group": USER }));
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let answer = run_as(USER, USER, &request(&path, own.clone()));
    assert_eq!(answer["error"]["kind"], "permission_denied", "{answer}");
    snapshot!(answer["msg"].as_str().unwrap(), @"cannot write [DIR]/tbot.yaml: Permission denied (os error 13); run as root (become: true), or use a path that this user may write to");
    chown(directory.path(), Some(USER), Some(USER)).unwrap();
    let answer = run_as(USER, USER, &request(&path, with(own.clone(), json!({ "group": 0 }))));
    assert_eq!(answer["error"]["kind"], "permission_denied", "only root gives files away: {answer}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "something was left");
    let answer = run_as(USER, USER, &request(&path, own.clone()));
    let found = fs::metadata(&path).unwrap();
    assert_eq!((&answer["changed"], found.uid(), found.mode() & 0o7777), (&json!(true), USER, 0o640));
    assert_eq!(run_as(USER, USER, &request(&path, own))["changed"], false);
}

#[test]
fn absent_removes_a_configuration_once() {
    let older = "auth_server: a:3025\ndestinations: []\n";
    for text in [EXISTING, older, r#"{"onboarding": {}}"#] {
        let (directory, path) = place_with(text);
        let extra = json!({ "state": "absent", "group": "no-such-group", "_ansible_check_mode": true });
        let foreseen = succeed(&request(&path, extra));
        assert!(path.exists(), "check mode removed the file");
        let answer = succeed(&request(&path, json!({ "state": "absent" })));
        assert_eq!((&answer["changed"], &answer["content"]), (&json!(true), &json!("")));
        assert_eq!(answer["diff"], foreseen["diff"]);
        assert_eq!((&answer["diff"]["before"], &answer["diff"]["after"]), (&json!(text), &json!("")));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(succeed(&request(&path, json!({ "state": "absent" })))["changed"], false);
        let elsewhere = directory.path().join("no/dir/tbot.yaml");
        assert_eq!(succeed(&request(&elsewhere, json!({ "state": "absent" })))["changed"], false);
    }
}

#[test]
fn only_what_killed_runs_left_is_swept_away() {
    let (directory, path) = place_with(EXISTING);
    let place = |name: &str| directory.path().join(name);
    for name in [".tbot_tpm.yaml", ".tbot_tpm.0123456789abcdef0", ".tbot_tpm.0123456789abcdef"] {
        fs::write(place(name), "").unwrap();
    }
    succeed(&request(&path, base()));
    assert!(place(".tbot_tpm.yaml").exists() && place(".tbot_tpm.0123456789abcdef0").exists());
    assert!(!place(".tbot_tpm.0123456789abcdef").exists());
}

#[test]
fn several_at_once_end_as_one_does() {
    let (directory, path) = place_with(EXISTING);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| succeed(&request(&path, base())));
        }
    });
    assert_eq!(succeed(&request(&path, base()))["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), changed(EXISTING, base()).0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
