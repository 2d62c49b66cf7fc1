//! `join_uri`, which `tbot` does not take beside `proxy_server` or `onboarding`.

use std::fs;

use serde_json::{Value, json};

use super::{SERVER, changed, file};
use crate::support::config::{base, place, place_with, request, with};
use crate::support::messages::{listed, snapshot};
use crate::support::{fail, run, succeed};

const URI: &str = "join_uri: tbot+proxy+bound-keypair://example-token:secret@corp.example:443\n";
const TPM: &str =
    "version: v2\njoin_uri: tbot+proxy+tpm://web@corp.example:443 # as tctl said\nservices: []\n";
const ONBOARDING: &str = "onboarding:\n  join_method: tpm\n  token: web\n";

#[test]
fn it_goes_and_the_warning_says_what_it_said_without_its_secret() {
    let text = file!("uri");
    let end = format!("      path: /opt/id\n{SERVER}\n{ONBOARDING}");
    snapshot!(changed(text, json!({}), &[(URI, ""), ("      path: /opt/id\n", &end)]), @"`join_uri` goes, since tbot does not start with `proxy_server` and `onboarding` beside it; it said tbot+proxy+bound-keypair://********@corp.example:443");
    let (_directory, path) = place_with(text);
    let answer = run(&request(&path, with(base(), json!({ "_ansible_verbosity": 4 }))));
    assert!(
        !answer.to_string().contains("example-token") && !answer.to_string().contains("secret@"),
        "{answer}"
    );
}

#[test]
fn alone_it_counts_as_the_address_and_token_that_it_names() {
    let write = |more: Value| {
        let (_directory, path) = place_with(TPM);
        let answer = succeed(&request(&path, more));
        (fs::read_to_string(&path).unwrap(), answer["warnings"].to_string())
    };
    let (text, warnings) = write(json!({}));
    assert_eq!(text, format!("version: v2\nservices: []\nproxy_server: \"corp.example:443\"\n{ONBOARDING}"));
    snapshot!(warnings, @r#"["`join_uri` goes, since tbot does not start with `proxy_server` and `onboarding` beside it; it said tbot+proxy+tpm://web@corp.example:443"]"#);
    let (text, _) = write(json!({ "token": "db" }));
    assert!(text.contains("proxy_server: \"corp.example:443\"\n") && text.contains("token: db\n"), "{text}");
    let (text, _) = write(json!({ "proxy_server": "a.b:1" }));
    assert!(text.contains("proxy_server: \"a.b:1\"\n") && text.contains("token: web\n"), "{text}");
    let (text, _) = write(json!({ "extra": { "auth_server": "a.b:1" } }));
    assert!(text.contains("auth_server: \"a.b:1\"\n") && !text.contains("proxy_server"), "{text}");
    // What has a default, and what another server is for.
    let (text, _) = write(json!({ "defaults": { "proxy_server": "c.d:1" } }));
    assert!(text.contains("corp.example:443") && !text.contains("c.d:1"), "{text}");
    let (_directory, path) = place_with(&TPM.replace("+proxy+", "+auth+"));
    succeed(&request(&path, json!({})));
    assert!(fs::read_to_string(&path).unwrap().contains("auth_server: \"corp.example:443\"\n"));
}

#[test]
fn a_token_of_another_method_is_not_taken_from_it() {
    let cases = [
        (file!("uri").to_owned(), json!({ "proxy_server": "a.b:1" })),
        (TPM.replace("+tpm://web@", "+token://s3cret@"), json!({})),
        (TPM.replace("+tpm://web@", "+tpm://web:s3cret@"), json!({})),
        (TPM.replace("web@", "s3cret"), json!({ "token": "web" })),
        (TPM.replace("tbot+proxy+tpm://web@", "https://s3cret@"), json!({ "proxy_server": "a.b:1" })),
    ];
    let said = listed(cases, |(text, more)| {
        let (_directory, path) = place_with(text);
        let message = fail(&request(&path, more.clone()), "invalid_request");
        assert_eq!(fs::read_to_string(&path).unwrap(), *text);
        (more.to_string(), message)
    });
    assert!(!said.contains("cret"), "{said}");
    snapshot!(said, @r#"
    {"proxy_server":"a.b:1"}
        action `config` needs parameter `token`, since [DIR]/tbot.yaml joins by `bound_keypair`, and its token is for that
    {}
        action `config` needs parameter `token`, since [DIR]/tbot.yaml joins by `token`, and its token is for that
    {}
        action `config` needs parameter `token`, since [DIR]/tbot.yaml does not say it
    {"token":"web"}
        action `config` needs parameter `proxy_server`, since [DIR]/tbot.yaml does not say it
    {"proxy_server":"a.b:1"}
        action `config` needs parameter `token`, since [DIR]/tbot.yaml does not say it
    "#);
}

#[test]
fn one_that_cannot_be_read_goes_without_a_word_of_it() {
    for uri in [
        "s3cret",
        "tbot+proxy+token://s3cret",
        "tbot+proxy+tpm://a:s3cret/@b",
        "[s3cret]",
        "\"tbot+proxy+token:\\/\\/s3cret@b:1\"",
    ] {
        let (_directory, path) = place_with(&format!("version: v2\njoin_uri: {uri}\n"));
        let answer = run(&request(&path, base()));
        assert_eq!(answer["changed"], true, "{answer}");
        let warnings = answer["warnings"].to_string();
        assert!(warnings.contains("`join_uri` goes") && !warnings.contains("cret"), "{warnings}");
    }
    // An escape hides no secret.
    let (_directory, path) = place_with("join_uri: \"tbot+proxy+token:\\/\\/s3cret@b:1\"\n");
    let answer = run(&request(&path, base())).to_string();
    assert!(!answer.contains("s3cret"), "{answer}");
}

#[test]
fn beside_a_server_the_file_keeps_that_one() {
    let (_directory, path) = place_with(&format!("{TPM}proxy_server: a.b:1\n"));
    let answer = succeed(&request(&path, json!({})));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("proxy_server: a.b:1\n") && !text.contains("corp.example"), "{text}");
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn an_empty_one_says_nothing() {
    let text = TPM.replace("tbot+proxy+tpm://web@corp.example:443", "''");
    let (_directory, path) = place_with(&text);
    let answer = succeed(&request(&path, base()));
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}{SERVER}\n{ONBOARDING}"));
}

#[test]
fn a_request_gives_none() {
    let uri = "tbot+proxy+token://s3cret@a.b:1";
    let cases = [
        with(base(), json!({ "extra": { "join_uri": uri } })),
        json!({ "extra": { "join_uri": uri } }),
        with(base(), json!({ "defaults": { "join_uri": uri } })),
    ];
    let said = listed(cases, |more| {
        let (_directory, path) = place();
        (more.to_string().replace(uri, "URI"), fail(&request(&path, more.clone()), "invalid_request"))
    });
    snapshot!(said, @r#"
    {"proxy_server":"example.teleport.sh:443","token":"web","extra":{"join_uri":"URI"}}
        parameter `extra`: `join_uri` stands for `proxy_server` and `onboarding`, and tbot does not start with both; give the parameters `proxy_server` and `token`
    {"extra":{"join_uri":"URI"}}
        parameter `extra`: `join_uri` stands for `proxy_server` and `onboarding`, and tbot does not start with both; give the parameters `proxy_server` and `token`
    {"proxy_server":"example.teleport.sh:443","token":"web","defaults":{"join_uri":"URI"}}
        parameter `defaults`: `join_uri` stands for `onboarding`, which this action always gives; give the parameters `proxy_server` and `token`
    "#);
}

#[test]
fn a_file_with_one_is_a_configuration_of_tbot() {
    let (_directory, path) = place_with(file!("uri"));
    succeed(&request(&path, json!({ "state": "absent" })));
    assert!(!path.exists());
}
