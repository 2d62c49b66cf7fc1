//! go-attestation, the library by which `tbot` uses the TPM, beside `identify`: by the program in `tests/go/attest`.

use serde_json::{Value, json};

use super::{SoftwareTpm, go, tool};

/// What the program answers to one question about a TPM, or none where there is no Go.
fn ask(question: &str, tpm: &SoftwareTpm) -> Option<Value> {
    let program = go::program("attest")?;
    let said = tool(program.to_str().unwrap(), &[question, &tpm.tcti()]);
    Some(serde_json::from_slice(&said).unwrap())
}

/// An answer of `identify` must be what go-attestation finds: the same identity, or an error of both. `expected` is the hash
/// that the request expected.
pub fn compare(tpm: &SoftwareTpm, answer: &Value, expected: Option<&str>) {
    let Some(found) = ask("identify", tpm) else { return };
    if answer["error"]["kind"] == "identity_changed" {
        assert!(found["hash"].is_string() && found["hash"].as_str() != expected, "{answer}, but {found}");
        return;
    }
    assert_eq!(answer["failed"] == true, found["error"].is_string(), "{answer}, but {found}");
    if answer["failed"] != true {
        let pem = answer["ek_cert_pem"].as_str();
        let base64 = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let identity = json!({
            "hash": answer["ek_public_hash"], "serial": answer["ek_cert_serial"], "certificate": pem.map(base64),
        });
        assert_eq!(identity, found, "ours is left, go-attestation's right");
    }
}

/// Whether the TPM can join a cluster, or what fails and why: by a whole ceremony, of which the TPM keeps nothing. None where
/// there is no Go.
pub fn join(tpm: &SoftwareTpm) -> Option<Result<(), String>> {
    let kept = || tpm.shown("tpm2_getcap", &["handles-persistent"]);
    let before = kept();
    let answer = ask("join", tpm)?;
    // It leaves keys loaded where a step fails, and keeps the storage key and the EK where it has made them.
    tpm.tpm2("tpm2_flushcontext", &["-t"]);
    for line in kept().lines().filter(|line| !before.contains(line)) {
        tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", line.trim_start_matches("- ")]);
    }
    assert_eq!(kept(), before);
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Some(if answer["joined"] == true { Ok(()) } else { Err(format!("{}: {}", text("step"), text("error"))) })
}

/// Whether an answer of `identify` says that the host cannot join: by a warning, or by failing itself.
pub fn foretells_failure(answer: &Value) -> bool {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    answer["failed"] == true
        || warnings.filter_map(Value::as_str).any(|warning| warning.contains("cannot join"))
}
