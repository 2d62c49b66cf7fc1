//! Configurations, and requests to `config`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::succeed;

pub const PIN: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// As a person keeps it.
pub const EXISTING: &str = "\
# Managed by hand and by tbot_tpm.
version: v2
proxy_server: 'old.example:443'   # the old cluster
onboarding:
  # tctl get token/old
  join_method: tpm
  token: old # to be replaced

storage:
    type: directory
    path: /srv/bot
    symlinks: secure

# For the web servers
services:
- type: identity # ssh
  destination: {type: directory, path: /opt/identity}
credential_ttl: 2h
";

/// A place for a configuration.
pub fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.yaml");
    (directory, path)
}

/// A place with a configuration.
pub fn place_with(text: &str) -> (TempDir, PathBuf) {
    let (directory, path) = place();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    (directory, path)
}

pub fn request(path: &Path, extra: Value) -> Value {
    let group = nix::unistd::getegid().as_raw();
    let mut request = json!({ "action": "config", "path": path, "group": group, "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

pub fn base() -> Value {
    json!({ "proxy_server": "example.teleport.sh:443", "token": "web" })
}

/// What a request makes of a file.
pub fn changed(text: &str, extra: Value) -> (String, Value) {
    let (_directory, path) = place_with(text);
    let answer = succeed(&request(&path, extra));
    let result = fs::read_to_string(&path).unwrap();
    assert_eq!(answer["content"], json!(result));
    assert_eq!(answer["changed"], json!(result != text), "{answer}");
    (result, answer)
}

pub fn with(mut one: Value, other: Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}
