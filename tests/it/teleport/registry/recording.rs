//! `identify` with `record`: read and recorded in one request.

use serde_json::json;

use crate::support::registry::HOST;
use crate::support::{SoftwareTpm, fail, succeed};

#[test]
fn an_identity_is_recorded_in_the_request_that_reads_it() {
    let tpm = SoftwareTpm::start();
    let place = tempfile::tempdir().unwrap();
    let registry = place.path().join("registry");
    let request = |check: bool| {
        json!({
            "action": "identify", "tcti": tpm.tcti(), "record": { "registry": registry, "host": HOST },
            "_ansible_check_mode": check, "_ansible_diff": true,
        })
    };
    let foreseen = succeed(&request(true));
    assert_eq!((&foreseen["changed"], &foreseen["recorded"]["changed"]), (&json!(true), &json!(true)));
    assert!(!registry.exists());
    let made = succeed(&request(false));
    assert_eq!(made["diff"], foreseen["diff"]);
    assert_eq!(made["recorded"]["identity"]["ek_public_hash"], made["ek_public_hash"]);
    assert!(registry.join(format!("{HOST}.json")).exists());
    // The fact is the identity alone.
    assert_eq!(made["ansible_facts"]["tbot_tpm"].get("recorded"), None);
    let again = succeed(&request(false));
    assert_eq!((&again["changed"], again.get("diff")), (&json!(false), None), "{again}");
    let other = SoftwareTpm::start();
    let changed = json!({ "action": "identify", "tcti": other.tcti(), "record": { "registry": registry, "host": HOST } });
    fail(&changed, "identity_changed");
}

#[test]
fn what_else_the_host_is_asked_comes_along() {
    let tpm = SoftwareTpm::start();
    let request =
        |program: serde_json::Value| json!({ "action": "identify", "tcti": tpm.tcti(), "program": program });
    let answer = succeed(&request(json!({ "path": "/no/such/tbot" })));
    assert_eq!(answer["program"]["to_install"], true);
    // A failure of it is none of the TPM's.
    let answer = succeed(&request(json!({ "path": "/no/such/tbot", "follow_cluster": true })));
    assert_eq!(
        (&answer["program"]["failed"], answer["ek_public_hash"].is_string()),
        (&json!(true), true),
        "{answer}"
    );
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("tbot.yaml");
    std::fs::write(&config, "version: v2\nproxy_server: one.example.com:443\n").unwrap();
    let same_proxy = json!({ "path": config, "proxy_server": "two.example.com:443" });
    fail(&json!({ "action": "identify", "tcti": tpm.tcti(), "same_proxy": same_proxy }), "would_lock_out");
}
