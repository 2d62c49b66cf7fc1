//! `identify` and the EK certificate in NV memory: which of the states that an index can be in give `tbot`
//! a certificate, and which leave it with the TPM's own EK.

use std::fs;
use std::sync::LazyLock;

use serde_json::json;

use crate::support::issued::{certificate_for, tcg_header};
use crate::support::messages::snapshot;
use crate::support::states::{
    EK_CERTIFICATE, MANUFACTURERS, ask, identify, identify_expecting, one_warning, refused,
};
use crate::support::{BACKENDS, SoftwareTpm, certificate, hash_by_openssl, succeed, tool};

/// A certificate for a key that is in no TPM here, and its hash.
fn someones_certificate() -> (Vec<u8>, String) {
    static ONE: LazyLock<(Vec<u8>, String)> = LazyLock::new(make_certificate);
    ONE.clone()
}

fn make_certificate() -> (Vec<u8>, String) {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path();
    let (private, public) = (keys.join("private.pem"), keys.join("public.pem"));
    let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
    tool("openssl", &["genrsa", "-out", private, "2048"]);
    tool("openssl", &["pkey", "-in", private, "-pubout", "-out", public]);
    let pem = fs::read(public).unwrap();
    (certificate_for(&pem, 400), hash_by_openssl(&pem))
}

/// The index holds a certificate of `hash` for `tbot`.
fn has_certificate(tpm: &SoftwareTpm, der: &[u8], hash: &str) {
    let answer = identify(tpm);
    assert_eq!(answer["ek_public_hash"], hash);
    assert_eq!(answer["ek_source"], "nv_certificate");
    assert_eq!(answer["ek_cert_present"], true);
    assert_eq!(answer["warnings"], json!([]));
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("c.pem");
    fs::write(&pem, answer["ek_cert_pem"].as_str().unwrap()).unwrap();
    assert_eq!(tool("openssl", &["x509", "-in", pem.to_str().unwrap(), "-outform", "DER"]), der);
}

/// `tbot` finds no certificate there, and makes the default EK; the one warning has these words.
fn has_none(tpm: &SoftwareTpm, default_ek_hash: &str, words: &[&str]) {
    let answer = identify(tpm);
    assert_eq!(answer["ek_public_hash"], default_ek_hash);
    assert_eq!(answer["ek_source"], "create_primary");
    assert_eq!(answer["ek_cert_present"], false);
    for absent in ["ek_cert_serial", "ek_cert_sha256", "ek_cert_pem"] {
        assert!(answer[absent].is_null(), "{answer}");
    }
    let warning = one_warning(&answer);
    for word in words {
        assert!(warning.contains(word), "{word}: {warning}");
    }
}

#[test]
fn a_certificate_is_found_bare_with_a_header_and_with_padding() {
    let (der, hash) = someones_certificate();
    let header = tcg_header(der.len());
    let tpm = SoftwareTpm::start();
    for (what, content) in [
        ("bare", der.clone()),
        ("zeros after it", [&der[..], &[0x00; 40]].concat()),
        ("ones after it", [&der[..], &[0xff; 40]].concat()),
        ("header", [&header, &der[..]].concat()),
        ("header, zeros after it", [&header, &der[..], &[0x00; 40]].concat()),
        ("header, ones after it", [&header, &der[..], &[0xff; 40]].concat()),
        ("header that covers the padding", [&tcg_header(der.len() + 9), &der[..], &[0xff; 9]].concat()),
    ] {
        println!("{what}");
        tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, &content);
        has_certificate(&tpm, &der, &hash);
    }
}

#[test]
fn an_index_of_any_size_is_read_whole() {
    let (der, hash) = someones_certificate();
    // One read takes up to 1024 bytes, and an index of this TPM holds up to 2048.
    let tpm = SoftwareTpm::start();
    for size in [1023, 1024, 1025, 2047, 2048] {
        println!("{size}");
        let padding = vec![0xff; size - der.len()];
        tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, &[&der[..], &padding].concat());
        has_certificate(&tpm, &der, &hash);
    }
}

#[test]
fn a_certificate_longer_than_one_read_is_put_together() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:4096"], &["-days", "400"]);
    assert!(der.len() > 1024);
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
    let answer = identify(&tpm);
    let pem = directory.path().join("c.pem");
    fs::write(&pem, answer["ek_cert_pem"].as_str().unwrap()).unwrap();
    assert_eq!(tool("openssl", &["x509", "-in", pem.to_str().unwrap(), "-outform", "DER"]), der);
}

#[test]
fn an_index_that_an_empty_password_of_its_own_does_not_open_counts_as_none() {
    let (der, _) = someones_certificate();
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    for (what, attributes, arguments) in [
        ("only the owner", "ppwrite|ppread|ownerread|platformcreate|no_da", &[][..]),
        ("only the platform", "ppwrite|ppread|platformcreate|no_da", &[]),
        ("only with a policy", "ppwrite|ppread|policyread|platformcreate|no_da", &[]),
        ("only with a password", MANUFACTURERS, &["-p", "secret"]),
    ] {
        println!("{what}");
        tpm.can("tpm2_nvundefine", &["-C", "p", EK_CERTIFICATE]);
        tpm.define_nv(EK_CERTIFICATE, attributes, der.len(), arguments);
        tpm.fill_nv(EK_CERTIFICATE, &der);
        has_none(&tpm, &hash, &["0x01c00002", "may not be read"]);
    }
}

/// As with `tbot` itself: only trying tells that there is a password, and the TPM counts a wrong one.
#[test]
fn each_look_at_an_index_with_a_password_and_no_exemption_from_lockout_counts_as_a_wrong_password() {
    let (der, _) = someones_certificate();
    let tpm = SoftwareTpm::start();
    tpm.define_nv(EK_CERTIFICATE, &MANUFACTURERS.replace("|no_da", ""), der.len(), &["-p", "secret"]);
    tpm.fill_nv(EK_CERTIFICATE, &der);
    for (backend, counted) in BACKENDS.iter().zip(1..) {
        let answer = succeed(&json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend }));
        let warning = one_warning(&answer);
        assert!(
            warning.contains("may not be read") && warning.contains("counts as a wrong password"),
            "{answer}"
        );
        let properties = tpm.shown("tpm2_getcap", &["properties-variable"]);
        assert!(
            properties.contains(&format!("TPM2_PT_LOCKOUT_COUNTER: {counted:#X}").replace("0X", "0x")),
            "{properties}"
        );
    }
}

#[test]
fn an_index_that_was_never_written_counts_as_none() {
    let tpm = SoftwareTpm::start();
    tpm.define_nv(EK_CERTIFICATE, MANUFACTURERS, 900, &[]);
    has_none(&tpm, &tpm.default_ek_hash(), &["0x01c00002", "may not be read", "TPM_RC_NV_UNINITIALIZED"]);
}

#[test]
fn a_read_locked_index_counts_as_none() {
    let (der, hash) = someones_certificate();
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, &format!("{MANUFACTURERS}|read_stclear"), &der);
    has_certificate(&tpm, &der, &hash);
    tpm.tpm2("tpm2_nvreadlock", &["-C", "p", EK_CERTIFICATE]);
    has_none(&tpm, &tpm.default_ek_hash(), &["0x01c00002", "may not be read", "TPM_RC_NV_LOCKED"]);
}

#[test]
fn an_index_that_holds_no_whole_certificate_counts_as_none() {
    let (der, _) = someones_certificate();
    let mut corrupt = der.clone();
    corrupt[5] ^= 0xff;
    let short = &der[..der.len() - 1];
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    for (what, content) in [
        ("erased", vec![0xff; 900]),
        ("zeros", vec![0; 900]),
        ("one byte", vec![0x30]),
        ("corrupt", corrupt),
        ("cut off", short.to_vec()),
        ("header alone", tcg_header(der.len())),
        ("header longer than what follows", [&tcg_header(der.len() + 1), &der[..]].concat()),
        ("header shorter than the certificate", [&tcg_header(der.len() - 1), &der[..]].concat()),
        ("header before nothing", [&tcg_header(0), &der[..]].concat()),
        ("header of another type", [&[0x10, 0x01, 0x01, 0x00, 0x10], &der[..]].concat()),
        ("header, certificate cut off", [&tcg_header(der.len()), short].concat()),
        ("padding before it", [&[0x00], &der[..]].concat()),
    ] {
        println!("{what}");
        tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, &content);
        has_none(&tpm, &hash, &["0x01c00002", "no certificate"]);
    }
}

#[test]
fn an_index_of_no_size_holds_no_certificate() {
    let tpm = SoftwareTpm::start();
    tpm.define_nv(EK_CERTIFICATE, MANUFACTURERS, 0, &[]);
    has_none(&tpm, &tpm.default_ek_hash(), &["0x01c00002"]);
}

#[test]
fn a_certificate_that_lockout_hides_is_named_with_its_cause() {
    let tpm = SoftwareTpm::start();
    let (der, hash) = someones_certificate();
    let exposed = MANUFACTURERS.replace("|no_da", "");
    tpm.write_nv(EK_CERTIFICATE, &exposed, &der);
    has_certificate(&tpm, &der, &hash);
    tpm.lock_out();
    has_none(&tpm, &tpm.default_ek_hash(), &["lockout", "tpm2_dictionarylockout"]);
    assert_eq!(identify(&tpm)["tpm"]["in_lockout"], true);

    let changed = refused(&tpm, &json!({ "expected_ek_public_hash": hash }), "identity_changed");
    let hint = changed["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("lockout"), "{hint}");

    tpm.tpm2("tpm2_dictionarylockout", &["--clear-lockout"]);
    has_certificate(&tpm, &der, &hash);
}

#[test]
fn a_certificate_of_an_index_exempt_from_lockout_stays_readable_in_it() {
    let tpm = SoftwareTpm::start();
    let (der, hash) = someones_certificate();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
    tpm.lock_out();
    has_certificate(&tpm, &der, &hash);
    assert_eq!(identify_expecting(&tpm, &hash)["tpm"]["in_lockout"], true);
}

#[test]
fn lockout_is_blamed_only_where_it_hides_a_certificate() {
    let tpm = SoftwareTpm::start();
    tpm.lock_out();
    let answer = identify(&tpm);
    assert_eq!(answer["ek_public_hash"], tpm.default_ek_hash());
    assert_eq!(answer["warnings"], json!([]));
    let changed = refused(&tpm, &json!({ "expected_ek_public_hash": "0".repeat(64) }), "identity_changed");
    assert!(!changed["error"]["hint"].as_str().unwrap().contains("lockout"), "{changed}");
}

#[test]
fn an_elliptic_curve_certificate_alone_plays_no_part() {
    let directory = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::start();
    let der =
        certificate(directory.path(), &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["-days", "400"]);
    tpm.write_nv("0x01c0000a", MANUFACTURERS, &der);
    let answer = identify(&tpm);
    assert_eq!(answer["ek_public_hash"], tpm.default_ek_hash());
    assert_eq!(answer["ek_cert_present"], false);
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn passwords_of_hierarchies_do_not_hide_a_certificate() {
    let (der, hash) = someones_certificate();
    for (hierarchy, words) in [("endorsement", "endorsement"), ("owner", "owner hierarchy")] {
        let tpm = SoftwareTpm::start();
        tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
        tpm.set_password(hierarchy);
        let answer = identify(&tpm);
        assert_eq!(answer["ek_public_hash"], hash);
        assert!(one_warning(&answer).contains(words), "{answer}");
    }
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
    tpm.set_password("lockout");
    has_certificate(&tpm, &der, &hash);
}

#[test]
fn without_a_certificate_only_the_endorsement_password_hides_the_key() {
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    for hierarchy in ["lockout", "owner"] {
        tpm.set_password(hierarchy);
        assert_eq!(ask(&tpm, &json!({}))["ek_public_hash"], hash);
    }
    tpm.set_password("endorsement");
    let error = refused(&tpm, &json!({}), "tpm_auth");
    snapshot!(error["msg"].as_str().unwrap(), @"the TPM's endorsement hierarchy has a password, so tbot cannot make its EK; clear it with `tpm2_changeauth -c endorsement -p PASSWORD`");
    let error = refused(&tpm, &json!({ "expected_ek_public_hash": hash }), "tpm_auth");
    snapshot!(error["error"]["hint"].as_str().unwrap(), @"clear it with `tpm2_changeauth -c endorsement -p PASSWORD`");
}
