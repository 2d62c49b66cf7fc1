//! `config`: the base of `tbot`'s configuration, put into the file that there is.

use std::fs::{self};
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::support::config::{EXISTING, PIN, base, changed, place, place_with, request, with};
use crate::support::messages::snapshot;
use crate::support::succeed;

#[test]
fn a_new_file_has_what_a_host_needs_to_join() {
    let (directory, path) = place();
    let foreseen = succeed(&request(&path, with(base(), json!({ "_ansible_check_mode": true }))));
    assert_eq!(foreseen["changed"], true);
    assert!(!path.exists(), "check mode wrote the file");
    let answer = succeed(&request(&path, base()));
    let expected = "\
version: v2
proxy_server: \"example.teleport.sh:443\"
onboarding:
  join_method: tpm
  token: web
storage:
  type: directory
  path: \"/var/lib/teleport/bot\"
services: []
";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let results = (&answer["changed"], &answer["path"], &answer["content"], &answer["warnings"]);
    assert_eq!(results, (&json!(true), &json!(path), &json!(expected), &json!([])));
    assert_eq!(answer["diff"], foreseen["diff"]);
    assert_eq!(answer["diff"]["before"], "");
    let after = answer["diff"]["after"].as_str().unwrap();
    assert!(after.starts_with("# owner: ") && after.contains("\n# mode: '0640'\nversion: v2\n"), "{after}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    let before = fs::metadata(&path).unwrap();
    let again = succeed(&request(&path, base()));
    assert_eq!((&again["changed"], &again["content"]), (&json!(false), &json!(expected)));
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "an unchanged file was replaced");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn every_parameter_shows_in_the_file() {
    let (_directory, path) = place();
    let service = json!({ "type": "identity", "destination": { "type": "directory", "path": "/opt/a" } });
    let extra = json!({
        "storage_path": "/srv//bot/", "ca_pins": [PIN.to_uppercase().replace("SHA", "sha")], "services": [service],
        "extra": { "diag_addr": ":3001", "oneshot": false, "onboarding": { "token": "web" }, "storage": { "acls": "off" } },
        "mode": "0600",
    });
    let answer = succeed(&request(&path, with(base(), extra)));
    let expected = format!(
        "version: v2
proxy_server: \"example.teleport.sh:443\"
onboarding:
  join_method: tpm
  token: web
  ca_pins:
    - \"{PIN}\"
storage:
  type: directory
  path: \"/srv/bot\"
  acls: \"off\"
diag_addr: \":3001\"
oneshot: false
services:
  - type: identity
    destination:
      type: directory
      path: \"/opt/a\"
"
    );
    assert_eq!(answer["content"], json!(expected));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_change_leaves_everything_else_of_the_file() {
    let (result, answer) = changed(EXISTING, with(base(), json!({ "ca_pins": [PIN] })));
    let expected = EXISTING
        .replace("'old.example:443'", "\"example.teleport.sh:443\"")
        .replace("token: old #", "token: web #")
        .replace("to be replaced\n", &format!("to be replaced\n  ca_pins:\n    - \"{PIN}\"\n"));
    assert_eq!(result, expected);
    let diff = |side: &str| answer["diff"][side].as_str().unwrap().to_owned();
    assert_eq!((diff("before"), diff("after")), (EXISTING.to_owned(), expected));
}

#[test]
fn what_is_not_given_stays() {
    let (result, _) = changed(EXISTING, json!({}));
    assert_eq!(result, EXISTING);
    let (result, _) = changed(EXISTING, json!({ "storage_type": "directory" }));
    assert_eq!(result, EXISTING, "a directory is a directory");
    let (result, _) = changed(EXISTING, json!({ "storage_path": "/srv/other" }));
    assert_eq!(result, EXISTING.replace("/srv/bot", "\"/srv/other\""));
}

#[test]
fn a_file_that_says_the_same_is_unchanged_in_any_form() {
    for text in [
        r#"{"version":"v2","proxy_server":"example.teleport.sh:443","onboarding":{"join_method":"tpm","token":"web"}}"#,
        "\u{feff}--- # x\r\nonboarding: {token: web, join_method: tpm}\r\n\"version\" : v2\r\nproxy_server: >-\r\n  example.teleport.sh:443\r\n...\r\n",
        "version: v2\nproxy_server: example.teleport.sh:443\nonboarding: &o\n  token: 'web'\n  join_method: !!str tpm\n  ca_pins: []\nauth_server: ''\nservices:",
    ] {
        let extra = json!({ "ca_pins": [], "services": [], "_ansible_check_mode": true });
        let (result, _) = changed(text, with(base(), extra));
        assert_eq!(result, text);
    }
}

#[test]
fn services_are_set_where_they_are_given_and_outputs_go() {
    let (result, answer) = changed(EXISTING, json!({ "services": [] }));
    let from = EXISTING.find("services:").unwrap();
    let to = EXISTING.find("credential_ttl").unwrap();
    assert_eq!(result, format!("{}services: []\n{}", &EXISTING[..from], &EXISTING[to..]));
    assert_eq!(answer["warnings"], json!([]));
    let older = EXISTING.replace("services:", "outputs:");
    let (result, _) = changed(&older, json!({}));
    assert_eq!(result, older);
    let (result, answer) = changed(&older, json!({ "services": [{ "type": "example" }] }));
    assert_eq!(result, format!("{}{}services:\n  - type: example\n", &older[..from], &older[to - 1..]));
    let warnings = answer["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("`outputs` goes"), "{answer}");
}

#[test]
fn keys_that_exclude_each_other_make_room_with_a_warning() {
    let file =
        EXISTING.replace("proxy_server", "auth_server").replace("  join", "  ca_path: /etc/ca.pem\n  join");
    let (result, answer) = changed(&file, with(base(), json!({ "ca_pins": [PIN] })));
    assert!(!result.contains("auth_server") && !result.contains("ca_path"), "{result}");
    let warnings = answer["warnings"].to_string();
    snapshot!(warnings, @r#"["`auth_server` goes, since `proxy_server` comes in its place","`onboarding.ca_path` goes, since `onboarding.ca_pins` comes in its place"]"#);
    let extra = json!({ "extra": { "auth_server": "auth.example:3025", "onboarding": { "ca_path": "/etc/ca.pem" } } });
    let (result, answer) = changed(&result, extra);
    assert!(!result.contains("proxy_server") && !result.contains("ca_pins"), "{result}");
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 2, "{answer}");
}

#[test]
fn an_empty_list_takes_pins_away() {
    let file = EXISTING.replace("  join", &format!("  ca_pins: [\"{PIN}\"] # x\n  join"));
    let (result, _) = changed(&file, json!({ "ca_pins": [] }));
    assert_eq!(result, EXISTING);
}

#[test]
fn storage_in_memory_has_no_path() {
    let (result, _) = changed(EXISTING, json!({ "storage_type": "memory" }));
    let expected =
        EXISTING.replace("type: directory\n    path: /srv/bot\n    symlinks: secure", "type: memory");
    assert_eq!(result, expected);
    let (result, _) = changed(&result, json!({ "storage_type": "directory" }));
    assert!(result.contains("    type: directory\n    path: \"/var/lib/teleport/bot\"\n"), "{result}");
    let (result, _) = changed(&expected, json!({ "storage_path": "/srv/bot" }));
    assert!(result.contains("    type: directory\n    path: \"/srv/bot\"\n"), "{result}");
    let (directory, path) = place();
    succeed(&request(&path, with(base(), json!({ "storage_type": "memory" }))));
    assert!(fs::read_to_string(&path).unwrap().contains("storage:\n  type: memory\nservices"));
    drop(directory);
}

#[test]
fn extra_keys_are_merged_at_every_depth() {
    let extra = json!({ "extra": {
        "diag_addr": "127.0.0.1:3001", "debug": true, "storage": { "acls": "try" }, "onboarding": { "x": { "z": [1] } }, "none": null,
    } });
    let (result, answer) = changed(EXISTING, extra.clone());
    let expected = EXISTING
        .replace("symlinks: secure\n", "symlinks: secure\n    acls: try\n")
        .replace("to be replaced\n", "to be replaced\n  x:\n    z:\n      - 1\n")
        + "diag_addr: \"127.0.0.1:3001\"\ndebug: true\n";
    assert_eq!(result, expected);
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(changed(&result, extra).0, result);
    let (_, answer) = changed(EXISTING, json!({ "extra": "fancy=x colour=blue" }));
    let warning = answer["warnings"][0].as_str().unwrap();
    snapshot!(warning, @"tbot may not know these keys of the configuration, which stay: `fancy`, `colour`");
}

#[test]
fn unknown_keys_of_the_file_stay_with_a_warning() {
    let file = format!("{EXISTING}future: {{a: 1}}\n");
    let (result, answer) = changed(&file, json!({ "token": "web" }));
    assert_eq!(result, file.replace("token: old #", "token: web #"));
    snapshot!(answer["warnings"][0].as_str().unwrap(), @"tbot may not know these keys of the configuration, which stay: `future`");
}

#[test]
fn a_file_of_comments_is_continued() {
    for text in ["", "\n", "# why\n", "---\n# why\n"] {
        let (result, _) = changed(text, base());
        assert!(result.starts_with(&format!("{text}version: v2\n")), "{result}");
        assert_eq!(changed(&result, base()).0, result);
    }
}

#[test]
fn a_file_without_version_gets_one() {
    let file = EXISTING.replace("version: v2\n", "");
    assert_eq!(changed(&file, json!({})).0, format!("{file}version: v2\n"));
}

#[test]
fn what_is_said_in_other_words_is_unchanged() {
    let pin = "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef";
    let text = format!(
        "version: v2\nproxy_server: a.b:443\nonboarding:\n  join_method: tpm\n  token: 0123\n  ca_pins: [{pin}]\n\
         storage: {{type: directory, path: /srv//bot/}}\ndebug: yes\n"
    );
    let (_directory, path) = place_with(&text);
    let lower = pin.to_lowercase();
    let same =
        json!({ "token": "0123", "storage_path": "/srv/bot", "ca_pins": [lower], "proxy_server": "a.b:443" });
    assert_eq!(succeed(&request(&path, same.clone()))["changed"], false);
    // What is added beside them leaves them as they are too.
    let mut more = same.clone();
    more["extra"]["credential_ttl"] = json!("2h");
    succeed(&request(&path, more));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}credential_ttl: \"2h\"\n"));
    // As a number it would be another.
    for (key, value) in
        [("token", json!("123")), ("storage_path", json!("/srv/bot2")), ("ca_pins", json!([]))]
    {
        let mut other = same.clone();
        other[key] = value;
        other["_ansible_check_mode"] = json!(true);
        assert_eq!(succeed(&request(&path, other))["changed"], true, "{key}");
    }
}
