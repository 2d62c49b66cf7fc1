//! `identify` leaves nothing in the TPM, however often it runs and whatever comes of it. This software TPM
//! has no resource manager and three slots: a key left behind would soon stop the next run.

use serde_json::{Value, json};

use crate::support::states::{EK_CERTIFICATE, EK_TEMPLATE, ENDORSEMENT_KEY, MANUFACTURERS};
use crate::support::{BACKENDS, SoftwareTpm, certificate, run};

const TIMES: usize = 40;

/// Forty runs one after another through each way to the TPM, all of which end in `kind` (null: well).
fn leaves_nothing(tpm: &SoftwareTpm, parameters: &Value, kind: &Value) {
    let before = tpm.state();
    for backend in BACKENDS {
        let mut request = json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend });
        request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        for _ in 0..TIMES {
            let answer = run(&request);
            assert_eq!(&answer["error"]["kind"], kind, "{answer}");
        }
        assert_eq!(tpm.transient_handles(), "", "{backend}");
        for sessions in ["handles-loaded-session", "handles-saved-session"] {
            assert_eq!(tpm.shown("tpm2_getcap", &[sessions]), "", "{backend}");
        }
        assert_eq!(tpm.state(), before, "{backend}");
    }
}

#[test]
fn nothing_is_left_after_the_key_was_made() {
    leaves_nothing(&SoftwareTpm::start(), &json!({}), &Value::Null);
}

#[test]
fn nothing_is_left_after_the_kept_key_confirmed_the_identity() {
    let tpm = SoftwareTpm::start();
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    leaves_nothing(&tpm, &json!({ "expected_ek_public_hash": hash }), &Value::Null);
}

#[test]
fn nothing_is_left_after_another_identity_than_expected() {
    let parameters = json!({ "expected_ek_public_hash": "0".repeat(64) });
    leaves_nothing(&SoftwareTpm::start(), &parameters, &json!("identity_changed"));
}

#[test]
fn nothing_is_left_after_an_endorsement_password() {
    let tpm = SoftwareTpm::start();
    tpm.set_password("endorsement");
    leaves_nothing(&tpm, &json!({}), &json!("tpm_auth"));
}

#[test]
fn nothing_is_left_after_a_key_that_teleport_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &certificate(directory.path(), &["rsa-pss"], &[]));
    leaves_nothing(&tpm, &json!({}), &json!("ek_unsupported"));
}

/// Slots that others hold stay theirs.
#[test]
fn the_keys_of_other_programs_stay() {
    let tpm = SoftwareTpm::start();
    let context = tpm.file("other.ctx");
    for _ in 0..2 {
        tpm.tpm2("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", context.to_str().unwrap()]);
    }
    let others = tpm.transient_handles();
    assert_eq!(others.lines().count(), 2);
    for backend in BACKENDS {
        let answer = run(&json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend }));
        assert_eq!(answer["ek_source"], "create_primary", "{answer}");
        assert_eq!(tpm.transient_handles(), others);
    }
    tpm.tpm2("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", context.to_str().unwrap()]);
    let others = tpm.transient_handles();
    for backend in BACKENDS {
        let answer = run(&json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend }));
        assert_eq!(answer["error"]["kind"], "tpm_busy", "{answer}");
        assert_eq!(tpm.transient_handles(), others);
    }
}
