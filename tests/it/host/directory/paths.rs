//! `storage`: whose doing a path's way is trusted to be.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{
    NOBODY, as_user_known_as, directory, file, group, in_own_mounts, is_root, owned, place, run_as, user,
};
use crate::support::storage::{changes, in_check_mode, refused, refused_in, request};
use crate::support::{fail, succeed, tool};

#[test]
fn a_path_is_absolute_and_plain() {
    for path in
        ["", "bot", "./bot", "../bot", "~/bot", "/var/lib/../../etc", "/tmp/..", "/tmp/bo\nt", "/tmp/\u{0}"]
    {
        for state in ["directory", "absent"] {
            let message = refused(&request(path, json!({ "state": state })));
            assert!(message.contains("parameter `path` of action `storage`"), "{message}");
        }
    }
    let place = place();
    let plain = place.path().join("bot");
    let path = format!("//{}/./bot//", place.path().display());
    assert_eq!(changes(&request(path, json!({})))["path"], json!(plain));
}

#[test]
fn a_path_that_is_too_long_is_an_error() {
    let place = place();
    fail(&request(place.path().join("x".repeat(256)), json!({})), "io");
}

#[test]
fn the_systems_directories_are_refused() {
    let paths = [
        "/",
        "//",
        "/.",
        "/bin",
        "/boot/bot",
        "/dev",
        "/dev/shm/bot",
        "/etc",
        "/etc/tbot",
        "/home",
        "/home/alice",
        "/lib/bot",
        "/opt",
        "/proc",
        "/proc/self/root/var/lib/x",
        "/root",
        "/run",
        "/run/lock",
        "/run/sudo",
        "/run/user/1000",
        "/sbin",
        "/srv",
        "/sys/x",
        "/tmp",
        "/usr",
        "/usr/bin/bot",
        "/usr/local",
        "/usr/local/bin",
        "/usr/local/lib/bot",
        "/usr/share/x",
        "/var",
        "/var/backups",
        "/var/cache",
        "/var/lib",
        "/var/lib/dpkg/x",
        "/var/lib/pam",
        "/var/lib/polkit-1/x",
        "/var/lib/teleport",
        "/var/log",
        "/var/log/journal",
        "/var/spool/cron",
        "/var/spool/cron/crontabs",
        "/var/tmp",
        "/var/tmp/",
    ];
    for path in paths {
        // Check mode, lest a mistake here costs the machine.
        for state in ["directory", "absent"] {
            let request = in_check_mode(request(path, json!({ "state": state })));
            let message = fail(&request, "unsafe_path");
            assert!(message.contains("a directory of the system"), "{message}");
        }
    }
    if !is_root() {
        return;
    }
    // What is below some of them, or only begins like one, is nobody's yet.
    for path in [
        "/opt/tbot-tpm-test",
        "/srv/tbot-tpm-test/bot",
        "/etcetera",
        "/var/lib/teleport-bot/x",
        "/run/tbot-x",
    ] {
        assert_eq!(succeed(&in_check_mode(request(path, json!({}))))["created"], true);
    }
}

#[test]
fn what_is_no_directory_is_in_the_way() {
    let place = place();
    let plain = file(place.path().join("file"), NOBODY, NOBODY, 0o600);
    let fifo = place.path().join("fifo");
    tool("mkfifo", &[fifo.to_str().unwrap()]);
    let socket = place.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [plain, fifo, socket] {
        for state in ["directory", "absent"] {
            let message = refused_in(place.path(), &request(&path, json!({ "state": state })));
            assert!(message.contains(&format!("{} is not a directory", path.display())), "{message}");
            let message = refused_in(place.path(), &request(path.join("bot"), json!({ "state": state })));
            assert!(message.contains(&format!("{}, which is not a directory", path.display())), "{message}");
        }
    }
    let message = fail(&in_check_mode(request("/srv/../dev/null/bot", json!({}))), "unsafe_path");
    snapshot!(message, @r#"parameter `path` of action `storage`: the path "/srv/../dev/null/bot" has a `..` component; write where it leads; nothing was changed"#);
}

#[test]
fn a_parent_of_another_users_is_refused() {
    if !is_root() {
        return;
    }
    let place = place();
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    let below = directory(theirs.join("roots"), 0, 0, 0o755);
    directory(below.join("there"), 0, 0, 0o700);
    for path in ["bot", "a/b/bot", "roots/bot", "roots/there", "roots"] {
        for extra in [json!({}), json!({ "owner": "daemon" }), json!({ "state": "absent" })] {
            let message = refused_in(place.path(), &request(theirs.join(path), extra));
            let who = format!("lies below {}, which belongs to nobody", theirs.display());
            assert!(message.contains(&who) && message.contains("`owner`"), "{message}");
        }
    }
}

#[test]
fn parents_of_the_future_owners_or_of_the_callers_are_trusted() {
    if !is_root() {
        return;
    }
    let place = place();
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    changes(&request(theirs.join("a/bot"), json!({ "owner": "nobody" })));
    assert_eq!(owned(theirs.join("a")), (0, 0, 0o755));
    assert_eq!(owned(theirs.join("a/bot")).0, NOBODY);
    let answer = run_as(NOBODY, NOBODY, &request(theirs.join("own/bot"), json!({})));
    assert_eq!(answer["changed"], true, "{answer}");
    assert_eq!(owned(theirs.join("own")), (NOBODY, NOBODY, 0o755));
    assert_eq!(owned(theirs.join("own/bot")), (NOBODY, NOBODY, 0o700));
    // To nobody, daemon is a stranger.
    let daemons = directory(place.path().join("daemons"), user("daemon"), 0, 0o755);
    let answer = run_as(NOBODY, NOBODY, &request(daemons.join("bot"), json!({})));
    assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
}

#[test]
fn a_parent_that_others_may_write_to_is_refused() {
    if !is_root() {
        return;
    }
    let place = place();
    let (mail, staff) = (group("mail"), group("staff"));
    for (name, user, group, mode) in [
        ("everybody", 0, 0, 0o777),
        ("everybody-but-the-group", 0, 0, 0o757),
        ("group", 0, mail, 0o775),
        ("group-that-may-not-read", 0, mail, 0o730),
        ("debians-group-elsewhere", 0, staff, 0o2775),
        // nogroup is no group of nobody's own.
        ("owners-group", NOBODY, NOBODY, 0o775),
        ("owner-in-a-strange-group", NOBODY, user_group("daemon"), 0o775),
    ] {
        let parent = directory(place.path().join(name), user, group, mode);
        directory(parent.join("there"), 0, 0, 0o700);
        for path in ["bot", "a/bot", "there", "there/bot"] {
            let message = refused_in(place.path(), &request(parent.join(path), json!({ "owner": "nobody" })));
            assert!(message.contains("writable by others than its owner"), "{message}");
        }
    }
}

fn user_group(name: &str) -> u32 {
    nix::unistd::User::from_name(name).unwrap().unwrap().gid.as_raw()
}

#[test]
fn groups_that_are_root_or_the_owner_alone_may_write_to_a_parent() {
    if !is_root() {
        return;
    }
    let place = place();
    let daemon = user("daemon");
    for (name, user, group) in [("roots", 0, 0), ("daemons", daemon, user_group("daemon"))] {
        let parent = directory(place.path().join(name), user, group, 0o775);
        changes(&request(parent.join("bot"), json!({ "owner": "daemon" })));
        // Unless an ACL adds to them.
        tool("setfacl", &["-m", "user:games:rwx", parent.to_str().unwrap()]);
        let request = request(parent.join("bot"), json!({ "owner": "daemon" }));
        let message = refused_in(place.path(), &request);
        assert!(message.contains("writable by others than its owner"), "{message}");
    }
}

#[test]
fn an_acl_lets_nobody_write_whom_the_mode_does_not() {
    if !is_root() {
        return;
    }
    let place = place();
    let parent = directory(place.path().join("parent"), 0, 0, 0o755);
    tool("setfacl", &["-m", "user:games:r-x,group:mail:rwx,mask:r-x", parent.to_str().unwrap()]);
    changes(&request(parent.join("bot"), json!({})));
    tool("setfacl", &["-m", "mask:rwx", parent.to_str().unwrap()]);
    refused_in(place.path(), &request(parent.join("bot"), json!({})));
}

#[test]
fn a_group_is_its_owners_alone_by_name_number_and_members() {
    if !is_root() {
        return;
    }
    let place = place();
    let parent = directory(place.path().join("parent"), 4242, 4242, 0o775);
    for (passwd, group, is_own) in [
        ("someone:x:4242:4242::/:/bin/sh", "someone:x:4242:", true),
        ("someone:x:4242:4242::/:/bin/sh", "someone:x:4242:someone", true),
        ("someone:x:4242:4242::/:/bin/sh", "someone:x:4242:someone,games", false),
        ("someone:x:4242:4242::/:/bin/sh", "users-of-it:x:4242:", false),
        ("someone:x:4242:100::/:/bin/sh", "someone:x:4242:", false),
        // Who has no name has no group of it.
        ("someone:x:4343:4242::/:/bin/sh", "someone:x:4242:", false),
        ("someone:x:4242:4242::/:/bin/sh", "someone:x:4343:", false),
    ] {
        let answer = as_user_known_as(passwd, group, &request(parent.join("bot"), json!({})));
        let kind = answer["error"]["kind"].as_str();
        assert_eq!(kind, (!is_own).then_some("unsafe_path"), "{passwd} {group}: {answer}");
    }
}

#[test]
fn debians_staff_may_write_to_its_own_directories_and_to_no_others() {
    if !is_root() {
        return;
    }
    // Where, its owner, group and mode, and the path.
    let script = r#"
        mount -t tmpfs -o "uid=$2,gid=$3,mode=$4" none "$1"
        printf '{"action": "storage", "path": "%s", "owner": "nobody"}' "$5" | "$TBOT_TPM" || true
    "#;
    let staff = group("staff").to_string();
    let mail = group("mail").to_string();
    for (at, user, group, mode, path, is_made) in [
        ("/var/local", "0", staff.as_str(), "2775", "/var/local/bot", true),
        ("/usr/local", "0", &staff, "2775", "/usr/local/tbot/bot", true),
        ("/var/local", "0", &staff, "775", "/var/local/bot", false),
        ("/var/local", "0", &staff, "2777", "/var/local/bot", false),
        ("/var/local", "0", &mail, "2775", "/var/local/bot", false),
        ("/var/local", "65534", &staff, "2775", "/var/local/bot", false),
        ("/srv", "0", &staff, "2775", "/srv/bot", false),
    ] {
        let answer = in_own_mounts(script, &[at, user, group, mode, path]);
        let answer: Value = serde_json::from_str(&answer[0]).unwrap();
        let kind = answer["error"]["kind"].as_str();
        assert_eq!(
            (answer["changed"] == true, kind),
            (is_made, (!is_made).then_some("unsafe_path")),
            "{answer}"
        );
    }
}

#[test]
fn in_a_sticky_directory_only_what_is_trusted_counts() {
    if !is_root() {
        return;
    }
    let place = place();
    let shared = directory(place.path().join("shared"), 0, 0, 0o1777);
    changes(&request(shared.join("new/a/bot"), json!({ "owner": "daemon" })));
    directory(shared.join("roots"), 0, 0, 0o755);
    changes(&request(shared.join("roots"), json!({ "owner": "daemon" })));
    // It is daemon's now, who is to own it.
    let again = succeed(&request(shared.join("roots"), json!({ "owner": "daemon" })));
    assert_eq!(again["changed"], false);
    let theirs = directory(shared.join("theirs"), NOBODY, NOBODY, 0o700);
    for extra in [json!({}), json!({ "owner": "daemon" }), json!({ "state": "absent" })] {
        let message = refused_in(place.path(), &request(&theirs, extra));
        assert!(message.contains("belongs to nobody, and anyone can make directories in"), "{message}");
    }
    refused_in(place.path(), &request(theirs.join("bot"), json!({})));
    // Where only a group may write, the same holds.
    let shared = directory(place.path().join("group"), 0, group("mail"), 0o1770);
    changes(&request(shared.join("bot"), json!({})));
    refused_in(place.path(), &request(directory(shared.join("theirs"), NOBODY, 0, 0o700), json!({})));
    // And elsewhere an existing directory is put right, whoever owns it.
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    changes(&request(&theirs, json!({ "owner": "daemon" })));
    assert_eq!(owned(&theirs), (user("daemon"), NOBODY, 0o700));
}

#[test]
fn a_sticky_directory_of_a_strangers_is_not_trusted() {
    if !is_root() {
        return;
    }
    let place = place();
    let shared = directory(place.path().join("shared"), NOBODY, NOBODY, 0o1777);
    refused_in(place.path(), &request(shared.join("bot"), json!({})));
}
