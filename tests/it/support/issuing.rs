//! CAs, EK certificates that they issued, and what a cluster makes of them: the project's answer beside Go's.

use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use tbot_tpm::ekcert::{Authorities, EkCertificate, Flaw, NotVerified, pem_encode};
use time::OffsetDateTime;

use super::certificates::{Parts, name};
use super::der::{bits, boolean, element, null, octets, oid, printable, sequence};
use super::go::{Oracle, Question};
use super::tool;

pub const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub const SHA384: &str = "2.16.840.1.101.3.4.2.2";
pub const SHA512: &str = "2.16.840.1.101.3.4.2.3";
pub const KEY_USAGE: &str = "2.5.29.15";
pub const SUBJECT_ALT_NAME: &str = "2.5.29.17";
pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// Within the validity of [`Parts::valid`].
pub fn noon() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// The certificate of a CA that has the issuer's name of [`Parts::valid`], with this public key. Nobody checks
/// its own signature.
pub fn authority(key: &[u8]) -> Parts {
    let mut parts = Parts::valid();
    parts.subject.clone_from(&parts.issuer);
    parts.issuer = name(&[("2.5.4.3", printable("Root"))]);
    parts.key = key.to_vec();
    parts.extensions = vec![
        critical(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff)])),
        critical(KEY_USAGE, &element(3, &[1, 0x06])),
    ];
    parts
}

pub fn critical(kind: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), boolean(0xff), octets(value)])
}

pub fn pem(der: &[u8]) -> String {
    pem_encode("CERTIFICATE", der).unwrap()
}

/// A signature algorithm, and how openssl makes such signatures.
#[derive(Clone)]
pub struct Algorithm {
    /// The `AlgorithmIdentifier`.
    pub identifier: Vec<u8>,
    pub openssl: Vec<String>,
}

/// A key that openssl made.
pub struct OpensslKey {
    file: tempfile::NamedTempFile,
    /// Its `SubjectPublicKeyInfo`.
    pub public: Vec<u8>,
}

impl OpensslKey {
    /// With arguments for `openssl genpkey`.
    pub fn new(arguments: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        tool("openssl", &[&["genpkey", "-out", path], arguments].concat());
        let public = tool("openssl", &["pkey", "-in", path, "-pubout", "-outform", "DER"]);
        Self { file, public }
    }

    pub fn sign(&self, arguments: &[String], message: &[u8]) -> Vec<u8> {
        let input = tempfile::NamedTempFile::new().unwrap();
        fs::write(input.path(), message).unwrap();
        let key = self.file.path().to_str().unwrap();
        let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let is_prehashed = all[0] == "dgst";
        all.extend(if is_prehashed { ["-sign", key] } else { ["-inkey", key] });
        all.extend(if is_prehashed { &[][..] } else { &["-in"] });
        all.push(input.path().to_str().unwrap());
        tool("openssl", &all)
    }

    /// The certificate with this algorithm and its signature.
    pub fn issue(&self, mut parts: Parts, algorithm: &Algorithm) -> Parts {
        parts.inner_algorithm.clone_from(&algorithm.identifier);
        parts.outer_algorithm.clone_from(&algorithm.identifier);
        parts.signature = bits(&self.sign(&algorithm.openssl, &sequence(&parts.body())));
        parts
    }
}

/// A P-256 key in this process, which signs quickly.
pub struct QuickKey {
    pair: EcdsaKeyPair,
}

impl QuickKey {
    pub fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap() }
    }

    /// Its `SubjectPublicKeyInfo`.
    pub fn public(&self) -> Vec<u8> {
        let algorithm = sequence(&[oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]);
        sequence(&[algorithm, bits(self.pair.public_key().as_ref())])
    }

    /// ecdsa-with-SHA256.
    pub fn algorithm() -> Vec<u8> {
        sequence(&[oid("1.2.840.10045.4.3.2")])
    }

    /// The certificate of these parts, signed.
    pub fn issue(&self, mut parts: Parts) -> Vec<u8> {
        parts.inner_algorithm = Self::algorithm();
        self.issue_body(&sequence(&parts.body()))
    }

    /// The certificate of what is signed, with tag and length.
    pub fn issue_body(&self, body: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&SystemRandom::new(), body).unwrap();
        sequence(&[body.to_vec(), Self::algorithm(), bits(signature.as_ref())])
    }

    /// The certificate of its CA.
    pub fn authority(&self) -> Parts {
        authority(&self.public())
    }
}

/// sha256WithRSAEncryption, say, with the NULL that it needs.
pub fn rsa(dotted: &str, digest: &str) -> Algorithm {
    Algorithm { identifier: sequence(&[oid(dotted), null()]), openssl: words(&format!("dgst {digest}")) }
}

/// RSASSA-PSS with MGF1 of the same hash and a salt of that many bytes.
pub fn pss(hash: &str, digest: &str, salt: u8) -> Algorithm {
    let hash = sequence(&[oid(hash), null()]);
    let mask = sequence(&[oid("1.2.840.113549.1.1.8"), hash.clone()]);
    let parameters = sequence(&[
        super::der::tagged(0, &hash),
        super::der::tagged(1, &mask),
        super::der::tagged(2, &element(2, &[salt])),
    ]);
    Algorithm {
        identifier: sequence(&[oid("1.2.840.113549.1.1.10"), parameters]),
        openssl: words(&format!("dgst {digest} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt}")),
    }
}

pub fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A certificate before a cluster.
pub struct Case {
    pub name: String,
    pub at: OffsetDateTime,
    pub certificate: Vec<u8>,
    /// `ekcert_allowed_cas`.
    pub elements: Vec<String>,
}

impl Case {
    /// With these CAs, each in an element of its own.
    pub fn new(name: impl Into<String>, certificate: Vec<u8>, authorities: &[Vec<u8>]) -> Self {
        let elements = authorities.iter().map(|der| pem(der)).collect();
        Self { name: name.into(), at: noon(), certificate, elements }
    }

    /// The project's answer in Go's words, `disputed`, or `unsupported`.
    pub fn answer(&self) -> &'static str {
        match self.verify() {
            None => "unreadable",
            Some(Ok(())) => "accepted",
            Some(Err(
                NotVerified::Disputed
                | NotVerified::DisputedSignature(_)
                | NotVerified::Issuer { flaw: Flaw::Disputed, .. },
            )) => "disputed",
            Some(Err(NotVerified::Issuer { flaw: Flaw::UnsupportedKey(_), .. })) => "unsupported",
            Some(Err(_)) => "refused",
        }
    }

    /// None where the certificate is none.
    pub fn verify(&self) -> Option<Result<(), NotVerified>> {
        let certificate = EkCertificate::from_pem(&pem(&self.certificate)).ok()?;
        Some(Authorities::from_pem(self.elements.iter().map(String::as_str)).verify(&certificate, self.at))
    }

    fn arguments(&self) -> Vec<Vec<u8>> {
        let nanoseconds = self.at.unix_timestamp_nanos().to_string().into_bytes();
        let elements = self.elements.iter().map(|element| element.clone().into_bytes());
        [nanoseconds, self.certificate.clone()].into_iter().chain(elements).collect()
    }
}

/// The project's answers, after a look at whether Go gives the same ones.
pub fn compare(oracle: &Oracle, cases: &[Case]) -> Vec<&'static str> {
    let arguments: Vec<Vec<Vec<u8>>> = cases.iter().map(Case::arguments).collect();
    let go = oracle.ask(Question::Verify, &arguments);
    let answers: Vec<&str> = cases.iter().map(Case::answer).collect();
    let agrees = |ours: &str, go: &[String]| match ours {
        // What was changed is refused there, and nothing is said of it here.
        "unsupported" => go.iter().all(|answer| ["accepted", "refused"].contains(&answer.as_str())),
        "disputed" => !oracle.has_several() || go.iter().any(|answer| answer != "accepted"),
        _ => go.iter().all(|answer| answer == ours),
    };
    let wrong: Vec<String> = cases
        .iter()
        .zip(&answers)
        .zip(&go)
        .filter(|((_, ours), go)| !agrees(ours, go))
        .map(|((case, ours), go)| {
            let elements = case.elements.concat();
            format!("{}: {ours} here, {go:?} in Go:\n{}{elements}", case.name, pem(&case.certificate))
        })
        .collect();
    let shown: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {} differ, such as:\n{}", wrong.len(), cases.len(), shown.join("\n"));
    answers
}

/// The same, where every case has the answer that it should have.
pub fn compare_expected(oracle: &Oracle, cases: Vec<(Case, &'static str)>) {
    let (cases, expected): (Vec<Case>, Vec<&str>) = cases.into_iter().unzip();
    let answers = compare(oracle, &cases);
    let wrong: Vec<String> = cases
        .iter()
        .zip(answers.iter().zip(&expected))
        .filter(|(_, (answer, expected))| answer != expected)
        .map(|(case, (answer, expected))| format!("{}: {answer}, expected {expected}", case.name))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
