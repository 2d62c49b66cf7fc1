//! `token` and `preflight` on malformed input: what is wrong is named, and nothing is written.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::tokens::{hash, host, request, stored};
use crate::support::{certificate, fail, succeed, tool};

/// The message of a request that must fail with this kind in check mode and without it, and must write nothing.
fn refused(extra: Value, kind: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut request = request(extra);
    if request.get("path").is_none() {
        request["path"] = json!(directory.path().join("web.yaml"));
    }
    let message = fail(&request, kind);
    request["_ansible_check_mode"] = json!(true);
    assert_eq!(fail(&request, kind), message);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "something was written");
    message
}

#[test]
fn a_malformed_hash_is_named_with_its_host() {
    for wrong in [
        "",
        "12",
        &"a".repeat(63),
        &"a".repeat(65),
        &"g".repeat(64),
        &format!(" {}", "a".repeat(63)),
        &"é".repeat(32),
    ] {
        let host = json!([{ "description": "db-7", "ek_public_hash": wrong }]);
        let message = refused(json!({ "hosts": host }), "invalid_request");
        assert!(message.contains("64 hexadecimal digits") && message.contains("hosts[0]"), "{message}");
    }
    let upper = json!([{ "description": "x", "ek_public_hash": hash('a').to_uppercase() }]);
    let content = succeed(&request(json!({ "hosts": upper })))["content"].to_string();
    assert!(content.contains(&hash('a')), "upper case is folded: {content}");
}

#[test]
fn hosts_that_contradict_each_other_are_named() {
    let message = refused(json!({ "hosts": [host("a", 'c'), host("b", 'c')] }), "conflict");
    assert!(message.contains("`a`") && message.contains("`b`"), "{message}");
    let upper = json!({ "description": "b", "ek_public_hash": hash('c').to_uppercase() });
    refused(json!({ "hosts": [host("a", 'c'), upper] }), "conflict");
    let message = refused(json!({ "hosts": [{ "description": "lonely" }] }), "invalid_request");
    assert!(message.contains("`lonely`"), "{message}");
    let no_serial = json!([{ "description": "lonely", "ek_cert_present": false, "ek_cert_serial": null }]);
    refused(json!({ "hosts": no_serial, "match": "hash_and_serial" }), "invalid_request");
}

#[test]
fn a_number_where_a_text_belongs_is_to_be_quoted() {
    let host = |field: &str| json!([{ "description": "x", "ek_public_hash": hash('a'), field: 754 }]);
    for field in ["ek_cert_serial", "ek_public_hash", "description"] {
        let message = refused(json!({ "hosts": host(field) }), "invalid_request");
        assert!(message.contains("quote it") && message.contains(field), "{message}");
    }
    for extra in [json!({ "remove": [754] }), json!({ "labels": { "a": true } })] {
        let message = refused(extra, "invalid_request");
        assert!(message.contains("quote it"), "{message}");
    }
    // As other YAML readers hand 12:34 over, and as ours reads digits.
    let rule = |value: Value| json!({ "description": "db-7", "ek_public_hash": hash('b'), "ek_certificate_serial": value });
    let digits = json!({ "description": "db-7", "ek_public_hash": 1e63 });
    for rule in [rule(json!(754)), rule(json!(true)), digits] {
        let parsed = stored(json!([rule]));
        let text = serde_yaml::to_string(&parsed).unwrap();
        for current in [parsed, json!(text)] {
            let message = refused(json!({ "current": current }), "invalid_request");
            assert!(message.contains("quote it") && message.contains("db-7"), "{message}");
        }
    }
}

#[test]
fn a_rule_that_is_not_understood_is_named() {
    for (rules, expected) in [
        (json!([host("a", 'a'), { "description": "empty" }]), "allow[1]` (empty)"),
        (json!([{ "description": "empty", "ek_public_hash": "", "ek_certificate_serial": null }]), "(empty)"),
        (json!(["text"]), "allow[0]"),
        (json!([[]]), "allow[0]"),
        (json!({}), "an object as `spec.tpm.allow`"),
        (json!([{ "ek_public_hash": ["a"] }]), "`ek_public_hash` is a list"),
    ] {
        let message = refused(json!({ "current": stored(rules) }), "invalid_request");
        assert!(message.starts_with("`current`") && message.contains(expected), "{message}");
    }
    let mut expires = stored(json!([host("a", 'a')]));
    expires[0]["metadata"]["expires"] = json!("tomorrow");
    let message = refused(json!({ "current": expires }), "invalid_request");
    assert!(message.contains("metadata.expires"), "{message}");
}

#[test]
fn what_readers_of_yaml_disagree_about_is_refused() {
    let token = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    let (head, rules) = token.split_once("    allow:\n").unwrap();
    let first = format!("description: web-1\n        ek_public_hash: {}\n", hash('a'));
    assert!(rules.contains(&first));
    let merge = format!("{head}    allow:\n      - &r\n        {first}      - <<: *r\n");
    let mut texts: Vec<String> = [
        ("  name: web\n", "  name: web\n  name: other\n"),
        ("    allow:\n", "    allow: []\n    allow:\n"),
        ("description: web-1\n", "description: web-1\n        description: x\n"),
        ("kind: token\n", "kind: token\n\"kind\": token\n"),
        ("metadata:\n", "metadata: [\n"),
        ("metadata:\n", "metadata:\n\t"),
        ("name: web\n", "name: \"we\0b\"\n"),
    ]
    .map(|(from, to)| token.replacen(from, to, 1))
    .to_vec();
    texts.push(merge);
    texts.push(r#"[{"kind": "token", "kind": "token"}]"#.to_owned());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    for text in texts {
        let message = refused(json!({ "current": text }), "invalid_request");
        assert!(message.starts_with("`current`"), "{message}");
        fs::write(&path, &text).unwrap();
        let message = refused(json!({ "path": path }), "conflict");
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let message = fail(&json!({ "action": "preflight", "token": text, "hosts": [] }), "invalid_request");
        assert!(message.starts_with("`token`"), "{message}");
    }
}

fn ca(directory: &Path) -> String {
    certificate(directory, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &[]);
    let der = directory.join("certificate.der");
    String::from_utf8(tool("openssl", &["x509", "-inform", "DER", "-in", der.to_str().unwrap()])).unwrap()
}

#[test]
fn a_ca_file_with_a_private_key_or_garbage_is_named_and_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let pem = ca(directory.path());
    let key = String::from_utf8(tool("openssl", &["genpkey", "-algorithm", "ed25519"])).unwrap();
    let secret = key.lines().nth(1).unwrap().to_owned();
    let file = directory.path().join("ca.pem");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in [
        format!("{pem}{key}"),
        format!("{key}{pem}"),
        key.clone(),
        garbage.to_owned(),
        format!("{pem}{garbage}"),
        "-----BEGIN CERTIFICATE-----\nAAAA".to_owned(),
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n".to_owned(),
        String::new(),
        "no PEM at all".to_owned(),
    ] {
        fs::write(&file, &bad).unwrap();
        let message =
            refused(json!({ "ekcert_allowed_cas": [file], "allow_lockout": true }), "certificate_invalid");
        assert!(message.contains("ca.pem") && !message.contains(&secret), "{message}");
        if bad.contains("-----BEGIN") {
            let message = refused(
                json!({ "ekcert_allowed_cas": [pem, bad], "allow_lockout": true }),
                "certificate_invalid",
            );
            assert!(message.contains("ekcert_allowed_cas[1]") && !message.contains(&secret), "{message}");
        }
    }
    fs::write(&file, [0xff, 0xfe, 0]).unwrap();
    refused(json!({ "ekcert_allowed_cas": [file] }), "certificate_invalid");
    refused(json!({ "ekcert_allowed_cas": ["ca.pem"] }), "invalid_request");
    refused(json!({ "ekcert_allowed_cas": [""] }), "invalid_request");
    refused(json!({ "ekcert_allowed_cas": ["/no/such/ca.pem"] }), "not_found");
}

#[test]
fn preflight_names_what_is_wrong_with_its_token() {
    let preflight =
        |token: Value| json!({ "action": "preflight", "token": token, "hosts": [host("a", 'a')] });
    for (token, kind, expected) in [
        (json!(""), "invalid_request", "holds no token"),
        (json!([]), "invalid_request", "holds no token"),
        (json!("text"), "conflict", "no join token"),
        (stored(json!([])), "invalid_request", "without a rule"),
        (
            stored(json!([{ "description": "x", "ek_certificate_serial": 754 }])),
            "invalid_request",
            "quote it",
        ),
    ] {
        let message = fail(&preflight(token), kind);
        assert!(message.contains(expected), "{message}");
    }
    let answer = succeed(&preflight(stored(json!([host("a", 'a')]))));
    assert_eq!((&answer["accepted"], &answer["changed"]), (&json!(1), &json!(false)));
}
