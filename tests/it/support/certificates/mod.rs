//! Certificates that a TPM could hold, valid and damaged in one place each, with what `tbot` makes of
//! them. They are built by hand: nobody checks the signatures, so these are made up.

mod envelope;
mod extensions;
mod general_names;
mod keys;
mod names;

use tbot_tpm::ekcert::EkCertificate;
use tbot_tpm::error::Kind;

use super::der::{bits, hex, integer, null, octets, oid, printable, sequence, set, tagged, utc_time};

/// What an NV index holds, and what `tbot` makes of it.
pub struct Fixture {
    pub name: &'static str,
    /// The content of the index.
    pub der: Vec<u8>,
    pub expected: Expected,
}

/// What `tbot` makes of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A certificate, with the hash of its key and its serial number.
    Identity { hash: &'static str, serial: &'static str },
    /// No certificate, for this reason.
    Refused(&'static str),
    /// A certificate with a key that has no hash: `tbot` ends with an error.
    Unsupported,
    /// One or the other, depending on the Go release that `tbot` was built with.
    Disputed,
}

impl Expected {
    /// In the words of [`answer`].
    pub fn answer(self) -> String {
        match self {
            Self::Identity { hash, serial } => format!("{hash} {serial}"),
            Self::Refused(why) => format!("refused: {why}"),
            Self::Unsupported => "unsupported".to_owned(),
            Self::Disputed => "disputed".to_owned(),
        }
    }
}

/// What the project makes of an index: `HASH SERIAL`, `refused: WHY`, `unsupported` or `disputed`.
pub fn answer(content: &[u8]) -> String {
    let certificate = match EkCertificate::from_nv(content) {
        Ok(certificate) => certificate,
        Err(why) => return format!("refused: {why}"),
    };
    // Whatever parsed can be described and written.
    assert!(!certificate.description().not_before.is_empty());
    assert!(certificate.to_pem().is_ok());
    match certificate.public_key() {
        Ok(key) => format!("{} {}", key.hash(), certificate.serial),
        Err(error) => {
            assert_eq!(error.kind, Kind::EkUnsupported);
            let is_disputed = error.message.starts_with("versions of tbot disagree");
            if is_disputed { "disputed" } else { "unsupported" }.to_owned()
        }
    }
}

/// The serial number of [`Parts::valid`].
pub const SERIAL: &str = "1a:2b:3c";

/// All of them; the names are unique.
pub fn fixtures() -> Vec<Fixture> {
    let groups = [
        envelope::fixtures(),
        names::fixtures(),
        keys::fixtures(),
        extensions::fixtures(),
        general_names::fixtures(),
    ];
    groups.into_iter().flatten().collect()
}

fn identity(name: &'static str, der: Vec<u8>, hash: &'static str, serial: &'static str) -> Fixture {
    Fixture { name, der, expected: Expected::Identity { hash, serial } }
}

/// A variant of [`Parts::valid`] that `tbot` accepts as well.
fn accepted(name: &'static str, der: Vec<u8>) -> Fixture {
    identity(name, der, keys::RSA_2048_HASH, SERIAL)
}

fn refused(name: &'static str, why: &'static str, der: Vec<u8>) -> Fixture {
    Fixture { name, der, expected: Expected::Refused(why) }
}

fn unsupported(name: &'static str, der: Vec<u8>) -> Fixture {
    Fixture { name, der, expected: Expected::Unsupported }
}

fn disputed(name: &'static str, der: Vec<u8>) -> Fixture {
    Fixture { name, der, expected: Expected::Disputed }
}

/// The valid certificate with a change.
fn changed(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::valid();
    change(&mut parts);
    parts.der()
}

/// The parts of a certificate, each an element in DER.
pub struct Parts {
    pub version: Vec<u8>,
    pub serial: Vec<u8>,
    pub inner_algorithm: Vec<u8>,
    pub issuer: Vec<u8>,
    pub validity: Vec<u8>,
    pub subject: Vec<u8>,
    pub key: Vec<u8>,
    /// The unique identifiers, or whatever comes before the extensions.
    pub unique_identifiers: Vec<u8>,
    /// Whatever comes after the key, unless there are none.
    pub extensions: Vec<Vec<u8>>,
    pub outer_algorithm: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Parts {
    /// A version 3 certificate with an RSA 2048 key and the extensions that EK certificates have.
    pub fn valid() -> Self {
        let algorithm = sequence(&[oid("1.2.840.113549.1.1.11"), null()]);
        Self {
            version: tagged(0, &integer(&[2])),
            serial: integer(&hex("1a2b3c")),
            inner_algorithm: algorithm.clone(),
            issuer: name(&[("2.5.4.6", printable("DE")), ("2.5.4.3", printable("EK CA"))]),
            validity: sequence(&[utc_time("250101000000Z"), utc_time("350101000000Z")]),
            subject: sequence(&[]),
            key: keys::rsa_2048(),
            unique_identifiers: Vec::new(),
            extensions: extensions::usual(),
            outer_algorithm: algorithm,
            signature: bits(&[0x5a; 32]),
        }
    }

    pub fn der(&self) -> Vec<u8> {
        sequence(&[sequence(&self.body()), self.outer_algorithm.clone(), self.signature.clone()])
    }

    /// The parts of what is signed.
    pub fn body(&self) -> Vec<Vec<u8>> {
        let extensions =
            if self.extensions.is_empty() { Vec::new() } else { tagged(3, &sequence(&self.extensions)) };
        vec![
            self.version.clone(),
            self.serial.clone(),
            self.inner_algorithm.clone(),
            self.issuer.clone(),
            self.validity.clone(),
            self.subject.clone(),
            self.key.clone(),
            self.unique_identifiers.clone(),
            extensions,
        ]
    }
}

/// A Name with one relative distinguished name for each type and value.
pub fn name(attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let relative = |(kind, value): &(&str, Vec<u8>)| set(&[sequence(&[oid(kind), value.clone()])]);
    sequence(&attributes.iter().map(relative).collect::<Vec<_>>())
}

/// An extension that is not critical.
pub fn extension(kind: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), octets(value)])
}
