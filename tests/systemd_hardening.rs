//! `systemd` with `hardening`: what the service is kept from, and what it is left.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::systemd::{
    PACKAGED, exposure, has_systemd_analyze, install, request, systemd_version, warnings,
};
use support::{fail, succeed, tool};
use tempfile::TempDir;

/// A directory for units, and a file for a configuration.
struct Place {
    directory: TempDir,
    config: PathBuf,
}

impl Place {
    fn with(config: &str) -> Self {
        let directory = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
        let path = directory.path().join("t.yaml");
        fs::write(&path, config).unwrap();
        Self { directory, config: path }
    }

    fn extra(&self, extra: Value) -> Value {
        let mut all = json!({ "hardening": true, "config": self.config });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        all
    }

    fn install(&self, extra: Value) -> Value {
        install(self.directory.path(), self.extra(extra))
    }

    fn refused(&self, extra: Value, kind: &str) -> String {
        fail(&request(self.directory.path(), self.extra(extra)), kind)
    }
}

/// The values that a directive is given, one an assignment.
fn values(answer: &Value, name: &str) -> Vec<String> {
    let content = answer["content"].as_str().unwrap();
    let assignments = content.lines().filter_map(|line| line.split_once('='));
    assignments.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).collect()
}

fn value(answer: &Value, name: &str) -> String {
    let values = values(answer, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].clone()
}

#[test]
fn the_service_is_left_what_it_has_a_use_for() {
    let place = Place::with("version: v2\n");
    let answer = place.install(json!({ "supplementary_groups": ["tss"] }));
    let content = answer["content"].as_str().unwrap();
    let service = content.split_once("LimitNOFILE=524288\n").unwrap().1.split_once("\n\n").unwrap().0;
    let expected = "\
RuntimeDirectory=tbot
ProtectSystem=strict
ReadOnlyPaths=/run
ReadWritePaths=/var/lib/teleport/bot
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProcSubset=pid
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
DeviceAllow=char-tpm rw
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources";
    if place.config.starts_with("/var/lib") {
        assert_eq!(service, expected);
    } else {
        support::note("skipped: needs root for a configuration outside of /tmp");
    }
    assert_eq!(warnings(&answer), [""; 0]);
    assert!(content.contains(" --pid-file=/run/tbot/tbot.pid\n"), "{content}");
    assert_eq!(value(&answer, "PIDFile"), "/run/tbot/tbot.pid");
    let again = place.install(json!({ "supplementary_groups": ["tss"] }));
    assert_eq!((&again["changed"], &again["needs_daemon_reload"]), (&json!(false), &json!(false)));
}

#[test]
fn systemd_finds_little_exposure_and_much_without() {
    if !has_systemd_analyze() {
        return;
    }
    if systemd_version() < 250 {
        support::note("skipped: systemd-analyze security rates files from version 250 on");
        return;
    }
    let place = Place::with("services: [{type: workload-identity-api, listen: 'unix:///run/w/api.sock'}]\n");
    let plain = Place::with("");
    let unit = |place: &Place, extra: Value| {
        let answer = place.install(extra);
        exposure(&[("tbot.service".to_owned(), answer["content"].as_str().unwrap().to_owned())]).unwrap()
    };
    let tss = json!({ "supplementary_groups": ["tss"] });
    let hardened = unit(&plain, tss.clone());
    let serving = unit(&place, tss);
    let without = unit(&plain, json!({ "supplementary_groups": ["tss"], "hardening": false }));
    let answer =
        place.install(json!({ "name": "other", "mode": "drop_in", "supplementary_groups": ["tss"] }));
    let dropped_in = exposure(&[
        ("other.service".to_owned(), PACKAGED.to_owned()),
        ("other.service.d/10-tbot-tpm.conf".to_owned(), answer["content"].as_str().unwrap().to_owned()),
    ])
    .unwrap();
    println!(
        "hardened {hardened}, serving workloads {serving}, as a drop-in {dropped_in}, without {without}"
    );
    assert!(hardened <= 2.5 && serving <= 2.5 && dropped_in <= 2.5 && without >= 9.0);
}

#[test]
fn what_the_configuration_names_is_writable() {
    let place = Place::with(
        "storage: {type: directory, path: /srv/bot}
outputs:
  - {type: identity, destination: {type: directory, path: /opt/b}}
services:
  - {type: identity, destination: {type: directory, path: '/opt/a b%c'}}
  - {type: application-tunnel, listen: 'unix:///run/tunnels/app.sock'}
",
    );
    let answer = place.install(json!({}));
    assert_eq!(value(&answer, "ReadWritePaths"), "\"-/opt/a b%%c\" -/opt/b -/run/tunnels /srv/bot");
    // Others have to be let at a socket, but nobody's processes looked at for it.
    assert!(values(&answer, "UMask").is_empty());
    assert_eq!(value(&answer, "ProtectProc"), "invisible");
    // All of /run only where somebody asks for it.
    let run = place.install(json!({ "read_write_paths": ["/run"] }));
    assert_eq!(value(&run, "ReadWritePaths"), "-/run");
    assert!(values(&run, "ReadOnlyPaths").is_empty());
    let memory = Place::with("storage: {type: memory}\n").install(json!({}));
    assert!(values(&memory, "ReadWritePaths").is_empty());
}

#[test]
fn a_workload_api_looks_at_the_processes_that_connect() {
    for kind in ["workload-identity-api", "spiffe-workload-api"] {
        let place = Place::with(&format!("services: [{{type: {kind}, listen: 'tcp://127.0.0.1:1'}}]\n"));
        let answer = place.install(json!({}));
        for name in ["ProtectProc", "ProcSubset", "UMask"] {
            assert!(values(&answer, name).is_empty(), "{name}");
        }
    }
}

#[test]
fn given_paths_are_writable_instead_of_those_of_the_configuration() {
    let place = Place::with("outputs: [{type: identity, destination: {type: directory, path: /opt/b}}]\n");
    let answer = place.install(json!({ "read_write_paths": ["/srv/x", "/srv/a \"b\"\\c$d'", "/srv/x"] }));
    assert_eq!(value(&answer, "ReadWritePaths"), "\"-/srv/a \\\"b\\\"\\\\c$d'\" -/srv/x");
    let none = place.install(json!({ "read_write_paths": [] }));
    assert!(values(&none, "ReadWritePaths").is_empty());
    let idle = place.install(json!({ "read_write_paths": ["/srv/x"], "hardening": false, "name": "idle" }));
    assert!(warnings(&idle)[0].contains("no use without `hardening`"), "{idle}");
    let ad_hoc = place.install(json!({ "read_write_paths": "/srv/x,/srv/y" }));
    assert_eq!(value(&ad_hoc, "ReadWritePaths"), "-/srv/x -/srv/y");
}

#[test]
fn without_a_configuration_the_usual_storage_is_writable_with_a_warning() {
    let place = Place::with("");
    fs::remove_file(&place.config).unwrap();
    let extra = |check_mode| place.extra(json!({ "_ansible_check_mode": check_mode }));
    let foreseen = succeed(&request(place.directory.path(), extra(true)));
    let answer = succeed(&request(place.directory.path(), extra(false)));
    for answer in [&foreseen, &answer] {
        assert_eq!(value(answer, "ReadWritePaths"), "/var/lib/teleport/bot");
        assert!(answer["warnings"].to_string().contains("there is no"), "{answer}");
    }
    assert_eq!(answer["diff"], foreseen["diff"]);
}

#[test]
fn a_configuration_that_tells_nothing_certain_is_a_conflict() {
    for config in [
        "a: [",
        "a: 1\na: 2\n",
        "a: 1\n---\nb: 2\n",
        "storage: {type: directory, path: /srv/../etc}\n",
        "storage: {type: directory, path: /}\n",
        "services: [{type: application-tunnel, listen: 'unix:///app.sock'}]\n",
        "services: [{type: application-tunnel, listen: 'unix:///run/app.sock'}]\n",
        "services: [{type: identity, destination: {type: directory, path: /etc}}]\n",
        "services: [{type: identity, destination: /opt/x}]\n",
        "storage: /srv/bot\n",
        "- 1\n",
    ] {
        let place = Place::with(config);
        for check_mode in [true, false] {
            let message = place.refused(json!({ "_ansible_check_mode": check_mode }), "conflict");
            assert!(message.contains(place.config.to_str().unwrap()), "{message}");
        }
        assert!(!place.directory.path().join("tbot.service").exists());
        // Without hardening nobody asks.
        place.install(json!({ "hardening": false }));
        // To remove our own unit takes no configuration.
        let absent = request(place.directory.path(), place.extra(json!({ "state": "absent" })));
        assert_eq!(succeed(&absent)["changed"], true);
    }
    let fifo = Place::with("");
    fs::remove_file(&fifo.config).unwrap();
    tool("mkfifo", &[fifo.config.to_str().unwrap()]);
    fifo.refused(json!({}), "unsafe_path");
}

#[test]
fn paths_in_homes_and_for_temporary_files_stay_in_sight() {
    let place = Place::with("");
    for (path, home, tmp) in [
        ("/home/web/out", "read-only", true),
        ("/root/out", "read-only", true),
        ("/run/user/1000/out", "read-only", true),
        ("/tmp/out", "yes", false),
        ("/var/tmp/out", "yes", false),
        ("/homes/out", "yes", true),
    ] {
        let answer = place.install(json!({ "read_write_paths": [path] }));
        let is_in_tmp = !place.config.starts_with("/var/lib");
        assert_eq!(value(&answer, "ProtectHome"), home, "{path}");
        assert_eq!(values(&answer, "PrivateTmp") == ["yes"], tmp && !is_in_tmp, "{path}");
    }
    let answer = place.install(json!({ "tbot_path": "/home/web/tbot" }));
    assert_eq!(value(&answer, "ProtectHome"), "read-only");
    let reading =
        Place::with("onboarding: {token: /home/ops/token, ca_path: /tmp/ca.pem}\n").install(json!({}));
    assert_eq!(value(&reading, "ProtectHome"), "read-only");
    assert!(values(&reading, "PrivateTmp").is_empty());
    // By whatever name.
    let link = place.directory.path().join("link");
    symlink("/root", &link).unwrap();
    for extra in
        [json!({ "read_write_paths": [link.join("no/such")] }), json!({ "tbot_path": link.join("tbot") })]
    {
        assert_eq!(value(&place.install(extra), "ProtectHome"), "read-only");
    }
}

#[test]
fn the_pid_file_is_in_a_directory_that_the_service_may_write_to() {
    let place = Place::with("");
    for (given, runtime_directory) in [
        ("/run/tbot/x.pid", Some("tbot")),
        ("/run/tbot/a/b/x.pid", Some("tbot/a/b")),
        ("/var/run/tbot/x.pid", Some("tbot")),
        ("/var/lib/teleport/bot/x.pid", None),
        ("/var/lib/teleport/bot/run/x.pid", None),
    ] {
        let answer = place.install(json!({ "pid_file": given }));
        let expected: Vec<&str> = runtime_directory.into_iter().collect();
        assert_eq!(values(&answer, "RuntimeDirectory"), expected, "{given}");
        assert_eq!(value(&answer, "ReadWritePaths"), "/var/lib/teleport/bot", "{given}");
        assert_eq!(value(&answer, "PIDFile"), given.replace("/var/run/", "/run/"));
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
        support::note("skipped: this machine has a /etc/tbot.yaml");
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
        support::note("skipped: this machine has a /etc/tbot.yaml");
        return;
    }
    for (flag, runtime_directory, warns) in [
        ("", None, false),
        ("--pid-file=/run/tbot.pid", None, true),
        ("--pid-file '/run/tbot.pid'", None, true),
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
    }
}

#[test]
fn a_hardened_drop_in_goes_by_the_configuration_of_its_units_command() {
    let place = Place::with("services: [{type: identity, destination: {type: directory, path: /opt/out}}]\n");
    let unit = |command: &str| {
        let text = format!("[Service]\nExecStart={command}\n");
        fs::write(place.directory.path().join("tbot.service"), text).unwrap();
        succeed(&request(place.directory.path(), json!({ "mode": "drop_in", "hardening": true })))
    };
    let answer = unit(&format!("/home/web/tbot start -c {}", place.config.display()));
    assert_eq!(value(&answer, "ReadWritePaths"), "-/opt/out /var/lib/teleport/bot");
    assert_eq!(value(&answer, "ProtectHome"), "read-only");
    assert_eq!(warnings(&answer), [""; 0]);
    let answer = unit("/usr/bin/wrapper");
    assert!(answer["warnings"].to_string().contains("does not say its configuration"), "{answer}");
}
