//! `storage`: whose doing a path's way is trusted to be.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::privileges::{
    NOBODY, directory, file, group, in_own_mounts, is_root, owned, place, roots_place, run_as, traced, user,
};
use support::storage::{changes, in_check_mode, refused, request};
use support::{fail, run, succeed, tool};

/// Paths, owners and modes of everything in a directory, to see that nothing changed.
fn everything(directory: &Path) -> String {
    let format = "%P %u %g %m %l\n";
    let mut found: Vec<_> =
        String::from_utf8(tool("find", &[directory.to_str().unwrap(), "-printf", format]))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
    found.sort();
    found.join("\n")
}

/// The message with which a path is refused, and nothing below `place` changed for it.
fn refused_in(place: &Path, request: &Value) -> String {
    let before = everything(place);
    let message = refused(request);
    assert_eq!(everything(place), before);
    message
}

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
        "/lib/bot",
        "/opt",
        "/proc",
        "/proc/self/root/var/lib/x",
        "/root",
        "/run",
        "/run/lock",
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
        "/var/lib/teleport",
        "/var/log",
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
    // What is below some of them, or only begins like one, is nobody's yet.
    for path in [
        "/opt/tbot-tpm-test",
        "/srv/tbot-tpm-test/bot",
        "/etcetera",
        "/var/lib/teleport-bot/x",
        "/run/tbot-x",
    ] {
        if is_root() {
            assert_eq!(succeed(&in_check_mode(request(path, json!({}))))["created"], true);
        }
    }
}

#[test]
fn a_system_directory_is_recognised_by_where_a_path_leads() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let link = place.path().join("link");
    symlink("/", &link).unwrap();
    for (path, target) in [
        ("etc", "/etc"),
        ("etc/ssh", "/etc/ssh"),
        ("usr/local", "/usr/local"),
        ("tmp", "/tmp"),
        ("proc/x", "/proc/x"),
    ] {
        let message = fail(&in_check_mode(request(link.join(path), json!({}))), "unsafe_path");
        assert!(message.contains(&format!("leads to {target}, a directory of the system")), "{message}");
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
    assert!(message.contains("`..`"), "{message}");
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
    let mail = group("mail");
    for (name, user, group, mode) in [
        ("everybody", 0, 0, 0o777),
        ("everybody-but-the-group", 0, 0, 0o757),
        ("group", 0, mail, 0o775),
        ("group-that-may-not-read", 0, mail, 0o730),
        ("debians-group-elsewhere", 0, support::privileges::group("staff"), 0o2775),
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
fn debians_staff_may_write_to_its_own_directories_and_to_no_others() {
    if !is_root() {
        return;
    }
    // Where, its owner, group and mode, and the path.
    let script = r#"
        mount -t tmpfs -o "uid=$2,gid=$3,mode=$4" none "$1"
        printf '{"action": "storage", "path": "%s"}' "$5" | "$TBOT_TPM" || true
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

#[test]
fn a_last_component_that_is_a_link_is_refused() {
    let place = place();
    let target = directory(place.path().join("target"), 0, 0, 0o755);
    for (name, leads_to) in
        [("absolute", target.as_path()), ("relative", Path::new("target")), ("dangling", Path::new("no"))]
    {
        let link = place.path().join(name);
        symlink(leads_to, &link).unwrap();
        for path in
            [link.display().to_string(), format!("{}/", link.display()), format!("{}/.", link.display())]
        {
            for state in ["directory", "absent"] {
                let message = refused_in(place.path(), &request(&path, json!({ "state": state })));
                assert!(message.contains("is a symbolic link"), "{message}");
            }
        }
    }
}

#[test]
fn roots_own_links_on_the_way_are_followed_and_the_answer_says_where_to() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let disk = directory(place.path().join("disk"), 0, 0, 0o755);
    directory(disk.join("lib"), 0, 0, 0o755);
    let links = directory(place.path().join("links"), 0, 0, 0o755);
    for (name, leads_to) in [
        ("absolute", disk.to_str().unwrap()),
        ("relative", "../disk"),
        ("roundabout", "../links/../links/./relative/lib/.."),
        ("chain", "roundabout"),
        ("above", "../../../../../../../../../../../../../.."),
    ] {
        symlink(leads_to, links.join(name)).unwrap();
    }
    for (path, real) in [
        (links.join("absolute/bot"), disk.join("bot")),
        (links.join("relative/lib/bot"), disk.join("lib/bot")),
        (links.join("roundabout/new/bot"), disk.join("new/bot")),
        (links.join("chain/lib/new/bot"), disk.join("lib/new/bot")),
        (links.join("above").join(disk.join("root/bot").strip_prefix("/").unwrap()), disk.join("root/bot")),
    ] {
        let answer = changes(&request(&path, json!({})));
        assert_eq!(answer["path"], json!(real));
        assert_eq!(answer["diff"]["before_header"], json!(real));
        assert_eq!(owned(&real), (0, 0, 0o700));
        // Existing and absent ones are found the same way.
        assert_eq!(succeed(&request(&path, json!({})))["path"], json!(real));
        assert_eq!(succeed(&request(&path, json!({ "state": "absent" })))["path"], json!(real));
        assert!(!real.exists());
    }
}

#[test]
fn links_that_lead_nowhere_are_refused() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let not_mounted = place.path().join("disk");
    for (name, leads_to) in [
        ("dangling", not_mounted.to_str().unwrap()),
        ("deep", "disk/a/b"),
        ("back", "disk/.."),
        ("chain", "dangling"),
    ] {
        symlink(leads_to, place.path().join(name)).unwrap();
        for path in ["bot", "a/bot"] {
            let message = refused_in(place.path(), &request(place.path().join(name).join(path), json!({})));
            assert!(
                message.contains("through a symbolic link to something that does not exist"),
                "{message}"
            );
        }
    }
    for (name, leads_to) in [("self", "self"), ("one", "other"), ("other", "one"), ("longer", "longer/x")] {
        symlink(leads_to, place.path().join(name)).unwrap();
    }
    for name in ["self", "one", "longer"] {
        let message = refused_in(place.path(), &request(place.path().join(name).join("bot"), json!({})));
        assert!(message.contains("too many symbolic links"), "{message}");
    }
    // A link to a file leads to no directory.
    file(place.path().join("file"), 0, 0, 0o644);
    symlink("file", place.path().join("to-file")).unwrap();
    let message = refused_in(place.path(), &request(place.path().join("to-file/bot"), json!({})));
    assert!(message.contains("is not a directory"), "{message}");
}

#[test]
fn links_that_others_than_root_could_have_placed_or_could_replace_are_refused() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let victim = directory(place.path().join("victim"), 0, 0, 0o755);
    directory(victim.join("bot"), 0, 0, 0o755);
    let link = |at: &Path, owner: u32| -> PathBuf {
        let link = at.join(format!("link-of-{owner}"));
        symlink(&victim, &link).unwrap();
        lchown(&link, Some(owner), Some(owner)).unwrap();
        link
    };
    let roots = directory(place.path().join("roots"), 0, 0, 0o755);
    let shared = directory(place.path().join("shared"), 0, 0, 0o1777);
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    let below = directory(theirs.join("below"), 0, 0, 0o755);
    // A stranger's or the future owner's link anywhere, and root's where others could replace it.
    for link in [
        link(&roots, NOBODY),
        link(&roots, user("daemon")),
        link(&shared, 0),
        link(&shared, NOBODY),
        link(&theirs, 0),
        link(&theirs, NOBODY),
        link(&below, 0),
    ] {
        for path in ["bot", "new", "a/new"] {
            for extra in [json!({ "owner": "nobody" }), json!({ "owner": "nobody", "state": "absent" })] {
                let message = refused_in(place.path(), &request(link.join(path), extra));
                let what = format!("goes through the symbolic link {}", link.display());
                assert!(message.contains(&what), "{message}");
            }
        }
    }
    // Root's link leads on to what is judged like everything else.
    symlink(&theirs, roots.join("to-theirs")).unwrap();
    let path = roots.join("to-theirs/bot");
    let message = refused_in(place.path(), &request(&path, json!({ "owner": "daemon" })));
    assert!(message.contains("belongs to nobody"), "{message}");
    changes(&request(&path, json!({ "owner": "nobody" })));
}

/// What a user gets to hear whose home is `home`, by the system's own knowledge of users.
fn as_user_with_home(home: &Path, path: &Path) -> Value {
    let place = place();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = format!("{passwd}tbot-tpm-test:x:4242:4242::{}:/bin/sh\n", home.display());
    fs::write(place.path().join("passwd"), line).unwrap();
    let script = r#"
        mount --bind "$1" /etc/passwd
        printf '{"action": "storage", "path": "%s"}' "$2" |
            HOME="$3" setpriv --reuid 4242 --regid 4242 --clear-groups "$TBOT_TPM" || true
    "#;
    let passwd = place.path().join("passwd");
    let answer = in_own_mounts(script, &[passwd.as_path(), path, Path::new("/")]);
    serde_json::from_str(&answer[0]).unwrap()
}

#[test]
fn the_callers_own_links_count_in_its_own_home_alone() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let home = directory(place.path().join("home"), 4242, 4242, 0o755);
    let elsewhere = directory(place.path().join("elsewhere"), 4242, 4242, 0o755);
    let disk = directory(place.path().join("disk"), 4242, 4242, 0o755);
    for at in [&home, &elsewhere] {
        symlink("../disk", at.join("link")).unwrap();
        lchown(at.join("link"), Some(4242), Some(4242)).unwrap();
        symlink("../disk", at.join("strangers")).unwrap();
        lchown(at.join("strangers"), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let answer = as_user_with_home(&home, &home.join("link/bot"));
    assert_eq!((&answer["changed"], &answer["path"]), (&json!(true), &json!(disk.join("bot"))), "{answer}");
    for path in [home.join("strangers/bot"), elsewhere.join("link/bot")] {
        let answer = as_user_with_home(&home, &path);
        assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
    }
    // A home that the system's users know by a link of root's, as on ostree.
    symlink(".", place.path().join("homes")).unwrap();
    let answer = as_user_with_home(&place.path().join("homes/home"), &home.join("link/bot"));
    assert_eq!(answer["changed"], false, "{answer}");
    // A home that is everything is none.
    let answer = as_user_with_home(Path::new("/"), &home.join("link/bot"));
    assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
    // To root, it is another user's link.
    let answer = run(&request(home.join("link/bot"), json!({ "owner": 4242 })));
    assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
}

#[test]
fn without_openat2_the_same_holds() {
    if !is_root() {
        return;
    }
    for error in ["ENOSYS", "EPERM"] {
        let place = roots_place();
        let disk = directory(place.path().join("disk"), 0, 0, 0o755);
        let victim = directory(place.path().join("victim"), 0, 0, 0o755);
        symlink("disk", place.path().join("link")).unwrap();
        symlink("victim", place.path().join("theirs")).unwrap();
        lchown(place.path().join("theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
        let inject = format!("inject=openat2:error={error}");
        let run = |path: &str| {
            let options = ["-e", "trace=openat,openat2", "-e", &inject];
            let (answer, log) = traced(&options, &request(place.path().join(path), json!({})));
            // It is asked for once, and not again.
            assert_eq!(log.matches("openat2(").count(), 1, "{log}");
            assert!(log.contains("INJECTED"), "{log}");
            answer
        };
        for changed in [true, false] {
            let answer = run("link/a/bot");
            assert_eq!((&answer["changed"], &answer["path"]), (&json!(changed), &json!(disk.join("a/bot"))));
        }
        for path in ["theirs/bot", "theirs", "link"] {
            let answer = run(path);
            assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
        }
        assert_eq!((owned(&victim), fs::read_dir(&victim).unwrap().count()), ((0, 0, 0o755), 0));
    }
}

#[test]
fn where_the_kernel_has_openat2_nothing_is_opened_without_it_on_the_way() {
    let place = place();
    let path = place.path().join("a/bot");
    let (answer, log) = traced(&["-e", "trace=openat,openat2"], &request(&path, json!({})));
    if log.contains("ENOSYS") || log.contains("EPERM") {
        return; // It has none.
    }
    assert_eq!(answer["changed"], true, "{answer}");
    let steps: Vec<&str> = log.lines().filter(|line| line.contains("openat2(")).collect();
    assert!(steps.len() >= path.components().count() - 1, "{log}");
    for step in steps {
        assert!(step.contains("RESOLVE_NO_SYMLINKS") && step.contains("RESOLVE_NO_MAGICLINKS"), "{step}");
        assert!(step.contains("O_NOFOLLOW"), "{step}");
    }
    for line in log.lines().filter(|line| line.contains("openat(")) {
        assert!(!line.contains(place.path().to_str().unwrap()), "opened by its whole path: {line}");
    }
}
