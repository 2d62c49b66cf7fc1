//! What a changed file says to `tbot`, which reads its first document by `gopkg.in/yaml.v3`, is what it said, but for what joins.

use std::fs;

use serde_json::{Map, Value, json};

use super::file;
use crate::support::config::{base, place_with, request, with};
use crate::support::{go_yaml, succeed};

const FILES: [&str; 12] = [
    file!("anchors"),
    file!("auth-tunnel"),
    file!("both"),
    file!("crlf"),
    file!("oneshot"),
    file!("relative"),
    file!("roles"),
    file!("scoped"),
    file!("secret"),
    file!("two-documents"),
    file!("uri"),
    file!("workload"),
];

/// What a configuration says besides where and how to join.
fn rest(mut values: Map<String, Value>) -> Map<String, Value> {
    for key in ["version", "proxy_server", "auth_server", "join_uri", "onboarding"] {
        values.remove(key);
    }
    values
}

#[test]
fn it_is_what_it_said_but_for_what_joins() {
    let merged = "defaults: &d {diag_addr: 'a:1', proxy_server: b.c:1, onboarding: &o {join_method: token, token: t, ca_path: /ca}}\n\
                  <<: *d\nonboarding: {<<: [*o, {x: 1}], token: u}\nservices: [{type: example, <<: *o}]\n---\n*broken\n";
    let texts: Vec<String> = FILES.into_iter().chain([merged]).map(str::to_owned).collect();
    let changes = [json!({}), json!({ "storage_path": "/srv/bot" })];
    let mut asked = Vec::new();
    for (text, more) in texts.iter().flat_map(|text| changes.iter().map(move |more| (text, more))) {
        let (_directory, path) = place_with(text);
        succeed(&request(&path, with(base(), more.clone())));
        asked.extend([text.clone(), fs::read_to_string(&path).unwrap()]);
    }
    let Some(read) = go_yaml::first_documents(&asked) else { return };
    for (index, pair) in read.chunks(2).enumerate() {
        let [before, after] = pair else { unreachable!() };
        let (mut before, after) = (before.clone(), after.clone());
        assert_eq!(after["proxy_server"], "example.teleport.sh:443", "{after:?}");
        assert_eq!(
            (&after["onboarding"]["join_method"], &after["onboarding"]["token"]),
            (&json!("tpm"), &json!("web"))
        );
        assert!(!after.contains_key("join_uri") && !after.contains_key("auth_server"), "{after:?}");
        if index % 2 == 1 {
            before.insert("storage".to_owned(), after["storage"].clone());
            assert_eq!(after["storage"]["path"], "/srv/bot");
        }
        assert_eq!(rest(before), rest(after));
    }
}
