//! `storage`: which symbolic links a path may go through, with openat2(2) and without it.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{
    NOBODY, as_user_known_as, directory, file, is_root, owned, place, roots_place, traced, user,
};
use crate::support::storage::{changes, in_check_mode, refused_in, request};
use crate::support::{fail, run, succeed};

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
    snapshot!(message, @"[DIR]/to-file/bot lies below [DIR]/file, which is not a directory; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot");
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
    snapshot!(message, @"[DIR]/roots/to-theirs/bot lies below [DIR]/theirs, which belongs to nobody, who could put something else there (where nobody is the bot's user, give it as `owner`); nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot");
    changes(&request(&path, json!({ "owner": "nobody" })));
}

/// What a user gets to hear whose home is `home`, by the system's own knowledge of users.
fn as_user_with_home(home: &Path, request: &Value) -> Value {
    let passwd = format!("tbot-tpm-test:x:4242:4242::{}:/bin/sh", home.display());
    as_user_known_as(&passwd, "tbot-tpm-test:x:4242:", request)
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
    let answer = as_user_with_home(&home, &request(home.join("link/bot"), json!({})));
    assert_eq!((&answer["changed"], &answer["path"]), (&json!(true), &json!(disk.join("bot"))), "{answer}");
    for path in [home.join("strangers/bot"), elsewhere.join("link/bot")] {
        let answer = as_user_with_home(&home, &request(path, json!({})));
        assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
    }
    // One that the future owner of the directory could put another in the place of.
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    let home_below = directory(theirs.join("home"), 4242, 4242, 0o755);
    symlink("../../disk", home_below.join("link")).unwrap();
    lchown(home_below.join("link"), Some(4242), Some(4242)).unwrap();
    let request_there = request(home_below.join("link/bot"), json!({ "owner": "nobody" }));
    let answer = as_user_with_home(&home_below, &request_there);
    snapshot!(answer["msg"].as_str().unwrap(), @"[DIR]/theirs/home/link/bot goes through the symbolic link [DIR]/theirs/home/link, which others than root could have placed or could replace; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot");
    // A home that the system's users know by a link of root's, as on ostree.
    symlink(".", place.path().join("homes")).unwrap();
    let answer =
        as_user_with_home(&place.path().join("homes/home"), &request(home.join("link/bot"), json!({})));
    assert_eq!(answer["changed"], false, "{answer}");
    // A home that is everything is none.
    let answer = as_user_with_home(Path::new("/"), &request(home.join("link/bot"), json!({})));
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
