//! The warnings of `identify`: what will make a join fail, or is about to, although the identity is known.
//! Each is there exactly when it should be; the other states have none.

use serde_json::{Value, json};

use crate::support::issued::{certificate_between, certificate_for};
use crate::support::states::{
    EK_CERTIFICATE, EK_TEMPLATE, ENDORSEMENT_KEY, MANUFACTURERS, SIGNING_TEMPLATE, STORAGE_KEY,
    STORAGE_TEMPLATE, Template, identify, identify_expecting, one_warning,
};
use crate::support::{SoftwareTpm, certificate};

/// The one warning has all of these words.
fn warns(tpm: &SoftwareTpm, words: &[&str]) {
    let answer = identify(tpm);
    let warning = one_warning(&answer);
    for word in words {
        assert!(warning.contains(word), "{word}: {warning}");
    }
}

fn no_warning(tpm: &SoftwareTpm) {
    assert_eq!(identify(tpm)["warnings"], json!([]));
}

fn evict(tpm: &SoftwareTpm, handle: &str) {
    tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", handle]);
}

fn certify(tpm: &SoftwareTpm, der: &[u8]) {
    tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, der);
}

/// With the keys that `tbot` keeps at its first join.
fn join(tpm: &SoftwareTpm) -> String {
    tpm.keep_primary(STORAGE_KEY, "o", STORAGE_TEMPLATE);
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE)
}

#[test]
fn a_tpm_that_can_join_has_no_warnings() {
    let tpm = SoftwareTpm::start();
    let certificate = certificate_for(&tpm.default_ek(), 400);
    no_warning(&tpm);
    certify(&tpm, &certificate);
    no_warning(&tpm);
    let hash = join(&tpm);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_source"], "nv_certificate");
    tpm.tpm2("tpm2_nvundefine", &["-C", "p", EK_CERTIFICATE]);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_source"], "create_primary");
    assert_eq!(identify_expecting(&tpm, &hash)["warnings"], json!([]));
    assert!(tpm.is_parent(STORAGE_KEY), "such a storage key works");
    tpm.set_password("lockout");
    no_warning(&tpm);
}

#[test]
fn lockout_alone_is_no_warning() {
    let tpm = SoftwareTpm::start();
    join(&tpm);
    tpm.lock_out();
    assert!(tpm.is_parent(STORAGE_KEY), "a join goes on in lockout");
    no_warning(&tpm);
}

#[test]
fn an_endorsement_password_is_a_warning_with_a_certificate() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
    join(&tpm);
    tpm.set_password("endorsement");
    warns(&tpm, &["endorsement hierarchy has a password", "tpm2_changeauth -c endorsement"]);
}

#[test]
fn an_owner_password_is_a_warning_as_long_as_a_key_is_to_be_kept() {
    let tpm = SoftwareTpm::start();
    tpm.set_password("owner");
    warns(&tpm, &["owner hierarchy has a password", "0x81000001 and 0x81010001"]);

    let tpm = SoftwareTpm::start();
    tpm.keep_primary(STORAGE_KEY, "o", STORAGE_TEMPLATE);
    tpm.set_password("owner");
    warns(&tpm, &["owner hierarchy has a password", "at 0x81010001,"]);

    let tpm = SoftwareTpm::start();
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    tpm.set_password("owner");
    warns(&tpm, &["owner hierarchy has a password", "at 0x81000001,"]);

    let tpm = SoftwareTpm::start();
    join(&tpm);
    tpm.set_password("owner");
    assert!(tpm.is_parent(STORAGE_KEY));
    no_warning(&tpm);
}

#[test]
fn every_warning_is_given_where_several_hold() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 10));
    tpm.keep_primary(STORAGE_KEY, "o", SIGNING_TEMPLATE);
    tpm.set_password("endorsement");
    tpm.set_password("owner");
    let answer = identify(&tpm);
    let warnings: Vec<&str> =
        answer["warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    for (warning, words) in
        warnings.iter().zip(["expires in 9 days", "0x81000001 is no storage", "endorsement", "owner"])
    {
        assert!(warning.contains(words), "{words}: {warning}");
    }
}

#[test]
fn another_key_in_the_ek_s_place_is_a_warning() {
    let foreign = Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE };
    for (hierarchy, template) in
        [("e", foreign), ("o", EK_TEMPLATE), ("e", STORAGE_TEMPLATE), ("e", SIGNING_TEMPLATE)]
    {
        let tpm = SoftwareTpm::start();
        tpm.persist(ENDORSEMENT_KEY, hierarchy, template);
        warns(&tpm, &["0x81010001", "is not the EK", "tpm2_evictcontrol -C o -c 0x81010001"]);
        certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
        warns(&tpm, &["0x81010001", "cannot join"]);
    }
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
    tpm.persist_child(ENDORSEMENT_KEY, "e", Template { unique: None, ..EK_TEMPLATE });
    warns(&tpm, &["0x81010001", "is not the EK"]);
}

/// The one at the handle works all the same where the certificate is for it.
#[test]
fn a_kept_key_that_the_certificate_is_for_is_no_warning() {
    let tpm = SoftwareTpm::start();
    let provisioned = Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE };
    certify(&tpm, &certificate_for(&tpm.primary("e", provisioned), 400));
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", provisioned);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_public_hash"], hash);
}

#[test]
fn a_storage_key_that_is_no_parent_is_a_warning() {
    let tpm = SoftwareTpm::start();
    for (what, hierarchy, template) in [
        ("a signing key", "o", SIGNING_TEMPLATE),
        ("an EK", "e", EK_TEMPLATE),
        (
            "a key that only decrypts",
            "o",
            Template {
                algorithm: "rsa2048:null:null",
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt",
                ..STORAGE_TEMPLATE
            },
        ),
        (
            "a parent with a policy only",
            "o",
            Template {
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|restricted|decrypt",
                policy: Some([0x5a; 32]),
                ..STORAGE_TEMPLATE
            },
        ),
    ] {
        println!("{what}");
        tpm.keep_primary(STORAGE_KEY, hierarchy, template);
        assert!(!tpm.is_parent(STORAGE_KEY));
        warns(&tpm, &["0x81000001 is no storage key", "tpm2_evictcontrol -C o -c 0x81000001"]);
        evict(&tpm, STORAGE_KEY);
    }
    for (what, hierarchy, template) in [
        ("a storage key", "o", STORAGE_TEMPLATE),
        (
            "without the exemption from lockout",
            "o",
            Template {
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt",
                ..STORAGE_TEMPLATE
            },
        ),
        ("of an elliptic curve", "o", Template { algorithm: "ecc256:null:aes128cfb", ..STORAGE_TEMPLATE }),
        ("of another hierarchy", "e", STORAGE_TEMPLATE),
        ("symmetric", "o", Template { algorithm: "aes128cfb", ..STORAGE_TEMPLATE }),
        ("with a policy too", "o", Template { policy: Some([0x5a; 32]), ..STORAGE_TEMPLATE }),
    ] {
        println!("{what}");
        tpm.keep_primary(STORAGE_KEY, hierarchy, template);
        assert!(tpm.is_parent(STORAGE_KEY));
        no_warning(&tpm);
        evict(&tpm, STORAGE_KEY);
    }
}

#[test]
fn a_storage_key_that_lockout_bars_is_a_warning_in_lockout() {
    let tpm = SoftwareTpm::start();
    let barred = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt";
    tpm.keep_primary(STORAGE_KEY, "o", Template { attributes: barred, ..STORAGE_TEMPLATE });
    no_warning(&tpm);
    tpm.lock_out();
    assert!(!tpm.is_parent(STORAGE_KEY));
    warns(&tpm, &["in dictionary-attack lockout", "0x81000001", "tpm2_dictionarylockout --clear-lockout"]);
    tpm.tpm2("tpm2_dictionarylockout", &["--clear-lockout"]);
    assert!(tpm.is_parent(STORAGE_KEY));
    no_warning(&tpm);
}

#[test]
fn a_certificate_for_another_key_is_a_warning_where_that_can_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let of = |key: &[&str]| certificate(directory.path(), key, &["-days", "400"]);
    let tpm = SoftwareTpm::start();
    for key in [&["rsa:3072"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["ed25519"]] {
        println!("{key:?}, nothing kept");
        certify(&tpm, &of(key));
        warns(&tpm, &["the EK certificate is for another key", "RSA 2048"]);
    }
    certify(&tpm, &of(&["rsa:2048"]));
    no_warning(&tpm);
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    for key in [&["rsa:2048"][..], &["rsa:3072"], &["ed25519"]] {
        println!("{key:?}, EK kept");
        certify(&tpm, &of(key));
        warns(&tpm, &["the EK certificate is for another key", "keeps at 0x81010001"]);
    }
}

#[test]
fn a_certificate_s_validity_is_watched() {
    let tpm = SoftwareTpm::start();
    let key = tpm.default_ek();
    for (days, words) in [
        (1, Some("expires in 0 days")),
        (89, Some("expires in 88 days")),
        (90, Some("expires in 89 days")),
        (91, None),
    ] {
        println!("{days} days");
        certify(&tpm, &certificate_for(&key, days));
        match words {
            Some(words) => warns(&tpm, &[words, "ekcert_allowed_cas"]),
            None => no_warning(&tpm),
        }
    }
    for (from, to, words) in [
        ("20200101000000Z", "20210203040506Z", Some("expired on 2021-02-03")),
        ("20480203040506Z", "20490101000000Z", Some("not valid before 2048-02-03")),
        ("20480203040506Z", "99991231235959Z", Some("not valid before 2048-02-03")),
        ("20200101000000Z", "99991231235959Z", None),
    ] {
        println!("{from} to {to}");
        certify(&tpm, &certificate_between(from, to));
        match words {
            Some(words) => warns(&tpm, &[words, "ekcert_allowed_cas"]),
            None => no_warning(&tpm),
        }
    }
}

#[test]
fn an_identity_that_cannot_be_read_has_no_warnings_but_an_error() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_between("20200101000000Z", "20210203040506Z"));
    let parameters = json!({ "expected_ek_public_hash": "0".repeat(64) });
    let answer = crate::support::states::refused(&tpm, &parameters, "identity_changed");
    assert_eq!(answer.get("warnings"), None::<&Value>);
}
