//! `config` with the address of a proxy in its several forms: without a port it is 443.

use serde_json::{Value, json};

use crate::support::config::{base, changed, place, place_with, request, with};
use crate::support::{fail, succeed};

const FILE: &str = "\
version: v2
proxy_server: Example.teleport.sh:443 # ours
onboarding:
  join_method: tpm
  token: web
storage:
  type: directory
  path: /srv/bot
services: []
";

/// The configuration that names this proxy, or none.
fn naming(proxy: &str) -> String {
    FILE.replace("Example.teleport.sh:443", proxy)
}

#[test]
fn a_new_file_has_the_port_that_was_left_out() {
    for more in [
        json!({ "proxy_server": "example.teleport.sh" }),
        json!({ "proxy_server": null, "extra": { "proxy_server": "example.teleport.sh" } }),
        json!({ "proxy_server": null, "defaults": { "proxy_server": "example.teleport.sh" } }),
        json!({ "extra": { "proxy_server": "EXAMPLE.teleport.sh" } }),
    ] {
        let (_directory, path) = place();
        let content = succeed(&request(&path, with(base(), more.clone())))["content"].clone();
        let line = "\nproxy_server: \"example.teleport.sh:443\"\n";
        assert!(content.as_str().unwrap().contains(line), "{more}: {content}");
    }
    let (_directory, path) = place();
    let address = json!({ "proxy_server": "[2001:db8::1]" });
    let content = succeed(&request(&path, with(base(), address)))["content"].clone();
    assert!(content.as_str().unwrap().contains("\nproxy_server: \"[2001:db8::1]:443\"\n"), "{content}");
}

#[test]
fn the_same_proxy_in_another_form_changes_nothing() {
    for written in ["Example.teleport.sh:443", "example.teleport.sh", "example.teleport.sh.:443"] {
        for given in ["example.teleport.sh", "example.teleport.sh:443", "EXAMPLE.TELEPORT.SH"] {
            let text = naming(written);
            for more in [json!({ "proxy_server": given }), json!({ "extra": { "proxy_server": given } })] {
                let (content, answer) = changed(&text, more);
                assert_eq!(content, text);
                assert_eq!(answer["warnings"], json!([]), "{answer}");
            }
        }
    }
}

#[test]
fn another_port_or_host_is_another_proxy() {
    for given in ["example.teleport.sh:3080", "other.teleport.sh"] {
        let (content, _) = changed(FILE, json!({ "proxy_server": given }));
        let whole = if given.contains(':') { given.to_owned() } else { format!("{given}:443") };
        assert!(content.contains(&format!("proxy_server: \"{whole}\" # ours\n")), "{content}");
    }
    let two = json!({ "proxy_server": "example.com", "extra": { "proxy_server": "example.com:3080" } });
    let (_directory, path) = place_with(FILE);
    let message = fail(&request(&path, two), "invalid_request");
    assert!(message.contains("`proxy_server` is \"example.com:3080\""), "{message}");
}

#[test]
fn the_proxy_of_a_join_uri_has_its_port_too() {
    let text = "version: v2\njoin_uri: tbot+proxy+tpm://web@example.teleport.sh\n";
    let (content, _) = changed(text, Value::Object(serde_json::Map::new()));
    assert!(content.contains("\nproxy_server: \"example.teleport.sh:443\"\n"), "{content}");
}

#[test]
fn a_file_is_known_to_name_the_proxy_in_each_form() {
    let (_directory, path) = place_with(FILE);
    for given in ["example.teleport.sh", "example.teleport.sh:443"] {
        let wanted =
            json!({ "action": "config", "path": path, "proxy_server": given, "state": "same_proxy" });
        assert_eq!(succeed(&wanted)["changed"], false);
    }
    let other = json!({ "action": "config", "path": path, "proxy_server": "other.teleport.sh", "state": "same_proxy" });
    let message = fail(&other, "would_lock_out");
    assert!(message.contains("and other.teleport.sh:443 does not answer"), "{message}");
}
