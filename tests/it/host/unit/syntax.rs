//! `systemd`: paths that mean something to systemd, and units that say the same in other words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tbot_tpm::host::unit::{Form, same_directives};

use crate::support::fail;
use crate::support::systemd::{BY_TBOT, install, request};

/// A program that systemd-analyze takes for one, in a folder of this name.
fn program(directory: &Path, folder: &str) -> PathBuf {
    let program = directory.join(folder).join("tbot");
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn paths_with_special_characters_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let answer = install(
        directory.path(),
        json!({
            "tbot_path": program(directory.path(), "a b%h$HOME${HOME} é;"),
            "config": "/etc/a b%h$HOME\"q'é\\x\u{2028}/t.yaml",
            "pid_file": "/run/a b%h$HOME\"q'é\\x.pid",
        }),
    );
    let content = answer["content"].as_str().unwrap();
    let expected = format!(
        "\nExecStart=\":{}/a b%%h$HOME${{HOME}} é;/tbot\" start -c \"/etc/a b%%h$HOME\\\"q'é\\\\x\u{2028}/t.yaml\" \
         \"--pid-file=/run/a b%%h$HOME\\\"q'é\\\\x.pid\"\n",
        directory.path().display()
    );
    assert!(content.contains(&expected), "{content}");
    assert!(content.contains("\nPIDFile=/run/a b%%h$HOME\"q'é\\x.pid\n"), "{content}");
}

#[test]
fn a_plain_command_line_has_no_quotes_and_no_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path(), "100%");
    let extra = json!({ "config": "/etc/a-b_c.d:e+f@g,h=i.yaml", "tbot_path": program });
    let content = install(directory.path(), extra)["content"].as_str().unwrap().to_owned();
    let expected = format!(
        "\nExecStart={}/100%%/tbot start -c /etc/a-b_c.d:e+f@g,h=i.yaml --pid-file=/run/tbot/tbot.pid\n",
        directory.path().display()
    );
    assert!(content.contains(&expected), "{content}");
}

#[test]
fn what_no_unit_can_hold_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("/{}", "a/".repeat(2048));
    for extra in [
        json!({ "name": "../x" }),
        json!({ "name": "a b" }),
        json!({ "name": "a%h" }),
        json!({ "user": "a b" }),
        json!({ "user": "root\\" }),
        json!({ "user": "%u" }),
        json!({ "supplementary_groups": ["tss\\"] }),
        json!({ "user": "a\nExecStartPre=/bin/sh" }),
        json!({ "supplementary_groups": ["tss wheel"] }),
        json!({ "tbot_path": "tbot" }),
        json!({ "tbot_path": "/" }),
        json!({ "config": "/" }),
        json!({ "config": long }),
        json!({ "pid_file": "tbot.pid" }),
        json!({ "pid_file": "/" }),
        // Control characters, and Unicode's noncharacters, with which systemd passes over the whole line.
        json!({ "tbot_path": "/usr/bin/tbot\n" }),
        json!({ "config": "/etc/a\nExecStartPre=/bin/sh" }),
        json!({ "config": "/etc/a\u{7f}" }),
        json!({ "config": "/etc/a\u{85}" }),
        json!({ "config": "/etc/a\u{fdd0}" }),
        json!({ "config": "/etc/a\u{1fffe}" }),
        json!({ "pid_file": "/run/a\r.pid" }),
        // systemd runs no such program, however it is quoted.
        json!({ "tbot_path": "/opt/a\"b/tbot" }),
        json!({ "tbot_path": "/opt/a'b/tbot" }),
        json!({ "tbot_path": "/opt/a\\b/tbot" }),
        // The end of a line is cut off, or joins it to the next.
        json!({ "pid_file": "/run/tbot.pid " }),
        json!({ "pid_file": "/run/tbot.pid\\" }),
        json!({ "read_write_paths": ["relative"], "hardening": true }),
        json!({ "read_write_paths": ["/srv/a\nb"], "hardening": true }),
        json!({ "read_write_paths": ["/"], "hardening": true }),
        json!({ "mode": "dropin" }),
        json!({ "state": "started" }),
        json!({ "hardening": "much" }),
    ] {
        for mode in ["unit", "drop_in"] {
            let mut all = json!({ "mode": mode, "config": "/etc/t.yaml" });
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            fail(&request(directory.path(), all), "invalid_request");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// `BY_TBOT` with one text in place of another that it has.
fn changed(from: &str, to: &str) -> String {
    assert!(BY_TBOT.contains(from), "{from}");
    BY_TBOT.replacen(from, to, 1)
}

#[test]
fn the_unit_that_tbot_itself_installed_is_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    fs::write(&path, BY_TBOT).unwrap();
    let answer = install(directory.path(), json!({}));
    assert_eq!((&answer["changed"], &answer["needs_daemon_reload"]), (&json!(false), &json!(false)));
    assert_eq!(fs::read_to_string(&path).unwrap(), BY_TBOT);
}

#[test]
fn the_unit_that_an_older_tbot_installed_is_unchanged_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    let description = "tbot - Teleport Machine & Workload Identity Service";
    let older = changed(description, "tbot - Teleport Machine ID Service");
    let oldest = older.replace(" --pid-file=/run/tbot.pid", "");
    for text in [older, oldest] {
        fs::write(&path, &text).unwrap();
        assert_eq!(install(directory.path(), json!({}))["changed"], false, "{text}");
        for other in
            [json!({ "pid_file": "" }), json!({ "pid_file": "/run/x.pid" }), json!({ "hardening": true })]
        {
            fail(&request(directory.path(), other), "conflict");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn the_pid_file_of_anothers_unit_belongs_to_who_wrote_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    for pid_file in [
        "--pid-file=/run/tbot/other.pid",
        "--pid-file /run/tbot/other.pid",
        "\"--pid-file=%t/tbot/other.pid\"",
        "",
    ] {
        let text = changed("--pid-file=/run/tbot.pid", pid_file)
            .replace("PIDFile=/run/tbot.pid", "PIDFile=/run/tbot/other.pid\nRuntimeDirectory=tbot");
        fs::write(&path, &text).unwrap();
        assert_eq!(install(directory.path(), json!({}))["changed"], false, "{text}");
    }
    for other in [
        changed("--pid-file=/run/tbot.pid", "--pid-file=/run/tbot.pid --fips"),
        changed("--pid-file=/run/tbot.pid", "--pid-files=/run/tbot.pid"),
        changed("--pid-file=/run/tbot.pid", "'-d --pid-file=/run/tbot.pid'"),
        changed("PIDFile=/run/tbot.pid", "RuntimeMaxSec=1"),
    ] {
        fs::write(&path, &other).unwrap();
        fail(&request(directory.path(), json!({})), "conflict");
    }
}

#[test]
fn units_that_say_the_same_in_other_words_are_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    for other in [
        changed("User=teleport", "  User \t=  teleport \t"),
        changed("[Unit]\n", "\n\n; a comment\n  # another\n[Unit]\r\n"),
        BY_TBOT.replace('\n', "\r\n"),
        changed("User=teleport\nGroup=teleport\n", "Group=teleport\nUser=teleport\n"),
        changed("User=teleport\n", "User=root\nUser=\nUser=teleport\n"),
        changed("User=teleport\n", "User=root\n[Install]\n[Service]\nUser=teleport\n"),
        changed("start -c", "start \\\n# a comment amid it\n  ; another\n   -c"),
        changed("/usr/local/bin/tbot start", "\"/usr/local/bin/tbot\"   'start'"),
        changed("-c /etc/tbot.yaml", "-c /etc/\\x74bot\\056yaml"),
        changed("ExecStart=", "ExecStart=/bin/false\nExecStart=\nExecStart="),
        changed(
            "Environment=\"TELEPORT_ANONYMOUS_TELEMETRY=0\"",
            "Environment=TELEPORT_ANONYMOUS_TELEMETRY=0",
        ),
        changed("Environment=", "Environment=TELEPORT_ANONYMOUS_TELEMETRY=1 \nEnvironment="),
        changed("Environment=", "Environment=A=1\nEnvironment=\nEnvironment="),
        changed(
            "\"tbot - Teleport Machine & Workload Identity Service\"",
            "tbot - Teleport Machine & Workload Identity Service",
        ),
        changed("RestartSec=5", "RestartSec=5s"),
        changed("RestartSec=5", "RestartSec=5000 ms"),
        changed("LimitNOFILE=524288", "LimitNOFILE=524288:524288"),
        changed("WantedBy=multi-user.target", "WantedBy=other.target\nWantedBy=\nWantedBy=multi-user.target"),
        changed("After=network.target", "After=network.target network.target\nAfter="),
        BY_TBOT.trim_end().to_owned(),
        format!("{BY_TBOT}# the end"),
        format!("{}\\", BY_TBOT.trim_end()),
    ] {
        fs::write(&path, &other).unwrap();
        assert_eq!(install(directory.path(), json!({}))["changed"], false, "{other}");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
}

#[test]
fn units_that_say_something_else_differ() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.service");
    for other in [
        changed("User=teleport", "User=root"),
        changed("User=teleport\n", "User=teleport\nUser=\n"),
        changed("User=teleport\n", "User=teleport\nUser=root\n"),
        changed("User=teleport\n", "# user \\\nUser=root\n"),
        changed("User=teleport\n", "User=teleport\n# a comment\rUser=root\n"),
        changed("User=teleport\n", "User=teleport\n# a comment\0User=root\n"),
        changed("User=teleport\n", "User=teleport \\\\\n"),
        changed("[Install]\n", "[Install]\nAlias=bot.service\n"),
        changed("[Service]\n", "[Service]\nExecStartPre=/bin/true\n"),
        changed("[Service]\n", "[Service]\nan odd line\n"),
        changed("[Service]", "[Service"),
        changed("[Service]", "[Install]"),
        changed("After=network.target", "After=network.target\nAfter=\nAfter=other.target"),
        // Dependencies cannot be taken away (systemd.unit(5)).
        changed("After=network.target", "After=other.target\nAfter=\nAfter=network.target"),
        changed("ExecStart=", "ExecStart=/bin/false\nExecStart="),
        changed("ExecStart=", "ExecStart=-"),
        changed("start -c", "start '' -c"),
        changed("start -c", "'start -c'"),
        changed("start -c", "\"start -c"),
        changed("start -c", "start ; /bin/false -c"),
        changed("start -c", "start \";\" -c"),
        changed("start -c", "start \\; -c"),
        changed("--pid-file", "--\\xffpid-file"),
        changed("ExecReload=/bin/kill -HUP $MAINPID", "ExecReload=/bin/kill -HUP $$MAINPID"),
        changed("Environment=", "Environment=A=1\nEnvironment="),
        changed("Environment=", "Environment=\"A=1 TELEPORT_ANONYMOUS_TELEMETRY=0\nEnvironment="),
        changed("TELEMETRY=0", "TELEMETRY=1"),
        changed("RestartSec=5", "RestartSec=5min"),
        changed("RestartSec=5", "RestartSec=5ms"),
        changed("LimitNOFILE=524288", "LimitNOFILE=1024:524288"),
        changed("WantedBy=multi-user.target", "WantedBy=multi\\x2duser.target"),
    ] {
        fs::write(&path, &other).unwrap();
        fail(&request(directory.path(), json!({})), "conflict");
    }
}

fn same(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|lines| format!("[Service]\n{lines}\n"));
    same_directives(&one, &other, Form::Unit)
}

#[test]
fn lists_add_up_until_an_empty_assignment() {
    for name in ["SupplementaryGroups", "ReadWritePaths", "SystemCallFilter", "RestrictAddressFamilies"] {
        let lines = |values: &[&str]| {
            values.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        };
        assert!(same(&lines(&["a b"]), &lines(&["b", "a"])), "{name}");
        assert!(same(&lines(&["c", "", "a b"]), &lines(&["a b"])), "{name}");
        assert!(same(&lines(&["c", ""]), ""), "{name}");
        assert!(!same(&lines(&["a"]), &lines(&["a b"])), "{name}");
    }
    assert!(same(
        "DeviceAllow=char-tpm  rw\nDeviceAllow=/dev/a r",
        "DeviceAllow=/dev/a r\nDeviceAllow=char-tpm rw"
    ));
    assert!(!same("DeviceAllow=char-tpm rw", "DeviceAllow=rw char-tpm"));
    assert!(same("ReadWritePaths=\"/a b\"", "ReadWritePaths='/a b'"));
    assert!(!same("ReadWritePaths=\"/a b\"", "ReadWritePaths=/a b"));
}

#[test]
fn what_a_filter_takes_away_stays_in_its_place() {
    let filter = "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources";
    let split =
        "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged\nSystemCallFilter=~@resources";
    assert!(same(filter, split));
    assert!(!same(filter, "SystemCallFilter=~@privileged @resources\nSystemCallFilter=@system-service"));
    assert!(!same(filter, "SystemCallFilter=@system-service ~@privileged @resources"));
    assert!(!same("SystemCallFilter=@a", "SystemCallFilter=~\nSystemCallFilter=@a"));
}

#[test]
fn an_empty_set_of_capabilities_is_not_none_given() {
    assert!(!same("CapabilityBoundingSet=", ""));
    assert!(same("CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=", "CapabilityBoundingSet="));
    assert!(!same("CapabilityBoundingSet=\nCapabilityBoundingSet=~", "CapabilityBoundingSet="));
    assert!(same("AmbientCapabilities=", ""));
}

#[test]
fn booleans_have_several_words() {
    for word in ["yes", "1", "true", "On", "Y", "t"] {
        assert!(same("PrivateTmp=yes", &format!("PrivateTmp={word}")), "{word}");
    }
    for word in ["no", "0", "false", "off", "maybe", "yess"] {
        assert!(!same("PrivateTmp=yes", &format!("PrivateTmp={word}")), "{word}");
    }
    assert!(!same("ProtectHome=yes", "ProtectHome=read-only"));
    assert!(same("UMask=0077", "UMask=077"));
    assert!(!same("UMask=0077", "UMask=0007"));
}

#[test]
fn in_a_drop_in_an_empty_assignment_takes_away_what_the_unit_says() {
    let same = |one: &str, other: &str| {
        let [one, other] = [one, other].map(|lines| format!("[Service]\n{lines}\n"));
        same_directives(&one, &other, Form::DropIn)
    };
    assert!(!same("ExecStart=\nExecStart=/a", "ExecStart=/a"));
    assert!(!same("PIDFile=", ""));
    assert!(!same("AmbientCapabilities=", ""));
    assert!(same("PIDFile=\nPIDFile=/run/a", "PIDFile=/run/a"));
    assert!(same("ExecStart=/b\nExecStart=\nExecStart=/a", "ExecStart=\nExecStart=/a"));
}

#[test]
fn what_is_compared_of_a_drop_in_is_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let extra: Value = json!({ "mode": "drop_in", "config": "/etc/t.yaml" });
    let path = install(directory.path(), extra.clone())["path"].as_str().unwrap().to_owned();
    let written = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = written.lines().skip(2).collect();
    lines.rotate_left(2);
    let theirs = format!("[Service]\n{}", lines.join("\n"));
    fs::write(&path, &theirs).unwrap();
    assert_eq!(install(directory.path(), extra.clone())["changed"], false);
    fs::write(&path, theirs.replace("ExecStart=\n", "")).unwrap();
    fail(&request(directory.path(), extra), "conflict");
}
