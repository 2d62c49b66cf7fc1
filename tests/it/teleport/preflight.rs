//! `preflight`: it says before the cluster does who will be let in, and what to do for the others.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::{listed, snapshot};
use crate::support::tokens::{hash, token};
use crate::support::{fail, succeed};

fn preflight(token: &Value, hosts: Value) -> Value {
    succeed(&json!({ "action": "preflight", "token": token, "hosts": hosts }))
}

/// The reason why the one host is refused.
fn reason(token: &Value, host: Value) -> String {
    let answer = preflight(token, json!([host]));
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(0), &json!(1)), "{answer}");
    assert_eq!(answer["hosts"][0]["accepted"], false);
    assert_eq!((&answer["hosts"][0]["rule"], &answer["hosts"][0]["token"]), (&Value::Null, &Value::Null));
    answer["hosts"][0]["reason"].as_str().unwrap().to_owned()
}

/// The rule that lets the one host in.
fn rule(token: &Value, host: Value) -> Value {
    let answer = preflight(token, json!([host]));
    assert_eq!(answer["hosts"][0]["accepted"], true, "{answer}");
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(1), &json!(0)));
    assert_eq!(answer["hosts"][0]["reason"], Value::Null);
    answer["hosts"][0]["rule"].clone()
}

fn with_cas(token: &Value, cas: &[&str]) -> Value {
    let mut token = token.clone();
    token["spec"]["tpm"]["ekcert_allowed_cas"] = json!(cas);
    token
}

#[test]
fn a_rule_lets_in_what_it_names() {
    let host = json!({ "description": "x", "ek_public_hash": hash('a'), "ek_cert_serial": "12:34" });
    let by_hash = json!({ "description": "web-1", "ek_public_hash": hash('a') });
    assert_eq!(rule(&token(json!([by_hash])), host.clone()), by_hash);
    let by_both = json!({ "ek_public_hash": hash('a'), "ek_certificate_serial": "12:34" });
    assert_eq!(rule(&token(json!([by_both])), host.clone()), by_both);
    let other = json!({ "ek_public_hash": hash('a'), "ek_certificate_serial": "99" });
    assert_eq!(rule(&token(json!([other, by_both])), host.clone()), by_both, "alternatives are all tried");

    let why = reason(&token(json!([other])), host.clone());
    snapshot!(why, @"token `web` wants the serial number 99 with its hash, and the host's EK certificate has 12:34: write the host's with `match: hash_and_serial`, or correct the rule");
    let upper = json!({ "description": "web-1", "ek_public_hash": hash('a').to_uppercase() });
    snapshot!(reason(&token(json!([upper])), host.clone()), @"token `web` has its hash in upper case, which never matches: build the token anew, which corrects that");
    let replaced = json!({ "description": "x", "ek_public_hash": hash('b') });
    snapshot!(reason(&token(json!([replaced])), host.clone()), @"token `web` has another hash under this name, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: its TPM was replaced, or its identity is out of date; build the token anew with the host");
    let unknown = json!({ "description": "y", "ek_public_hash": hash('b') });
    snapshot!(reason(&token(json!([unknown])), host), @"token `web` has no rule for its TPM: build the token anew with the host");
}

#[test]
fn a_token_past_its_end_lets_nobody_in() {
    let mut ending = token(json!([{ "ek_public_hash": hash('a') }]));
    ending["metadata"]["expires"] = json!("2030-01-31T12:00:00Z");
    let mut request = json!({
        "action": "preflight", "token": ending, "hosts": [{ "ek_public_hash": hash('a') }],
        "now": "2030-01-31T13:59:59+02:00",
    });
    assert_eq!(succeed(&request)["accepted"], 1);
    request["now"] = json!("2030-01-31T14:00:01+02:00");
    let answer = succeed(&request);
    assert_eq!(answer["refused"], 1);
    snapshot!(answer["hosts"][0]["reason"].as_str().unwrap(), @"token `web` ended on 2030-01-31T12:00:00Z: give a later `expires`");
    request["now"] = json!("tomorrow");
    snapshot!(fail(&request, "invalid_request"), @r#"parameter `now` of action `preflight`: "tomorrow" is no RFC 3339 time, such as "2030-01-31T12:00:00Z""#);
}

#[test]
fn the_direct_issuer_lets_in_and_its_root_does_not() {
    let manufacturer = Manufacturer::new("Acme");
    let host = manufacturer.tpm("web-1", "0f:ff");
    let plain = token(json!([{ "ek_public_hash": host["ek_public_hash"] }]));
    rule(&plain, host.clone());
    rule(&with_cas(&plain, &[&manufacturer.issuing]), host.clone());
    rule(&with_cas(&plain, &[&manufacturer.root, &manufacturer.issuing]), host.clone());
    rule(&with_cas(&plain, &[host["ek_cert_pem"].as_str().unwrap()]), host.clone());

    let why = reason(&with_cas(&plain, &[&manufacturer.root]), host.clone());
    snapshot!(why, @"the EK certificate was issued by CN=Acme Issuing, and the token allows only the root CN=Acme Root; a cluster wants the direct issuer: add the certificate of CN=Acme Issuing to `ekcert_allowed_cas`");
    let namesake = Manufacturer::new("Acme");
    let why = reason(&with_cas(&plain, &[&namesake.issuing]), host.clone());
    snapshot!(why, @"the EK certificate was issued by CN=Acme Issuing, and the certificate of that name in `ekcert_allowed_cas` holds another key than the one that signed it (a manufacturer may have several CAs of one name): add the certificate with the key that did");
    let with_headers = manufacturer.issuing.replace("CERTIFICATE-----\nMII", "CERTIFICATE-----\nA: b\n\nMII");
    let why = reason(&with_cas(&plain, &[&with_headers]), host);
    snapshot!(why, @"the EK certificate was issued by CN=Acme Issuing, and the token allows no CA that the cluster can read; a cluster wants the direct issuer: add the certificate of CN=Acme Issuing to `ekcert_allowed_cas`");
}

#[test]
fn a_certificate_that_does_not_fit_is_a_reason() {
    let manufacturer = Manufacturer::new("Acme");
    let host = manufacturer.tpm("web-1", "0f:ff");
    let rules = json!([{ "ek_public_hash": host["ek_public_hash"] }]);
    let strict = with_cas(&token(rules), &[&manufacturer.issuing]);
    let said = listed(
        [
            ("ek_cert_present", json!(false)),
            ("ek_cert_pem", Value::Null),
            ("ek_cert_pem", json!("-----BEGIN")),
            ("ek_cert_serial", json!("01")),
            ("ek_public_hash", json!(hash('a'))),
        ],
        |(field, value)| {
            (format!("{field}: {value}"), {
                let mut other = host.clone();
                other[field] = value.clone();
                reason(&strict, other)
            })
        },
    );
    snapshot!(said, @r#"
    ek_cert_present: false
        the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs
    ek_cert_pem: null
        its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again
    ek_cert_pem: "-----BEGIN"
        its `ek_cert_pem` is no EK certificate that the cluster could read (it is not one PEM block of type CERTIFICATE): identify the host again
    ek_cert_serial: "01"
        its EK certificate has the serial number 0f:ff, and `ek_cert_serial` says 01: identify the host again
    ek_public_hash: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        its EK certificate is for another key, with the hash [HASH], than `ek_public_hash` says: identify the host again
    "#);
    let request = |now: &str| json!({ "action": "preflight", "token": strict, "hosts": [host], "now": now });
    let later = succeed(&request("2100-01-01T00:00:00Z"));
    snapshot!(later["hosts"][0]["reason"].as_str().unwrap(), @"the EK certificate expired on [TIME], and the cluster refuses it from then on: give this host a token without `ekcert_allowed_cas`");
    snapshot!(later["warnings"][0].as_str().unwrap(), @"of no use in `ekcert_allowed_cas`: CN=Acme Issuing expired on [TIME]");
}

#[test]
fn a_serial_number_alone_matches_with_any_key() {
    let manufacturer = Manufacturer::new("Acme");
    let mut host = manufacturer.tpm("web-1", "0f:ff");
    host["ek_cert_serial"] = Value::Null;
    let by_serial = json!({ "ek_certificate_serial": "0f:ff" });
    let strict = with_cas(&token(json!([by_serial])), &[&manufacturer.issuing]);
    assert_eq!(rule(&strict, host.clone()), by_serial, "the certificate tells the serial number");
    let older = preflight(&token(json!([by_serial])), json!([host]));
    assert_eq!(older["accepted"], 1, "clusters took such tokens before July 2026");
    snapshot!(older["warnings"][0].as_str().unwrap(), @"the rule `0f:ff` of token `web` has a serial number and no hash; a cluster refuses that without `ekcert_allowed_cas`, since any CA could issue that number");
}

#[test]
fn tokens_are_taken_in_every_form_and_a_host_may_join_by_any() {
    let named = |name: &str, digit: char| {
        let mut token = token(json!([{ "ek_public_hash": hash(digit) }]));
        token["metadata"]["name"] = json!(name);
        token
    };
    let both = [named("web-0", 'a'), named("web-1", 'b')];
    let yaml = both.each_ref().map(|it| serde_yaml::to_string(it).unwrap()).join("---\n");
    for form in [json!(both), json!(json!(both).to_string()), json!(yaml)] {
        let hosts = json!(["a", "b", "c"].map(|digit| json!({ "ek_public_hash": digit.repeat(64) })));
        let answer = preflight(&form, hosts);
        assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(1)), "{answer}");
        let tokens: Vec<&Value> = (0..3).map(|index| &answer["hosts"][index]["token"]).collect();
        assert_eq!(tokens, [&json!("web-0"), &json!("web-1"), &Value::Null]);
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let good = token(json!([{ "ek_public_hash": hash('a') }]));
    let changed = |pointer: &str, value: Value| {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        other
    };
    let no_ca = with_cas(&good, &["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]);
    for (token, kind) in [
        (json!([]), "invalid_request"),
        (json!("a: ["), "invalid_request"),
        (json!("a: 1\na: 2"), "invalid_request"),
        (changed("/kind", json!("role")), "conflict"),
        (changed("/spec/join_method", json!("iam")), "conflict"),
        (changed("/spec/roles", json!(["Node"])), "invalid_request"),
        (changed("/spec/tpm/allow", json!([])), "invalid_request"),
        (changed("/spec/tpm/allow/0/ek_public_hash", json!(754)), "invalid_request"),
        (no_ca, "certificate_invalid"),
    ] {
        fail(&json!({ "action": "preflight", "token": token, "hosts": [] }), kind);
    }
    let needs = fail(&json!({ "action": "preflight", "token": good }), "invalid_request");
    snapshot!(needs, @"action `preflight` needs `hosts` or `registry`");
}

#[test]
fn the_registrys_hosts_are_judged_and_its_flaws_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let identity =
        |digit: char| json!({ "ek_public_hash": hash(digit), "description": "what it says" }).to_string();
    write("web-1.json", &identity('a'));
    write("web-2.json", &identity('a'));
    write("web-3.json", &identity('b'));
    write("bad.json", "{");
    let token = token(json!([{ "ek_public_hash": hash('a') }]));
    let answer = succeed(&json!({ "action": "preflight", "token": token, "registry": directory.path() }));
    let outcomes: Vec<(&str, bool)> = answer["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| (host["description"].as_str().unwrap(), host["accepted"].as_bool().unwrap()))
        .collect();
    assert_eq!(outcomes, [("web-1", true), ("web-2", true), ("web-3", false)]);
    let warnings = answer["warnings"].to_string();
    snapshot!(warnings, @r#"["left out: the registry's file [DIR]/bad.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again","`web-1` and `web-2` have the same TPM (one EK public hash)"]"#);
}
