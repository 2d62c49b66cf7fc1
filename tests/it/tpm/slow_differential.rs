//! TPMs in random states: all ways to the TPM give the same answers, and they are what go-attestation, tpm2-tools and openssl
//! find. A TPM joins where `identify` does not warn that it cannot.
//!
//! `TBOT_TPM_STATES` is how many states are tried, and `TBOT_TPM_SEED` the seed of the first one: each has the next number.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::random_state::{Random, State, Subject, certificates};
use crate::support::{BACKENDS, SoftwareTpm, attest, hash_by_openssl, note, run, tool};

const STATES: u64 = 500;
const WORKERS: usize = 3;

/// What came of the joins.
#[derive(Debug, Default)]
struct Joins {
    joined: u64,
    failed_as_foretold: u64,
    /// The one failure that nothing foretells: see the tests of the warnings.
    certificate_of_another_rsa_2048_key: u64,
    /// States of which `identify` says wrongly that the host cannot join.
    false_alarms: Vec<String>,
}

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
    let native = answer(BACKENDS[0]);
    for backend in &BACKENDS[1..] {
        assert_eq!(answer(backend), native, "{backend} is left, native right");
    }
    assert_ne!(native["error"]["kind"], "internal", "{native}");
    native
}

fn check(seed: u64, state: &State, tpm: &SoftwareTpm, certificates: &[Vec<u8>], joins: &Mutex<Joins>) {
    let answer = identify(tpm, None);
    attest::compare(tpm, &answer, None);
    // What follows is not done in every state, since it takes long.
    if let Some(hash) = answer["ek_public_hash"].as_str() {
        must_be_what_the_tools_see(seed, state, tpm, &answer);
        if seed.is_multiple_of(4) {
            let other = "0".repeat(64);
            assert_eq!(identify(tpm, Some(&other))["error"]["kind"], "identity_changed");
        } else if seed.is_multiple_of(2) {
            assert_eq!(identify(tpm, Some(hash))["ek_public_hash"], hash);
        }
    }
    if seed.is_multiple_of(4) {
        assert_eq!(tpm.transient_handles(), "", "left behind");
    }
    let is_foretold = attest::foretells_failure(&answer);
    if is_foretold && !seed.is_multiple_of(4) {
        return;
    }
    let Some(join) = attest::join(tpm) else { return };
    let mut joins = joins.lock().unwrap();
    match (join, is_foretold) {
        (Ok(()), false) => joins.joined += 1,
        (Ok(()), true) => joins.false_alarms.push(format!("state {seed}: {}", answer["warnings"])),
        (Err(_), true) => joins.failed_as_foretold += 1,
        (Err(why), false) => {
            let certificate = state.visible_certificate();
            // A certificate for the EK without a nonce is for another key than the EK with one.
            let is_another_keys = certificate == Some(&certificates[0][..])
                || certificate.is_some() && state.has_visible_nonce();
            assert!(is_another_keys && state.endorsement.is_none(), "nothing foretold {why}: {answer}");
            joins.certificate_of_another_rsa_2048_key += 1;
        }
    }
}

fn must_be_what_the_tools_see(seed: u64, state: &State, tpm: &SoftwareTpm, answer: &Value) {
    assert_eq!(answer["ek_cert_present"], state.visible_certificate().is_some());
    assert_eq!(answer["tpm"]["in_lockout"], state.in_lockout);
    for hierarchy in ["owner", "endorsement", "lockout"] {
        let is_set = state.passwords.contains(&hierarchy);
        assert_eq!(answer["tpm"][format!("{hierarchy}_auth_set")], is_set, "{hierarchy}");
    }
    // The tools are slow, and go-attestation sees the same.
    if !seed.is_multiple_of(12) {
        return;
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
        assert_eq!(answer["ek_public_hash"], tpm.default_ek_hash());
    }
}

/// A fresh TPM that makes its EK quickly: how long that takes depends on its seed alone, and half of the time goes into that.
fn quick_tpm() -> SoftwareTpm {
    let timed = |tpm: SoftwareTpm| {
        let begun = Instant::now();
        tpm.default_ek();
        (begun.elapsed(), tpm)
    };
    (0..5).map(|_| timed(SoftwareTpm::start())).min_by_key(|(time, _)| *time).unwrap().1
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap())
}

#[test]
fn every_way_sees_what_go_attestation_sees_in_every_state_and_foretells_whether_it_joins() {
    let states = number("TBOT_TPM_STATES").unwrap_or(STATES);
    let begin = number("TBOT_TPM_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 1_000_000_000);
    note(&format!("{states} random states: TBOT_TPM_SEED={begin}"));
    let (directory, template) = (tempfile::tempdir().unwrap(), quick_tpm());
    let certificates = certificates(directory.path(), &template.default_ek());
    let (next, joins) = (AtomicU64::new(begin), Mutex::new(Joins::default()));
    let work = || {
        let mut subject = Subject::new(template.copy());
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= begin + states {
                return;
            }
            let state = State::random(&mut Random::new(seed), &certificates);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                subject.bring_into(&state);
                check(seed, &state, &subject.tpm, &certificates, &joins);
                subject.take_back(&state);
            }));
            assert!(outcome.is_ok(), "in state {seed}: {state:?}");
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        // Every worker's states are tried, whatever another found.
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        assert_eq!(failed, 0, "see the states above");
    });
    note(&format!("{:#?}", joins.into_inner().unwrap()));
}
