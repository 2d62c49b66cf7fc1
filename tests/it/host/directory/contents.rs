//! `storage`: what is in the directory already.

use std::fs::{self, Permissions, hard_link};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY, directory, file, group, is_root, owned, place, run_as, user};
use crate::support::storage::{bot, changes, diff, in_check_mode, request, wanted, warnings};
use crate::support::{fail, succeed, tool};

fn acl(path: &Path) -> String {
    String::from_utf8(tool("getfacl", &["-cpE", path.to_str().unwrap()])).unwrap().trim().to_owned()
}

fn set_acl(path: &Path, entries: &str) {
    tool("setfacl", &["-m", entries, path.to_str().unwrap()]);
}

#[test]
fn everything_inside_gets_the_owners_at_any_depth_and_keeps_its_mode() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let (daemon, mail) = (user("daemon"), group("mail"));
    let inner = directory(path.join("a"), 0, 0, 0o755);
    let deep = directory(inner.join("b"), NOBODY, NOBODY, 0o700);
    let files = [
        file(path.join("identity"), 0, 0, 0o600),
        file(inner.join("key"), NOBODY, mail, 0o400),
        file(deep.join("key"), daemon, 0, 0o000),
    ];
    let right = file(deep.join("right"), daemon, mail, 0o600);
    let answer = changes(&wanted(&path));
    for (changed, mode) in files.iter().zip([0o600, 0o400, 0o000]) {
        assert_eq!(owned(changed), (daemon, mail, mode));
    }
    assert_eq!((owned(&inner), owned(&deep)), ((daemon, mail, 0o755), (daemon, mail, 0o700)));
    assert_eq!(owned(right), (daemon, mail, 0o600));
    let head = "state: directory\nowner: daemon\ngroup: mail\nmode: '0700'\n";
    let before = "content:\n  a: root:root\n  a/b: nobody:nogroup\n  a/b/key: daemon:root\n  a/key: nobody:mail\n  identity: root:root\n";
    let after = "content:\n  a: daemon:mail\n  a/b: daemon:mail\n  a/b/key: daemon:mail\n  a/key: daemon:mail\n  identity: daemon:mail\n";
    assert_eq!(diff(&answer), ((head.to_owned() + before).as_str(), (head.to_owned() + after).as_str()));
}

#[test]
fn only_the_owner_or_group_that_is_given_counts_inside() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let key = file(path.join("key"), NOBODY, NOBODY, 0o600);
    assert_eq!(succeed(&request(&path, json!({})))["changed"], false);
    changes(&request(&path, json!({ "group": "mail" })));
    assert_eq!(owned(&key), (NOBODY, group("mail"), 0o600));
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    changes(&request(&path, json!({ "owner": "daemon" })));
    assert_eq!(owned(&key), (user("daemon"), group("mail"), 0o600));
}

#[test]
fn a_directory_of_another_owners_is_given_over_with_everything_in_it() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = directory(place.path().join("bot"), NOBODY, NOBODY, 0o777);
    let key = file(path.join("key"), NOBODY, NOBODY, 0o600);
    let answer = changes(&wanted(&path));
    assert_eq!(owned(&path), (user("daemon"), group("mail"), 0o700));
    assert_eq!(owned(&key), (user("daemon"), group("mail"), 0o600));
    let (before, after) = diff(&answer);
    assert_eq!(
        before,
        "state: directory\nowner: nobody\ngroup: nogroup\nmode: '0777'\ncontent:\n  key: nobody:nogroup\n"
    );
    assert_eq!(
        after,
        "state: directory\nowner: daemon\ngroup: mail\nmode: '0700'\ncontent:\n  key: daemon:mail\n"
    );
}

#[test]
fn symbolic_links_inside_are_given_over_themselves_and_lead_nowhere() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let outside = directory(place.path().join("outside"), 0, 0, 0o755);
    let secret = file(outside.join("secret"), 0, 0, 0o600);
    for (name, leads_to) in
        [("to-file", secret.as_path()), ("to-directory", &outside), ("dangling", Path::new("no"))]
    {
        symlink(leads_to, path.join(name)).unwrap();
    }
    changes(&wanted(&path));
    for name in ["to-file", "to-directory", "dangling"] {
        let (owner, group_of_it, _) = owned(path.join(name));
        assert_eq!((owner, group_of_it), (user("daemon"), group("mail")), "{name}");
    }
    assert_eq!((owned(&outside), owned(&secret)), ((0, 0, 0o755), (0, 0, 0o600)));
}

#[test]
fn files_with_a_second_name_are_left_alone_with_their_acls_and_reported() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let secret = file(place.path().join("secret"), 0, 0, 0o600);
    set_acl(&secret, "user:games:r--");
    hard_link(&secret, path.join("key")).unwrap();
    let expected = (owned(&secret), acl(&secret));
    let answer = succeed(&wanted(&path));
    assert_eq!((owned(&secret), acl(&secret)), expected);
    assert_eq!(answer["changed"], false);
    snapshot!(warnings(&answer), @"
    others than their owner may read or change: `key`
    left alone: `key has a second name (a hard link), which may be anywhere`
    ");
    assert_eq!(succeed(&in_check_mode(wanted(&path))), answer);
    // Where there is something else to do as well.
    file(path.join("cert"), 0, 0, 0o600);
    let answer = changes(&wanted(&path));
    assert!(!diff(&answer).0.contains("key"), "{answer}");
    assert_eq!((owned(&secret), acl(&secret)), expected);
    // It is the bot's own already, and so no matter.
    fs::remove_file(path.join("key")).unwrap();
    hard_link(path.join("cert"), path.join("cert-too")).unwrap();
    assert_eq!(warnings(&succeed(&wanted(&path))), "");
}

#[test]
fn devices_are_left_alone_and_other_special_files_are_not() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let fifo = path.join("fifo");
    tool("mkfifo", &["-m", "600", fifo.to_str().unwrap()]);
    let device = path.join("device");
    let made = Command::new("mknod").args(["-m", "600"]).arg(&device).args(["c", "1", "3"]).status();
    let has_device = made.unwrap().success();
    let answer = changes(&wanted(&path));
    assert_eq!(owned(&fifo), (user("daemon"), group("mail"), 0o600));
    if has_device {
        assert_eq!(owned(&device), (0, 0, 0o600));
        snapshot!(warnings(&answer), @"left alone: `device is a device`");
    }
}

#[test]
fn a_program_that_is_given_over_loses_its_set_user_id_bit() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let program = file(path.join("program"), 0, 0, 0o755);
    set_acl(&program, "user:games:r-x");
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).unwrap();
    changes(&wanted(&path));
    assert_eq!(owned(&program), (user("daemon"), group("mail"), 0o755));
}

#[test]
fn files_that_others_may_read_or_change_are_reported_and_stay_so() {
    let place = place();
    let path = place.path().join("bot");
    succeed(&request(&path, json!({})));
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    for (name, mode) in [
        ("everybody-reads", 0o604),
        ("group-reads", 0o640),
        ("everybody-writes", 0o602),
        ("private", 0o600),
        ("runs", 0o711),
    ] {
        file(path.join(name), user, group, mode);
    }
    let inner = directory(path.join("inner"), user, group, 0o755);
    file(inner.join("key"), user, group, 0o644);
    directory(path.join("open"), user, group, 0o777);
    symlink("private", path.join("link")).unwrap();
    for check_mode in [false, true] {
        let answer = succeed(&request(&path, json!({ "_ansible_check_mode": check_mode })));
        assert_eq!(answer["changed"], false, "{answer}");
        assert_eq!(
            answer["warnings"],
            json!(["others than their owner may read or change: `everybody-reads`, `everybody-writes`, \
                    `group-reads`, `inner/key`, `open`"])
        );
    }
    assert_eq!(owned(path.join("group-reads")).2, 0o640);
}

#[test]
fn acls_that_let_others_in_are_removed_and_reported() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let (daemon, mail) = (user("daemon"), group("mail"));
    let inner = directory(path.join("inner"), daemon, mail, 0o700);
    let key = file(inner.join("key"), daemon, mail, 0o600);
    set_acl(&path, "user:games:r-x,group:news:rwx,default:user:games:rw-");
    set_acl(&inner, "default:group::r-x");
    set_acl(&key, "user:games:rw-,group::r--");
    let answer = changes(&wanted(&path));
    assert_eq!(acl(&path), "user::rwx\ngroup::---\nother::---");
    assert_eq!(acl(&inner), "user::rwx\ngroup::---\nother::---");
    // Its group could read it all along.
    assert_eq!(acl(&key), "user::rw-\ngroup::r--\nother::---");
    assert_eq!(owned(&key), (daemon, mail, 0o640));
    assert_eq!(
        answer["warnings"],
        json!([
            "others than their owner may read or change: `inner/key`",
            "ACL entries that let others in are removed: `user:games:r-x`, `group:news:rwx`, \
             `default:user:games:rw-`, `inner: default:group::r-x`, `inner/key: user:games:rw-`"
        ])
    );
    let head = "state: directory\nowner: daemon\ngroup: mail\n";
    let before = "mode: '0770'\nacl:\n  user:games:r-x\n  group:news:rwx\n  default:user:games:rw-\n\
                  content:\n  inner: daemon:mail default:group::r-x\n  inner/key: daemon:mail user:games:rw-\n";
    let after = "mode: '0700'\ncontent:\n  inner: daemon:mail\n  inner/key: daemon:mail\n";
    assert_eq!(diff(&answer), ((head.to_owned() + before).as_str(), (head.to_owned() + after).as_str()));
}

#[test]
fn an_acl_that_a_mask_hides_is_removed_too_and_one_that_widens_nothing_stays() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    let (daemon, mail) = (user("daemon"), group("mail"));
    let hidden = file(path.join("hidden"), daemon, mail, 0o600);
    set_acl(&hidden, "user:games:rwx,mask:---");
    let many = file(path.join("many"), daemon, mail, 0o600);
    let entries: Vec<String> = (1000..1100).map(|number| format!("user:{number}:r--")).collect();
    set_acl(&many, &entries.join(","));
    let by_group = file(path.join("by-group"), daemon, mail, 0o600);
    set_acl(&by_group, "group:news:r--");
    // Its group could do no more than the mask lets it, and gets no more.
    let masked = file(path.join("masked"), daemon, mail, 0o600);
    set_acl(&masked, "user:games:r--,group::rwx,mask:r--");
    let harmless = file(path.join("harmless"), daemon, mail, 0o600);
    set_acl(&harmless, "user:games:---,mask:r--");
    let inner = directory(path.join("inner"), daemon, mail, 0o700);
    set_acl(&inner, "default:user::rwx,default:group::---,default:other::---");
    let (kept, kept_default) = (acl(&harmless), acl(&inner));
    changes(&wanted(&path));
    assert_eq!((acl(&harmless), acl(&inner)), (kept, kept_default));
    assert_eq!(acl(&hidden), "user::rw-\ngroup::---\nother::---");
    assert_eq!(acl(&many), "user::rw-\ngroup::---\nother::---");
    assert_eq!(acl(&by_group), "user::rw-\ngroup::---\nother::---");
    assert_eq!(acl(&masked), "user::rw-\ngroup::r--\nother::---");
}

#[test]
fn names_cannot_pass_for_other_lines() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = bot(place.path());
    file(path.join("a\nowner: root\u{1b}[2J"), 0, 0, 0o644);
    let answer = changes(&wanted(&path));
    assert!(diff(&answer).0.contains("\n  a\\nowner: root\\u{1b}[2J: root:root\n"), "{answer}");
    snapshot!(warnings(&answer), @r"others than their owner may read or change: `a\nowner: root\u{1b}[2J`");
}

#[test]
fn directories_within_each_other_have_an_end() {
    let place = place();
    let path = place.path().join("bot");
    succeed(&request(&path, json!({})));
    fs::create_dir_all(path.join("d/".repeat(64))).unwrap();
    succeed(&request(&path, json!({})));
    fs::create_dir_all(path.join("d/".repeat(65))).unwrap();
    let message = fail(&request(&path, json!({})), "io");
    snapshot!(message, @"cannot look into [DIR]/bot: d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d is more than 64 levels deep");
}

#[test]
fn another_user_puts_right_what_it_may_and_is_told_what_it_may_not() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = directory(place.path().join("bot"), NOBODY, NOBODY, 0o755);
    let key = file(path.join("key"), 0, 0, 0o600);
    let as_nobody = |extra: Value| run_as(NOBODY, NOBODY, &request(&path, extra));
    // Whose it is does not matter here, and it need not be read.
    let answer = as_nobody(json!({}));
    assert_eq!((&answer["changed"], owned(&path).2), (&json!(true), 0o700), "{answer}");
    let answer = as_nobody(json!({ "owner": "nobody" }));
    assert_eq!(answer["error"]["kind"], "permission_denied", "{answer}");
    assert_eq!(owned(&key), (0, 0, 0o600));
    fs::remove_file(key).unwrap();
    directory(path.join("closed"), 0, 0, 0o700);
    let answer = as_nobody(json!({}));
    let message = answer["msg"].as_str().unwrap();
    snapshot!(message, @"cannot look into [DIR]/bot: closed: Permission denied (os error 13); run as root (become: true), or use a path that this user may write to");
    // To root it is one like any other.
    lchown(path.join("closed"), Some(NOBODY), Some(NOBODY)).unwrap();
    assert_eq!(as_nobody(json!({ "owner": "nobody", "group": NOBODY }))["changed"], false);
}
