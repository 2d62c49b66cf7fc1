//! The short cut of `identify`: an identity known from before is confirmed by the key at `0x81010001`
//! instead of by making the EK again, and never by a key that could be another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::attest;
use crate::support::states::{
    EK_CERTIFICATE, EK_NONCE, EK_TEMPLATE, ENDORSEMENT_KEY, MANUFACTURERS, STORAGE_TEMPLATE, Template,
    ask_every_way, identify, one_warning, refused,
};
use crate::support::{BACKENDS, SoftwareTpm, certificate};

/// A TPM that keeps its EK, and the EK's hash.
fn tpm_that_keeps_its_ek() -> (SoftwareTpm, String) {
    let tpm = SoftwareTpm::start();
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    assert_eq!(hash, tpm.default_ek_hash());
    (tpm, hash)
}

/// The answer with these parameters, and the commands that it took. go-attestation, which is compared afterwards, makes the EK
/// always.
fn asked(tpm: &SoftwareTpm, parameters: &Value) -> (Value, BTreeMap<String, usize>) {
    let mut answer = Value::Null;
    let commands = tpm.commands_of(|| answer = ask_every_way(tpm, parameters));
    (answer, commands)
}

/// The answer where `hash` is expected, and whether the TPM made a key for it.
fn expecting(tpm: &SoftwareTpm, hash: &str) -> (Value, bool) {
    let (answer, commands) = asked(tpm, &json!({ "expected_ek_public_hash": hash }));
    assert_eq!(answer["ek_public_hash"], hash, "{answer}");
    attest::compare(tpm, &answer, Some(hash));
    (answer, commands.contains_key("CreatePrimary"))
}

/// The identity is confirmed by making the EK, not by the kept key.
fn is_made_anew(tpm: &SoftwareTpm, hash: &str) -> Value {
    let (answer, made) = expecting(tpm, hash);
    assert_eq!(answer["ek_source"], "create_primary");
    assert!(made);
    answer
}

fn identity_changed(tpm: &SoftwareTpm, expected: &str, found: &str) {
    let (answer, commands) = asked(tpm, &json!({ "expected_ek_public_hash": expected }));
    assert_eq!(answer["error"]["kind"], "identity_changed", "{answer}");
    attest::compare(tpm, &answer, Some(expected));
    let message = answer["msg"].as_str().unwrap();
    assert!(message.contains(expected) && message.contains(found), "{message}");
    assert!(commands.contains_key("CreatePrimary"), "{commands:?}");
}

#[test]
fn the_kept_key_confirms_the_identity_that_is_expected() {
    let (tpm, hash) = tpm_that_keeps_its_ek();
    let (answer, made) = expecting(&tpm, &hash);
    assert_eq!(answer["ek_source"], "persistent_handle");
    assert_eq!(answer["ek_cert_present"], false);
    assert_eq!(answer["warnings"], json!([]));
    assert!(!made);

    let mut made_anew = identify(&tpm);
    assert_eq!(made_anew["ek_source"], "create_primary");
    made_anew["ek_source"] = json!("persistent_handle");
    made_anew["ansible_facts"]["tbot_tpm"]["ek_source"] = json!("persistent_handle");
    assert_eq!(answer, made_anew, "all but the source is the same");
}

#[test]
fn a_key_kept_by_tpm2_createek_confirms_it_too() {
    let tpm = SoftwareTpm::start();
    tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", ENDORSEMENT_KEY]);
    let (answer, made) = expecting(&tpm, &tpm.default_ek_hash());
    assert_eq!(answer["ek_source"], "persistent_handle");
    assert!(!made);
}

#[test]
fn without_an_expectation_or_with_a_wrong_one_the_key_is_made() {
    let (tpm, hash) = tpm_that_keeps_its_ek();
    let (answer, commands) = asked(&tpm, &json!({}));
    assert_eq!(answer["ek_source"], "create_primary");
    assert_eq!(commands["CreatePrimary"], BACKENDS.len(), "once for each way to the TPM");
    identity_changed(&tpm, &"0".repeat(64), &hash);
}

#[test]
fn without_a_kept_key_the_key_is_made() {
    let tpm = SoftwareTpm::start();
    assert_eq!(is_made_anew(&tpm, &tpm.default_ek_hash())["warnings"], json!([]));
}

#[test]
fn a_kept_key_that_is_not_the_ek_confirms_nothing() {
    let without_policy = Template {
        attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt",
        policy: None,
        ..EK_TEMPLATE
    };
    let unprotected = Template {
        attributes: "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|userwithauth|restricted|decrypt",
        ..EK_TEMPLATE
    };
    let exempt = Template {
        attributes: "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|noda|restricted|decrypt",
        ..EK_TEMPLATE
    };
    let other_policy = Template { policy: Some([0x5a; 32]), ..EK_TEMPLATE };
    let aes_256 = Template { algorithm: "rsa2048:null:aes256cfb", ..EK_TEMPLATE };
    let rsa_3072 = Template { algorithm: "rsa3072:null:aes128cfb", unique: None, ..EK_TEMPLATE };
    let elliptic = Template { algorithm: "ecc256:null:aes128cfb", unique: None, ..EK_TEMPLATE };
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    for (what, hierarchy, template) in [
        ("the EK template under the owner", "o", EK_TEMPLATE),
        ("no policy", "e", without_policy),
        ("a password too", "e", unprotected),
        ("exempt from lockout", "e", exempt),
        ("another policy", "e", other_policy),
        ("another cipher", "e", aes_256),
        ("RSA 3072", "e", rsa_3072),
        ("elliptic curve", "e", elliptic),
        ("a storage key", "e", STORAGE_TEMPLATE),
    ] {
        println!("{what}");
        let impostor = tpm.persist(ENDORSEMENT_KEY, hierarchy, template);
        assert_ne!(impostor, hash);
        identity_changed(&tpm, &impostor, &hash);
        let answer = is_made_anew(&tpm, &hash);
        assert!(one_warning(&answer).contains("0x81010001"), "{answer}");
        tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", ENDORSEMENT_KEY]);
    }
    for hierarchy in ["e", "o"] {
        println!("a child of a key in {hierarchy}");
        let impostor =
            tpm.persist_child(ENDORSEMENT_KEY, hierarchy, Template { unique: None, ..EK_TEMPLATE });
        identity_changed(&tpm, &impostor, &hash);
        assert!(one_warning(&is_made_anew(&tpm, &hash)).contains("0x81010001"));
        tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", ENDORSEMENT_KEY]);
    }
}

/// In its public area and qualified name such a key is like the EK. It is told by its hash alone: an
/// expectation that came from the EK made anew never has this one, so only that is trusted. go-attestation would find the EK.
#[test]
fn a_key_of_the_ek_template_made_with_another_unique_is_told_by_the_expected_hash_alone() {
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    for unique in [None, Some(&[][..]), Some(&[0x5a; 256]), Some(&[0; 255])] {
        println!("{} bytes", unique.map_or(0, <[u8]>::len));
        let impostor = tpm.persist(ENDORSEMENT_KEY, "e", Template { unique, ..EK_TEMPLATE });
        assert_ne!(impostor, hash);
        let answer = is_made_anew(&tpm, &hash);
        assert!(one_warning(&answer).contains("0x81010001"), "{answer}");
        assert_eq!(identify(&tpm)["ek_public_hash"], hash);
        let (answer, commands) = asked(&tpm, &json!({ "expected_ek_public_hash": impostor }));
        assert_eq!(
            (&answer["ek_public_hash"], &answer["ek_source"]),
            (&json!(impostor), &json!("persistent_handle"))
        );
        assert!(!commands.contains_key("CreatePrimary"), "{commands:?}");
        tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", ENDORSEMENT_KEY]);
    }
}

#[test]
fn with_a_certificate_the_kept_key_confirms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &["-days", "400"]);
    let (tpm, hash) = tpm_that_keeps_its_ek();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &der);
    let certified = identify(&tpm)["ek_public_hash"].as_str().unwrap().to_owned();
    assert_ne!(certified, hash);
    let (answer, made) = expecting(&tpm, &certified);
    assert_eq!((&answer["ek_source"], made), (&json!("nv_certificate"), false));
    refused(&tpm, &json!({ "expected_ek_public_hash": hash }), "identity_changed");
}

#[test]
fn with_a_nonce_the_kept_key_confirms_nothing() {
    let (tpm, default) = tpm_that_keeps_its_ek();
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 256]);
    let hash = identify(&tpm)["ek_public_hash"].as_str().unwrap().to_owned();
    identity_changed(&tpm, &default, &hash);
    tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", ENDORSEMENT_KEY]);
    let kept = tpm.persist(ENDORSEMENT_KEY, "e", Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE });
    assert_eq!(kept, hash);
    assert_eq!(is_made_anew(&tpm, &hash)["warnings"], json!([]));
    identity_changed(&tpm, &default, &hash);
}

/// The identity was read while the nonce was readable, and `tbot` now makes another key.
#[test]
fn a_nonce_that_became_unreadable_is_not_confirmed_by_the_key_made_with_it() {
    let tpm = SoftwareTpm::start();
    let default = tpm.default_ek_hash();
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 256]);
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE });
    assert_eq!(identify(&tpm)["ek_public_hash"], hash);
    tpm.set_password("owner");
    identity_changed(&tpm, &hash, &default);
}

/// The identity was the certificate's, and `tbot` now makes the default key, which is another.
#[test]
fn a_certificate_that_became_unreadable_is_not_confirmed_by_its_key() {
    let tpm = SoftwareTpm::start();
    let default = tpm.default_ek_hash();
    let template = Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE };
    let der = crate::support::issued::certificate_for(&tpm.primary("e", template), 400);
    tpm.write_nv(EK_CERTIFICATE, &MANUFACTURERS.replace("|no_da", ""), &der);
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", template);
    let answer = identify(&tpm);
    assert_eq!((&answer["ek_public_hash"], &answer["warnings"]), (&json!(hash), &json!([])));
    tpm.lock_out();
    identity_changed(&tpm, &hash, &default);
}

#[test]
fn with_an_endorsement_password_the_kept_key_confirms_nothing() {
    let (tpm, hash) = tpm_that_keeps_its_ek();
    tpm.set_password("endorsement");
    refused(&tpm, &json!({ "expected_ek_public_hash": hash }), "tpm_auth");
}
