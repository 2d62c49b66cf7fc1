//! `destinations`: the directories of a bot's outputs and sockets.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY, directory, file, group, is_root, owned, place, roots_place, user};
use crate::support::storage::{changes, in_check_mode};
use crate::support::{fail, run, succeed, tool};

/// A place for a bot of the user `daemon`, whose configuration has these services.
fn bot(services: &Value) -> (TempDir, Value) {
    let place = place();
    let root = place.path().to_str().unwrap();
    let text = json!({ "version": "v2", "storage": { "type": "directory", "path": format!("{root}/bot") }, "services": services });
    let path = place.path().join("tbot.yaml");
    fs::write(&path, text.to_string().replace("ROOT", root)).unwrap();
    let request = json!({ "action": "destinations", "config": path, "owner": "daemon", "group": "mail", "_ansible_diff": true });
    (place, request)
}

fn output(path: &str) -> Value {
    json!({ "type": "identity", "destination": { "type": "directory", "path": path } })
}

fn warnings(answer: &Value, place: &Path) -> String {
    let all: Vec<&str> =
        answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    all.join("\n").replace(place.to_str().unwrap(), "ROOT")
}

#[test]
fn directories_of_outputs_are_private_and_those_of_sockets_can_be_reached() {
    if !is_root() {
        return;
    }
    let (place, request) = bot(&json!([
        output("ROOT/opt/machine-id"),
        { "type": "ssh-multiplexer", "destination": { "type": "directory", "path": "ROOT/mux" } },
        { "type": "database-tunnel", "listen": "unix://ROOT/tunnels/db.sock" },
        { "type": "application-tunnel", "listen": "unix://ROOT/mux/app.sock" },
        { "type": "application-tunnel", "listen": "tcp://127.0.0.1:1234" },
        // These are not for us to make: memory, what tbot keeps in its storage, and a directory of many programs'.
        { "type": "identity", "destination": { "type": "memory" } },
        output("ROOT/bot/inner"),
        { "type": "application-tunnel", "listen": "unix:///tmp/app.sock" },
        // systemd makes these whenever the service starts.
        output("/run/tbot-test/identity"),
        { "type": "workload-identity-api", "listen": "unix:///var/run/tbot-test/api.sock" },
    ]));
    let answer = changes(&request);
    assert_eq!(answer["made_by_systemd"], json!(["/run/tbot-test/identity", "/var/run/tbot-test"]));
    assert_eq!(answer["directories"].as_array().unwrap().len(), 3);
    let (user, group) = (user("daemon"), group("mail"));
    for (path, mode) in [("opt/machine-id", 0o700), ("mux", 0o700), ("tunnels", 0o755)] {
        assert_eq!(owned(place.path().join(path)), (user, group, mode), "{path}");
    }
    assert_eq!(owned(place.path().join("opt")), (0, 0, 0o755));
    assert!(!place.path().join("bot").exists() && !Path::new("/run/tbot-test").exists());
}

#[test]
fn an_empty_directory_of_roots_is_given_and_keeps_its_acl() {
    if !is_root() {
        return;
    }
    let (place, request) = bot(&json!([output("ROOT/out")]));
    let out = directory(place.path().join("out"), 0, 0, 0o700);
    let path = out.to_str().unwrap();
    tool("setfacl", &["-m", "user:games:r-x", path]);
    let acl = || tool("getfacl", &["--absolute-names", "--omit-header", path]);
    let before = acl();
    changes(&request);
    assert_eq!((acl(), owned(&out)), (before, (user("daemon"), group("mail"), 0o750)));
}

#[test]
fn what_is_in_use_stays_with_a_warning() {
    if !is_root() {
        return;
    }
    let paths = ["app", "roots", "open"];
    let (place, request) = bot(&Value::from_iter(paths.map(|path| output(&format!("ROOT/{path}")))));
    directory(place.path().join("app"), NOBODY, 0, 0o755);
    let roots = directory(place.path().join("roots"), 0, 0, 0o755);
    let key = file(roots.join("tls.key"), 0, 0, 0o600);
    // It is not for the bot alone, whoever wrote it.
    let open = directory(place.path().join("open"), 0, group("games"), 0o2775);
    let answer = succeed(&request);
    assert_eq!(answer["changed"], false, "{answer}");
    snapshot!(warnings(&answer, place.path()), @r"
    tbot cannot write to ROOT/app as daemon: it belongs to nobody, and others may use it, so it was not changed. If it is for the bot alone, run: chown -R daemon ROOT/app
    tbot cannot write to ROOT/roots as daemon: it belongs to root, and others may use it, so it was not changed. If it is for the bot alone, run: chown -R daemon ROOT/roots
    tbot cannot write to ROOT/open as daemon: it belongs to root, and others may use it, so it was not changed. If it is for the bot alone, run: chown -R daemon ROOT/open
    ");
    let all = [owned(place.path().join("app")), owned(&roots), owned(&key), owned(&open)];
    assert_eq!(all, [(NOBODY, 0, 0o755), (0, 0, 0o755), (0, 0, 0o600), (0, group("games"), 0o2775)]);
}

#[test]
fn where_the_bot_can_write_nothing_is_changed_or_said() {
    if !is_root() {
        return;
    }
    let (place, request) = bot(&json!([
        output("ROOT/shared"),
        output("ROOT/sticky"),
        output("ROOT/link/deep"),
        { "type": "application-tunnel", "listen": "unix://ROOT/roots/db.sock" },
    ]));
    let shared = directory(place.path().join("shared"), 0, user("daemon"), 0o2770);
    let sticky = directory(place.path().join("sticky"), 0, 0, 0o1777);
    let roots = directory(place.path().join("roots"), 0, user("daemon"), 0o770);
    let home = directory(place.path().join("home"), NOBODY, 0, 0o755);
    directory(home.join("deep"), user("daemon"), 0, 0o700);
    std::os::unix::fs::symlink(&home, place.path().join("link")).unwrap();
    let answer = succeed(&request);
    assert_eq!((&answer["changed"], &answer["warnings"]), (&json!(false), &json!([])), "{answer}");
    let all = [owned(&shared), owned(&sticky), owned(&roots)];
    assert_eq!(all, [(0, user("daemon"), 0o2770), (0, 0, 0o1777), (0, user("daemon"), 0o770)]);
}

#[test]
fn one_that_cannot_be_made_safely_is_an_error_before_anything_is_made() {
    if !is_root() {
        return;
    }
    let (place, request) = bot(&json!([output("ROOT/first"), output("ROOT/home/out")]));
    directory(place.path().join("home"), NOBODY, 0, 0o755);
    let message = fail(&request, "unsafe_path").replace(place.path().to_str().unwrap(), "ROOT");
    snapshot!(message, @"ROOT/home/out lies below ROOT/home, which belongs to nobody, who could put something else there (where nobody is the bot's user, give it as `owner`); nothing was changed; make it by hand for daemon, or name a directory below /opt, /srv or /var/lib in the service's `destination`");
    assert!(!place.path().join("first").exists());
    assert_eq!(
        fail(&in_check_mode(request.clone()), "unsafe_path").replace(place.path().to_str().unwrap(), "ROOT"),
        message
    );
    // A bot that is root's makes it by itself, and so does one that may write there.
    let mut of_others = request;
    for owner in ["root", "nobody"] {
        of_others["owner"] = json!(owner);
        assert_eq!(in_check_mode_of(&of_others)["warnings"], json!([]));
    }
}

fn in_check_mode_of(request: &Value) -> Value {
    succeed(&in_check_mode(request.clone()))
}

#[test]
fn the_configuration_says_what_is_made() {
    let place = roots_place_or_place();
    let config = place.path().join("tbot.yaml");
    let request = json!({ "action": "destinations", "config": config, "owner": "root", "group": "root" });
    snapshot!(warnings(&succeed(&request), place.path()), @"there is no ROOT/tbot.yaml yet, so no directory is made for its services");
    fs::write(&config, "services: [{type: identity, destination: {type: directory, path: out}}]").unwrap();
    snapshot!(fail(&request, "conflict").replace(place.path().to_str().unwrap(), "ROOT"), @"ROOT/tbot.yaml does not tell where tbot writes: `services[0].destination` has no absolute `path`; correct it, and run this again");
    fs::write(&config, "services: [{type: identity, destination: {type: directory, path: /opt/../etc}}]")
        .unwrap();
    snapshot!(fail(&request, "conflict").replace(place.path().to_str().unwrap(), "ROOT"), @"ROOT/tbot.yaml does not tell where tbot writes: the path \"/opt/../etc\" has a `..` component; write where it leads; correct it, and run this again");
    assert_eq!(
        run(&json!({ "action": "destinations", "config": "tbot.yaml" }))["error"]["kind"],
        "invalid_request"
    );
}

fn roots_place_or_place() -> TempDir {
    if is_root() { roots_place() } else { place() }
}

#[test]
fn a_directory_that_is_no_longer_used_is_told_of_and_goes_on_request() {
    if !is_root() {
        return;
    }
    let place = place();
    let root = place.path().to_str().unwrap();
    let deploy = |services: Value, absent: Value| {
        json!({
            "action": "deploy",
            "config": {
                "path": format!("{root}/tbot.yaml"), "proxy_server": "example.com:443", "token": "a", "group": "root",
                "services": services, "storage_path": format!("{root}/bot"),
            },
            "destinations": { "owner": "daemon", "group": "mail", "absent": absent },
        })
    };
    let (old, new) = (format!("{root}/old"), format!("{root}/new"));
    succeed(&deploy(json!([output(&old)]), json!([])));
    for name in ["identity", "ssh_config", "cluster.ssh_config", "teleport-host-ca.crt"] {
        fs::write(format!("{old}/{name}"), "secret").unwrap();
    }
    let changed = succeed(&deploy(json!([output(&new)]), json!([])));
    assert_eq!(changed["destinations"]["left_over"], json!([old]));
    snapshot!(warnings(&changed, place.path()), @"tbot does not write to ROOT/old any more, and what it has written there stays. To remove the directory, list it in `absent` (tbot_destinations_absent)");
    assert!(Path::new(&old).join("identity").exists());
    // What is in use, and what is within it or around it, stays.
    for path in [&new, &format!("{new}/inner"), &format!("{root}/bot"), &root.to_owned()] {
        let message = fail(&deploy(json!([output(&new)]), json!([path])), "conflict");
        assert!(message.contains("is not removed: a bot uses"), "{message}");
    }
    // So does what somebody else has put there.
    fs::write(format!("{old}/notes"), "").unwrap();
    assert!(fail(&deploy(json!([output(&new)]), json!([old])), "conflict").contains("notes"));
    assert!(Path::new(&old).join("identity").exists());
    fs::remove_file(format!("{old}/notes")).unwrap();
    let mut removing = deploy(json!([output(&new)]), json!([old, format!("{root}/never/there")]));
    assert_eq!(succeed(&in_check_mode(removing.clone()))["changed"], true);
    assert!(Path::new(&old).exists());
    assert_eq!(succeed(&removing)["changed"], true);
    assert!(!Path::new(&old).exists() && Path::new(&new).exists());
    assert_eq!(succeed(&removing)["changed"], false);
    // A link that the bot's user has put in its place leads nowhere.
    std::os::unix::fs::symlink("/etc", &old).unwrap();
    assert!(run(&removing)["failed"] == true && Path::new("/etc/passwd").exists());
    removing["destinations"]["absent"] = json!(["/etc"]);
    fail(&removing, "unsafe_path");
}

#[test]
fn nothing_goes_that_a_bot_uses_by_whatever_path_or_whose_it_is() {
    if !is_root() {
        return;
    }
    let place = tempfile::Builder::new().prefix("tbot-tpm-test.").tempdir_in("/opt").unwrap();
    fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let root = place.path().to_str().unwrap();
    fs::create_dir(format!("{root}/real")).unwrap();
    std::os::unix::fs::symlink("real", format!("{root}/link")).unwrap();
    let deploy = |services: Value, absent: Value, instances: Value| {
        json!({
            "action": "deploy",
            "config": {
                "path": format!("{root}/tbot.yaml"), "proxy_server": "example.com:443", "token": "a", "group": "root",
                "services": services, "storage_path": format!("{root}/link/bot"),
            },
            "destinations": { "owner": "daemon", "group": "mail", "absent": absent },
            "instances": instances,
        })
    };
    let instance = json!([{
        "name": "second", "user": "daemon", "config_path": format!("{root}/second.yaml"), "storage_path": format!("{root}/second"),
        "services": [output(&format!("{root}/link/other"))],
    }]);
    succeed(&deploy(json!([output(&format!("{root}/link/out"))]), json!([]), instance.clone()));
    for folder in ["out", "other"] {
        fs::write(format!("{root}/real/{folder}/identity"), "secret").unwrap();
    }
    fs::create_dir(format!("{root}/real/bot")).unwrap();
    for path in ["real/out", "link/out", "real/other", "real/bot"] {
        // A list, or a text that stands for one.
        for absent in [json!([format!("{root}/{path}")]), json!(format!("{root}/{path}"))] {
            let request = deploy(json!([output(&format!("{root}/link/out"))]), absent, instance.clone());
            assert!(fail(&request, "conflict").contains("is not removed: a bot uses"), "{path}");
            assert!(Path::new(&format!("{root}/{path}")).exists(), "{path}");
        }
    }
    // One that moves to another bot is in use, too.
    let moved = json!([{
        "name": "second", "user": "daemon", "config_path": format!("{root}/second.yaml"), "storage_path": format!("{root}/second"),
        "services": [output(&format!("{root}/link/out"))],
    }]);
    let answer = succeed(&deploy(json!([]), json!([]), moved));
    assert_eq!(answer["destinations"]["left_over"], json!([]), "{answer}");
    // Another user's stays.
    fs::create_dir(format!("{root}/real/mail")).unwrap();
    std::os::unix::fs::chown(format!("{root}/real/mail"), Some(user("mail")), None).unwrap();
    let message = fail(&deploy(json!([]), json!([format!("{root}/real/mail")]), json!([])), "conflict");
    assert!(message.contains("it belongs to mail"), "{message}");
    // The process that wrote there may do so until it is restarted.
    succeed(&deploy(json!([output(&format!("{root}/last"))]), json!([]), json!([])));
    fs::write(format!("{root}/last/identity"), "secret").unwrap();
    let going = deploy(json!([]), json!([format!("{root}/last")]), json!([]));
    assert!(warnings(&succeed(&going), place.path()).contains("ROOT/last is removed by the next run"));
    assert!(Path::new(&format!("{root}/last/identity")).exists());
    assert_eq!(succeed(&going)["changed"], true);
    assert!(!Path::new(&format!("{root}/last")).exists());
    let without = json!({ "action": "destinations", "config": format!("{root}/none.yaml"), "owner": "daemon", "group": "mail", "absent": [format!("{root}/real")] });
    assert!(fail(&without, "conflict").contains("does not tell where tbot writes: it is not there"));
}
