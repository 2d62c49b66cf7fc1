//! `storage`: the private directory itself, its owner, group and mode.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{
    NOBODY, answer_of, binary_for_everybody, directory, group, is_root, owned, place, run_as, traced, user,
    with_umask,
};
use crate::support::storage::{changes, diff, in_check_mode, request, warnings};
use crate::support::strace::Call;
use crate::support::{fail, run, succeed, tool};

fn mode(path: impl AsRef<Path>) -> u32 {
    owned(path).2
}

/// The numbers of the user and group that the tests run as.
fn own() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

#[test]
fn the_directory_is_made_private_and_its_parents_are_not() {
    let place = place();
    let path = place.path().join("lib/teleport/bot");
    assert_eq!(succeed(&in_check_mode(request(&path, json!({}))))["created"], true);
    assert!(!place.path().join("lib").exists(), "check mode made something");
    let answer = succeed(&request(&path, json!({})));
    assert_eq!((&answer["changed"], &answer["created"]), (&json!(true), &json!(true)));
    assert_eq!((&answer["path"], &answer["mode"]), (&json!(path), &json!("0700")));
    let (user, group) = own();
    assert_eq!(owned(&path), (user, group, 0o700));
    for parent in ["lib/teleport", "lib"] {
        assert_eq!(owned(place.path().join(parent)), (user, group, 0o755));
    }
    let again = succeed(&request(&path, json!({})));
    assert_eq!((&again["changed"], &again["created"]), (&json!(false), &json!(false)));
}

#[test]
fn the_difference_names_what_is_made() {
    let place = place();
    let path = place.path().join("lib/teleport/bot");
    let answer = changes(&request(&path, json!({})));
    let (before, after) = diff(&answer);
    assert_eq!(before, "state: absent\n");
    let expected = format!(
        "state: directory\nowner: {}\ngroup: {}\nmode: '0700'\nparents made:\n  {lib}\n  {lib}/teleport\n",
        answer["owner"].as_str().unwrap(),
        answer["group"].as_str().unwrap(),
        lib = place.path().join("lib").display(),
    );
    assert_eq!(after, expected);
    assert_eq!(
        (&answer["diff"]["before_header"], &answer["diff"]["after_header"]),
        (&json!(path), &json!(path))
    );
}

#[test]
fn a_wrong_mode_is_put_right_whether_it_is_too_wide_or_too_narrow() {
    let place = place();
    for wrong in [0o755, 0o777, 0o1777, 0o2770, 0o500, 0o000] {
        let path = place.path().join(format!("{wrong:o}"));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(wrong)).unwrap();
        if wrong == 0 && !is_root() {
            continue;
        }
        assert_eq!(succeed(&in_check_mode(request(&path, json!({}))))["changed"], true);
        assert_eq!(mode(&path), wrong, "check mode changed it");
        let answer = changes(&request(&path, json!({})));
        assert_eq!((mode(&path), answer["created"].as_bool()), (0o700, Some(false)));
        let (before, after) = diff(&answer);
        assert!(before.contains(&format!("mode: '{wrong:04o}'\n")), "{before}");
        assert_eq!(before.replace(&format!("'{wrong:04o}'"), "'0700'"), after);
    }
}

#[test]
fn a_mode_is_octal_as_text_and_itself_as_a_number() {
    let place = place();
    let path = place.path().join("bot");
    let modes = [
        (json!("0750"), 0o750),
        (json!("750"), 0o750),
        (json!("0o750"), 0o750),
        (json!(" 0750 "), 0o750),
        (json!("2750"), 0o2750),
        (json!(448), 0o700),
        // As Ansible's file module reads it, which did not see the digits.
        (json!(700), 0o1274),
        (json!(0), 0),
        (json!("0700"), 0o700),
    ];
    for (given, expected) in modes {
        // Root alone may still look into it then.
        if expected & 0o700 != 0o700 && !is_root() {
            continue;
        }
        let answer = succeed(&request(&path, json!({ "mode": given })));
        assert_eq!((mode(&path), &answer["mode"]), (expected, &json!(format!("{expected:04o}"))));
    }
}

#[test]
fn what_is_no_mode_is_refused() {
    let place = place();
    let path = place.path().join("bot");
    for wrong in [
        json!("0778"),
        json!("10000"),
        json!("+700"),
        json!("-700"),
        json!("0x1c0"),
        json!("u=rwx,go="),
        json!("rwx"),
        json!(""),
        json!(4096),
        json!(-1),
        json!(448.5),
        json!(true),
        json!([448]),
    ] {
        let message = fail(&request(&path, json!({ "mode": wrong })), "invalid_request");
        assert!(message.contains("`mode`"), "{message}");
        assert!(!path.exists(), "{wrong}");
    }
}

#[test]
fn a_mode_that_lets_others_in_is_a_warning() {
    let place = place();
    let path = place.path().join("bot");
    let answer = succeed(&request(&path, json!({ "mode": "0750" })));
    snapshot!(warnings(&answer), @"mode 0750 lets others than the owner at the bot's credentials");
    assert_eq!(warnings(&succeed(&request(&path, json!({})))), "");
}

#[test]
fn owner_and_group_are_set_by_name_and_by_number() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = place.path().join("bot");
    let (daemon, mail) = (user("daemon"), group("mail"));
    let by_name = changes(&request(&path, json!({ "owner": "daemon", "group": "mail" })));
    assert_eq!(owned(&path), (daemon, mail, 0o700));
    assert_eq!((&by_name["owner"], &by_name["group"]), (&json!("daemon"), &json!("mail")));
    for (owner, group) in [(json!(daemon), json!(mail)), (json!(daemon.to_string()), json!(mail.to_string()))]
    {
        let by_number = succeed(&request(&path, json!({ "owner": owner, "group": group })));
        assert_eq!(by_number["changed"], false);
        assert_eq!((&by_number["owner"], &by_number["group"]), (&json!("daemon"), &json!("mail")));
    }
    // A number needs no name.
    let answer = changes(&request(&path, json!({ "owner": 123_456, "group": "234567" })));
    assert_eq!(owned(&path), (123_456, 234_567, 0o700));
    assert_eq!((&answer["owner"], &answer["group"]), (&json!("123456"), &json!("234567")));
    let (before, after) = diff(&answer);
    assert!(before.contains("owner: daemon\ngroup: mail\n"), "{before}");
    assert!(after.contains("owner: 123456\ngroup: 234567\n"), "{after}");
}

#[test]
fn an_owner_or_group_that_is_not_given_stays() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = directory(place.path().join("bot"), NOBODY, group("mail"), 0o700);
    let answer = succeed(&request(&path, json!({})));
    assert_eq!((&answer["changed"], &answer["owner"]), (&json!(false), &json!("nobody")));
    changes(&request(&path, json!({ "owner": "daemon" })));
    assert_eq!(owned(&path), (user("daemon"), group("mail"), 0o700));
    changes(&request(&path, json!({ "group": 0 })));
    assert_eq!(owned(&path), (user("daemon"), 0, 0o700));
}

#[test]
fn parents_that_are_made_are_roots_whoever_owns_the_directory() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = place.path().join("a/b/bot");
    changes(&request(&path, json!({ "owner": "daemon", "group": "mail", "mode": "0750" })));
    assert_eq!(owned(&path), (user("daemon"), group("mail"), 0o750));
    assert_eq!(owned(place.path().join("a")), (0, 0, 0o755));
    assert_eq!(owned(place.path().join("a/b")), (0, 0, 0o755));
}

#[test]
fn parents_that_are_there_stay_as_they_are() {
    if !is_root() {
        return;
    }
    let place = place();
    let parent = directory(place.path().join("a"), user("daemon"), group("mail"), 0o711);
    changes(&request(parent.join("bot"), json!({ "owner": "daemon" })));
    assert_eq!(owned(&parent), (user("daemon"), group("mail"), 0o711));
}

#[test]
fn an_account_that_does_not_exist_is_an_error_and_in_check_mode_a_warning() {
    let place = place();
    let path = place.path().join("bot");
    for (parameter, what) in [("owner", "user"), ("group", "group")] {
        for name in ["no-such-account", "no.such.account"] {
            let request = request(&path, json!({ parameter: name }));
            let message = fail(&request, "not_found");
            assert!(message.contains(&format!("there is no {what} `{name}` on this host")), "{message}");
            assert!(!path.exists());
            let foreseen = succeed(&in_check_mode(request));
            assert_eq!(foreseen["changed"], true);
            assert!(warnings(&foreseen).contains(&format!("no {what} `{name}`")), "{foreseen}");
        }
    }
    // Where all else is right too: the account will not be the one that the directory has now.
    succeed(&request(&path, json!({})));
    let foreseen = succeed(&in_check_mode(request(&path, json!({ "owner": "no-such-account" }))));
    assert_eq!((&foreseen["changed"], foreseen["warnings"].as_array().unwrap().len()), (&json!(true), 1));
}

#[test]
fn what_is_no_account_is_refused() {
    let place = place();
    let path = place.path().join("bot");
    for parameter in ["owner", "group"] {
        for wrong in [json!(""), json!("-1"), json!(-1), json!("a b"), json!("a:b"), json!(true), json!(1.5)]
            .into_iter()
            .chain([".", "..", "4294967296", "4294967295", "65535", "007"].map(|text| json!(text)))
        {
            let message = fail(&request(&path, json!({ parameter: wrong })), "invalid_request");
            assert!(message.contains(&format!("`{parameter}`")), "{message}");
        }
    }
    let message = fail(&request(&path, json!({ "state": "present" })), "invalid_request");
    snapshot!(message, @"parameter `state` of action `storage`: `present` is none of its values: absent, directory");
    assert!(!path.exists());
}

#[test]
fn no_umask_changes_what_is_made() {
    let place = place();
    for umask in ["000", "002", "022", "077", "777"] {
        let path = place.path().join(umask).join("lib/bot");
        let answer = with_umask(umask, &request(&path, json!({ "mode": "0750" })));
        assert_eq!(answer["changed"], true, "{answer}");
        assert_eq!(mode(&path), 0o750);
        assert_eq!(mode(path.parent().unwrap()), 0o755);
        assert_eq!(mode(place.path().join(umask)), 0o755);
    }
    // Another user could not even open what root can.
    if is_root() {
        let home = directory(place.path().join("home"), NOBODY, NOBODY, 0o755);
        let (_place, binary) = binary_for_everybody();
        let mut command = Command::new("sh");
        command.args(["-c", "umask 777; exec \"$0\"", binary.to_str().unwrap()]).uid(NOBODY).gid(NOBODY);
        let answer = answer_of(&mut command, &request(home.join("lib/bot"), json!({})));
        assert_eq!(answer["changed"], true, "{answer}");
        assert_eq!((mode(home.join("lib")), mode(home.join("lib/bot"))), (0o755, 0o700));
    }
}

#[test]
fn a_parents_set_group_id_bit_is_not_handed_down() {
    if !is_root() {
        return;
    }
    let place = place();
    let parent = directory(place.path().join("shared"), 0, group("mail"), 0o2755);
    changes(&request(parent.join("lib/bot"), json!({})));
    assert_eq!(owned(parent.join("lib")), (0, 0, 0o755));
    assert_eq!(owned(parent.join("lib/bot")), (0, 0, 0o700));
    assert_eq!(owned(&parent), (0, group("mail"), 0o2755));
}

#[test]
fn a_parents_default_acl_is_not_handed_down() {
    let place = place();
    let parent = place.path().to_str().unwrap().to_owned();
    tool("setfacl", &["-m", "default:user:daemon:rwx,default:group::rwx,default:other::rwx", &parent]);
    let path = place.path().join("lib/bot");
    changes(&request(&path, json!({})));
    for made in [place.path().join("lib"), path] {
        let acl = String::from_utf8(tool("getfacl", &["-cp", made.to_str().unwrap()])).unwrap();
        assert!(!acl.contains("daemon") && !acl.contains("default:"), "{acl}");
    }
    assert_eq!((mode(place.path().join("lib")), mode(place.path().join("lib/bot"))), (0o755, 0o700));
}

#[test]
fn a_user_who_may_not_is_told_so() {
    let message = if is_root() {
        let place = place();
        let answer = run_as(NOBODY, NOBODY, &request(place.path().join("bot"), json!({})));
        assert_eq!(answer["error"]["kind"], "permission_denied");
        answer["msg"].as_str().unwrap().to_owned()
    } else {
        fail(&request("/var/lib/tbot-tpm-test/bot", json!({})), "permission_denied")
    };
    snapshot!(message, @"cannot make the directory [DIR]/bot: Permission denied (os error 13); run as root (become: true), or use a path that this user may write to");
}

#[test]
fn a_directory_that_its_owner_may_not_be_given_is_not_left_behind() {
    if !is_root() {
        return;
    }
    let place = place();
    let home = directory(place.path().join("home"), NOBODY, NOBODY, 0o755);
    let answer = run_as(NOBODY, NOBODY, &request(home.join("bot"), json!({ "group": "mail" })));
    assert_eq!(answer["error"]["kind"], "permission_denied", "{answer}");
    assert!(!home.join("bot").exists());
}

#[test]
fn several_at_once_end_as_one_does() {
    let place = place();
    let path = place.path().join("a/b/c/d/bot");
    let extra = if is_root() { json!({ "owner": "daemon", "group": "mail" }) } else { json!({}) };
    let at_once = || -> Vec<Value> {
        std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..16).map(|_| scope.spawn(|| succeed(&request(&path, extra.clone())))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        })
    };
    let end = || {
        let parents = path.ancestors().skip(1).take(4).map(owned).collect::<Vec<_>>();
        (owned(&path), parents, owned(path.join("key")))
    };
    let answers = at_once();
    assert!(answers.iter().any(|answer| answer["changed"] == true));
    fs::write(path.join("key"), "").unwrap();
    succeed(&request(&path, extra.clone()));
    let expected = end();
    assert_eq!(expected.0.2, 0o700);
    assert!(expected.1.iter().all(|parent| parent.2 == 0o755));
    // And where one is there that is wrong in every way.
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    tool("setfacl", &["-R", "-m", "user:games:rwx", path.to_str().unwrap()]);
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        chown(path.join("key"), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    at_once();
    assert_eq!(end(), expected);
    assert_eq!(run(&request(&path, extra))["changed"], false);
}

#[test]
fn a_run_that_changes_nothing_makes_no_call_that_could() {
    let place = place();
    let path = place.path().join("lib/bot");
    fs::create_dir(place.path().join("lib")).unwrap();
    succeed(&request(&path, json!({})));
    fs::create_dir(path.join("inner")).unwrap();
    fs::write(path.join("inner/key"), "").unwrap();
    let (answer, log) = traced(&["-e", "trace=all"], &request(&path, json!({})));
    assert_eq!(answer["changed"], false, "{answer}");
    let changes: Vec<Call> = Call::all_in(&log).into_iter().filter(Call::is_change).collect();
    assert_eq!(changes, []);
    assert!(log.contains("\"inner\""), "it looked nowhere: {log}");
}
