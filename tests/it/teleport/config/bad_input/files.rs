//! Files that it leaves alone.

use super::{FILE, place_with, refused, request};
use crate::support::messages::{listed, snapshot};
use crate::support::{fail, succeed, tool};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn what_is_no_configuration_of_this_version_is_left_alone() {
    let extra = json!({ "proxy_server": "example.teleport.sh:443", "token": "web" });
    let said = listed(
        [
            "- a\n",
            "just text\n",
            "null\n",
            "a: [\n",
            "a: 1\n\tb: 2\n",
            "%TAG\n",
            "a: 1\n---\nb: 2\n",
            "a: 1\n---\n",
            "---\n---\na: 1\n",
            "version: v2\nversion: v2\n",
            "onboarding:\n  token: a\n  token: b\n",
            "a: &a {b: 1}\nstorage:\n  <<: *a\n",
            "a: !thing 1\n",
            "onboarding:\n  token: !!binary aGVsbG8=\n",
            "!!binary c3RvcmFnZQ==: {type: memory}\n",
            // JSON, but not to YAML's readers.
            "\t{}",
            "{\"version\": \"v2\u{7f}\"}",
            "{\"a\": 1} x\n",
            "version: v1\n",
            "version: v3\n",
            "version: 2\n",
            "destinations:\n- directory: /opt\n",
            "storage:\n  directory: /srv/bot\n",
            "storage: /srv/bot\n",
            "onboarding: []\n",
            "a: 1\n",
        ],
        |text| (format!("{text:?}"), refused(text, extra.clone(), "conflict")),
    );
    snapshot!(said, @r#"
    "- a\n"
        [DIR]/tbot.yaml is no configuration of tbot: it is no mapping of keys to values; it was left as it is; put that right, or move the file away
    "just text\n"
        [DIR]/tbot.yaml is no configuration of tbot: it is no mapping of keys to values; it was left as it is; put that right, or move the file away
    "null\n"
        [DIR]/tbot.yaml is no configuration of tbot: it is no mapping of keys to values; it was left as it is; put that right, or move the file away
    "a: [\n"
        [DIR]/tbot.yaml is no configuration of tbot: did not find expected node content at line 2 column 1, while parsing a flow node; it was left as it is; put that right, or move the file away
    "a: 1\n\tb: 2\n"
        [DIR]/tbot.yaml is no configuration of tbot: found a tab character that violates indentation at line 2 column 1, while scanning a plain scalar at line 1 column 4; it was left as it is; put that right, or move the file away
    "%TAG\n"
        [DIR]/tbot.yaml is no configuration of tbot: did not find expected '!' at line 1 column 5, while scanning a tag directive; it was left as it is; put that right, or move the file away
    "a: 1\n---\nb: 2\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; give another `path`, or move the file away
    "a: 1\n---\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; give another `path`, or move the file away
    "---\n---\na: 1\n"
        [DIR]/tbot.yaml is no configuration of tbot: its first document is empty, and tbot reads no other; it was left as it is; put that right, or move the file away
    "version: v2\nversion: v2\n"
        [DIR]/tbot.yaml is no configuration of tbot: the key `version` is there twice; it was left as it is; put that right, or move the file away
    "onboarding:\n  token: a\n  token: b\n"
        [DIR]/tbot.yaml is no configuration of tbot: onboarding: the key `token` is there twice at line 2 column 3; it was left as it is; put that right, or move the file away
    "a: &a {b: 1}\nstorage:\n  <<: *a\n"
        [DIR]/tbot.yaml would not be valid: `storage` has no `type`; it was left as it is
    "a: !thing 1\n"
        [DIR]/tbot.yaml is no configuration of tbot: a: a tag (!name) has no meaning here: leave it out at line 1 column 4; it was left as it is; put that right, or move the file away
    "onboarding:\n  token: !!binary aGVsbG8=\n"
        [DIR]/tbot.yaml is no configuration of tbot: the tag !!binary stands for another text: write that; it was left as it is; put that right, or move the file away
    "!!binary c3RvcmFnZQ==: {type: memory}\n"
        [DIR]/tbot.yaml is no configuration of tbot: the tag !!binary stands for another text: write that; it was left as it is; put that right, or move the file away
    "\t{}"
        [DIR]/tbot.yaml is no configuration of tbot: found character that cannot start any token, while scanning for the next token; it was left as it is; put that right, or move the file away
    "{\"version\": \"v2\u{7f}\"}"
        [DIR]/tbot.yaml is no configuration of tbot: control characters are not allowed at position 15; it was left as it is; put that right, or move the file away
    "{\"a\": 1} x\n"
        [DIR]/tbot.yaml is no configuration of tbot: did not find expected <document start> at line 1 column 10; it was left as it is; put that right, or move the file away
    "version: v1\n"
        [DIR]/tbot.yaml is a configuration of version v1, not v2; it was left as it is; migrate it first (`tbot migrate`)
    "version: v3\n"
        [DIR]/tbot.yaml is a configuration of version v3, not v2; it was left as it is; migrate it first (`tbot migrate`)
    "version: 2\n"
        [DIR]/tbot.yaml is a configuration of version 2, not v2; it was left as it is; migrate it first (`tbot migrate`)
    "destinations:\n- directory: /opt\n"
        [DIR]/tbot.yaml is a configuration of version v1, not v2; it was left as it is; migrate it first (`tbot migrate`)
    "storage:\n  directory: /srv/bot\n"
        [DIR]/tbot.yaml is a configuration of version v1, not v2; it was left as it is; migrate it first (`tbot migrate`)
    "storage: /srv/bot\n"
        [DIR]/tbot.yaml cannot be used: `storage` is no mapping of keys to values; it was left as it is
    "onboarding: []\n"
        [DIR]/tbot.yaml cannot be used: `onboarding` is no mapping of keys to values; it was left as it is
    "a: 1\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; give another `path`, or move the file away
    "#);
    let (_directory, path) = place_with("");
    fs::write(&path, b"a: \xff\n").unwrap();
    fail(&request(&path, json!({})), "conflict");
}

#[test]
fn a_file_that_would_not_be_valid_is_left_alone() {
    let extra = json!({ "extra": { "credential_ttl": "2h" } });
    let said = listed(
        [
            ("storage:", "auth_server: a.b:1\nstorage:"),
            ("  token", "  ca_path: /ca\n  ca_pins: [x]\n  token"),
            ("  type: directory\n", ""),
            ("  path: /srv/bot\n", ""),
            ("services: []", "services: {}"),
            ("services: []", "services: [identity]"),
            ("services: []", "outputs: [{kind: x}]"),
            ("services: []", "diag_addr: localhost"),
            ("services: []", "diag_addr: {a: b}"),
            ("services: []", "debug: maybe"),
            ("services: []", "scoped: maybe"),
            ("services: []", "certificate_ttl: 1d"),
            ("services: []", "renewal_interval: 20"),
            ("example.teleport.sh:443", "[a]"),
            ("  token", "  ca_pins: x\n  token"),
            ("  token", "  ca_pins: [[x]]\n  token"),
            ("onboarding:", "insecure: Yes\nonboarding:\n  ca_pins: [x]"),
            ("token: web", "token: {a: b}"),
            ("  type:", "  symlinks: never\n  type:"),
            ("  type:", "  acls: yes\n  type:"),
            ("  type:", "  acls: false\n  type:"),
        ],
        |(from, to)| {
            (format!("{from:?} -> {to:?}"), refused(&FILE.replace(from, to), extra.clone(), "conflict"))
        },
    );
    snapshot!(said, @r#"
    "storage:" -> "auth_server: a.b:1\nstorage:"
        [DIR]/tbot.yaml would not be valid: `proxy_server` and `auth_server` exclude each other; keep one of them; it was left as it is
    "  token" -> "  ca_path: /ca\n  ca_pins: [x]\n  token"
        [DIR]/tbot.yaml would not be valid: `ca_pins` and `ca_path` exclude each other; keep one of them; it was left as it is
    "  type: directory\n" -> ""
        [DIR]/tbot.yaml would not be valid: `storage` has no `type`; it was left as it is
    "  path: /srv/bot\n" -> ""
        [DIR]/tbot.yaml would not be valid: `storage` is a directory without a `path`; it was left as it is
    "services: []" -> "services: {}"
        [DIR]/tbot.yaml would not be valid: `services` is a list; it was left as it is
    "services: []" -> "services: [identity]"
        [DIR]/tbot.yaml would not be valid: `services[0]` is not an object with a text as its `type`; it was left as it is
    "services: []" -> "outputs: [{kind: x}]"
        [DIR]/tbot.yaml would not be valid: `outputs[0]` is not an object with a text as its `type`; it was left as it is
    "services: []" -> "diag_addr: localhost"
        [DIR]/tbot.yaml would not be valid: `diag_addr`: "localhost" is no host:port: it needs a port, as in example.teleport.sh:443; it was left as it is
    "services: []" -> "diag_addr: {a: b}"
        [DIR]/tbot.yaml would not be valid: `diag_addr` is a text; put it in quotes; it was left as it is
    "services: []" -> "debug: maybe"
        [DIR]/tbot.yaml would not be valid: `debug` is true or false; it was left as it is
    "services: []" -> "scoped: maybe"
        [DIR]/tbot.yaml would not be valid: `scoped` is true or false; it was left as it is
    "services: []" -> "certificate_ttl: 1d"
        [DIR]/tbot.yaml would not be valid: `certificate_ttl`: "1d" is not a duration: write it as in 1h30m; it was left as it is
    "services: []" -> "renewal_interval: 20"
        [DIR]/tbot.yaml would not be valid: `renewal_interval`: 20 is not a duration: write it as in 1h30m; it was left as it is
    "example.teleport.sh:443" -> "[a]"
        [DIR]/tbot.yaml would not be valid: `proxy_server` is a text; put it in quotes; it was left as it is
    "  token" -> "  ca_pins: x\n  token"
        [DIR]/tbot.yaml would not be valid: `onboarding.ca_pins` is a list; it was left as it is
    "  token" -> "  ca_pins: [[x]]\n  token"
        [DIR]/tbot.yaml would not be valid: `onboarding.ca_pins` is a list of texts; it was left as it is
    "onboarding:" -> "insecure: Yes\nonboarding:\n  ca_pins: [x]"
        [DIR]/tbot.yaml would not be valid: `insecure` and `onboarding.ca_pins` exclude each other; keep one of them; it was left as it is
    "token: web" -> "token: {a: b}"
        [DIR]/tbot.yaml would not be valid: `onboarding.token` is a text; put it in quotes; it was left as it is
    "  type:" -> "  symlinks: never\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.symlinks` is secure or try-secure or insecure, and "never" is none of them; it was left as it is
    "  type:" -> "  acls: yes\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.acls` is off or try or required, and "yes" is none of them; it was left as it is
    "  type:" -> "  acls: false\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.acls` is a text; put it in quotes; it was left as it is
    "#);
}

/// What is warned of where something else is added to the usual file with this change in it, which stays to the byte.
fn kept(from: &str, to: &str) -> Vec<String> {
    let text = FILE.replace(from, to);
    assert_ne!(text, FILE);
    let (_directory, path) = place_with(&text);
    let answer = succeed(&request(&path, json!({ "extra": { "x": 1 } })));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}x: 1\n"));
    let warnings: Vec<String> = serde_json::from_value(answer["warnings"].clone()).unwrap();
    warnings.into_iter().filter(|warning| !warning.contains("these keys of the configuration")).collect()
}

#[test]
fn what_tbot_takes_of_a_file_is_no_error() {
    for (from, to) in [
        ("services: []", "debug: yes\nfips: Off\noneshot: ~\ninsecure: true"),
        ("services: []", "diag_addr: '[::1]:3001'"),
        ("services: []", "diag_addr: ''\nauth_server: ''"),
        ("services: []", "credential_ttl: 1h30m\nrenewal_interval: .5h"),
        ("services: []", "certificate_ttl: 24h\nrenewal_interval: 20m0s"),
        ("token: web", "token: /etc/token"),
        ("token: web", "token: 20260101"),
        ("token: web", "token: 0123 # a number"),
        ("  path: /srv/bot", "  path: /srv/bot\n  symlinks: try-secure\n  acls: off"),
        ("/srv/bot", "/srv//bot/"),
    ] {
        assert_eq!(kept(from, to), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn what_nobody_should_write_stays_in_a_file_with_a_warning() {
    let said = listed(
        [
            ("type: directory", "type: memory"),
            ("type: directory", "type: new-store"),
            ("/srv/bot", "srv/bot"),
            ("/srv/bot", "/srv/../bot"),
            ("/srv/bot", "/"),
            ("example.teleport.sh:443", "https://example.teleport.sh:443"),
            ("example.teleport.sh:443", "443"),
            ("proxy_server", "auth_server: example.teleport.sh #"),
            ("services: []", "diag_addr: :3001"),
            ("services: []", "diag_addr: 'localhost:http'"),
            ("  token", "  ca_pins: ['sha256:12', 3]\n  token"),
            ("onboarding:", "insecure: Yes\nonboarding:\n  ca_path: /ca"),
            ("token: web", "token: true"),
            ("token: web", "token: a b"),
            ("services: []", "destinations: []"),
            ("services: []", "credential_ttl: 10m"),
            ("services: []", "certificate_ttl: 25h"),
            ("services: []", "certificate_ttl: 2h\ncredential_ttl: 2h"),
            ("services: []", "oneshot: yes\ncredential_ttl: 10m"),
        ],
        |(from, to)| (format!("{from:?} -> {to:?}"), kept(from, to).join("\n")),
    );
    snapshot!(said, @r#"
    "type: directory" -> "type: memory"
        [DIR]/tbot.yaml keeps a value that may not work: `storage.type: memory` has no `storage.path`
    "type: directory" -> "type: new-store"
        tbot may not know this type of storage, which stays: `new-store`
    "/srv/bot" -> "srv/bot"
        `storage.path` srv/bot is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path
    "/srv/bot" -> "/srv/../bot"
        [DIR]/tbot.yaml keeps a value that may not work: `storage.path`: the path "/srv/../bot" has a `..` component; write where it leads
    "/srv/bot" -> "/"
        [DIR]/tbot.yaml keeps a value that may not work: `storage.path`: / is a directory of the system; use one below it
    "example.teleport.sh:443" -> "https://example.teleport.sh:443"
        [DIR]/tbot.yaml keeps a value that may not work: `proxy_server`: "https://example.teleport.sh:443" is no host:port: leave out the scheme, as in example.teleport.sh:443
    "example.teleport.sh:443" -> "443"
        [DIR]/tbot.yaml keeps a value that may not work: `proxy_server` is a text; put it in quotes
    "proxy_server" -> "auth_server: example.teleport.sh #"
        [DIR]/tbot.yaml keeps a value that may not work: `auth_server`: "example.teleport.sh" is no host:port: it needs a port, as in example.teleport.sh:443
    "services: []" -> "diag_addr: :3001"
        `diag_addr` :3001 listens on all addresses, so that the network can read tbot's status without a password; 127.0.0.1:[PORT] is for this host alone
    "services: []" -> "diag_addr: 'localhost:http'"
        [DIR]/tbot.yaml keeps a value that may not work: `diag_addr`: "localhost:http" is no host:port: a port is a number from 1 to 65535
    "  token" -> "  ca_pins: ['sha256:12', 3]\n  token"
        [DIR]/tbot.yaml keeps a value that may not work: `onboarding.ca_pins`: "sha256:12" is no CA pin: that is sha256: and 64 hex digits, as `tctl status` prints it
        [DIR]/tbot.yaml keeps a value that may not work: `onboarding.ca_pins` is a list of texts
    "onboarding:" -> "insecure: Yes\nonboarding:\n  ca_path: /ca"
        [DIR]/tbot.yaml keeps a value that may not work: `insecure` and `onboarding.ca_path` exclude each other; keep one of them
    "token: web" -> "token: true"
        [DIR]/tbot.yaml keeps a value that may not work: `onboarding.token` is a text; put it in quotes
    "token: web" -> "token: a b"
        [DIR]/tbot.yaml keeps a value that may not work: `onboarding.token`: "a b" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first)
    "services: []" -> "destinations: []"
        [DIR]/tbot.yaml keeps a value that may not work: `destinations` is of version v1; version v2 has `services`
    "services: []" -> "credential_ttl: 10m"
        `credential_ttl` is shorter than `renewal_interval`, so that credentials end before tbot renews them
    "services: []" -> "certificate_ttl: 25h"
        `certificate_ttl` is longer than 24h, which tbot warns of
    "services: []" -> "certificate_ttl: 2h\ncredential_ttl: 2h"
        `certificate_ttl` is an older name of `credential_ttl`: keep one of them
    "services: []" -> "oneshot: yes\ncredential_ttl: 10m"
        `oneshot: true` ends tbot after it has written its files once, and a systemd service starts it again for ever: set it to false for a service
    "#);
}

#[test]
fn a_file_in_a_style_that_cannot_be_changed_is_left_alone() {
    let extra = json!({ "proxy_server": "a.b:1", "token": "web", "storage_path": "/srv/other" });
    let texts = [
        "storage: &s {type: directory, path: /srv/bot}\nx: *s\n",
        "storage: &s\n  type: directory\n  path: /srv/bot\nx: *s\n",
    ];
    let said = listed(texts, |text| (format!("{text:?}"), refused(text, extra.clone(), "conflict")));
    snapshot!(said, @r#"
    "storage: &s {type: directory, path: /srv/bot}\nx: *s\n"
        [DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors, aliases and `<<`
    "storage: &s\n  type: directory\n  path: /srv/bot\nx: *s\n"
        [DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors, aliases and `<<`
    "#);
}

#[test]
fn only_configurations_are_removed() {
    let texts = [
        "",
        "# nothing\n",
        "a: 1\n",
        "- a\n",
        "version: v2\nservices: []\n",
        "proxy_server: a.b:443\n",
        "version: v3\nproxy_server: a.b:443\n",
        "auth_server: a.b:3025\nonboarding: later\n",
        "a: [",
        "storage: 1\n---\na: 1\n",
    ];
    let said =
        listed(texts, |text| (format!("{text:?}"), refused(text, json!({ "state": "absent" }), "conflict")));
    snapshot!(said, @r##"
    ""
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "# nothing\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "a: 1\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "- a\n"
        [DIR]/tbot.yaml is no configuration of tbot: it is no mapping of keys to values; it was left as it is; put that right, or move the file away
    "version: v2\nservices: []\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "proxy_server: a.b:443\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "version: v3\nproxy_server: a.b:443\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "auth_server: a.b:3025\nonboarding: later\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "a: ["
        [DIR]/tbot.yaml is no configuration of tbot: did not find expected node content at line 2 column 1, while parsing a flow node; it was left as it is; put that right, or move the file away
    "storage: 1\n---\na: 1\n"
        [DIR]/tbot.yaml does not look like a configuration of tbot; it was left as it is; remove it by hand if it is to go
    "##);
}

#[test]
fn only_files_are_written_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("file"), FILE).unwrap();
    symlink(path("file"), path("link")).unwrap();
    tool("mkfifo", &[path("fifo").to_str().unwrap()]);
    fs::create_dir(path("directory")).unwrap();
    let leftover = ".tbot_tpm.0123456789abcdef";
    fs::write(path(leftover), FILE).unwrap();
    for name in ["link", "fifo", "directory", leftover] {
        for state in ["present", "absent"] {
            for check_mode in [true, false] {
                let extra = json!({ "token": "db", "state": state, "_ansible_check_mode": check_mode });
                fail(&request(&path(name), extra), "unsafe_path");
            }
        }
    }
    assert_eq!(fs::read_to_string(path("file")).unwrap(), FILE);
}

#[test]
fn the_files_directory_is_made_with_the_usual_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new").join("tbot").join("tbot.yaml");
    let mut wanted = request(&path, json!({ "token": "web", "proxy_server": "a.b:1" }));
    wanted["_ansible_check_mode"] = json!(true);
    let foreseen = succeed(&wanted);
    assert_eq!((&foreseen["changed"], &foreseen["warnings"]), (&json!(true), &json!([])));
    assert!(!directory.path().join("new").exists(), "check mode made something");
    wanted["_ansible_check_mode"] = json!(false);
    assert_eq!(succeed(&wanted)["content"], foreseen["content"]);
    for made in ["new", "new/tbot"] {
        assert_eq!(fs::metadata(directory.path().join(made)).unwrap().mode() & 0o7777, 0o755, "{made}");
    }
    assert_eq!(succeed(&wanted)["changed"], false);
}

#[test]
fn no_directory_is_made_for_a_file_that_goes_or_through_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let absent = json!({ "state": "absent" });
    assert_eq!(succeed(&request(&directory.path().join("new/tbot.yaml"), absent))["changed"], false);
    assert!(!directory.path().join("new").exists());
    let open = directory.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let wanted = json!({ "token": "web", "proxy_server": "a.b:1" });
    fail(&request(&open.join("new/tbot.yaml"), wanted), "unsafe_path");
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0, "a directory was made where anybody can change it");
}
