//! `identify` through tpm2-abrmd, which only libtss2 speaks to, by many processes at once.

use serde_json::json;

use crate::support::SoftwareTpm;
use crate::support::broker::{Broker, TABRMD};

/// All of the processes find the TPM's own EK, and leave nothing in it.
fn all_find_the_ek(processes: usize, arguments: &[&str]) {
    let tpm = SoftwareTpm::start();
    let (hash, before) = (tpm.default_ek_hash(), tpm.state());
    let broker = Broker::start(&tpm, arguments);
    let answers = broker.ask_at_once(&json!({ "action": "identify", "tcti": TABRMD }), processes);
    drop(broker);
    assert_eq!(answers.len(), processes);
    for answer in answers {
        assert_eq!(answer["ek_public_hash"], hash, "{answer}");
        assert_eq!(answer["warnings"], json!([]));
        assert_eq!(answer["tpm"]["device"], TABRMD);
    }
    assert_eq!(tpm.transient_handles(), "");
    assert_eq!(tpm.state(), before);
}

#[test]
fn more_processes_than_it_takes_at_once_all_find_the_ek() {
    // It takes 27 connections, unless told otherwise.
    all_find_the_ek(32, &[]);
}

#[test]
fn processes_wait_their_turn_for_the_one_connection() {
    all_find_the_ek(6, &["--max-connections=1"]);
}

#[test]
fn a_broker_that_is_not_there_is_an_error_that_names_it_within_the_time_limit() {
    let tpm = SoftwareTpm::start();
    let broker = Broker::start(&tpm, &[]);
    let nobody = "tabrmd:bus_type=session,bus_name=org.example.Nobody";
    let request = json!({ "action": "identify", "tcti": nobody, "timeout": 1 });
    let [answer] = &broker.ask_at_once(&request, 1)[..] else { panic!("one answer") };
    assert_eq!(answer["error"]["kind"], "tpm_error", "{answer}");
    assert!(answer["msg"].as_str().unwrap().contains(nobody), "{answer}");
}
