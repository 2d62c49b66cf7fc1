//! Where a service keeps its pid file, and what else it has below `/run`.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::fail;
use crate::support::hardened::{Place, value, values};
use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY, directory, is_root, owned, roots_place};
use crate::support::systemd::{BY_TBOT, MARKER, PACKAGED, install, request};

#[test]
fn the_pid_file_is_in_a_directory_that_the_service_may_write_to() {
    let place = Place::with("");
    for (given, runtime_directory) in [
        ("/run/tbot/x.pid", Some("tbot")),
        ("/run/tbot/a/b/x.pid", Some("tbot/a/b")),
        ("/var/run/tbot/x.pid", Some("tbot")),
        ("/var//run/tbot/./x.pid", Some("tbot")),
        ("/var/lib/teleport/bot/x.pid", None),
        ("/var/lib/teleport/bot/run/x.pid", None),
    ] {
        let answer = place.install(json!({ "pid_file": given }));
        let expected: Vec<&str> = runtime_directory.into_iter().collect();
        assert_eq!(values(&answer, "RuntimeDirectory"), expected, "{given}");
        assert_eq!(value(&answer, "ReadWritePaths"), "/var/lib/teleport/bot", "{given}");
        let newer = given.replace("/var/run/", "/run/").replace("/var//run/tbot/./", "/run/tbot/");
        assert_eq!(value(&answer, "PIDFile"), newer);
    }
    let given = json!({ "pid_file": "/srv/pid files/x.pid", "read_write_paths": ["/srv/pid files"] });
    assert!(values(&place.install(given), "RuntimeDirectory").is_empty());
    // A socket beside the pid file does not spare systemd making the directory.
    let beside = Place::with("services: [{type: application-tunnel, listen: 'unix:///run/tbot/app.sock'}]\n");
    let answer = beside.install(json!({}));
    assert_eq!(value(&answer, "RuntimeDirectory"), "tbot");
    assert_eq!(value(&answer, "ReadWritePaths"), "/var/lib/teleport/bot");
    assert_eq!(value(&answer, "RuntimeDirectoryPreserve"), "yes");
    let without = place.install(json!({ "pid_file": "" }));
    let content = without["content"].as_str().unwrap();
    assert!(!content.contains("pid-file") && !content.contains("PIDFile"), "{content}");
    assert!(values(&without, "RuntimeDirectory").is_empty());
    let colon = place.install(json!({ "name": "tbot:web" }));
    assert_eq!(value(&colon, "RuntimeDirectory"), "tbot-web");
    assert_eq!(value(&colon, "PIDFile"), "/run/tbot-web/tbot:web.pid");
}

#[test]
fn what_the_bot_keeps_below_run_is_there_when_the_service_stops() {
    for (storage, mode) in [("/run/tbot", Some("0700")), ("/run/tbot/state/bot", None)] {
        let place = Place::with(&format!("storage: {{type: directory, path: {storage}}}\n"));
        let answer = place.install(json!({}));
        assert_eq!(value(&answer, "RuntimeDirectoryPreserve"), "yes");
        assert_eq!(values(&answer, "RuntimeDirectoryMode"), mode.into_iter().collect::<Vec<_>>());
        assert!(values(&answer, "ReadWritePaths").is_empty());
        assert_eq!(place.install(json!({}))["changed"], false);
    }
}

#[test]
fn a_pid_file_that_could_not_be_written_is_refused_with_what_to_do() {
    let place = Place::with("");
    // systemd would give each of these directories to the service's user, and remove some as it stops.
    let others = ["lock", "systemd", "dbus", "user/0", "teleport", "web", "tbot2", "tbot-x"];
    let others = others.iter().map(|name| format!("/run/{name}/tbot.pid"));
    let shared = [
        "/run",
        "/var/run",
        "",
        "/etc",
        "/tmp",
        "/var/lib",
        "/var/lib/teleport",
        "/usr/local",
        "/etc/systemd",
        "/dev/shm",
    ];
    let shared = shared.iter().map(|name| format!("{name}/tbot.pid"));
    let places = ["/run/tbot", "/var/lib/teleport/bot", "/srv/x/tbot.pid"].map(str::to_owned);
    for path in others.chain(shared).chain(places) {
        let message = place.refused(json!({ "pid_file": path }), "invalid_request");
        assert!(message.contains("leave `pid_file` out for /run/tbot/tbot.pid"), "{message}");
    }
    for (extra, hint) in [
        (json!({ "pid_file": "/run/tbot/a b/x.pid" }), "call the directory otherwise"),
        (json!({ "name": "systemd" }), "give the service another `name`"),
        (json!({ "name": "dbus" }), "give the service another `name`"),
        (json!({ "name": "user" }), "give the service another `name`"),
    ] {
        let message = place.refused(extra, "invalid_request");
        assert!(message.contains(hint), "{message}");
    }
    let without = place.install(json!({ "name": "systemd-x", "pid_file": "" }));
    assert!(values(&without, "RuntimeDirectory").is_empty());
    assert!(!place.directory.path().join("tbot.service").exists());
}

#[test]
fn a_hardened_drop_in_without_a_command_has_no_pid_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("tbot.service"), PACKAGED).unwrap();
    if Path::new("/etc/tbot.yaml").exists() {
        crate::support::note("skipped: this machine has a /etc/tbot.yaml");
        return;
    }
    let answer = install(directory.path(), json!({ "mode": "drop_in", "hardening": "yes" }));
    assert_eq!(value(&answer, "ProtectSystem"), "strict");
    for name in ["ExecStart", "PIDFile", "RuntimeDirectory"] {
        assert!(values(&answer, name).is_empty(), "{name}");
    }
}

#[test]
fn the_pid_file_of_a_units_own_command_is_let_be_written_or_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    if Path::new("/etc/tbot.yaml").exists() {
        crate::support::note("skipped: this machine has a /etc/tbot.yaml");
        return;
    }
    for (flag, runtime_directory, warns) in [
        ("", None, false),
        ("--pid-file=/run/tbot.pid", None, false),
        ("--pid-file '/var/run/tbot.pid'", None, false),
        ("--pid-file=/run/tbot/tbot.pid", Some("tbot"), false),
        ("\"--pid-file=/var/lib/teleport/bot/tbot.pid\"", None, false),
        ("--pid-file", None, false),
        ("--pid-file=/run/own/x.pid", None, false),
        ("--pid-file=/run/other/x.pid", None, true),
    ] {
        let unit =
            PACKAGED.replace("/bin/true packaged", &format!("/bin/true start -c /etc/tbot.yaml {flag}"));
        // systemd makes a directory for that unit itself.
        let unit = format!("{unit}RuntimeDirectory=own\n");
        fs::write(directory.path().join("tbot.service"), unit).unwrap();
        let answer = install(directory.path(), json!({ "mode": "drop_in", "hardening": true }));
        let expected: Vec<&str> = runtime_directory.into_iter().collect();
        assert_eq!(values(&answer, "RuntimeDirectory"), expected, "{flag}");
        assert_eq!(answer["warnings"].to_string().contains("writes a pid file"), warns, "{flag}: {answer}");
        // What a hardened service could not make in /run is there before it starts.
        let is_made = value(&answer, "ReadWritePaths") == "-/run/tbot.pid /var/lib/teleport/bot";
        assert_eq!(is_made, flag.contains("run/tbot.pid"), "{flag}: {answer}");
        assert_eq!(values(&answer, "ExecStartPre").len(), usize::from(is_made), "{flag}: {answer}");
    }
}

#[test]
fn a_user_but_root_gets_a_directory_for_the_pid_file() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(directory.path(), json!({ "name": "tbot-web" }));
    let content = answer["content"].as_str().unwrap();
    assert!(content.contains(" --pid-file=/run/tbot-web/tbot-web.pid\n"), "{content}");
    assert_eq!(value(&answer, "PIDFile"), "/run/tbot-web/tbot-web.pid");
    assert_eq!(value(&answer, "RuntimeDirectory"), "tbot-web");
    assert_eq!(install(directory.path(), json!({ "name": "tbot-web" }))["changed"], false);
    for root in [json!({ "user": "root" }), json!({ "user": 0 })] {
        let answer = install(directory.path(), root);
        assert_eq!(value(&answer, "PIDFile"), "/run/tbot.pid");
        assert!(values(&answer, "RuntimeDirectory").is_empty(), "{answer}");
    }
    let message = fail(&request(directory.path(), json!({ "name": "systemd" })), "invalid_request");
    snapshot!(message, @"parameter `pid_file`: /run/systemd/systemd.pid cannot be written, since /run/systemd is a directory of the system; give the service another `name`, or do without the file: `pid_file: \"\"`");
}

#[test]
fn our_unit_whose_user_cannot_write_its_pid_file_is_corrected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    fs::write(&path, format!("{MARKER} tbot\n{BY_TBOT}")).unwrap();
    let answer = install(directory.path(), json!({}));
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(true), &json!(true)));
    assert_eq!(value(&answer, "PIDFile"), "/run/tbot/tbot.pid");
}

#[test]
fn what_the_bot_keeps_below_run_outlasts_a_service_without_hardening_too() {
    let place = Place::with("services: [{type: application-tunnel, listen: 'unix:///run/tbot/app.sock'}]\n");
    let answer = place.install(json!({ "hardening": false }));
    assert_eq!(value(&answer, "RuntimeDirectoryPreserve"), "yes");
    let other = Place::with("- nonsense\n").install(json!({ "hardening": false }));
    assert_eq!(value(&other, "RuntimeDirectory"), "tbot");
}

#[test]
fn a_pid_file_in_run_that_was_asked_for_is_made_by_root() {
    let directory = tempfile::tempdir().unwrap();
    let given = json!({ "pid_file": "/run/a b.pid", "user": "web", "group": 1500 });
    let answer = install(directory.path(), given.clone());
    assert_eq!(
        value(&answer, "ExecStartPre"),
        "+/usr/bin/install -m 0644 -o web -g 1500 /dev/null \"/run/a b.pid\""
    );
    assert!(values(&answer, "RuntimeDirectory").is_empty());
    assert_eq!(install(directory.path(), given)["changed"], false);
    let elsewhere = install(directory.path(), json!({ "pid_file": "/srv/x.pid" }));
    assert!(values(&elsewhere, "ExecStartPre").is_empty());
}

#[test]
fn systemd_makes_the_directories_of_outputs_and_sockets_below_run_and_nobody_elses() {
    if !is_root() {
        return;
    }
    let run = roots_place();
    let folder = run.path().to_str().unwrap();
    let others = directory(run.path().join("others"), NOBODY, 0, 0o755);
    let tunnel = |path: &str| {
        format!("{{type: application-tunnel, app_name: a, listen: 'unix://{folder}/{path}/app.sock'}}")
    };
    let services = [tunnel("sockets"), tunnel("others"), tunnel("with space")].join(", ");
    let place = Place::with(&format!("services: [{services}]\n"));
    for hardening in [true, false] {
        let answer = place.install(json!({ "hardening": hardening, "pid_file": "" }));
        let expected = format!("{}/sockets", folder.strip_prefix("/run/").unwrap());
        assert_eq!(values(&answer, "RuntimeDirectory"), [expected.as_str()], "{answer}");
        let warnings = answer["warnings"].to_string();
        assert!(
            warnings.contains(&format!(
                "{folder}/others belongs to nobody with mode 0755, so systemd does not make it"
            )),
            "{warnings}"
        );
        assert!(warnings.contains("other characters than letters, digits"), "{warnings}");
    }
    assert_eq!(owned(&others).0, NOBODY);
}
