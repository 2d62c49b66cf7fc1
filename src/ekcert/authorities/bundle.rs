//! The CAs of real manufacturers, in a directory that `TBOT_TPM_CA_BUNDLE` names; skipped without it.

use std::io::Write as _;
use std::path::Path;

use time::OffsetDateTime;

use super::super::{EkCertificate, pem, pem_encode};
use super::{Authorities, Flaw, MOST_CANDIDATES};

/// Whether one of the CAs issued the certificate, even where it is among them itself.
fn is_issued_by_one(authorities: &Authorities, certificate: &EkCertificate, at: OffsetDateTime) -> bool {
    let mut issued = certificate.issued().clone();
    // A root vouches for itself here, which Go does not let it do.
    issued.key_info.clear();
    let Ok(scheme) = issued.check(at).and_then(|()| issued.scheme()) else { return false };
    let candidates = authorities.candidates(&issued);
    candidates.iter().take(MOST_CANDIDATES).any(|ca| ca.vouch_for(&issued, scheme, at).is_ok())
}

#[test]
fn the_manufacturers_cas_load_and_verify() {
    let Some(directory) = std::env::var_os("TBOT_TPM_CA_BUNDLE") else {
        // Not by a macro: the output of tests that pass is not shown.
        let skipped = b"SKIPPED: TBOT_TPM_CA_BUNDLE names no directory of CAs in PEM\n";
        std::io::stderr().write_all(skipped).unwrap();
        return;
    };
    let files = std::fs::read_dir(Path::new(&directory)).unwrap();
    let texts: Vec<String> =
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let blocks: Vec<Vec<u8>> =
        texts.iter().flat_map(|text| pem::blocks(text.as_bytes())).map(|block| block.content).collect();
    let authorities = Authorities::from_pem(texts.iter().map(String::as_str));
    assert_eq!(authorities.iter().count(), blocks.len(), "all certificates load, each once");
    let now = OffsetDateTime::now_utc();
    let unfit: Vec<(String, Flaw)> =
        authorities.iter().filter_map(|ca| Some((ca.subject_text(), ca.flaw(now)?))).collect();
    assert!(unfit.is_empty(), "{unfit:?}");

    let (mut named, mut verified) = (0, Vec::new());
    for block in &blocks {
        let certificate = EkCertificate::from_pem(&pem_encode("CERTIFICATE", block).unwrap()).unwrap();
        assert_eq!(authorities.verify(&certificate, now), Ok(()), "each is a trust anchor");
        if !authorities.candidates(certificate.issued()).is_empty() {
            named += 1;
            verified.push(is_issued_by_one(&authorities, &certificate, now));
        }
    }
    let count = verified.iter().filter(|is_verified| **is_verified).count();
    let summary = format!("{} load, {named} have their issuer here, {count} verify\n", blocks.len());
    std::io::stderr().write_all(summary.as_bytes()).unwrap();
    assert_eq!(count, named);
}
