//! Files that root acts upon, or reads again: whose doing the way to them may be.

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY, directory, file, is_root, place, roots_place, run_as, user};
use crate::support::registry::found;
use crate::support::storage::{in_check_mode, refused_in};
use crate::support::succeed;
use crate::support::tokens::hash;

/// A group that is nobody's own.
const TEAM: u32 = 4300;

/// A request for each action that writes a file, which goes into `directory`.
fn requests(directory: &Path) -> Vec<(&'static str, Value)> {
    let identity = json!({ "description": "web-1", "ek_public_hash": hash('a') });
    let at = |name: &str| directory.join(name);
    vec![
        (
            "config",
            json!({ "action": "config", "path": at("tbot.yaml"), "group": 0, "proxy_server": "x.example:443", "token": "t" }),
        ),
        ("unit", json!({ "action": "systemd", "directory": directory, "user": "root", "group": "root" })),
        (
            "drop-in",
            json!({ "action": "systemd", "directory": directory, "mode": "drop_in", "user": "root", "group": "root" }),
        ),
        (
            "rule",
            json!({ "action": "access", "udev_rule": at("x.rules"), "user": "root", "group": "root", "tcti": "swtpm:port=1" }),
        ),
        (
            "registry",
            json!({ "action": "registry", "registry": directory, "host": "web-1", "identity": found('a') }),
        ),
        (
            "new registry",
            json!({ "action": "registry", "registry": at("a/b"), "host": "web-1", "identity": found('a') }),
        ),
        (
            "token",
            json!({ "action": "token", "name": "t", "bot_name": "b", "hosts": [identity], "path": at("token.yaml") }),
        ),
    ]
}

/// Those for files that a team may share.
fn shared_requests(directory: &Path) -> Vec<(&'static str, Value)> {
    let is_shared = |name: &str| ["registry", "new registry", "token"].contains(&name);
    requests(directory).into_iter().filter(|(name, _)| is_shared(name)).collect()
}

#[test]
fn root_writes_nowhere_that_others_can_change() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    let below = directory(theirs.join("below"), 0, 0, 0o755);
    let groups = directory(place.path().join("groups"), 0, TEAM, 0o2775);
    let everybodys = directory(place.path().join("everybodys"), 0, 0, 0o777);
    let in_tmp = directory(place.path().join("tmp"), 0, 0, 0o1777);
    let strangers = directory(in_tmp.join("strangers"), NOBODY, NOBODY, 0o755);
    for (directory, why) in [
        (&theirs, "belongs to nobody, who could put something else there"),
        (&below, "belongs to nobody, who could put something else there"),
        (&groups, "is writable by others than its owner"),
        (&everybodys, "is writable by others than its owner"),
        (&strangers, "belongs to nobody, who could put something else there"),
    ] {
        for (name, request) in requests(directory) {
            let message = refused_in(place.path(), &request);
            assert!(message.contains(why), "{name}: {message}");
        }
    }
    let message = refused_in(place.path(), &requests(&theirs)[0].1);
    snapshot!(message, @"[DIR]/theirs/tbot.yaml lies below [DIR]/theirs, which belongs to nobody, who could put something else there (where nobody is the bot's user, give it as `owner`); nothing was changed; have each directory and link on the way belong to root or to the user who runs this, and writable by nobody else (chown, chmod go-w), or give another path");
    let message = refused_in(place.path(), &requests(&groups)[1].1);
    snapshot!(message, @"[DIR]/groups/tbot.service lies below [DIR]/groups, which is writable by others than its owner, who could put something else there; nothing was changed; have each directory and link on the way belong to root or to the user who runs this, and writable by nobody else (chown, chmod go-w), or give another path");
    // The directory of the drop-ins, of which a stranger made one.
    let units = directory(place.path().join("units"), 0, 0, 0o755);
    directory(units.join("tbot.service.d"), NOBODY, NOBODY, 0o755);
    refused_in(place.path(), &requests(&units)[2].1);
}

#[test]
fn what_others_can_change_is_not_removed_either() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    for request in [
        json!({ "action": "config", "path": theirs.join("tbot.yaml"), "state": "absent" }),
        json!({ "action": "systemd", "directory": theirs, "state": "absent" }),
        json!({ "action": "registry", "registry": theirs, "host": "web-1", "state": "archived" }),
    ] {
        refused_in(place.path(), &request);
    }
}

#[test]
fn a_configurations_future_owner_is_trusted_on_the_way_to_it() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
    let mut request = requests(&theirs)[0].1.clone();
    request["owner"] = json!("nobody");
    assert_eq!(succeed(&request)["changed"], true);
    let absent =
        json!({ "action": "config", "path": theirs.join("tbot.yaml"), "state": "absent", "owner": "nobody" });
    assert_eq!(succeed(&absent)["changed"], true);
    let gone = json!({ "action": "config", "path": place.path().join("x.yaml"), "state": "absent", "owner": "no-such-user" });
    assert_eq!(succeed(&gone)["changed"], false);
}

#[test]
fn links_of_others_are_not_followed_and_roots_are() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let victim = directory(place.path().join("victim"), 0, 0, 0o755);
    let links = directory(place.path().join("links"), 0, 0, 0o755);
    for (name, owner) in [("roots", 0), ("theirs", NOBODY)] {
        symlink("../victim", links.join(name)).unwrap();
        lchown(links.join(name), Some(owner), Some(owner)).unwrap();
    }
    let tmp = directory(place.path().join("tmp"), 0, 0, 0o1777);
    symlink(&victim, tmp.join("roots")).unwrap();
    for link in [links.join("theirs"), tmp.join("roots")] {
        for (name, request) in requests(&link) {
            let message = refused_in(place.path(), &request);
            let what = format!("goes through the symbolic link {}, which others than root", link.display());
            assert!(message.contains(&what), "{name}: {message}");
        }
    }
    for (name, request) in requests(&links.join("roots")) {
        // The rule's TPM does not answer, and a drop-in needs another's unit.
        if !["rule", "drop-in"].contains(&name) {
            assert_eq!(succeed(&request)["changed"], true, "{name}");
        }
    }
    for written in ["tbot.yaml", "tbot.service", "web-1.json", "a/b/web-1.json", "token.yaml"] {
        assert!(victim.join(written).exists(), "{written}");
    }
    // A link in place of the last directory that has to be made.
    symlink("no-such-directory", links.join("dangling")).unwrap();
    let (_, request) = &requests(&links.join("dangling"))[5];
    let message = refused_in(place.path(), request);
    assert!(message.contains("a symbolic link to something that does not exist"), "{message}");
}

#[test]
fn links_of_roots_below_a_store_that_its_builders_may_add_to_are_followed() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let store = directory(place.path().join("store"), 0, TEAM, 0o1775);
    let system = directory(store.join("hash-etc"), 0, 0, 0o755);
    directory(store.join("hash-units"), 0, 0, 0o755);
    symlink(store.join("hash-units"), system.join("units")).unwrap();
    symlink(&system, place.path().join("static")).unwrap();
    let (_, request) = &requests(&place.path().join("static/units"))[1];
    assert_eq!(succeed(request)["changed"], true);
    assert!(store.join("hash-units/tbot.service").exists());
    // What a builder put there is the builder's.
    symlink(store.join("hash-units"), store.join("link")).unwrap();
    lchown(store.join("link"), Some(NOBODY), Some(TEAM)).unwrap();
    let (_, request) = &requests(&store.join("link"))[0];
    refused_in(place.path(), request);
}

#[test]
fn a_file_of_a_strangers_where_everybody_may_make_one_is_not_taken_over() {
    if !is_root() {
        return;
    }
    let place = roots_place();
    let tmp = directory(place.path().join("tmp"), 0, 0, 0o1777);
    for name in ["tbot.yaml", "tbot.service", "web-1.json", "token.yaml"] {
        file(tmp.join(name), NOBODY, NOBODY, 0o644);
    }
    for index in [0, 1, 4, 6] {
        let (name, request) = &requests(&tmp)[index];
        let message = refused_in(place.path(), request);
        let what = format!("belongs to nobody, and anyone can make files in {}", tmp.display());
        assert!(message.contains(&what), "{name}: {message}");
    }
    for name in ["tbot.yaml", "tbot.service", "web-1.json", "token.yaml"] {
        fs::remove_file(tmp.join(name)).unwrap();
    }
    for index in [0, 1, 4, 6] {
        assert_eq!(succeed(&requests(&tmp)[index].1)["changed"], true);
    }
}

#[test]
fn ordinary_users_share_a_registry_and_tokens_with_their_team() {
    if !is_root() {
        return;
    }
    let place = place();
    // A checkout of a colleague's, and links of a colleague's in it.
    let checkout = directory(place.path().join("checkout"), user("daemon"), TEAM, 0o2775);
    let shared = directory(checkout.join("registry"), user("daemon"), TEAM, 0o2775);
    symlink("registry", checkout.join("link")).unwrap();
    lchown(checkout.join("link"), Some(user("daemon")), Some(TEAM)).unwrap();
    // As shared folders of virtual machines look.
    let mounted = directory(place.path().join("mounted"), NOBODY, NOBODY, 0o777);
    for directory in [&shared, &checkout.join("link"), &mounted] {
        for (name, request) in shared_requests(directory) {
            let answer = run_as(4242, TEAM, &request);
            assert!(answer.get("failed").is_none(), "{name}: {answer}");
        }
    }
    assert!(shared.join("a/b/web-1.json").exists());
    // What the service reads is the business of its host's root alone.
    let answer = run_as(4242, TEAM, &requests(&shared)[0].1);
    assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
}

#[test]
fn ordinary_users_do_not_take_over_what_strangers_left_where_everybody_may_write() {
    if !is_root() {
        return;
    }
    let place = place();
    let tmp = directory(place.path().join("tmp"), 0, 0, 0o1777);
    let strangers = directory(tmp.join("strangers"), NOBODY, NOBODY, 0o777);
    let own = directory(tmp.join("own"), 4242, TEAM, 0o755);
    symlink(&own, tmp.join("link")).unwrap();
    lchown(tmp.join("link"), Some(NOBODY), Some(NOBODY)).unwrap();
    for directory in [&strangers, &tmp.join("link")] {
        for (name, request) in shared_requests(directory) {
            for request in [request.clone(), in_check_mode(request)] {
                let answer = run_as(4242, TEAM, &request);
                assert_eq!(answer["error"]["kind"], "unsafe_path", "{name}: {answer}");
            }
        }
    }
    for (name, request) in shared_requests(&own) {
        assert_eq!(run_as(4242, TEAM, &request)["changed"], true, "{name}");
    }
}

#[test]
fn everybodys_own_layouts_pass() {
    if !is_root() {
        return;
    }
    // This machine's own directories.
    for request in [
        json!({ "action": "config", "group": 0, "proxy_server": "x.example:443", "token": "t", "path": "/etc/tbot-tpm-test.yaml" }),
        json!({ "action": "config", "group": 0, "proxy_server": "x.example:443", "token": "t", "path": "/usr/local/etc/tbot-tpm-test.yaml" }),
        json!({ "action": "systemd", "name": "tbot-tpm-test", "user": "root", "group": "root" }),
        json!({ "action": "registry", "registry": "/root/tbot-tpm-test", "host": "web-1", "identity": found('a') }),
    ] {
        assert_eq!(succeed(&in_check_mode(request))["changed"], true);
    }
    // A home in which the user's own group may write, as many distributions make them.
    let place = roots_place();
    let home = directory(place.path().join("home"), user("daemon"), user("daemon"), 0o755);
    let (_, request) = &requests(&home)[0];
    chown(&home, Some(4242), Some(4242)).unwrap();
    assert_eq!(run_as(4242, 4242, &with_group(request, 4242))["changed"], true);
}

fn with_group(request: &Value, group: u32) -> Value {
    let mut request = request.clone();
    request["group"] = json!(group);
    request
}
