//! How many commands `identify` sends, by the software TPM's own log: each costs a real chip milliseconds,
//! and `TPM2_CreatePrimary` seconds.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::states::{
    EK_CERTIFICATE, EK_NONCE, EK_TEMPLATE, ENDORSEMENT_KEY, MANUFACTURERS, STORAGE_KEY, STORAGE_TEMPLATE,
    identify,
};
use crate::support::{BACKENDS, SoftwareTpm, certificate, succeed};

const NO_CREATION: [(&str, usize); 2] = [("GetCapability", 2), ("NV_ReadPublic", 2)];
const CREATION: [(&str, usize); 2] = [("CreatePrimary", 1), ("FlushContext", 1)];

/// What an `identify` through this way to the TPM, if this build has it, sends must be these commands, and no
/// others.
fn sends(tpm: &SoftwareTpm, backend: &str, expected: Option<&str>, commands: &[&[(&str, usize)]]) {
    if !BACKENDS.contains(&backend) {
        return;
    }
    let mut request = json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend });
    if let Some(hash) = expected {
        request["expected_ek_public_hash"] = json!(hash);
    }
    let sent = tpm.commands_of(|| drop(succeed(&request)));
    let commands: BTreeMap<String, usize> =
        commands.concat().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(sent, commands, "{backend}");
}

/// A TPM after a join: both keys are kept.
fn joined() -> (SoftwareTpm, String) {
    let tpm = SoftwareTpm::start();
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    tpm.persist(STORAGE_KEY, "o", STORAGE_TEMPLATE);
    (tpm, hash)
}

#[test]
fn with_a_certificate_no_key_is_made_and_nothing_else_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &["-days", "400"]);
    let (tpm, hash) = joined();
    for (size, reads) in [(der.len(), 1), (1024, 1), (1025, 2), (2048, 2)] {
        println!("{size} bytes");
        let padding = vec![0xff; size - der.len()];
        tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, &[&der[..], &padding].concat());
        // One of them asks whether there is a chain.
        let common = [("GetCapability", 3), ("NV_Read", reads)];
        sends(&tpm, "native", None, &[&common, &[("NV_ReadPublic", 1), ("ReadPublic", 2)]]);
        // libtss2 asks for the public area of whatever it is given a handle of.
        sends(&tpm, "esapi", None, &[&common, &[("NV_ReadPublic", 2), ("ReadPublic", 4)]]);
    }
    let expected = certificate_hash(&tpm);
    assert_ne!(expected, hash);
    sends(
        &tpm,
        "native",
        Some(&expected),
        &[&[("GetCapability", 3), ("NV_ReadPublic", 1), ("NV_Read", 2), ("ReadPublic", 2)]],
    );
}

fn certificate_hash(tpm: &SoftwareTpm) -> String {
    identify(tpm)["ek_public_hash"].as_str().unwrap().to_owned()
}

#[test]
fn without_a_certificate_the_key_is_made_once_and_flushed() {
    let tpm = SoftwareTpm::start();
    for backend in BACKENDS {
        sends(&tpm, backend, None, &[&NO_CREATION, &CREATION, &[("ReadPublic", 2)]]);
    }
    let (tpm, _) = joined();
    sends(&tpm, "native", None, &[&NO_CREATION, &CREATION, &[("ReadPublic", 2)]]);
    sends(&tpm, "esapi", None, &[&NO_CREATION, &CREATION, &[("ReadPublic", 4)]]);
}

#[test]
fn a_nonce_costs_one_read() {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_NONCE, MANUFACTURERS, &[0x5a; 256]);
    let common = [("GetCapability", 2), ("NV_Read", 1), ("ReadPublic", 2)];
    sends(&tpm, "native", None, &[&common, &CREATION, &[("NV_ReadPublic", 2)]]);
    sends(&tpm, "esapi", None, &[&common, &CREATION, &[("NV_ReadPublic", 3)]]);
}

#[test]
fn an_identity_that_the_kept_key_confirms_makes_no_key() {
    let (tpm, hash) = joined();
    sends(&tpm, "native", Some(&hash), &[&NO_CREATION, &[("ReadPublic", 2)]]);
    sends(&tpm, "esapi", Some(&hash), &[&NO_CREATION, &[("ReadPublic", 4)]]);
}
