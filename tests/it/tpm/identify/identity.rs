//! `identify` on software TPMs, checked against tpm2-tools and openssl.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tbot_tpm::protocol::{self, Request};
use tbot_tpm::tpm::{Backend, Tcti, TimeLimit, Tpm};

use crate::support::messages::snapshot;
use crate::support::states::{EK_CERTIFICATE, MANUFACTURERS, identify, identify_expecting, refused};
use crate::support::{BACKENDS, SoftwareTpm, certificate, fail, hash_by_openssl, tool};

/// Hash and serial number of a certificate, by openssl alone.
fn certificate_by_openssl(der: &[u8]) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.der");
    fs::write(&file, der).unwrap();
    let x509 = |what: &str| {
        tool("openssl", &["x509", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", what])
    };
    let serial = String::from_utf8(x509("-serial")).unwrap();
    let digits = serial.trim().trim_start_matches("serial=").to_ascii_lowercase();
    let pairs: Vec<&str> = (0..digits.len() / 2).map(|i| &digits[2 * i..2 * i + 2]).collect();
    (hash_by_openssl(&x509("-pubkey")), pairs.join(":"))
}

fn tpm_with_certificate(content: &[u8]) -> SoftwareTpm {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, content);
    tpm
}

#[test]
fn without_a_certificate_the_identity_is_the_default_ek() {
    let tpm = SoftwareTpm::start();
    let answer = identify(&tpm);
    assert_eq!(answer["ek_public_hash"], tpm.default_ek_hash());
    assert_eq!(answer["ek_source"], "create_primary");
    assert_eq!(answer["ek_cert_present"], false);
    assert_eq!(answer["ek_cert_serial"], Value::Null);
    assert_eq!(answer["ek_cert_pem"], Value::Null);
    assert_eq!(answer["warnings"], json!([]));
    let pem = answer["ek_public_pem"].as_str().unwrap();
    assert_eq!(answer["ek_public_hash"], hash_by_openssl(pem.as_bytes()));
}

#[test]
fn with_a_certificate_the_identity_is_the_certificates() {
    for key in
        [&["rsa:2048"][..], &["rsa:3072"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], &["ed25519"]]
    {
        let directory = tempfile::tempdir().unwrap();
        let der = certificate(directory.path(), key, &["-set_serial", "0xf5a5a5a5"]);
        let answer = identify(&tpm_with_certificate(&der));
        let (hash, serial) = certificate_by_openssl(&der);
        assert_eq!(answer["ek_public_hash"], hash, "{key:?}");
        assert_eq!(answer["ek_cert_serial"], serial, "{key:?}");
        assert_eq!(answer["ek_source"], "nv_certificate");
        assert_eq!(answer["ek_cert_present"], true);
        let file = directory.path().join("c.pem");
        fs::write(&file, answer["ek_cert_pem"].as_str().unwrap()).unwrap();
        assert_eq!(tool("openssl", &["x509", "-in", file.to_str().unwrap(), "-outform", "DER"]), der);
    }
}

#[test]
fn everything_is_an_ansible_fact_too() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &[]);
    for tpm in [SoftwareTpm::start(), tpm_with_certificate(&der)] {
        let mut answer = identify(&tpm);
        let all = answer.as_object_mut().unwrap();
        let facts = all.remove("ansible_facts").unwrap();
        for of_the_answer in ["changed", "warnings"] {
            all.remove(of_the_answer).unwrap();
        }
        assert_eq!(facts, json!({ "tbot_tpm": all }));
        for name in ["ek_public_hash", "ek_public_pem", "ek_source", "ek_cert_present", "tpm"] {
            assert!(!all[name].is_null(), "{name}");
        }
        for name in ["ek_cert_serial", "ek_cert_sha256", "ek_cert_pem"] {
            assert_eq!(all[name].is_null(), all["ek_cert_present"] == false, "{name}");
        }
    }
}

/// `0x20191023` of `TPM2_PT_FIRMWARE_VERSION_1:\n  raw: 0x20191023`.
fn raw_property(properties: &str, name: &str) -> u32 {
    let (_, rest) = properties.split_once(&format!("{name}:\n  raw: 0x")).unwrap();
    u32::from_str_radix(rest.lines().next().unwrap(), 16).unwrap()
}

#[test]
fn what_the_tpm_says_of_itself_is_what_tpm2_getcap_shows() {
    let tpm = SoftwareTpm::start();
    let properties = tpm.shown("tpm2_getcap", &["properties-fixed"]);
    let raw = |name: &str| raw_property(&properties, &format!("TPM2_PT_{name}"));
    let vendor: Vec<u8> =
        (1..=4).flat_map(|part| raw(&format!("VENDOR_STRING_{part}")).to_be_bytes()).collect();
    let (first, second) = (raw("FIRMWARE_VERSION_1"), raw("FIRMWARE_VERSION_2"));
    assert_eq!(raw("MANUFACTURER").to_be_bytes(), *b"IBM\0");
    let (_, revision) = properties.split_once("TPM2_PT_REVISION:").unwrap();
    let revision = revision.lines().nth(2).unwrap().trim().trim_start_matches("value: ");
    assert_eq!(
        identify(&tpm)["tpm"],
        json!({
            "device": tpm.tcti(),
            "manufacturer": "IBM",
            "vendor": String::from_utf8(vendor).unwrap().trim_matches(['\0', ' ']),
            "firmware_version":
                format!("{}.{}.{}.{}", first >> 16, first & 0xffff, second >> 16, second & 0xffff),
            "specification_revision": revision,
            "owner_auth_set": false,
            "endorsement_auth_set": false,
            "lockout_auth_set": false,
            "in_lockout": false,
        })
    );
}

#[test]
fn each_password_and_lockout_shows_in_its_own_fact() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &[]);
    let flags = |tpm: &SoftwareTpm| {
        let answer = identify(tpm);
        ["owner_auth_set", "endorsement_auth_set", "lockout_auth_set", "in_lockout"]
            .map(|name| answer["tpm"][name].as_bool().unwrap())
    };
    for (hierarchy, expected) in [
        ("owner", [true, false, false, false]),
        ("endorsement", [false, true, false, false]),
        ("lockout", [false, false, true, false]),
    ] {
        let tpm = tpm_with_certificate(&der);
        tpm.set_password(hierarchy);
        assert_eq!(flags(&tpm), expected, "{hierarchy}");
        tpm.tpm2("tpm2_changeauth", &["-c", hierarchy, "-p", "secret"]);
        assert_eq!(flags(&tpm), [false; 4], "{hierarchy}");
    }
    let tpm = tpm_with_certificate(&der);
    tpm.lock_out();
    assert_eq!(flags(&tpm), [false, false, false, true]);
    tpm.tpm2("tpm2_dictionarylockout", &["--clear-lockout"]);
    assert_eq!(flags(&tpm), [false; 4]);
}

#[test]
fn another_tpm_than_expected_is_identity_changed() {
    let tpm = SoftwareTpm::start();
    let hash = tpm.default_ek_hash();
    assert_eq!(identify_expecting(&tpm, &hash.to_uppercase())["ek_public_hash"], hash);
    let other = "0".repeat(64);
    let answer = refused(&tpm, &json!({ "expected_ek_public_hash": other }), "identity_changed");
    let message = answer["msg"].as_str().unwrap();
    assert!(message.contains(&hash) && message.contains(&other), "{message}");
}

#[test]
fn a_key_of_a_type_that_teleport_does_not_know_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa-pss"], &[]);
    refused(&tpm_with_certificate(&der), &json!({}), "ek_unsupported");
}

#[test]
fn a_file_that_is_no_device_is_refused_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for content in [&content[..], b""] {
        fs::write(&file, content).unwrap();
        for path in [&file, &link, &directory.path().to_owned()] {
            for backend in BACKENDS.iter().chain(&["auto"]) {
                let tcti = format!("device:{}", path.display());
                let request = json!({ "action": "identify", "backend": backend, "tcti": tcti });
                let message = fail(&request, "invalid_request");
                assert!(message.contains(path.to_str().unwrap()), "{message}");
                assert!(message.contains("no TPM device"), "{message}");
            }
        }
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn a_tpm_that_is_not_there_is_an_error_that_says_what_was_looked_for() {
    for (tcti, named) in
        [("swtpm:host=127.0.0.1,port=1", "127.0.0.1:1"), ("device:/dev/no-such-tpm", "/dev/no-such-tpm")]
    {
        for backend in BACKENDS {
            let request = json!({ "action": "identify", "tcti": tcti, "backend": backend });
            let message = fail(&request, "tpm_not_found");
            assert!(message.contains(named), "{message}");
        }
    }
    let message = fail(&json!({ "action": "identify", "tcti": "swtpm:path=/run/no-tpm" }), "tpm_not_found");
    snapshot!(message, @"no software TPM answers at /run/no-tpm: No such file or directory (os error 2); start it, or correct `tcti`");
    let message = fail(&json!({ "action": "identify", "tcti": "nonsense:x" }), "invalid_request");
    snapshot!(message, @"`nonsense:x` is no TCTI that this version knows; write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, swtpm:path=/run/tpm.sock, mssim:host=…,port=… or tabrmd");
}

/// libtss2 3 would connect to whatever is at localhost instead.
#[cfg(feature = "tss")]
#[test]
fn libtss2_is_not_asked_for_a_unix_socket() {
    let request = json!({ "action": "identify", "backend": "esapi", "tcti": "swtpm:path=/run/no-tpm" });
    snapshot!(fail(&request, "invalid_request"), @"the esapi backend does not speak the TCTI `swtpm:path=/run/no-tpm`; use `backend: native`");
}

#[cfg(feature = "tss")]
#[test]
fn libtss2_says_something_only_when_debugging() {
    let request = json!({ "action": "identify", "backend": "esapi", "tcti": "swtpm:host=127.0.0.1,port=1", "_ansible_verbosity": 3 });
    let output = crate::support::run_raw(request.to_string().as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("tcti"), "{output:?}");
}

#[test]
fn a_panic_is_answered_and_leaves_no_handle_in_the_tpm() {
    let tpm = SoftwareTpm::start();
    let tcti = Tcti::parse(&tpm.tcti()).unwrap();
    for backend in [Backend::Native, Backend::Esapi].into_iter().take(BACKENDS.len()) {
        let request = Request::parse(br#"{"action": "identify"}"#);
        let limit = TimeLimit::of(Duration::from_secs(30));
        let (text, failed) = protocol::respond(request, |_| {
            Tpm::connect(&tcti, backend, limit)?.with_primary_ek(&[0; 256], |_| panic!("on purpose"))
        });
        assert!(failed);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["error"]["kind"], "internal");
        assert!(answer["error"]["detail"].as_str().unwrap().contains("on purpose"), "{answer}");
        assert_eq!(tpm.transient_handles(), "", "{backend:?}");
    }
}
