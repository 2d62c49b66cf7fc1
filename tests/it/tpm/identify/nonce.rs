//! `identify` and the EK nonce, which changes the key that `tbot` makes where there is no certificate.

use serde_json::json;

use crate::support::states::{
    EK_CERTIFICATE, EK_NONCE, EK_TEMPLATE, MANUFACTURERS, Template, identify, identify_expecting,
};
use crate::support::{SoftwareTpm, certificate, hash_by_openssl};

/// The hash of the key that tpm2-tools make of the EK template with this start of `unique`.
fn hash_with_nonce(tpm: &SoftwareTpm, nonce: &[u8]) -> String {
    let mut unique = [0; 256];
    unique[..nonce.len()].copy_from_slice(nonce);
    hash_by_openssl(&tpm.primary("e", Template { unique: Some(&unique), ..EK_TEMPLATE }))
}

#[test]
fn a_nonce_of_any_length_starts_the_template_s_unique() {
    let long: Vec<u8> = (0..300_u16).map(|number| number.to_le_bytes()[0] | 1).collect();
    let tpm = SoftwareTpm::start();
    for (nonce, used) in
        [(&[0x5a; 1][..], 1), (&[0x5a; 64], 64), (&long[..255], 255), (&long[..256], 256), (&long, 256)]
    {
        println!("{} bytes", nonce.len());
        tpm.replace_nv(EK_NONCE, MANUFACTURERS, nonce);
        let answer = identify(&tpm);
        assert_eq!(answer["ek_public_hash"], hash_with_nonce(&tpm, &nonce[..used]));
        assert_eq!(answer["ek_source"], "create_primary");
        assert_eq!(answer["ek_cert_present"], false);
        assert_eq!(answer["warnings"], json!([]));
        assert_ne!(answer["ek_public_hash"], tpm.default_ek_hash());
    }
}

#[test]
fn a_nonce_of_zeros_or_of_no_bytes_changes_nothing() {
    let tpm = SoftwareTpm::start();
    tpm.define_nv(EK_NONCE, MANUFACTURERS, 0, &[]);
    assert_eq!(identify(&tpm)["ek_public_hash"], tpm.default_ek_hash());
    tpm.replace_nv(EK_NONCE, MANUFACTURERS, &[0; 64]);
    assert_eq!(identify(&tpm)["ek_public_hash"], tpm.default_ek_hash());
}

#[test]
fn a_nonce_needs_to_be_readable_by_the_owner_with_an_empty_password() {
    let tpm = SoftwareTpm::start();
    let plain = tpm.default_ek_hash();
    tpm.write_nv(EK_NONCE, "ppwrite|ppread|authread|platformcreate|no_da", &[0x5a; 64]);
    assert_eq!(identify(&tpm)["ek_public_hash"], plain, "not by the owner");
    tpm.replace_nv(EK_NONCE, &format!("{MANUFACTURERS}|read_stclear"), &[0x5a; 64]);
    tpm.tpm2("tpm2_nvreadlock", &["-C", "p", EK_NONCE]);
    assert_eq!(identify(&tpm)["ek_public_hash"], plain, "locked");
    tpm.can("tpm2_nvundefine", &["-C", "p", EK_NONCE]);
    tpm.define_nv(EK_NONCE, MANUFACTURERS, 64, &[]);
    assert_eq!(identify(&tpm)["ek_public_hash"], plain, "never written");
    tpm.replace_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 64]);
    assert_eq!(identify(&tpm)["ek_public_hash"], hash_with_nonce(&tpm, &[0x5a; 64]), "readable");
    tpm.set_password("owner");
    assert_eq!(identify(&tpm)["ek_public_hash"], plain, "behind the owner's password");
}

#[test]
fn a_password_of_the_index_itself_does_not_hide_a_nonce_from_the_owner() {
    let tpm = SoftwareTpm::start();
    tpm.define_nv(EK_NONCE, MANUFACTURERS, 64, &["-p", "secret"]);
    tpm.fill_nv(EK_NONCE, &[0x5a; 64]);
    assert_eq!(identify(&tpm)["ek_public_hash"], hash_with_nonce(&tpm, &[0x5a; 64]));
}

#[test]
fn lockout_does_not_hide_a_nonce_from_the_owner() {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_NONCE, &MANUFACTURERS.replace("|no_da", ""), &[0x5a; 64]);
    tpm.lock_out();
    let answer = identify(&tpm);
    assert_eq!(answer["tpm"]["in_lockout"], true);
    assert_eq!(answer["ek_public_hash"], hash_with_nonce(&tpm, &[0x5a; 64]));
}

#[test]
fn with_a_certificate_a_nonce_plays_no_part() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &["-days", "400"]);
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
    let without = identify(&tpm);
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 64]);
    assert_eq!(identify(&tpm), without);
    let hash = without["ek_public_hash"].as_str().unwrap();
    assert_eq!(identify_expecting(&tpm, hash)["ek_source"], "nv_certificate");
}

#[test]
fn a_certificate_that_cannot_be_read_leaves_the_key_to_the_nonce() {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &[0xff; 900]);
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 64]);
    assert_eq!(identify(&tpm)["ek_public_hash"], hash_with_nonce(&tpm, &[0x5a; 64]));
}
