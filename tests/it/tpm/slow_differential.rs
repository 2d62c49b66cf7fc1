//! All ways to the TPM give the same answers on TPMs in random states, and tpm2-tools and openssl agree with
//! them.
//!
//! `TBOT_TPM_STATES` is how many states are tried; each has its number as seed.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::random_state::{Random, State, certificates};
use crate::support::{BACKENDS, SoftwareTpm, hash_by_openssl, run, tool};

/// Fits into a minute on two processors.
const STATES: u64 = 40;
const WORKERS: usize = 3;

/// The answer to one request, the same by every way to the TPM but for the echo of the request.
fn identify(tpm: &SoftwareTpm, expected: Option<&str>) -> Value {
    let answer = |backend: &str| {
        let mut request = json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend });
        if let Some(hash) = expected {
            request["expected_ek_public_hash"] = json!(hash);
        }
        let mut answer = run(&request);
        answer.as_object_mut().unwrap().remove("invocation");
        answer
    };
    let native = answer("native");
    for backend in BACKENDS {
        assert_eq!(answer(backend), native, "{backend} is left, native right");
    }
    assert_ne!(native["error"]["kind"], "internal", "{native}");
    assert_eq!(tpm.transient_handles(), "", "left behind");
    native
}

fn check(seed: u64, certificates: &[Vec<u8>]) {
    let mut random = Random::new(seed);
    let state = State::random(&mut random, certificates);
    let tpm = SoftwareTpm::start();
    state.bring_about(&tpm);
    let answer = identify(&tpm, None);
    let Some(hash) = answer["ek_public_hash"].as_str() else { return };
    must_be_what_the_tools_see(&tpm, &state, &answer);
    if random.once_in(3) {
        let other = "0".repeat(64);
        assert_eq!(identify(&tpm, Some(&other))["error"]["kind"], "identity_changed");
    } else {
        assert_eq!(identify(&tpm, Some(hash))["ek_public_hash"], hash);
    }
}

fn must_be_what_the_tools_see(tpm: &SoftwareTpm, state: &State, answer: &Value) {
    assert_eq!(answer["ek_cert_present"], state.visible_certificate().is_some());
    assert_eq!(answer["tpm"]["in_lockout"], state.in_lockout);
    for hierarchy in ["owner", "endorsement", "lockout"] {
        let is_set = state.passwords.contains(&hierarchy);
        assert_eq!(answer["tpm"][format!("{hierarchy}_auth_set")], is_set, "{hierarchy}");
    }
    if let Some(der) = state.visible_certificate() {
        let file = tpm.file("certificate");
        fs::write(&file, der).unwrap();
        let file = file.to_str().unwrap();
        let pem = tool("openssl", &["x509", "-inform", "DER", "-in", file, "-noout", "-pubkey"]);
        assert_eq!(answer["ek_public_hash"], hash_by_openssl(&pem));
        let digest = String::from_utf8(tool("openssl", &["dgst", "-sha256", "-r", file])).unwrap();
        assert_eq!(answer["ek_cert_sha256"], digest[..64]);
    } else if state.nonce.is_none() {
        let (pem, context) = (tpm.file("ek.pem"), tpm.file("ek.ctx"));
        let (pem, context) = (pem.to_str().unwrap(), context.to_str().unwrap());
        tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", context, "-f", "pem", "-u", pem]);
        tpm.tpm2("tpm2_flushcontext", &["-t"]);
        assert_eq!(answer["ek_public_hash"], hash_by_openssl(&fs::read(pem).unwrap()));
    }
}

#[test]
fn every_way_sees_the_same_in_every_state() {
    let states = std::env::var("TBOT_TPM_STATES").map_or(STATES, |states| states.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let certificates = certificates(directory.path());
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= states {
                return;
            }
            let outcome = std::panic::catch_unwind(|| check(seed, &certificates));
            let state = State::random(&mut Random::new(seed), &certificates);
            assert!(outcome.is_ok(), "in state {seed}: {state:?}");
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        // Every worker's states are tried, whatever another found.
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        assert_eq!(failed, 0, "see the states above");
    });
}
