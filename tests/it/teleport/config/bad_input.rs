//! `config` with requests that contradict themselves, and files that it had better leave alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{fail, succeed, tool};

const PIN: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const FILE: &str = "\
version: v2
proxy_server: example.teleport.sh:443
onboarding:
  join_method: tpm
  token: web
storage:
  type: directory
  path: /srv/bot
services: []
";

fn place_with(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.yaml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn request(path: &Path, extra: Value) -> Value {
    let group = nix::unistd::getegid().as_raw();
    let mut request = json!({ "action": "config", "path": path, "group": group });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// The message of a request that fails with this kind in check mode too, and leaves the file as it is.
fn refused(text: &str, extra: Value, kind: &str) -> String {
    let (_directory, path) = place_with(text);
    let mut request = request(&path, extra);
    let message = fail(&request, kind);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    request["_ansible_check_mode"] = json!(true);
    assert_eq!(fail(&request, kind), message);
    message
}

#[test]
fn values_that_tbot_would_not_take_are_refused() {
    for (extra, expected) in [
        (json!({ "proxy_server": "https://example.teleport.sh" }), "scheme"),
        (json!({ "proxy_server": "example.teleport.sh:443/web" }), "path"),
        (json!({ "proxy_server": "example.teleport.sh" }), "port"),
        (json!({ "proxy_server": "example.teleport.sh:0" }), "65535"),
        (json!({ "proxy_server": "::1:443" }), "brackets"),
        (json!({ "proxy_server": 443 }), "port"),
        (json!({ "token": "we b" }), "is no name"),
        (json!({ "token": "/etc/token" }), "is no name"),
        (json!({ "token": "" }), "is no name"),
        (json!({ "storage_path": "srv/bot" }), "not absolute"),
        (json!({ "storage_path": "/srv/../bot" }), "`..`"),
        (json!({ "storage_type": "memory", "storage_path": "/srv/bot" }), "`storage_path`"),
        (json!({ "storage_type": "disk" }), "none of its values"),
        (json!({ "ca_pins": ["sha256:12"] }), "ca_pins[0]"),
        (json!({ "ca_pins": format!("{PIN},{}", &PIN[7..]) }), "ca_pins[1]"),
        (json!({ "services": ["identity"] }), "services[0]"),
        (json!({ "services": [{ "type": "identity" }, { "name": "x" }] }), "services[1]"),
        (json!({ "services": [{ "type": 1 }] }), "needs a `type`"),
        (json!({ "extra": "x" }), "expected an object"),
        (json!({ "extra": { "diag_addr": "localhost" } }), "diag_addr"),
        (json!({ "extra": { "diag_addr": 3001 } }), "diag_addr"),
        (json!({ "extra": { "debug": "yes" } }), "true or false"),
        (json!({ "extra": { "oneshot": 1 } }), "true or false"),
        (json!({ "extra": { "storage": "/srv/bot" } }), "`storage` is no mapping"),
        (json!({ "extra": { "storage": { "path": "srv" } } }), "storage.path"),
        (json!({ "extra": { "storage": { "type": "memory", "path": "/srv" } } }), "memory"),
        (json!({ "extra": { "storage": { "type": "direcotry" } } }), "directory or memory"),
        (json!({ "extra": { "storage": { "symlinks": "no" } } }), "secure or try-secure or insecure"),
        (json!({ "extra": { "storage": { "acls": false } } }), "put it in quotes"),
        (json!({ "storage_path": "/" }), "a directory of the system"),
        (json!({ "storage_path": "/etc" }), "a directory of the system"),
        (json!({ "ca_pins": [PIN], "extra": { "insecure": true } }), "exclude each other"),
        (json!({ "extra": { "auth_server": "auth" } }), "`auth_server`"),
        (json!({ "extra": { "onboarding": [] } }), "onboarding"),
        (json!({ "extra": { "onboarding": { "ca_pins": [1] } } }), "ca_pins"),
        (json!({ "extra": { "onboarding": { "token": "a b" } } }), "onboarding.token"),
        (json!({ "extra": { "services": {} } }), "`services` is a list"),
        (json!({ "extra": { "outputs": [{}] } }), "outputs[0]"),
        (json!({ "extra": { "destinations": [] } }), "v1"),
        (json!({ "path": "tbot.yaml" }), "not absolute"),
        (json!({ "mode": "rw" }), "octal"),
        (json!({ "state": "gone" }), "none of its values"),
        (json!({ "proxy": "x:1" }), "proxy_server"),
    ] {
        let message = refused(FILE, extra.clone(), "invalid_request");
        assert!(message.contains(expected), "{extra}: {message}");
    }
}

#[test]
fn a_request_that_contradicts_itself_names_both() {
    for (extra, one, other) in [
        (
            json!({ "proxy_server": "a.b:1", "extra": { "proxy_server": "a.b:2" } }),
            "`proxy_server`",
            "parameter `proxy_server`",
        ),
        (
            json!({ "proxy_server": "a.b:1", "extra": { "auth_server": "a.b:2" } }),
            "`proxy_server`",
            "`auth_server`",
        ),
        (
            json!({ "token": "a", "extra": { "onboarding": { "token": "b" } } }),
            "`onboarding.token`",
            "parameter `token`",
        ),
        (
            json!({ "ca_pins": [PIN], "extra": { "onboarding": { "ca_path": "/etc/ca.pem" } } }),
            "`ca_pins`",
            "`ca_path`",
        ),
        (
            json!({ "ca_pins": [], "extra": { "onboarding": { "ca_pins": [PIN] } } }),
            "ca_pins",
            "parameter `ca_pins`",
        ),
        (
            json!({ "storage_path": "/a", "extra": { "storage": { "path": "/b" } } }),
            "`storage.path`",
            "`storage_path`",
        ),
        (
            json!({ "storage_path": "/a", "extra": { "storage": { "type": "memory" } } }),
            "`storage.type`",
            "`storage_path`",
        ),
        (
            json!({ "storage_type": "memory", "extra": { "storage": { "path": "/b" } } }),
            "memory",
            "`storage.path`",
        ),
        (
            json!({ "services": [], "extra": { "services": [{ "type": "x" }] } }),
            "`services`",
            "parameter `services`",
        ),
        (json!({ "extra": { "version": "v1" } }), "`version`", "v2"),
        (json!({ "extra": { "onboarding": { "join_method": "iam" } } }), "`onboarding.join_method`", "tpm"),
    ] {
        let message = refused(FILE, extra.clone(), "invalid_request");
        assert!(message.contains(one) && message.contains(other), "{extra}: {message}");
    }
}

#[test]
fn a_file_needs_a_server_and_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.yaml");
    let message = fail(&request(&path, json!({ "token": "web" })), "invalid_request");
    assert!(message.ends_with("needs parameter `proxy_server`"), "{message}");
    let message = fail(&request(&path, json!({ "proxy_server": "a.b:1" })), "invalid_request");
    assert!(message.ends_with("needs parameter `token`"), "{message}");
    let extra = json!({ "token": "web", "extra": { "auth_server": "a.b:1" } });
    succeed(&request(&path, extra));
    let message = refused("storage: {type: memory}\n", json!({ "token": "web" }), "invalid_request");
    assert!(message.contains("`proxy_server`") && message.contains("does not say it"), "{message}");
    let other_method = FILE.replace("tpm", "iam");
    let message = refused(&other_method, json!({}), "invalid_request");
    assert!(message.contains("`token`") && message.contains("`iam`"), "{message}");
}

#[test]
fn what_is_no_configuration_of_this_version_is_left_alone() {
    for (text, expected) in [
        ("- a\n", "no mapping"),
        ("just text\n", "no mapping"),
        ("null\n", "no mapping"),
        ("a: [\n", "no configuration"),
        ("a: 1\n\tb: 2\n", "no configuration"),
        ("%TAG\n", "no configuration"),
        ("a: 1\n---\nb: 2\n", "documents"),
        ("a: 1\n---\n", "documents"),
        ("---\n---\na: 1\n", "documents"),
        ("---\n...\n", "cannot be changed"),
        ("version: v2\nversion: v2\n", "twice"),
        ("onboarding:\n  token: a\n  token: b\n", "twice"),
        ("a: &a {b: 1}\nstorage:\n  <<: *a\n", "write them out"),
        ("a: !thing 1\n", "tag"),
        ("onboarding:\n  token: !!binary aGVsbG8=\n", "!!binary"),
        ("!!binary c3RvcmFnZQ==: {type: memory}\n", "!!binary"),
        // JSON, but not to YAML's readers.
        ("\t{}", "no configuration"),
        ("{\"version\": \"v2\u{7f}\"}", "no configuration"),
        ("{\"a\": 1} x\n", "no configuration"),
        ("version: v1\n", "version v1"),
        ("version: v3\n", "tbot migrate"),
        ("version: 2\n", "version 2"),
        ("version: v2\ndestinations: []\n", "tbot migrate"),
        ("destinations:\n- directory: /opt\n", "version v1"),
        ("storage:\n  directory: /srv/bot\n", "version v1"),
        ("storage: /srv/bot\n", "`storage` is no mapping"),
        ("onboarding: []\n", "`onboarding` is no mapping"),
        ("a: 1\n", "does not look like"),
    ] {
        let extra = json!({ "proxy_server": "example.teleport.sh:443", "token": "web" });
        let message = refused(text, extra, "conflict");
        assert!(message.contains(expected) && message.contains("left as it is"), "{text}: {message}");
    }
    let (_directory, path) = place_with("");
    fs::write(&path, b"a: \xff\n").unwrap();
    fail(&request(&path, json!({})), "conflict");
}

#[test]
fn a_file_that_would_not_be_valid_is_left_alone() {
    for (from, to, expected) in [
        ("storage:", "auth_server: a.b:1\nstorage:", "`proxy_server` and `auth_server`"),
        ("  token", "  ca_path: /ca\n  ca_pins: [x]\n  token", "`ca_pins` and `ca_path`"),
        ("type: directory", "type: memory", "memory"),
        ("  type: directory\n", "", "no `type`"),
        ("  path: /srv/bot\n", "", "without a `path`"),
        ("/srv/bot", "srv/bot", "not absolute"),
        ("example.teleport.sh:443", "example.teleport.sh", "needs a port"),
        ("example.teleport.sh:443", "443", "`proxy_server` is a text"),
        ("services: []", "services: {}", "`services` is a list"),
        ("services: []", "services: [identity]", "services[0]"),
        ("services: []", "outputs: [{kind: x}]", "outputs[0]"),
        ("services: []", "diag_addr: localhost", "diag_addr"),
        ("services: []", "debug: maybe", "true or false"),
        ("  type:", "  symlinks: never\n  type:", "secure or try-secure or insecure"),
        ("  type:", "  acls: yes\n  type:", "off or try or required"),
        ("  type:", "  acls: false\n  type:", "`storage.acls` is a text"),
        ("/srv/bot", "/", "a directory of the system"),
        ("onboarding:", "insecure: true\nonboarding:\n  ca_path: /ca", "`insecure` and `onboarding.ca_path`"),
        ("onboarding:", "insecure: Yes\nonboarding:\n  ca_path: /ca", "`insecure` and `onboarding.ca_path`"),
        ("token: web", "token: true", "onboarding.token"),
    ] {
        let extra = json!({ "extra": { "credential_ttl": "2h" } });
        let message = refused(&FILE.replace(from, to), extra, "conflict");
        assert!(message.contains("would not be valid") && message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn what_tbot_takes_of_a_file_is_no_error() {
    for (from, to) in [
        ("services: []", "debug: yes\nfips: Off\noneshot: ~\ninsecure: true"),
        ("services: []", "diag_addr: :3001"),
        ("services: []", "diag_addr: ''\nauth_server: ''"),
        ("token: web", "token: /etc/token"),
        ("token: web", "token: 20260101"),
        ("token: web", "token: 0123 # a number"),
        ("  type: directory", "  type: new-store"),
        ("  path: /srv/bot", "  path: /srv/bot\n  symlinks: try-secure\n  acls: off"),
        ("/srv/bot", "/srv//bot/"),
    ] {
        let text = FILE.replace(from, to);
        let (_directory, path) = place_with(&text);
        succeed(&request(&path, json!({ "extra": { "credential_ttl": "2h" } })));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}credential_ttl: \"2h\"\n"));
    }
}

#[test]
fn a_file_in_a_style_that_cannot_be_changed_is_left_alone() {
    for text in [
        "storage: &s {type: directory, path: /srv/bot}\nx: *s\n",
        "storage: &s\n  type: directory\n  path: /srv/bot\nx: *s\n",
    ] {
        let extra = json!({ "proxy_server": "a.b:1", "token": "web", "storage_path": "/srv/other" });
        let message = refused(text, extra, "conflict");
        assert!(message.contains("plain block style"), "{message}");
    }
}

#[test]
fn only_configurations_are_removed() {
    for text in [
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
    ] {
        refused(text, json!({ "state": "absent" }), "conflict");
    }
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
    let missing = json!({ "token": "web", "proxy_server": "a.b:1" });
    let message = fail(&request(&path("no/dir"), missing.clone()), "not_found");
    assert!(message.contains("there is no directory"), "{message}");
    let mut foreseen = request(&path("no/dir"), missing);
    foreseen["_ansible_check_mode"] = json!(true);
    let answer = succeed(&foreseen);
    assert_eq!(answer["changed"], true);
    assert!(answer["warnings"][0].as_str().unwrap().contains("there is no directory"), "{answer}");
}
