//! `token` and `preflight` on malformed input: what is wrong is named, and nothing is written.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
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
    let wrong = [
        String::new(),
        "12".to_owned(),
        "a".repeat(63),
        "a".repeat(65),
        "g".repeat(64),
        format!(" {}", "a".repeat(63)),
        "é".repeat(32),
    ];
    let said = listed(wrong, |wrong| {
        let host = json!([{ "description": "db-7", "ek_public_hash": wrong }]);
        (format!("{wrong:?}"), refused(json!({ "hosts": host }), "invalid_request"))
    });
    snapshot!(said, @r#"
    ""
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 0 characters: ""
    "12"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "12"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 63 characters: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 65 characters: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 64 characters: "gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
    " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 64 characters: " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "éééééééééééééééééééééééééééééééé"
        parameter `hosts[0] (db-7).ek_public_hash` of action `token`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 32 characters: "éééééééééééééééééééééééééééééééé"
    "#);
    let upper = json!([{ "description": "x", "ek_public_hash": hash('a').to_uppercase() }]);
    let content = succeed(&request(json!({ "hosts": upper })))["content"].to_string();
    assert!(content.contains(&hash('a')), "upper case is folded: {content}");
}

#[test]
fn hosts_that_contradict_each_other_are_named() {
    let message = refused(json!({ "hosts": [host("a", 'c'), host("b", 'c')] }), "conflict");
    snapshot!(message, @"`a` and `b` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other");
    let upper = json!({ "description": "b", "ek_public_hash": hash('c').to_uppercase() });
    refused(json!({ "hosts": [host("a", 'c'), upper] }), "conflict");
    let message = refused(json!({ "hosts": [{ "description": "lonely" }] }), "invalid_request");
    snapshot!(message, @"`lonely` has neither `ek_public_hash` nor `ek_cert_serial`, and a cluster refuses a rule without both; identify the host (action `identify`), or leave it out");
    let no_serial = json!([{ "description": "lonely", "ek_cert_present": false, "ek_cert_serial": null }]);
    snapshot!(refused(json!({ "hosts": no_serial, "match": "hash_and_serial" }), "invalid_request"), @"`lonely` has neither `ek_public_hash` nor `ek_cert_serial`, and a cluster refuses a rule without both; identify the host (action `identify`), or leave it out");
}

#[test]
fn a_number_where_a_text_belongs_is_to_be_quoted() {
    let host = |field: &str| json!([{ "description": "x", "ek_public_hash": hash('a'), field: 754 }]);
    let said = listed(
        [
            json!({ "hosts": host("ek_cert_serial") }),
            json!({ "hosts": host("ek_public_hash") }),
            json!({ "hosts": host("description") }),
            json!({ "remove": [754] }),
            json!({ "labels": { "a": true } }),
        ],
        |extra| (extra.to_string(), refused(extra.clone(), "invalid_request")),
    );
    snapshot!(said, @r#"
    {"hosts":[{"description":"x","ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ek_cert_serial":754}]}
        parameter `hosts[0] (x).ek_cert_serial` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    {"hosts":[{"description":"x","ek_public_hash":754}]}
        parameter `hosts[0] (x).ek_public_hash` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    {"hosts":[{"description":754,"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}
        parameter `hosts[0].description` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    {"remove":[754]}
        parameter `remove[0]` of action `token`: expected a text (quote it, as in "12:34"), found the number 754
    {"labels":{"a":true}}
        parameter `labels.a` of action `token`: expected a text (quote it, as in "12:34"), found the boolean true
    "#);
    // As other YAML readers hand 12:34 over, and as ours reads digits.
    let rule = |value: Value| json!({ "description": "db-7", "ek_public_hash": hash('b'), "ek_certificate_serial": value });
    let digits = json!({ "description": "db-7", "ek_public_hash": 1e63 });
    let said = listed([rule(json!(754)), rule(json!(true)), digits], |rule| {
        let parsed = stored(json!([rule]));
        let text = serde_yaml::to_string(&parsed).unwrap();
        let message = refused(json!({ "current": parsed }), "invalid_request");
        assert_eq!(refused(json!({ "current": text }), "invalid_request"), message);
        (rule.to_string(), message)
    });
    snapshot!(said, @r#"
    {"description":"db-7","ek_public_hash":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","ek_certificate_serial":754}
        `current` has a wrong rule `spec.tpm.allow[0]` (db-7): `ek_certificate_serial` is the number 754 (quote it, as in "12:34"), not a text
    {"description":"db-7","ek_public_hash":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","ek_certificate_serial":true}
        `current` has a wrong rule `spec.tpm.allow[0]` (db-7): `ek_certificate_serial` is the boolean true (quote it), not a text
    {"description":"db-7","ek_public_hash":1e+63}
        `current` has a wrong rule `spec.tpm.allow[0]` (db-7): `ek_public_hash` is the number 1e+63 (quote it, as in "12:34"), not a text
    "#);
}

#[test]
fn a_rule_that_is_not_understood_is_named() {
    let said = listed(
        [
            json!([host("a", 'a'), { "description": "empty" }]),
            json!([{ "description": "empty", "ek_public_hash": "", "ek_certificate_serial": null }]),
            json!(["text"]),
            json!([[]]),
            json!({}),
            json!([{ "ek_public_hash": ["a"] }]),
        ],
        |rules| (rules.to_string(), refused(json!({ "current": stored(rules.clone()) }), "invalid_request")),
    );
    snapshot!(said, @r#"
    [{"description":"a","ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},{"description":"empty"}]
        `current` has a rule `spec.tpm.allow[1]` (empty) with neither hash nor serial number
    [{"description":"empty","ek_public_hash":"","ek_certificate_serial":null}]
        `current` has a rule `spec.tpm.allow[0]` (empty) with neither hash nor serial number
    ["text"]
        `current` has the text "text" as `spec.tpm.allow[0]`
    [[]]
        `current` has a list as `spec.tpm.allow[0]`
    {}
        `current` has an object as `spec.tpm.allow`, which is a list
    [{"ek_public_hash":["a"]}]
        `current` has a wrong rule `spec.tpm.allow[0]`: `ek_public_hash` is a list, not a text
    "#);
    let mut expires = stored(json!([host("a", 'a')]));
    expires[0]["metadata"]["expires"] = json!("tomorrow");
    let message = refused(json!({ "current": expires }), "invalid_request");
    snapshot!(message, @r#"`current` has a wrong `metadata.expires`: "tomorrow" is no RFC 3339 time, such as "2030-01-31T12:00:00Z""#);
}

#[test]
fn what_readers_of_yaml_disagree_about_is_refused() {
    let token = succeed(&request(json!({})))["content"].as_str().unwrap().to_owned();
    let (head, rules) = token.split_once("    allow:\n").unwrap();
    let first = format!("description: web-1\n        ek_public_hash: \"{}\"\n", hash('a'));
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
    let bad = [
        ("a certificate and a key", format!("{pem}{key}")),
        ("a key and a certificate", format!("{key}{pem}")),
        ("a key", key.clone()),
        ("a certificate that is none", garbage.to_owned()),
        ("two, and the second is none", format!("{pem}{garbage}")),
        ("no end", "-----BEGIN CERTIFICATE-----\nAAAA".to_owned()),
        ("no Base64", "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n".to_owned()),
        ("nothing", String::new()),
        ("text", "no PEM at all".to_owned()),
    ];
    let said = listed(bad, |(what, bad)| {
        fs::write(&file, bad).unwrap();
        let refused = |cas: Value| {
            let extra = json!({ "ekcert_allowed_cas": cas, "allow_lockout": true });
            let message = refused(extra, "certificate_invalid");
            assert!(!message.contains(&secret), "{message}");
            message
        };
        let by_path = refused(json!([file]));
        let itself = if bad.contains("-----BEGIN") { refused(json!([pem, bad])) } else { String::new() };
        ((*what).to_owned(), format!("{by_path}\n{itself}").trim_end().to_owned())
    });
    snapshot!(said, @"
    a certificate and a key
        [DIR]/ca.pem holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
        `ekcert_allowed_cas[1]` holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
    a key and a certificate
        [DIR]/ca.pem holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
        `ekcert_allowed_cas[1]` holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
    a key
        [DIR]/ca.pem holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
        `ekcert_allowed_cas[1]` holds a private key; remove the key: it does not belong there, and everyone who reads the token would have it
    a certificate that is none
        [DIR]/ca.pem holds a certificate that does not parse
        `ekcert_allowed_cas[1]` holds a certificate that does not parse
    two, and the second is none
        [DIR]/ca.pem holds a certificate that does not parse
        `ekcert_allowed_cas[1]` holds a certificate that does not parse
    no end
        [DIR]/ca.pem begins 1 PEM blocks, of which only 0 can be read
        `ekcert_allowed_cas[1]` begins 1 PEM blocks, of which only 0 can be read
    no Base64
        [DIR]/ca.pem begins 1 PEM blocks, of which only 0 can be read
        `ekcert_allowed_cas[1]` begins 1 PEM blocks, of which only 0 can be read
    nothing
        [DIR]/ca.pem holds no certificate in PEM
    text
        [DIR]/ca.pem holds no certificate in PEM
    ");
    fs::write(&file, [0xff, 0xfe, 0]).unwrap();
    refused(json!({ "ekcert_allowed_cas": [file] }), "certificate_invalid");
    snapshot!(refused(json!({ "ekcert_allowed_cas": ["ca.pem"] }), "invalid_request"), @r#"`ekcert_allowed_cas[0]` is neither PEM nor a path: the path "ca.pem" is not absolute; write it from the root (/…)"#);
    snapshot!(refused(json!({ "ekcert_allowed_cas": [""] }), "invalid_request"), @r#"`ekcert_allowed_cas[0]` is neither PEM nor a path: the path "" is not absolute; write it from the root (/…)"#);
    snapshot!(refused(json!({ "ekcert_allowed_cas": ["/no/such/ca.pem"] }), "not_found"), @"cannot read /no/such/ca.pem: No such file or directory (os error 2)");
}

#[test]
fn preflight_names_what_is_wrong_with_its_token() {
    let preflight =
        |token: Value| json!({ "action": "preflight", "token": token, "hosts": [host("a", 'a')] });
    let said = listed(
        [
            (json!(""), "invalid_request"),
            (json!([]), "invalid_request"),
            (json!("text"), "conflict"),
            (stored(json!([])), "invalid_request"),
            (stored(json!([{ "description": "x", "ek_certificate_serial": 754 }])), "invalid_request"),
        ],
        |(token, kind)| (token.to_string(), fail(&preflight(token.clone()), kind)),
    );
    snapshot!(said, @r#"
    ""
        `token` holds no token; give what `tctl get token/NAME` shows
    []
        `token` holds no token; give what `tctl get token/NAME` shows
    "text"
        `token` is no join token; it was left as it is
    [{"kind":"token","version":"v2","metadata":{"name":"web","revision":"0b7a","expires":"0001-01-01T00:00:00Z","labels":{"teleport.dev/origin":"dynamic"}},"spec":{"roles":["Bot"],"join_method":"tpm","bot_name":"web-bot","suggested_labels":{},"tpm":{"allow":[]}}}]
        there are no hosts, and a cluster refuses a token without a rule
    [{"kind":"token","version":"v2","metadata":{"name":"web","revision":"0b7a","expires":"0001-01-01T00:00:00Z","labels":{"teleport.dev/origin":"dynamic"}},"spec":{"roles":["Bot"],"join_method":"tpm","bot_name":"web-bot","suggested_labels":{},"tpm":{"allow":[{"description":"x","ek_certificate_serial":754}]}}}]
        `token` has a wrong rule `spec.tpm.allow[0]` (x): `ek_certificate_serial` is the number 754 (quote it, as in "12:34"), not a text
    "#);
    let answer = succeed(&preflight(stored(json!([host("a", 'a')]))));
    assert_eq!((&answer["accepted"], &answer["changed"]), (&json!(1), &json!(false)));
}
