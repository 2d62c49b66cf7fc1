//! `systemd` with `hardening`: what the service is kept from, and what it is left.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::hardened::{Place, value, values};
use crate::support::messages::snapshot;
use crate::support::systemd::{PACKAGED, exposure, has_systemd_analyze, request, systemd_version, warnings};
use crate::support::{succeed, tool};

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
        crate::support::note("skipped: needs root for a configuration outside of /tmp");
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
        crate::support::note("skipped: systemd-analyze security rates files from version 250 on");
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
    snapshot!(warnings(&idle)[0], @"parameter `read_write_paths` has no use without `hardening`");
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
        "---\n---\na: 1\n",
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
fn the_first_document_with_what_it_takes_over_tells_the_paths() {
    let place = Place::with(
        "storage: &d {type: directory, path: /srv/bot}\n\
         services: [{type: identity, destination: {<<: *d, path: /opt/a}}]\n---\n\
         services: [{type: identity, destination: {type: directory, path: /opt/b}}]\n*broken\n",
    );
    let answer = place.install(json!({}));
    let writes = values(&answer, "ReadWritePaths").join(" ");
    assert!(
        writes.contains("/srv/bot") && writes.contains("/opt/a") && !writes.contains("/opt/b"),
        "{writes}"
    );
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

/// Asked for nothing about it, in check mode or not.
fn by_default(place: &Place, extra: Value) -> Value {
    let mut all = json!({ "hardening": null, "config": place.config });
    all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    place.install(all)
}

#[test]
fn by_default_what_is_written_anew_is_hardened_and_what_is_right_stays() {
    let place = Place::with("version: v2\n");
    let anew = by_default(&place, json!({}));
    assert_eq!((&anew["changed"], &anew["hardened"]), (&json!(true), &json!(true)), "{anew}");
    assert_eq!(anew["content"], place.install(json!({}))["content"]);
    assert_eq!(by_default(&place, json!({}))["changed"], false);
    let plain = place.install(json!({ "hardening": false }));
    assert_eq!((&plain["changed"], &plain["hardened"]), (&json!(true), &json!(false)));
    for check_mode in [true, false] {
        let kept = by_default(&place, json!({ "_ansible_check_mode": check_mode }));
        assert_eq!((&kept["changed"], &kept["hardened"]), (&json!(false), &json!(false)), "{kept}");
        let said = if check_mode {
            vec![
                "the service tbot is not hardened. Its next change hardens it; to keep it as it is, set `hardening: false`",
            ]
        } else {
            vec![]
        };
        assert_eq!(warnings(&kept), said);
    }
    let changed = by_default(&place, json!({ "anonymous_telemetry": true }));
    assert_eq!((&changed["changed"], &changed["hardened"]), (&json!(true), &json!(true)), "{changed}");
    assert_eq!(by_default(&place, json!({ "anonymous_telemetry": true }))["changed"], false);
}

#[test]
fn by_default_nothing_is_hardened_that_would_not_work_or_is_not_known() {
    let low = "services:\n  - type: application-tunnel\n    app_name: a\n    listen: tcp://127.0.0.1:443\n";
    for (text, why) in [
        (low, "tbot listens at port 443, which a hardened service may not open"),
        (
            "storage:\n  type: directory\n  path: /etc\n",
            "it has tbot write right into /etc, which is not its own",
        ),
    ] {
        let place = Place::with(text);
        for changed in [true, false] {
            let answer = by_default(&place, json!({}));
            assert_eq!(
                (&answer["changed"], &answer["hardened"]),
                (&json!(changed), &json!(false)),
                "{answer}"
            );
            let said = warnings(&answer).join("\n");
            let is_told = said.starts_with("the service tbot is not hardened: ") && said.contains(why);
            assert_eq!(is_told, changed, "{said}");
        }
        assert_eq!(warnings(&place.install(json!({ "hardening": false }))), [""; 0]);
    }
    let place = Place::with("");
    std::fs::remove_file(&place.config).unwrap();
    let answer = by_default(&place, json!({}));
    assert_eq!((&answer["hardened"], warnings(&answer).len()), (&json!(false), 0), "{answer}");
}

#[test]
fn by_default_what_is_hardened_stays_so_whatever_the_configuration_has_become() {
    let place = Place::with("version: v2\n");
    assert_eq!(by_default(&place, json!({}))["hardened"], true);
    fs::write(&place.config, "storage: /srv/bot\n").unwrap();
    assert!(
        place.refused(json!({ "hardening": null, "config": place.config }), "conflict").contains("`storage`")
    );
    fs::remove_file(&place.config).unwrap();
    let answer = by_default(&place, json!({}));
    assert_eq!(answer["hardened"], true, "{answer}");
}

#[test]
fn by_default_a_service_of_root_keeps_its_capabilities_where_it_needs_them() {
    if !crate::support::privileges::is_root() {
        return;
    }
    let output = tempfile::tempdir_in("/opt").unwrap();
    let text = format!(
        "services:\n  - type: identity\n    destination:\n      type: directory\n      path: {}\n",
        output.path().display()
    );
    let place = Place::with(&text);
    let of_root = json!({ "user": "root", "group": "root" });
    assert_eq!(by_default(&place, of_root.clone())["hardened"], true);
    let place = Place::with(&text);
    std::os::unix::fs::chown(output.path(), Some(1), None).unwrap();
    let answer = by_default(&place, of_root);
    assert_eq!(answer["hardened"], false);
    assert!(warnings(&answer)[0].contains("belongs to daemon, and root may not write there"), "{answer}");
    let place = Place::with("diag_addr: 127.0.0.1:81\n");
    assert_eq!(by_default(&place, json!({}))["hardened"], false);
}
