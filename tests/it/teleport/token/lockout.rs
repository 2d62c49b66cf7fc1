//! `token` finds out who would be refused before it writes anything.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::tokens::{hash, host, merged, outcome, request, stored, token, warnings};
use crate::support::{fail, run, succeed};

/// The manufacturer, and a host with a TPM of its.
fn one_host() -> (Manufacturer, Value) {
    let manufacturer = Manufacturer::new("Acme");
    let host = manufacturer.tpm("web-1", "0f:ff");
    (manufacturer, host)
}

#[test]
fn a_root_in_place_of_the_issuing_ca_would_lock_everybody_out() {
    let (manufacturer, host) = one_host();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let with = |ca: &str| request(json!({ "hosts": [host], "ekcert_allowed_cas": [ca], "path": path }));
    let message = fail(&with(&manufacturer.root), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 1 hosts: `web-1` (the EK certificate was issued by CN=Acme Issuing, and the token allows only the root CN=Acme Root; a cluster wants the direct issuer: add the certificate of CN=Acme Issuing to `ekcert_allowed_cas`); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
    assert!(!path.exists(), "something was written");

    assert_eq!(succeed(&with(&manufacturer.issuing))["refused"], json!([]));
    assert!(path.exists());

    let mut nevertheless = with(&manufacturer.root);
    nevertheless["allow_lockout"] = json!(true);
    let answer = succeed(&nevertheless);
    assert_eq!(answer["refused"][0]["description"], "web-1");
    snapshot!(answer["refused"][0]["reason"].as_str().unwrap(), @"the EK certificate was issued by CN=Acme Issuing, and the token allows only the root CN=Acme Root; a cluster wants the direct issuer: add the certificate of CN=Acme Issuing to `ekcert_allowed_cas`");
    snapshot!(warnings(&answer), @"the cluster will refuse 1 hosts: `web-1` (the EK certificate was issued by CN=Acme Issuing, and the token allows only the root CN=Acme Root; a cluster wants the direct issuer: add the certificate of CN=Acme Issuing to `ekcert_allowed_cas`)");
}

#[test]
fn cas_lock_out_hosts_without_a_certificate() {
    let (manufacturer, host) = one_host();
    let without = json!({ "description": "vm-1", "ek_public_hash": hash('b'), "ek_cert_present": false });
    let unknown = json!({ "description": "vm-2", "ek_public_hash": hash('c') });
    let cas = json!([manufacturer.issuing]);
    let message =
        fail(&request(json!({ "hosts": [host, without], "ekcert_allowed_cas": cas })), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 2 hosts: `vm-1` (the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
    assert!(!message.contains("`web-1`"), "{message}");
    let message =
        fail(&request(json!({ "hosts": [host, unknown], "ekcert_allowed_cas": cas })), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 2 hosts: `vm-2` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
}

#[test]
fn stricter_cas_are_refused_while_hosts_are_not_given_whose_certificates_nobody_knows() {
    let (manufacturer, host) = one_host();
    let other = Manufacturer::new("Other");
    let rules = json!([{ "description": "elsewhere", "ek_public_hash": hash('e') }]);
    let with_cas = |cas: Value| {
        let mut token = token(rules.clone());
        token["spec"]["tpm"]["ekcert_allowed_cas"] = cas;
        token
    };
    let build = |current: Value, cas: Value| {
        request(json!({ "hosts": [host], "current": current, "ekcert_allowed_cas": cas }))
    };
    for stricter in [token(rules.clone()), with_cas(json!([other.issuing]))] {
        let message = fail(&build(stricter.clone(), json!([manufacturer.issuing])), "would_lock_out");
        assert!(message.contains("elsewhere") && message.contains("stricter"), "{message}");
        let mut allowed = build(stricter, json!([manufacturer.issuing]));
        allowed["allow_lockout"] = json!(true);
        assert!(succeed(&allowed)["warnings"].to_string().contains("elsewhere"));
    }
    let both = json!([other.issuing, manufacturer.issuing]);
    succeed(&build(with_cas(json!([other.issuing])), both));
    let mut none = build(with_cas(json!([other.issuing])), json!([]));
    none["allow_without_cas"] = json!(true);
    succeed(&none);
}

#[test]
fn the_cas_that_a_token_has_count_where_none_are_given() {
    let (manufacturer, host) = one_host();
    let mut current = token(json!([{ "description": "web-1", "ek_public_hash": host["ek_public_hash"] }]));
    current["spec"]["tpm"]["ekcert_allowed_cas"] = json!([manufacturer.root]);
    fail(&request(json!({ "hosts": [host], "current": current })), "would_lock_out");
    current["spec"]["tpm"]["ekcert_allowed_cas"] = json!([manufacturer.issuing]);
    assert_eq!(succeed(&request(json!({ "hosts": [host], "current": current })))["changed"], false);
}

#[test]
fn a_rules_serial_number_that_is_not_the_hosts_locks_it_out_until_it_is_written_anew() {
    let host = json!({ "description": "web-1", "ek_public_hash": hash('a'), "ek_cert_serial": "12:34" });
    let rule = json!({ "description": "web-1", "ek_public_hash": hash('a'), "ek_certificate_serial": "99" });
    let build = |compare: &str| {
        request(json!({ "hosts": [host], "current": token(json!([rule])), "match": compare }))
    };
    let message = fail(&build("hash"), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 1 hosts: `web-1` (token `web` wants the serial number 99 with its hash, and the host's EK certificate has 12:34: write the host's with `match: hash_and_serial`, or correct the rule); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
    let answer = succeed(&build("hash_and_serial"));
    assert!(answer["content"].as_str().unwrap().contains("ek_certificate_serial: \"12:34\""), "{answer}");
    assert_eq!(answer["rules"]["updated"], json!(["web-1"]));
}

#[test]
fn an_end_in_the_past_locks_everybody_out_and_one_can_be_taken_away() {
    let mut current = token(json!([{ "description": "web-1", "ek_public_hash": hash('a') }]));
    current["metadata"]["expires"] = json!("2001-01-01T00:00:00Z");
    let build = |extra: Value| {
        let mut all =
            json!({ "hosts": [{ "description": "web-1", "ek_public_hash": hash('a') }], "current": current });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        request(all)
    };
    snapshot!(fail(&build(json!({})), "would_lock_out"), @"the cluster would refuse 1 of 1 hosts: `web-1` (token `web` ended on 2001-01-01T00:00:00Z: give a later `expires`); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
    let answer = succeed(&build(json!({ "expires": "never" })));
    assert!(!answer["content"].as_str().unwrap().contains("expires"), "{answer}");
    current["metadata"]["expires"] = json!("2100-01-01T00:00:00Z");
    let ending = json!({
        "hosts": null, "remove": ["nobody"], "expires": "2001-01-01T00:00:00Z", "current": current,
    });
    snapshot!(fail(&request(ending), "would_lock_out"), @"the token would have ended already, on 2001-01-01T00:00:00Z; give a later `expires`");
}

#[test]
fn a_ca_of_no_use_is_a_warning() {
    let (manufacturer, host) = one_host();
    let own = host["ek_cert_pem"].as_str().unwrap();
    let answer =
        succeed(&request(json!({ "hosts": [host], "ekcert_allowed_cas": [manufacturer.issuing, own] })));
    snapshot!(warnings(&answer), @"of no use in `ekcert_allowed_cas`: CN=EK is no CA by its basicConstraints, so it lets in nothing but that very certificate");
}

#[test]
fn many_refused_hosts_are_summed_up_and_all_listed() {
    let (manufacturer, _) = one_host();
    let host = |number: usize| json!({ "description": format!("vm-{number}"), "ek_public_hash": format!("{number:064}") });
    let hosts: Vec<Value> = (0..12).map(host).collect();
    let answer = run(&request(json!({ "hosts": hosts, "ekcert_allowed_cas": [manufacturer.issuing] })));
    assert_eq!(answer["error"]["kind"], "would_lock_out");
    snapshot!(answer["msg"].as_str().unwrap(), @"the cluster would refuse 12 of 12 hosts: `vm-0` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); `vm-1` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); `vm-2` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); `vm-3` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); `vm-4` (its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: identify the host again); and 7 more; nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
    assert_eq!(answer["error"]["detail"].as_str().unwrap().lines().count(), 12);
}

#[test]
fn cas_from_a_file_are_read_as_strictly() {
    let (manufacturer, host) = one_host();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cas.pem");
    fs::write(&file, format!("{}{}", manufacturer.root, manufacturer.issuing)).unwrap();
    let build = || request(json!({ "hosts": [host], "ekcert_allowed_cas": [file] }));
    let content = succeed(&build())["content"].as_str().unwrap().to_owned();
    assert_eq!(content.matches("- |\n").count(), 2, "one certificate in each element: {content}");
    let with_headers = manufacturer.issuing.replace("CERTIFICATE-----\nMII", "CERTIFICATE-----\nA: b\n\nMII");
    fs::write(&file, with_headers).unwrap();
    snapshot!(fail(&build(), "certificate_invalid"), @"[DIR]/cas.pem holds a certificate with header lines in its PEM block; remove the lines with a colon that follow BEGIN CERTIFICATE: a cluster skips such a block");
}

/// A token with this CA, which lets in hosts with these hashes.
fn with_ca(ca: &str, rules: Value) -> Value {
    let mut token = token(rules);
    token["spec"]["tpm"]["ekcert_allowed_cas"] = json!([ca]);
    token
}

fn virtual_machine(name: &str, digit: char) -> Value {
    json!({ "description": name, "ek_public_hash": hash(digit), "ek_cert_present": false })
}

#[test]
fn hosts_that_would_be_refused_as_they_are_now_can_be_skipped() {
    let (manufacturer, host) = one_host();
    let rules = json!([
        { "description": "vm-2", "ek_public_hash": hash('c') }, { "description": "elsewhere", "ek_public_hash": hash('e') },
    ]);
    let hosts = json!([host, virtual_machine("vm-1", 'b'), virtual_machine("vm-2", 'c')]);
    let all = json!({ "hosts": hosts, "skip_refused": true, "ekcert_allowed_cas": [manufacturer.issuing] });
    let current = with_ca(&manufacturer.issuing, rules);
    let answer = merged(&current, all.clone());
    assert_eq!(outcome(&answer), json!({ "added": ["web-1"], "kept": ["elsewhere", "vm-2"] }));
    let names: Vec<&Value> =
        answer["refused"].as_array().unwrap().iter().map(|it| &it["description"]).collect();
    assert_eq!(names, ["vm-1", "vm-2"]);
    snapshot!(answer["refused"][0]["reason"].as_str().unwrap(), @"the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs");
    let warning = warnings(&answer);
    snapshot!(warning, @"left out 2 hosts, which the cluster would refuse as it does now: `vm-1` (the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs); `vm-2` (the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs)");
    assert_eq!(answer["host_tokens"], json!({ "web-1": "web" }));

    let mut pruning = all.clone();
    pruning["prune"] = json!(true);
    let answer = merged(&current, pruning);
    assert_eq!(outcome(&answer), json!({ "added": ["web-1"], "kept": ["vm-2"], "removed": ["elsewhere"] }));

    let new = succeed(&request(all));
    assert_eq!(outcome(&new), json!({ "added": ["web-1"] }), "a new token");
}

#[test]
fn a_host_that_is_let_in_now_is_not_skipped() {
    let (manufacturer, host) = one_host();
    let current = token(json!([{ "description": "vm-1", "ek_public_hash": hash('b') }]));
    let stricter = json!({
        "hosts": [host, virtual_machine("vm-1", 'b'), virtual_machine("vm-2", 'c')], "current": current,
        "skip_refused": true, "ekcert_allowed_cas": [manufacturer.issuing],
    });
    let message = fail(&request(stricter), "would_lock_out");
    snapshot!(message, @"the cluster would refuse 1 of 2 hosts: `vm-1` (the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of their own, without CAs); nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless");
}

#[test]
fn to_skip_everybody_is_an_error_or_no_change() {
    let (manufacturer, host) = one_host();
    let nobody = json!({
        "hosts": [virtual_machine("vm-1", 'b')], "skip_refused": true, "ekcert_allowed_cas": [manufacturer.issuing],
    });
    for current in [json!([]), Value::Null] {
        let mut alone = request(nobody.clone());
        alone["current"] = current;
        let message = fail(&alone, "would_lock_out");
        assert!(message.contains("1 of 1 hosts: `vm-1`"), "{message}");
    }
    // Where each host has a token of its own, the others' go on.
    let mut own = request(nobody.clone());
    own["only"] = json!(["vm-1"]);
    let answer = succeed(&own);
    assert_eq!(
        (&answer["changed"], &answer["tokens"], &answer["content"]),
        (&json!(false), &json!([]), &json!(""))
    );
    assert_eq!(answer["refused"][0]["description"], "vm-1");
    let rules = json!([{ "description": "web-1", "ek_public_hash": host["ek_public_hash"] }]);
    let current = with_ca(&manufacturer.issuing, rules);
    let answer = merged(&current, nobody.clone());
    assert_eq!((&answer["changed"], &answer["refused"][0]["description"]), (&json!(false), &json!("vm-1")));
    // The one host that it lets in is taken out of service.
    let mut last = nobody.clone();
    last["remove"] = json!(["web-1"]);
    let answer = merged(&current, last);
    assert_eq!((&answer["changed"], &answer["delete"]), (&json!(true), &json!(["web"])));
    assert_eq!(answer["refused"][0]["description"], "vm-1");
    let mut pruning = request(nobody);
    pruning["current"] = current;
    pruning["prune"] = json!(true);
    fail(&pruning, "would_lock_out");
}

#[test]
fn a_host_that_claims_a_removed_tpm_stops_nobody_else() {
    let current = stored(json!([host("stolen", 'c')]));
    let hosts = json!([host("web-1", 'a'), host("evil-1", 'c')]);
    let asked = json!({ "hosts": hosts, "remove": [hash('c')], "skip_refused": true });
    let answer = merged(&current, asked.clone());
    assert_eq!(outcome(&answer), json!({ "added": ["web-1"], "removed": ["stolen"] }));
    assert_eq!(answer["refused"][0]["description"], "evil-1");
    snapshot!(warnings(&answer), @"left out `evil-1`: `remove` names the TPM. Archive the host, or take its TPM out of `remove`");
    // By their own names the user knows them.
    let mut named = asked;
    named["remove"] = json!(["web-1"]);
    named["current"] = current;
    snapshot!(fail(&request(named), "invalid_request"), @"`remove` names `web-1`, which is given as a host too; take it out of one of the two; a host's former TPM goes by its hash, or with `replace: true`");
}
