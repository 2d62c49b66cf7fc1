//! Why a cluster does not accept an EK certificate, in words; and the PEM of its CAs.

use tbot_tpm::ekcert::{Authorities, EkCertificate, Flaw, NotVerified, check_first_block, pem_certificates};
use tbot_tpm::error::Kind;

use crate::support::certificates::{Parts, extension, name};
use crate::support::der::{context, element, integer, oid, printable, sequence, tagged, utc_time, utf8};
use crate::support::issuing::{
    Algorithm, BASIC_CONSTRAINTS, Case, KEY_USAGE, NAME_CONSTRAINTS, OpensslKey, QuickKey, SUBJECT_ALT_NAME,
    authority, critical, noon, pem, rsa, words,
};

/// Why not, in words.
fn reason(certificate: Vec<u8>, authorities: &[Vec<u8>]) -> String {
    Case::new("", certificate, authorities).verify().unwrap().unwrap_err().to_string()
}

/// Why a certificate with a change is refused, by a usual CA.
fn of_certificate(change: impl FnOnce(&mut Parts)) -> String {
    let key = QuickKey::new();
    let mut parts = Parts::valid();
    change(&mut parts);
    reason(key.issue(parts), &[key.authority().der()])
}

/// Why a usual certificate is refused, by a CA with a change.
fn of_authority(change: impl FnOnce(&mut Parts)) -> String {
    let key = QuickKey::new();
    let mut ca = key.authority();
    change(&mut ca);
    reason(key.issue(Parts::valid()), &[ca.der()])
}

fn named(text: &str) -> Vec<u8> {
    name(&[("2.5.4.3", printable(text))])
}

fn validity(from: &str, until: &str) -> Vec<u8> {
    sequence(&[utc_time(from), utc_time(until)])
}

/// The certificate of a CA of this name, self-issued as a root is, or not.
fn ca(text: &str, is_root: bool) -> Vec<u8> {
    let mut ca = QuickKey::new().authority();
    ca.subject = named(text);
    if is_root {
        ca.issuer.clone_from(&ca.subject);
    }
    ca.der()
}

#[test]
fn an_issuer_that_is_not_allowed_is_named_with_what_is_allowed_and_where_it_may_be_had() {
    let key = QuickKey::new();
    let unlinked = Parts { extensions: Vec::new(), ..Parts::valid() };
    let [linked, unlinked] = [Parts::valid(), unlinked].map(|parts| key.issue(parts));
    assert_eq!(
        reason(linked, &[ca("Root", true)]),
        "the EK certificate was issued by C=DE, CN=EK CA, and the token allows only the root CN=Root; a cluster wants \
         the direct issuer: add the certificate of C=DE, CN=EK CA to `ekcert_allowed_cas` (the EK certificate links to \
         it: https://example.com/ca.crt; check it before you trust it)"
    );
    let allowed = |authorities: &[Vec<u8>]| {
        let text = reason(unlinked.clone(), authorities);
        let start = text.find("the token allows").unwrap();
        let end = text.find("; a cluster wants").unwrap();
        assert!(text.ends_with("to `ekcert_allowed_cas`"), "{text}");
        text[start..end].to_owned()
    };
    assert_eq!(allowed(&[]), "the token allows no CA that the cluster can read");
    assert_eq!(allowed(&[ca("A", false)]), "the token allows only CN=A");
    assert_eq!(allowed(&[ca("A", false), ca("B", true)]), "the token allows only CN=A and the root CN=B");
    let many: Vec<Vec<u8>> = ["A", "B", "C", "D", "E"].map(|text| ca(text, false)).to_vec();
    assert_eq!(allowed(&many[..3]), "the token allows only CN=A; CN=B and CN=C");
    assert_eq!(allowed(&many), "the token allows only CN=A; CN=B; CN=C and 2 more");
    let hostile = Parts { subject: name(&[("2.5.4.3", utf8("\u{1b}[31m"))]), ..QuickKey::new().authority() };
    assert_eq!(allowed(&[hostile.der()]), r"the token allows only CN=\1B[31m");
}

#[test]
fn a_name_in_other_bytes_is_told_from_another_name() {
    for subject in [
        name(&[("2.5.4.6", printable("DE")), ("2.5.4.3", utf8("EK CA"))]),
        name(&[("2.5.4.6", printable("DE")), ("2.5.4.3", printable("ek CA"))]),
    ] {
        let text = of_authority(|ca| ca.subject = subject);
        assert!(text.contains("writes the name in other bytes"), "{text}");
        assert!(text.contains("the cluster compares bytes"), "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_issuer_is_said() {
    let before = "the EK certificate was issued by C=DE, CN=EK CA, and the certificate of that name in `ekcert_allowed_cas` ";
    let of = |change: fn(&mut Parts)| of_authority(change).strip_prefix(before).unwrap().to_owned();
    assert_eq!(
        of(|ca| ca.key = QuickKey::new().public()),
        "holds another key than the one that signed it (a manufacturer may have several CAs of one name): add the \
         certificate with the key that did"
    );
    assert_eq!(
        of(|ca| ca.validity = validity("250101000000Z", "260101000000Z")),
        "expired on 2026-01-01T00:00:00Z"
    );
    assert_eq!(
        of(|ca| ca.validity = validity("300101000000Z", "350101000000Z")),
        "is not valid before 2030-01-01T00:00:00Z"
    );
    assert_eq!(
        of(|ca| ca.extensions = vec![critical(BASIC_CONSTRAINTS, &sequence(&[]))]),
        "is no CA by its basicConstraints, so it lets in nothing but that very certificate"
    );
    assert_eq!(
        of(|ca| ca.extensions[1] = critical(KEY_USAGE, &element(3, &[7, 0x80]))),
        "may not sign certificates by its keyUsage, so it lets in nothing but that very certificate"
    );
    assert_eq!(
        of(|ca| ca.extensions.push(critical("1.2.3.4", b"x"))),
        "has a critical extension that the cluster does not handle (1.2.3.4)"
    );
    assert_eq!(
        of(|ca| ca.key = sequence(&[sequence(&[oid("1.3.101.110")]), element(3, &[0])])),
        "holds a key with which the cluster checks no signatures (X25519)"
    );
    assert_eq!(
        of(|ca| ca.issuer = name(&[("2.5.4.3", integer(&[1]))])),
        "is one that versions of Teleport disagree about"
    );
}

#[test]
fn a_name_that_the_issuer_may_not_certify_is_said() {
    let key = QuickKey::new();
    let names = sequence(&[context(2, b"tpm.example.org")]);
    let parts = Parts { extensions: vec![extension(SUBJECT_ALT_NAME, &names)], ..Parts::valid() };
    let mut ca = key.authority();
    let permitted = tagged(0, &sequence(&[context(2, b"example.com")]));
    ca.extensions.push(critical(NAME_CONSTRAINTS, &sequence(&[permitted])));
    let text = reason(key.issue(parts), &[ca.der()]);
    assert!(text.ends_with("has nameConstraints that do not let it issue for DNS:tpm.example.org"), "{text}");
}

#[test]
fn a_key_that_is_too_small_is_said() {
    let key = OpensslKey::new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1000"]);
    let issued = key.issue(Parts::valid(), &rsa("1.2.840.113549.1.1.11", "-sha256"));
    let text = reason(issued.der(), &[authority(&key.public).der()]);
    assert!(text.ends_with("holds an RSA key of fewer than 1024 bits, which the cluster refuses"), "{text}");
}

#[test]
fn a_key_whose_signatures_this_version_cannot_verify_is_said() {
    let of = |arguments: &[&str], algorithm: &Algorithm| {
        let key = OpensslKey::new(arguments);
        let issued = key.issue(Parts::valid(), algorithm).der();
        reason(issued, &[authority(&key.public).der()])
    };
    let rsa_sha256 = rsa("1.2.840.113549.1.1.11", "-sha256");
    for bits in ["1024", "2047"] {
        let text = of(&["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")], &rsa_sha256);
        let end = format!("holds a key whose signatures this version cannot verify (RSA {bits})");
        assert!(text.ends_with(&end), "{text}");
    }
    let ecdsa_sha256 =
        Algorithm { identifier: sequence(&[oid("1.2.840.10045.4.3.2")]), openssl: words("dgst -sha256") };
    let text = of(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"], &ecdsa_sha256);
    assert!(
        text.ends_with("holds a key whose signatures this version cannot verify (ECDSA P-224)"),
        "{text}"
    );
}

#[test]
fn of_several_cas_of_one_name_the_closest_one_is_said() {
    let key = QuickKey::new();
    let mut expired = key.authority();
    expired.validity = validity("250101000000Z", "260101000000Z");
    let other = QuickKey::new().authority().der();
    let text = reason(key.issue(Parts::valid()), &[other.clone(), expired.der(), other.clone()]);
    let end = "and none of the 2 certificates of that name in `ekcert_allowed_cas` lets it in: the closest one expired \
               on 2026-01-01T00:00:00Z";
    assert!(text.ends_with(end), "{text}");
    let many: Vec<Vec<u8>> = (0..101).map(|_| QuickKey::new().authority().der()).collect();
    let text = reason(key.issue(Parts::valid()), &many);
    assert!(text.contains("has 101 certificates of that name, of which the cluster tries 100"), "{text}");
}

#[test]
fn what_is_wrong_with_the_certificate_is_said() {
    let without = "give this host a token without `ekcert_allowed_cas`";
    assert_eq!(
        of_certificate(|ek| ek.validity = validity("250101000000Z", "260101000000Z")),
        format!(
            "the EK certificate expired on 2026-01-01T00:00:00Z, and the cluster refuses it from then on: {without}"
        )
    );
    assert_eq!(
        of_certificate(|ek| ek.validity = validity("300101000000Z", "350101000000Z")),
        "the EK certificate is not valid before 2030-01-01T00:00:00Z: check this machine's clock, or wait"
    );
    assert_eq!(
        of_certificate(|ek| ek.extensions.push(critical("1.2.3.4", b"x"))),
        format!(
            "the EK certificate has a critical extension that the cluster does not handle (1.2.3.4), whatever CAs are \
             allowed: {without}"
        )
    );
    let text = of_certificate(|ek| ek.subject = name(&[("2.5.4.3", integer(&[1]))]));
    assert!(text.starts_with("versions of Teleport disagree about the EK certificate"), "{text}");
    let asks = critical("2.5.29.36", &sequence(&[context(0, &[0])]));
    let text = of_certificate(|ek| ek.extensions = vec![asks]);
    assert!(text.contains("asks for a certificate policy"), "{text}");
}

#[test]
fn a_signature_algorithm_that_is_not_checked_is_said() {
    let key = OpensslKey::new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let of = |dotted: &str, digest: &str| {
        let issued = key.issue(Parts::valid(), &rsa(dotted, digest));
        reason(issued.der(), &[authority(&key.public).der()])
    };
    let text = of("1.2.840.113549.1.1.5", "-sha1");
    assert!(text.contains("is signed with sha1WithRSAEncryption, which can be forged"), "{text}");
    let text = of("1.2.840.113549.1.1.14", "-sha224");
    assert!(text.contains("is signed with sha224WithRSAEncryption, with which"), "{text}");
    let text = of("2.16.840.1.101.3.4.3.17", "-sha256");
    assert!(text.contains("is signed with ML-DSA-44, with which, or with whose parameters"), "{text}");
    let ml_dsa = crate::support::issuing::Algorithm {
        identifier: sequence(&[oid("2.16.840.1.101.3.4.3.17")]),
        openssl: words("dgst -sha256"),
    };
    let text = reason(key.issue(Parts::valid(), &ml_dsa).der(), &[authority(&key.public).der()]);
    assert!(text.contains("is signed with ML-DSA-44, which only recent versions of Teleport know"), "{text}");
}

#[test]
fn a_ca_tells_what_it_is() {
    let expired =
        Parts { validity: validity("250101000000Z", "260101000000Z"), ..QuickKey::new().authority() };
    let leaf = QuickKey::new().issue(Parts { subject: named("EK"), ..Parts::valid() });
    let text = [pem(&expired.der()), pem(&leaf)].concat();
    let authorities = Authorities::from_pem([text.as_str()]);
    let described: Vec<(String, bool, Option<Flaw>)> =
        authorities.iter().map(|ca| (ca.subject_text(), ca.is_ca(), ca.flaw(noon()))).collect();
    assert_eq!(described[0].0, "C=DE, CN=EK CA");
    assert!(described[0].1 && matches!(described[0].2, Some(Flaw::Expired(_))), "{described:?}");
    assert_eq!((described[1].0.as_str(), described[1].1), ("CN=EK", false));
    let flaw = described[1].2.as_ref().unwrap();
    assert_eq!(flaw, &Flaw::NotACa);
    assert!(Authorities::from_pem(["-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"]).is_empty());
}

#[test]
fn the_pem_of_an_ek_certificate_is_one_block_and_nothing_else() {
    let der = Parts::valid().der();
    let text = pem(&der);
    assert_eq!(EkCertificate::from_pem(&text), Ok(EkCertificate::from_nv(&der).unwrap()));
    let other = text.replace("CERTIFICATE", "X509 CRL");
    let headers = text.replace("CERTIFICATE-----\nM", "CERTIFICATE-----\nA: b\n\nM");
    let padded = pem(&[&der[..], &[0]].concat());
    let broken = format!("{text}-----BEGIN CERTIFICATE-----\n");
    for text in ["", "text", &other, &headers, &padded, &broken, &text.repeat(2)] {
        assert!(EkCertificate::from_pem(text).is_err(), "{text}");
    }
}

#[test]
fn a_text_of_cas_with_anything_that_a_cluster_would_skip_is_refused() {
    let one = pem(&Parts::valid().der());
    let read = |text: &str| pem_certificates(text, "`ca.pem`");
    assert_eq!(
        read(&format!("Subject: a CA\n{one}\r\n{}", one.replace('\n', "\r\n"))).unwrap(),
        [&one[..], &one]
    );
    let refusal = |text: &str| {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind, Kind::CertificateInvalid);
        (error.message, error.hint.unwrap_or_default())
    };
    let (message, hint) = refusal(&one.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1));
    assert_eq!(message, "`ca.pem` holds a certificate with header lines in its PEM block");
    assert!(hint.contains("a cluster skips such a block"), "{hint}");
    let secret = "MHcCAQEEIFakeFakeFakeFakeFakeFakeFakeFakeFake";
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let (message, hint) =
            refusal(&format!("{one}-----BEGIN {label}-----\n{secret}=\n-----END {label}-----\n"));
        assert_eq!(message, "`ca.pem` holds a private key");
        assert!(hint.starts_with("remove the key"), "{hint}");
        assert!(!format!("{message}{hint}").contains(secret));
    }
    let (message, _) = refusal(&format!("{one}{}", one.replace("-----END", "----END")));
    assert_eq!(message, "`ca.pem` begins 2 PEM blocks, of which only 1 can be read");
    let (message, _) = refusal("nothing");
    assert_eq!(message, "`ca.pem` holds no certificate in PEM");
    let (message, _) = refusal(&one.replace("CERTIFICATE", "X509 CRL\u{1b}"));
    assert!(message.contains(r"type `X509 CRL\1B`"), "{message}");
}

#[test]
fn only_the_first_block_counts_when_a_token_is_created() {
    let one = pem(&Parts::valid().der());
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(check_first_block(&format!("a CA:\n{one}{key}")), Ok(()));
    for (text, why) in [
        (String::new(), "has no PEM block"),
        (one.replace("CATE-----", "CATE----"), "has no PEM block"),
        (format!("{key}{one}"), "starts with a PEM block of type `PRIVATE KEY`, not CERTIFICATE"),
        (
            format!("{broken}{one}"),
            "starts with a certificate that does not parse: the data does not start with a DER sequence",
        ),
    ] {
        assert_eq!(check_first_block(&text), Err(why.to_owned()));
    }
}

#[test]
fn a_certificate_that_is_itself_allowed_needs_no_issuer() {
    let certificate = Parts::valid().der();
    let case = Case::new("", certificate.clone(), &[certificate]);
    assert_eq!(case.verify(), Some(Ok(())));
    let nobody = Case::new("", Parts::valid().der(), &[]).verify();
    assert!(matches!(nobody, Some(Err(NotVerified::NoIssuer { .. }))));
}
