//! `storage`: the private directory.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::{Value, json};
use support::{fail, succeed};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn request(path: &Path, extra: Value) -> Value {
    let mut request = json!({ "action": "storage", "path": path, "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

#[test]
fn the_directory_is_made_private_and_its_parents_are_not() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lib/teleport/bot");
    let foreseen = succeed(&request(&path, json!({ "_ansible_check_mode": true })));
    assert_eq!((&foreseen["changed"], &foreseen["created"]), (&json!(true), &json!(true)));
    assert!(!root.path().join("lib").exists(), "check mode made something");
    let answer = succeed(&request(&path, json!({})));
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["diff"], foreseen["diff"]);
    assert_eq!(answer["diff"]["before"], "state: absent\n");
    assert_eq!((answer["mode"].as_str(), mode(&path)), (Some("0700"), 0o700));
    assert_eq!(mode(path.parent().unwrap()), 0o755);
    let again = succeed(&request(&path, json!({})));
    assert_eq!((&again["changed"], &again["created"]), (&json!(false), &json!(false)));
}

#[test]
fn a_wrong_mode_is_put_right() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bot");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let foreseen = succeed(&request(&path, json!({ "_ansible_check_mode": true })));
    assert_eq!((&foreseen["changed"], mode(&path)), (&json!(true), 0o755));
    let answer = succeed(&request(&path, json!({})));
    assert_eq!(mode(&path), 0o700);
    assert!(answer["diff"]["before"].as_str().unwrap().contains("mode: '0755'"), "{answer}");
    assert!(answer["diff"]["after"].as_str().unwrap().contains("mode: '0700'"), "{answer}");
    assert_eq!(succeed(&request(&path, json!({})))["changed"], false);
}

#[test]
fn a_mode_is_octal_as_text_and_itself_as_a_number() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bot");
    for given in [json!("0750"), json!("750"), json!("0o750"), json!(488)] {
        assert_eq!(succeed(&request(&path, json!({ "mode": given })))["mode"], "0750");
        assert_eq!(mode(&path), 0o750);
    }
}

#[test]
fn owner_and_group_are_set_by_name_and_by_number() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bot");
    succeed(&request(&path, json!({ "owner": "daemon", "group": "mail" })));
    let found = fs::metadata(&path).unwrap();
    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap().uid.as_raw();
    let mail = nix::unistd::Group::from_name("mail").unwrap().unwrap().gid.as_raw();
    assert_eq!((found.uid(), found.gid()), (daemon, mail));
    let answer = succeed(&request(&path, json!({ "owner": daemon, "group": mail.to_string() })));
    assert_eq!(
        (&answer["changed"], &answer["owner"], &answer["group"]),
        (&json!(false), &json!("daemon"), &json!("mail"))
    );
    let kept = succeed(&request(&path, json!({})));
    assert_eq!((&kept["changed"], &kept["owner"]), (&json!(false), &json!("daemon")));
    chown(&path, Some(0), Some(0)).unwrap();
    assert_eq!(succeed(&request(&path, json!({ "owner": "daemon", "group": "mail" })))["changed"], true);
}

#[test]
fn an_account_that_does_not_exist_is_an_error_and_in_check_mode_a_warning() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("bot");
    let message = fail(&request(&path, json!({ "owner": "no-such-user" })), "not_found");
    assert!(message.contains("no user `no-such-user`"), "{message}");
    assert!(!path.exists());
    let answer = succeed(&request(&path, json!({ "group": "no-such-group", "_ansible_check_mode": true })));
    assert_eq!(answer["changed"], true);
    assert!(answer["warnings"][0].as_str().unwrap().contains("no group `no-such-group`"), "{answer}");
}

#[test]
fn a_link_a_file_and_a_system_directory_are_unsafe() {
    let root = tempfile::tempdir().unwrap();
    let (target, link, file) =
        (root.path().join("target"), root.path().join("link"), root.path().join("file"));
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
    symlink(&target, &link).unwrap();
    fs::write(&file, "").unwrap();
    for path in
        [link.as_path(), &file, &file.join("bot"), Path::new("/"), Path::new("/etc"), Path::new("/var/lib")]
    {
        fail(&request(path, json!({})), "unsafe_path");
    }
    assert_eq!(mode(&target), 0o755);
}

#[test]
fn a_user_who_may_not_is_told_so() {
    if nix::unistd::geteuid().is_root() {
        println!("skipped: root may");
        return;
    }
    let message = fail(&request(Path::new("/var/lib/tbot-tpm-test/bot"), json!({})), "permission_denied");
    assert!(message.contains("run as root"), "{message}");
}

#[test]
fn a_system_directory_is_recognised_by_where_a_path_leads() {
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join("link");
    symlink("/", &link).unwrap();
    for path in [
        Path::new("/proc/self/root/etc"),
        &link.join("etc"),
        Path::new("/etc/ssh"),
        Path::new("/usr/local/bin"),
    ] {
        fail(&request(path, json!({ "_ansible_check_mode": true })), "unsafe_path");
    }
}

#[test]
fn several_at_once_end_as_one_does() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/c/d/bot");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| succeed(&request(&path, json!({}))));
        }
    });
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o755));
}
