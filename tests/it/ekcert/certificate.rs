//! EK certificates, valid and damaged: what `tbot` would make of each.

use serde_json::json;
use tbot_tpm::ekcert::{EkCertificate, pem_certificates, pem_encode};
use tbot_tpm::error::Kind;
use tbot_tpm::teleport::registry::Found;

use crate::support::certificates::{Fixture, answer, fixtures};

#[test]
fn every_certificate_gets_the_answer_that_tbot_gives() {
    let all = fixtures();
    let wrong: Vec<String> = all
        .iter()
        .filter(|fixture| answer(&fixture.der) != fixture.expected.answer())
        .map(|fixture| {
            format!("{}: {}, expected {}", fixture.name, answer(&fixture.der), fixture.expected.answer())
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn every_identity_that_tbot_could_have_can_be_recorded() {
    let mut recorded = 0;
    for fixture in fixtures() {
        let Ok(certificate) = EkCertificate::from_nv(&fixture.der) else { continue };
        let Ok(key) = certificate.public_key() else { continue };
        // As `identify` answers it.
        let identity = json!({
            "ek_public_hash": key.hash(), "ek_cert_present": true, "ek_cert_serial": certificate.serial,
            "ek_cert_sha256": certificate.sha256(), "ek_cert_pem": certificate.to_pem().unwrap(),
        });
        let found = serde_json::from_value::<Found>(identity);
        assert!(found.is_ok(), "{}: {found:?}", fixture.name);
        recorded += 1;
    }
    assert!(recorded > 50, "{recorded}");
}

#[test]
fn fixtures_have_names_of_their_own() {
    let mut names: Vec<&str> = fixtures().iter().map(|fixture| fixture.name).collect();
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
}

#[test]
fn a_ca_that_a_cluster_would_not_parse_is_invalid() {
    let pem_of = |fixture: &Fixture| pem_encode("CERTIFICATE", &fixture.der).unwrap();
    let read = |name: &str| {
        let all = fixtures();
        pem_certificates(&pem_of(all.iter().find(|fixture| fixture.name == name).unwrap()), "`ca`")
    };
    assert_eq!(read("P-521").unwrap().len(), 1);
    for (name, detail) in
        [("serial -1", "the serial number is negative"), ("UTCTime missing Z", "the validity is malformed")]
    {
        let error = read(name).unwrap_err();
        assert_eq!((error.kind, error.detail.as_deref()), (Kind::CertificateInvalid, Some(detail)));
    }
    let detail = read("padded with 00").unwrap_err().detail.unwrap();
    assert!(detail.contains("after the end"), "{detail}");
}
