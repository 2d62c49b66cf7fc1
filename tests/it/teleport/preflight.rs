//! `preflight`: it says before the cluster does who will be let in, and what to do for the others.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
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
    assert!(why.contains("99") && why.contains("12:34") && why.contains("hash_and_serial"), "{why}");
    let upper = json!({ "description": "web-1", "ek_public_hash": hash('a').to_uppercase() });
    assert!(reason(&token(json!([upper])), host.clone()).contains("upper case"));
    let replaced = json!({ "description": "x", "ek_public_hash": hash('b') });
    assert!(reason(&token(json!([replaced])), host.clone()).contains("was replaced"));
    let unknown = json!({ "description": "y", "ek_public_hash": hash('b') });
    assert!(reason(&token(json!([unknown])), host).contains("no rule for its TPM"));
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
    assert!(answer["hosts"][0]["reason"].as_str().unwrap().contains("ended on 2030-01-31T12:00:00Z"));
    request["now"] = json!("tomorrow");
    assert!(fail(&request, "invalid_request").contains("RFC 3339"));
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
    assert!(why.contains("issued by CN=Acme Issuing") && why.contains("only the root CN=Acme Root"), "{why}");
    assert!(why.contains("add the certificate of CN=Acme Issuing"), "{why}");
    let namesake = Manufacturer::new("Acme");
    let why = reason(&with_cas(&plain, &[&namesake.issuing]), host.clone());
    assert!(why.contains("CN=Acme Issuing") && why.contains("another key"), "{why}");
    let with_headers = manufacturer.issuing.replace("CERTIFICATE-----\nMII", "CERTIFICATE-----\nA: b\n\nMII");
    let why = reason(&with_cas(&plain, &[&with_headers]), host);
    assert!(why.contains("no CA that the cluster can read"), "{why}");
}

#[test]
fn a_certificate_that_does_not_fit_is_a_reason() {
    let manufacturer = Manufacturer::new("Acme");
    let host = manufacturer.tpm("web-1", "0f:ff");
    let rules = json!([{ "ek_public_hash": host["ek_public_hash"] }]);
    let strict = with_cas(&token(rules), &[&manufacturer.issuing]);
    for (field, value, expected) in [
        ("ek_cert_present", json!(false), "no EK certificate"),
        ("ek_cert_pem", Value::Null, "is not given"),
        ("ek_cert_pem", json!("-----BEGIN"), "no EK certificate that the cluster could read"),
        ("ek_cert_serial", json!("01"), "serial number 0f:ff"),
        ("ek_public_hash", json!(hash('a')), "for another key"),
    ] {
        let mut other = host.clone();
        other[field] = value;
        let why = reason(&strict, other);
        assert!(why.contains(expected), "{why}");
    }
    let request = |now: &str| json!({ "action": "preflight", "token": strict, "hosts": [host], "now": now });
    let later = succeed(&request("2100-01-01T00:00:00Z"));
    assert!(later["hosts"][0]["reason"].as_str().unwrap().contains("expired"), "{later}");
    assert!(later["warnings"][0].as_str().unwrap().contains("CN=Acme Issuing"), "{later}");
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
    assert!(older["warnings"][0].as_str().unwrap().contains("without `ekcert_allowed_cas`"), "{older}");
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
    assert!(needs.contains("needs `hosts` or `registry`"), "{needs}");
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
    assert!(warnings.contains("bad.json") && warnings.contains("`web-1` and `web-2`"), "{warnings}");
}
