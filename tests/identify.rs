//! `identify` on software TPMs, checked against tpm2-tools and openssl.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use support::{SoftwareTpm, certificate, fail, hash_by_openssl, run_raw, succeed, tool};
use tbot_tpm::protocol::{self, Request};
use tbot_tpm::tpm::{Backend, Tcti, TimeLimit, Tpm};

/// How manufacturers provision the index: readable with the index's own empty password.
const MANUFACTURERS: &str = "ppwrite|ppread|ownerread|authread|platformcreate|no_da";
const EK_CERTIFICATE: &str = "0x01c00002";
const EK_NONCE: &str = "0x01c00003";

fn identify(tpm: &SoftwareTpm) -> Value {
    let answer = succeed(&json!({ "action": "identify", "tcti": tpm.tcti() }));
    assert_eq!(answer["changed"], false);
    assert!(tpm.transient_handles().is_empty(), "{}", tpm.transient_handles());
    answer
}

/// The hash of the default EK, by tpm2-tools and openssl alone.
fn default_ek_hash(tpm: &SoftwareTpm) -> String {
    let pem = tpm.file("ek.pem");
    let context = tpm.file("ek.ctx");
    let (pem, context) = (pem.to_str().unwrap(), context.to_str().unwrap());
    tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", context, "-f", "pem", "-u", pem]);
    tpm.tpm2("tpm2_flushcontext", &["-t"]);
    hash_by_openssl(&fs::read(pem).unwrap())
}

/// Hash and serial number of a certificate, by openssl alone.
fn certificate_by_openssl(der: &[u8]) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.der");
    fs::write(&file, der).unwrap();
    let x509 = |what: &str| {
        tool("openssl", &["x509", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", what])
    };
    let serial = String::from_utf8(x509("-serial")).unwrap();
    let digits = serial.trim().trim_start_matches("serial=").to_ascii_lowercase();
    let pairs: Vec<&str> = (0..digits.len() / 2).map(|i| &digits[2 * i..2 * i + 2]).collect();
    (hash_by_openssl(&x509("-pubkey")), pairs.join(":"))
}

fn tpm_with_certificate(content: &[u8]) -> SoftwareTpm {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, content);
    tpm
}

#[test]
fn without_a_certificate_the_identity_is_the_default_ek() {
    let tpm = SoftwareTpm::start();
    let answer = identify(&tpm);
    assert_eq!(answer["ek_public_hash"], default_ek_hash(&tpm));
    assert_eq!(answer["ek_source"], "create_primary");
    assert_eq!(answer["ek_cert_present"], false);
    assert_eq!(answer["ek_cert_serial"], Value::Null);
    assert_eq!(answer["ek_cert_pem"], Value::Null);
    assert_eq!(answer["warnings"], json!([]));
    let pem = answer["ek_public_pem"].as_str().unwrap();
    assert_eq!(answer["ek_public_hash"], hash_by_openssl(pem.as_bytes()));
}

#[test]
fn with_a_certificate_the_identity_is_the_certificates() {
    for key in
        [&["rsa:2048"][..], &["rsa:3072"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["ed25519"]]
    {
        let directory = tempfile::tempdir().unwrap();
        let der = certificate(directory.path(), key, &["-set_serial", "0xf5a5a5a5"]);
        let answer = identify(&tpm_with_certificate(&der));
        let (hash, serial) = certificate_by_openssl(&der);
        assert_eq!(answer["ek_public_hash"], hash, "{key:?}");
        assert_eq!(answer["ek_cert_serial"], serial, "{key:?}");
        assert_eq!(answer["ek_source"], "nv_certificate");
        assert_eq!(answer["ek_cert_present"], true);
        let file = directory.path().join("c.pem");
        fs::write(&file, answer["ek_cert_pem"].as_str().unwrap()).unwrap();
        assert_eq!(tool("openssl", &["x509", "-in", file.to_str().unwrap(), "-outform", "DER"]), der);
    }
}

#[test]
fn a_tcg_header_and_padding_make_no_difference() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &[]);
    let (hash, _) = certificate_by_openssl(&der);
    let length = u16::try_from(der.len()).unwrap().to_be_bytes();
    let header = [&[0x10, 0x01, 0x00][..], &length].concat();
    for content in [
        [&der[..], &[0x00; 40]].concat(),
        [&der[..], &[0xff; 40]].concat(),
        // More than one TPM2_NV_Read returns.
        [&der[..], &[0x00; 900]].concat(),
        [&header, &der[..]].concat(),
        [&header, &der[..], &[0xff; 40]].concat(),
    ] {
        let answer = identify(&tpm_with_certificate(&content));
        assert_eq!(answer["ek_public_hash"], hash);
        assert_eq!(answer["ek_cert_present"], true);
    }
}

#[test]
fn what_is_no_certificate_counts_as_none_and_is_reported() {
    let tpm = tpm_with_certificate(&[0xff; 900]);
    let answer = identify(&tpm);
    assert_eq!(answer["ek_public_hash"], default_ek_hash(&tpm));
    assert_eq!(answer["ek_cert_present"], false);
    assert!(answer["warnings"][0].as_str().unwrap().contains("0x01c00002"), "{answer}");
}

#[test]
fn an_index_that_only_the_owner_may_read_counts_as_absent() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &[]);
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, "ppwrite|ppread|ownerread|platformcreate|no_da", &der);
    let answer = identify(&tpm);
    assert_eq!(answer["ek_cert_present"], false);
    assert_eq!(answer["ek_public_hash"], default_ek_hash(&tpm));
    assert!(answer["warnings"][0].as_str().unwrap().contains("may not be read"), "{answer}");
}

#[test]
fn a_nonce_changes_the_default_ek_as_it_does_for_tpm2_tools() {
    let tpm = SoftwareTpm::start();
    let plain = identify(&tpm)["ek_public_hash"].clone();
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 64]);
    let answer = identify(&tpm);
    assert_ne!(answer["ek_public_hash"], plain);
    // The template with this nonce at the start of `unique`, written out by hand for tpm2-tools.
    let unique = tpm.file("unique");
    fs::write(&unique, [&256_u16.to_le_bytes()[..], &[0x5a; 64], &[0; 192]].concat()).unwrap();
    let (context, policy, pem) = (tpm.file("p.ctx"), tpm.file("policy"), tpm.file("p.pem"));
    let session = tpm.file("s.ctx");
    tpm.tpm2("tpm2_startauthsession", &["-S", session.to_str().unwrap()]);
    tpm.tpm2(
        "tpm2_policysecret",
        &["-S", session.to_str().unwrap(), "-c", "e", "-L", policy.to_str().unwrap()],
    );
    tpm.tpm2("tpm2_flushcontext", &[session.to_str().unwrap()]);
    tpm.tpm2(
        "tpm2_createprimary",
        &[
            "-C",
            "e",
            "-g",
            "sha256",
            "-G",
            "rsa2048:null:aes128cfb",
            "-a",
            "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt",
            "-L",
            policy.to_str().unwrap(),
            "-u",
            unique.to_str().unwrap(),
            "-c",
            context.to_str().unwrap(),
        ],
    );
    tpm.tpm2("tpm2_readpublic", &["-c", context.to_str().unwrap(), "-f", "pem", "-o", pem.to_str().unwrap()]);
    assert_eq!(answer["ek_public_hash"], hash_by_openssl(&fs::read(pem).unwrap()));
}

#[test]
fn everything_is_an_ansible_fact_too() {
    let answer = identify(&SoftwareTpm::start());
    let facts = &answer["ansible_facts"]["tbot_tpm"];
    for name in [
        "ek_public_hash",
        "ek_public_pem",
        "ek_source",
        "ek_cert_present",
        "ek_cert_serial",
        "ek_cert_sha256",
        "ek_cert_pem",
    ] {
        assert!(facts.as_object().unwrap().contains_key(name), "{name}");
        assert_eq!(facts[name], answer[name], "{name}");
    }
}

#[test]
fn another_tpm_than_expected_is_identity_changed() {
    let tpm = SoftwareTpm::start();
    let hash = identify(&tpm)["ek_public_hash"].as_str().unwrap().to_owned();
    let request = |expected: &str| json!({ "action": "identify", "tcti": tpm.tcti(), "expected_ek_public_hash": expected });
    assert_eq!(succeed(&request(&hash.to_uppercase()))["ek_public_hash"], hash);
    let other = "0".repeat(64);
    let message = fail(&request(&other), "identity_changed");
    assert!(message.contains(&hash) && message.contains(&other), "{message}");
}

#[test]
fn a_key_of_a_type_that_teleport_does_not_know_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa-pss"], &[]);
    let tpm = tpm_with_certificate(&der);
    fail(&json!({ "action": "identify", "tcti": tpm.tcti() }), "ek_unsupported");
}

#[test]
fn an_endorsement_password_is_an_error_that_names_it() {
    let tpm = SoftwareTpm::start();
    tpm.tpm2("tpm2_changeauth", &["-c", "endorsement", "secret"]);
    let message = fail(&json!({ "action": "identify", "tcti": tpm.tcti() }), "tpm_auth");
    assert!(message.contains("endorsement"), "{message}");
    assert!(tpm.transient_handles().is_empty());
}

#[test]
fn a_tpm_that_is_not_there_is_an_error_that_says_what_was_looked_for() {
    let message =
        fail(&json!({ "action": "identify", "tcti": "swtpm:host=127.0.0.1,port=1" }), "tpm_not_found");
    assert!(message.contains("127.0.0.1:1"), "{message}");
    let message = fail(&json!({ "action": "identify", "tcti": "device:/dev/no-such-tpm" }), "tpm_not_found");
    assert!(message.contains("/dev/no-such-tpm"), "{message}");
    let message = fail(&json!({ "action": "identify", "tcti": "swtpm:path=/run/no-tpm" }), "tpm_not_found");
    assert!(message.contains("/run/no-tpm"), "{message}");
    let message = fail(&json!({ "action": "identify", "tcti": "nonsense:x" }), "invalid_request");
    assert!(message.contains("nonsense:x") && message.contains("device:/dev/tpmrm0"), "{message}");
}

#[test]
fn libtss2_says_something_only_when_debugging() {
    let request = json!({ "action": "identify", "backend": "esapi", "tcti": "swtpm:host=127.0.0.1,port=1", "_ansible_verbosity": 3 });
    let output = run_raw(request.to_string().as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("tcti"), "{output:?}");
}

#[test]
fn a_panic_is_answered_and_leaves_no_handle_in_the_tpm() {
    let tpm = SoftwareTpm::start();
    let tcti = Tcti::parse(&tpm.tcti()).unwrap();
    for backend in [Backend::Native, Backend::Esapi] {
        let request = Request::parse(br#"{"action": "identify"}"#);
        let limit = TimeLimit::of(Duration::from_secs(30));
        let (text, failed) = protocol::respond(request, |_| {
            Tpm::connect(&tcti, backend, limit)?.with_primary_ek(&[0; 256], |_| panic!("on purpose"))
        });
        assert!(failed);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["error"]["kind"], "internal");
        assert!(answer["error"]["detail"].as_str().unwrap().contains("on purpose"), "{answer}");
        assert_eq!(tpm.transient_handles(), "", "{backend:?}");
    }
}
