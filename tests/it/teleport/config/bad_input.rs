//! `config` with requests that contradict themselves, and files that it had better leave alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::{listed, snapshot};
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

/// Parameters with a value that is wrong by itself.
fn wrong_values() -> Vec<Value> {
    vec![
        json!({ "proxy_server": "https://example.teleport.sh" }),
        json!({ "proxy_server": "example.teleport.sh:443/web" }),
        json!({ "proxy_server": "example.teleport.sh" }),
        json!({ "proxy_server": "example.teleport.sh:0" }),
        json!({ "proxy_server": "::1:443" }),
        json!({ "proxy_server": 443 }),
        json!({ "token": "we b" }),
        json!({ "token": "/etc/token" }),
        json!({ "token": "" }),
        json!({ "storage_path": "srv/bot" }),
        json!({ "storage_path": "/srv/../bot" }),
        json!({ "storage_type": "memory", "storage_path": "/srv/bot" }),
        json!({ "storage_type": "disk" }),
        json!({ "ca_pins": ["sha256:12"] }),
        json!({ "ca_pins": format!("{PIN},{}", &PIN[7..]) }),
        json!({ "services": ["identity"] }),
        json!({ "services": [{ "type": "identity" }, { "name": "x" }] }),
        json!({ "services": [{ "type": 1 }] }),
        json!({ "extra": "x" }),
        json!({ "extra": { "diag_addr": "localhost" } }),
        json!({ "extra": { "diag_addr": 3001 } }),
        json!({ "extra": { "debug": "yes" } }),
        json!({ "extra": { "oneshot": 1 } }),
        json!({ "extra": { "storage": "/srv/bot" } }),
        json!({ "extra": { "storage": { "path": "srv" } } }),
        json!({ "extra": { "storage": { "type": "memory", "path": "/srv" } } }),
        json!({ "extra": { "storage": { "type": "direcotry" } } }),
        json!({ "extra": { "storage": { "symlinks": "no" } } }),
        json!({ "extra": { "storage": { "acls": false } } }),
        json!({ "storage_path": "/" }),
        json!({ "storage_path": "/etc" }),
        json!({ "ca_pins": [PIN], "extra": { "insecure": true } }),
        json!({ "extra": { "auth_server": "auth" } }),
        json!({ "extra": { "onboarding": [] } }),
        json!({ "extra": { "onboarding": { "ca_pins": [1] } } }),
        json!({ "extra": { "onboarding": { "token": "a b" } } }),
        json!({ "extra": { "services": {} } }),
        json!({ "extra": { "outputs": [{}] } }),
        json!({ "extra": { "destinations": [] } }),
        json!({ "path": "tbot.yaml" }),
        json!({ "mode": "rw" }),
        json!({ "state": "gone" }),
        json!({ "proxy": "x:1" }),
    ]
}

#[test]
fn values_that_tbot_would_not_take_are_refused() {
    let said =
        listed(wrong_values(), |extra| (extra.to_string(), refused(FILE, extra.clone(), "invalid_request")));
    snapshot!(said, @r#"
    {"proxy_server":"https://example.teleport.sh"}
        parameter `proxy_server` of action `config`: "https://example.teleport.sh" is no host:port: leave out the scheme, as in example.teleport.sh:443
    {"proxy_server":"example.teleport.sh:443/web"}
        parameter `proxy_server` of action `config`: "example.teleport.sh:443/web" is no host:port: leave out the path, as in example.teleport.sh:443
    {"proxy_server":"example.teleport.sh"}
        parameter `proxy_server` of action `config`: "example.teleport.sh" is no host:port: it needs a port, as in example.teleport.sh:443
    {"proxy_server":"example.teleport.sh:0"}
        parameter `proxy_server` of action `config`: "example.teleport.sh:0" is no host:port: a port is a number from 1 to 65535
    {"proxy_server":"::1:443"}
        parameter `proxy_server` of action `config`: "::1:443" is no host:port: put the IPv6 address into brackets, as in [2001:db8::1]:443
    {"proxy_server":443}
        parameter `proxy_server` of action `config`: "443" is no host:port: it needs a port, as in example.teleport.sh:443
    {"token":"we b"}
        parameter `token` of action `config`: "we b" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first)
    {"token":"/etc/token"}
        parameter `token` of action `config`: "/etc/token" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first)
    {"token":""}
        parameter `token` of action `config`: "" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first)
    {"storage_path":"srv/bot"}
        parameter `storage_path` of action `config`: the path "srv/bot" is not absolute; write it from the root (/…)
    {"storage_path":"/srv/../bot"}
        parameter `storage_path` of action `config`: the path "/srv/../bot" has a `..` component; write where it leads
    {"storage_type":"memory","storage_path":"/srv/bot"}
        parameter `storage_path` of action `config` has no use with `storage_type: memory`; give one of them
    {"storage_type":"disk"}
        parameter `storage_type` of action `config`: `disk` is none of its values: memory, directory
    {"ca_pins":["sha256:12"]}
        parameter `ca_pins[0]` of action `config`: "sha256:12" is no CA pin: that is sha256: and 64 hex digits, as `tctl status` prints it
    {"ca_pins":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
        parameter `ca_pins[1]` of action `config`: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" is no CA pin: that is sha256: and 64 hex digits, as `tctl status` prints it
    {"services":["identity"]}
        parameter `services[0]` of action `config`: expected an object, found the text "identity"
    {"services":[{"type":"identity"},{"name":"x"}]}
        parameter `services[1]` of action `config`: a service needs a `type`, such as identity
    {"services":[{"type":1}]}
        parameter `services[0]` of action `config`: a service needs a `type`, such as identity
    {"extra":"x"}
        parameter `extra` of action `config`: expected an object, as JSON or as key=value pairs, found the text "x"
    {"extra":{"diag_addr":"localhost"}}
        the configuration would not be valid: `diag_addr`: "localhost" is no host:port: it needs a port, as in example.teleport.sh:443
    {"extra":{"diag_addr":3001}}
        the configuration would not be valid: `diag_addr` is a text; put it in quotes
    {"extra":{"debug":"yes"}}
        the configuration would not be valid: `debug` is true or false
    {"extra":{"oneshot":1}}
        the configuration would not be valid: `oneshot` is true or false
    {"extra":{"storage":"/srv/bot"}}
        the configuration would not be valid: `storage` is no mapping of keys to values
    {"extra":{"storage":{"path":"srv"}}}
        the configuration would not be valid: `storage.path`: the path "srv" is not absolute; write it from the root (/…)
    {"extra":{"storage":{"type":"memory","path":"/srv"}}}
        the configuration would not be valid: `storage.type: memory` has no `storage.path`
    {"extra":{"storage":{"type":"direcotry"}}}
        the configuration would not be valid: `storage.type` is directory or memory, and "direcotry" is neither
    {"extra":{"storage":{"symlinks":"no"}}}
        the configuration would not be valid: `storage.symlinks` is secure or try-secure or insecure, and "no" is none of them
    {"extra":{"storage":{"acls":false}}}
        the configuration would not be valid: `storage.acls` is a text; put it in quotes
    {"storage_path":"/"}
        the configuration would not be valid: `storage.path`: / is a directory of the system; use one below it
    {"storage_path":"/etc"}
        the configuration would not be valid: `storage.path`: /etc is a directory of the system; use one below it
    {"ca_pins":["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],"extra":{"insecure":true}}
        the configuration would not be valid: `insecure` and `onboarding.ca_pins` exclude each other; keep one of them
    {"extra":{"auth_server":"auth"}}
        the configuration would not be valid: `auth_server`: "auth" is no host:port: it needs a port, as in example.teleport.sh:443
    {"extra":{"onboarding":[]}}
        parameter `extra`: `onboarding` is [], but this action always makes it {"join_method":"tpm"}
    {"extra":{"onboarding":{"ca_pins":[1]}}}
        the configuration would not be valid: `onboarding.ca_pins` is a list of texts
    {"extra":{"onboarding":{"token":"a b"}}}
        the configuration would not be valid: `onboarding.token`: "a b" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first)
    {"extra":{"services":{}}}
        the configuration would not be valid: `services` is a list
    {"extra":{"outputs":[{}]}}
        the configuration would not be valid: `outputs[0]` is no object with a text as its `type`
    {"extra":{"destinations":[]}}
        the configuration would not be valid: `destinations` is of version v1; version v2 has `services`
    {"path":"tbot.yaml"}
        parameter `path` of action `config`: the path "tbot.yaml" is not absolute; write it from the root (/…)
    {"mode":"rw"}
        parameter `mode` of action `config`: "rw" is no mode; write it in octal, such as "0700"
    {"state":"gone"}
        parameter `state` of action `config`: `gone` is none of its values: absent, present
    {"proxy":"x:1"}
        action `config` has no parameter `proxy`; did you mean (nearest first): group, path, mode, token, extra, owner, state, proxy_server, ca_pins, services, defaults, storage_type, storage_path
    "#);
}

#[test]
fn a_request_that_contradicts_itself_names_both() {
    let said = listed(
        [
            json!({ "proxy_server": "a.b:1", "extra": { "proxy_server": "a.b:2" } }),
            json!({ "proxy_server": "a.b:1", "extra": { "auth_server": "a.b:2" } }),
            json!({ "token": "a", "extra": { "onboarding": { "token": "b" } } }),
            json!({ "ca_pins": [PIN], "extra": { "onboarding": { "ca_path": "/etc/ca.pem" } } }),
            json!({ "ca_pins": [], "extra": { "onboarding": { "ca_pins": [PIN] } } }),
            json!({ "storage_path": "/a", "extra": { "storage": { "path": "/b" } } }),
            json!({ "storage_path": "/a", "extra": { "storage": { "type": "memory" } } }),
            json!({ "storage_type": "memory", "extra": { "storage": { "path": "/b" } } }),
            json!({ "services": [], "extra": { "services": [{ "type": "x" }] } }),
            json!({ "extra": { "version": "v1" } }),
            json!({ "extra": { "onboarding": { "join_method": "iam" } } }),
        ],
        |extra| (extra.to_string(), refused(FILE, extra.clone(), "invalid_request")),
    );
    snapshot!(said, @r#"
    {"proxy_server":"a.b:1","extra":{"proxy_server":"a.b:2"}}
        parameter `extra`: `proxy_server` is "a.b:2", but parameter `proxy_server` makes it "a.b:1"; give one
    {"proxy_server":"a.b:1","extra":{"auth_server":"a.b:2"}}
        the configuration would not be valid: `proxy_server` and `auth_server` exclude each other; keep one of them
    {"token":"a","extra":{"onboarding":{"token":"b"}}}
        parameter `extra`: `onboarding.token` is "b", but parameter `token` makes it "a"; give one
    {"ca_pins":["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],"extra":{"onboarding":{"ca_path":"/etc/ca.pem"}}}
        the configuration would not be valid: `ca_pins` and `ca_path` exclude each other; keep one of them
    {"ca_pins":[],"extra":{"onboarding":{"ca_pins":["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]}}}
        parameter `extra`: `onboarding.ca_pins` is ["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"], but parameter `ca_pins` makes it []; give one
    {"storage_path":"/a","extra":{"storage":{"path":"/b"}}}
        parameter `extra`: `storage.path` is "/b", but parameter `storage_path` makes it "/a"; give one
    {"storage_path":"/a","extra":{"storage":{"type":"memory"}}}
        parameter `extra`: `storage.type` is "memory", but parameter `storage_type` or `storage_path` makes it "directory"; give one
    {"storage_type":"memory","extra":{"storage":{"path":"/b"}}}
        the configuration would not be valid: `storage.type: memory` has no `storage.path`
    {"services":[],"extra":{"services":[{"type":"x"}]}}
        parameter `extra`: `services` is [{"type":"x"}], but parameter `services` makes it []; give one
    {"extra":{"version":"v1"}}
        parameter `extra`: `version` is "v1", but this action always makes it "v2"
    {"extra":{"onboarding":{"join_method":"iam"}}}
        parameter `extra`: `onboarding.join_method` is "iam", but this action always makes it "tpm"
    "#);
}

#[test]
fn a_file_needs_a_server_and_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.yaml");
    let message = fail(&request(&path, json!({ "token": "web" })), "invalid_request");
    snapshot!(message, @"action `config` needs parameter `proxy_server`");
    let message = fail(&request(&path, json!({ "proxy_server": "a.b:1" })), "invalid_request");
    snapshot!(message, @"action `config` needs parameter `token`");
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
            "---\n...\n",
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
            "version: v2\ndestinations: []\n",
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
        [DIR]/tbot.yaml is no configuration of tbot: it has several documents; it was left as it is; put that right, or move the file away
    "a: 1\n---\n"
        [DIR]/tbot.yaml is no configuration of tbot: it has several documents; it was left as it is; put that right, or move the file away
    "---\n---\na: 1\n"
        [DIR]/tbot.yaml is no configuration of tbot: it has several documents; it was left as it is; put that right, or move the file away
    "---\n...\n"
        [DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors and aliases
    "version: v2\nversion: v2\n"
        [DIR]/tbot.yaml is no configuration of tbot: the key `version` is there twice; it was left as it is; put that right, or move the file away
    "onboarding:\n  token: a\n  token: b\n"
        [DIR]/tbot.yaml is no configuration of tbot: onboarding: the key `token` is there twice at line 2 column 3; it was left as it is; put that right, or move the file away
    "a: &a {b: 1}\nstorage:\n  <<: *a\n"
        [DIR]/tbot.yaml is no configuration of tbot: storage: `<<` takes fields over from elsewhere: write them out at line 3 column 3; it was left as it is; put that right, or move the file away
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
    "version: v2\ndestinations: []\n"
        [DIR]/tbot.yaml has `destinations`, which version v2 has not; it was left as it is; migrate it first (`tbot migrate`)
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
            ("type: directory", "type: memory"),
            ("  type: directory\n", ""),
            ("  path: /srv/bot\n", ""),
            ("/srv/bot", "srv/bot"),
            ("example.teleport.sh:443", "example.teleport.sh"),
            ("example.teleport.sh:443", "443"),
            ("services: []", "services: {}"),
            ("services: []", "services: [identity]"),
            ("services: []", "outputs: [{kind: x}]"),
            ("services: []", "diag_addr: localhost"),
            ("services: []", "debug: maybe"),
            ("  type:", "  symlinks: never\n  type:"),
            ("  type:", "  acls: yes\n  type:"),
            ("  type:", "  acls: false\n  type:"),
            ("/srv/bot", "/"),
            ("onboarding:", "insecure: true\nonboarding:\n  ca_path: /ca"),
            ("onboarding:", "insecure: Yes\nonboarding:\n  ca_path: /ca"),
            ("token: web", "token: true"),
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
    "type: directory" -> "type: memory"
        [DIR]/tbot.yaml would not be valid: `storage.type: memory` has no `storage.path`; it was left as it is
    "  type: directory\n" -> ""
        [DIR]/tbot.yaml would not be valid: `storage` has no `type`; it was left as it is
    "  path: /srv/bot\n" -> ""
        [DIR]/tbot.yaml would not be valid: `storage` is a directory without a `path`; it was left as it is
    "/srv/bot" -> "srv/bot"
        [DIR]/tbot.yaml would not be valid: `storage.path`: the path "srv/bot" is not absolute; write it from the root (/…); it was left as it is
    "example.teleport.sh:443" -> "example.teleport.sh"
        [DIR]/tbot.yaml would not be valid: `proxy_server`: "example.teleport.sh" is no host:port: it needs a port, as in example.teleport.sh:443; it was left as it is
    "example.teleport.sh:443" -> "443"
        [DIR]/tbot.yaml would not be valid: `proxy_server` is a text; put it in quotes; it was left as it is
    "services: []" -> "services: {}"
        [DIR]/tbot.yaml would not be valid: `services` is a list; it was left as it is
    "services: []" -> "services: [identity]"
        [DIR]/tbot.yaml would not be valid: `services[0]` is no object with a text as its `type`; it was left as it is
    "services: []" -> "outputs: [{kind: x}]"
        [DIR]/tbot.yaml would not be valid: `outputs[0]` is no object with a text as its `type`; it was left as it is
    "services: []" -> "diag_addr: localhost"
        [DIR]/tbot.yaml would not be valid: `diag_addr`: "localhost" is no host:port: it needs a port, as in example.teleport.sh:443; it was left as it is
    "services: []" -> "debug: maybe"
        [DIR]/tbot.yaml would not be valid: `debug` is true or false; it was left as it is
    "  type:" -> "  symlinks: never\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.symlinks` is secure or try-secure or insecure, and "never" is none of them; it was left as it is
    "  type:" -> "  acls: yes\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.acls` is off or try or required, and "yes" is none of them; it was left as it is
    "  type:" -> "  acls: false\n  type:"
        [DIR]/tbot.yaml would not be valid: `storage.acls` is a text; put it in quotes; it was left as it is
    "/srv/bot" -> "/"
        [DIR]/tbot.yaml would not be valid: `storage.path`: / is a directory of the system; use one below it; it was left as it is
    "onboarding:" -> "insecure: true\nonboarding:\n  ca_path: /ca"
        [DIR]/tbot.yaml would not be valid: `insecure` and `onboarding.ca_path` exclude each other; keep one of them; it was left as it is
    "onboarding:" -> "insecure: Yes\nonboarding:\n  ca_path: /ca"
        [DIR]/tbot.yaml would not be valid: `insecure` and `onboarding.ca_path` exclude each other; keep one of them; it was left as it is
    "token: web" -> "token: true"
        [DIR]/tbot.yaml would not be valid: `onboarding.token` is a text; it was left as it is
    "#);
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
    let extra = json!({ "proxy_server": "a.b:1", "token": "web", "storage_path": "/srv/other" });
    let texts = [
        "storage: &s {type: directory, path: /srv/bot}\nx: *s\n",
        "storage: &s\n  type: directory\n  path: /srv/bot\nx: *s\n",
    ];
    let said = listed(texts, |text| (format!("{text:?}"), refused(text, extra.clone(), "conflict")));
    snapshot!(said, @r#"
    "storage: &s {type: directory, path: /srv/bot}\nx: *s\n"
        [DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors and aliases
    "storage: &s\n  type: directory\n  path: /srv/bot\nx: *s\n"
        [DIR]/tbot.yaml cannot be changed: it cannot be changed without changing what else it says; it was left as it is; write it in plain block style (`key: value`), without anchors and aliases
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
        [DIR]/tbot.yaml is no configuration of tbot: it has several documents; it was left as it is; put that right, or move the file away
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
    let missing = json!({ "token": "web", "proxy_server": "a.b:1" });
    let message = fail(&request(&path("no/dir"), missing.clone()), "not_found");
    assert!(message.contains("there is no directory"), "{message}");
    let mut foreseen = request(&path("no/dir"), missing);
    foreseen["_ansible_check_mode"] = json!(true);
    let answer = succeed(&foreseen);
    assert_eq!(answer["changed"], true);
    snapshot!(answer["warnings"][0].as_str().unwrap(), @"there is no directory [DIR]/no; the run fails unless an earlier task makes it");
}
