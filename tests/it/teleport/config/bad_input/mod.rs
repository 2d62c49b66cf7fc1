//! `config` with requests that contradict themselves, and files that it had better leave alone.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::{listed, snapshot};
use crate::support::{fail, succeed};

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
    {"proxy_server":"example.teleport.sh:0"}
        parameter `proxy_server` of action `config`: "example.teleport.sh:0" is no host:port: a port is a number from 1 to 65535
    {"proxy_server":"::1:443"}
        parameter `proxy_server` of action `config`: "::1:443" is no host:port: put the IPv6 address into brackets, as in [2001:db8::1]:443
    {"proxy_server":443}
        parameter `proxy_server` of action `config`: "443" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
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
        the configuration would not be valid: `outputs[0]` is not an object with a text as its `type`
    {"extra":{"destinations":[]}}
        the configuration would not be valid: `destinations` is of version v1; version v2 has `services`
    {"path":"tbot.yaml"}
        parameter `path` of action `config`: the path "tbot.yaml" is not absolute; write it from the root (/…)
    {"mode":"rw"}
        parameter `mode` of action `config`: "rw" is no mode; write it in octal, such as "0700"
    {"state":"gone"}
        parameter `state` of action `config`: `gone` is none of its values: absent, present, same_proxy
    {"proxy":"x:1"}
        action `config` has no parameter `proxy`; did you mean (nearest first): group, path, scope, mode, token, extra, owner, state, proxy_server, ca_pins, services, defaults, storage_type, storage_path, tbot_version
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
