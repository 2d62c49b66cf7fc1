//! One CA.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::super::description::name_text;
use super::super::public_key::hexadecimal;
use super::super::signature::{NotSigned, Scheme, Signer};
use super::super::strict::{self, Certificate, Reading, Validity};
use super::super::{der, oid};
use super::constraints::NameConstraints;
use super::issued::{Issued, Unhandled};
use super::refusal::Flaw;

/// A certificate among the CAs of a token. It need not be a CA's.
#[derive(Debug)]
pub struct Authority {
    /// The subject's Name, a SEQUENCE's content in DER.
    pub(in super::super) subject: Vec<u8>,
    subject_key_identifier: Vec<u8>,
    /// When it is valid, both ends included.
    pub validity: Validity,
    sha256: String,
    issuer: Vec<u8>,
    key_info: Vec<u8>,
    subject_alt_name: Option<Vec<u8>>,
    key: Option<Signer>,
    /// What kind of key it is, for people.
    key_name: String,
    /// What makes it none that may sign certificates.
    not_a_ca: Option<Flaw>,
    /// How many CAs that are not self-issued may stand between it and an end entity.
    path_length: Option<u64>,
    unhandled: Option<Unhandled>,
    name_constraints: Option<NameConstraints>,
    is_disputed: bool,
}

impl Authority {
    /// From a certificate in DER, with nothing after it; none where it does not parse.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        strict::read_whole(bytes).ok().map(|reading| Self::of(&reading))
    }

    pub(in super::super) fn of(reading: &Reading<'_>) -> Self {
        let Reading { certificate, is_disputed } = reading;
        let constraints = certificate.extension(oid::NAME_CONSTRAINTS);
        Self {
            subject: certificate.subject.to_vec(),
            subject_key_identifier: subject_key_identifier(certificate),
            validity: certificate.validity,
            sha256: hexadecimal(&Sha256::digest(certificate.der)),
            issuer: certificate.issuer.to_vec(),
            key_info: certificate.key_info.to_vec(),
            subject_alt_name: certificate.extension(oid::SUBJECT_ALT_NAME).map(<[u8]>::to_vec),
            key: certificate.key.public.as_ref().and_then(Signer::of),
            not_a_ca: not_a_ca(certificate),
            path_length: path_length(certificate),
            unhandled: Unhandled::in_authority(certificate),
            name_constraints: constraints.and_then(NameConstraints::read),
            key_name: certificate.key.name.clone(),
            is_disputed: *is_disputed,
        }
    }

    /// Its name (`C=DE, CN=…`), safe to show.
    #[must_use]
    pub fn subject_text(&self) -> String {
        name_text(&self.subject).unwrap_or_else(|| "a CA without a name".to_owned())
    }

    /// SHA-256 of the certificate in DER, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether subject and issuer are the same, as in the certificate of a root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it may sign certificates by its own word. One that may not lets in only the very certificate
    /// that it is.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.not_a_ca.is_none()
    }

    /// What keeps the cluster from accepting anything that it issued, at this time.
    #[must_use]
    pub fn flaw(&self, at: OffsetDateTime) -> Option<Flaw> {
        self.check(at).err()
    }

    /// Whether this many CAs that are not self-issued may follow it on the way to an end entity.
    pub(in super::super) fn may_be_followed_by(&self, authorities: u64) -> bool {
        self.path_length.is_none_or(|most| authorities <= most)
    }

    fn check(&self, at: OffsetDateTime) -> Result<(), Flaw> {
        if let Some(flaw) = &self.not_a_ca {
            return Err(flaw.clone());
        }
        if self.key.is_none() {
            return Err(Flaw::UnknownKey(self.key_name.clone()));
        }
        if let Some(Unhandled(extension)) = &self.unhandled {
            return Err(Flaw::Unhandled(extension.clone()));
        }
        if at < self.validity.not_before {
            return Err(Flaw::NotYetValid(self.validity.not_before));
        }
        if at > self.validity.not_after {
            return Err(Flaw::Expired(self.validity.not_after));
        }
        if self.is_disputed { Err(Flaw::Disputed) } else { Ok(()) }
    }

    /// Whether the cluster accepts the certificate because of this CA, whose name is that of its issuer.
    pub(in super::super) fn vouch_for(
        &self,
        issued: &Issued,
        scheme: Scheme,
        at: OffsetDateTime,
    ) -> Result<(), Flaw> {
        self.signed(issued, scheme)?;
        self.may_have_issued(issued, at)
    }

    /// Whether this CA's key signed the certificate.
    pub(in super::super) fn signed(&self, issued: &Issued, scheme: Scheme) -> Result<(), Flaw> {
        // Go takes another certificate of the same name and key for the same one, which it does not build a
        // chain of.
        if self.subject == issued.subject
            && self.key_info == issued.key_info
            && self.subject_alt_name == issued.subject_alt_name
        {
            return Err(Flaw::SameKey);
        }
        let key = self.key.as_ref().ok_or_else(|| Flaw::UnknownKey(self.key_name.clone()))?;
        key.check(scheme, &issued.signed, &issued.signature).map_err(|why| match why {
            NotSigned::Mismatch => Flaw::OtherKey,
            NotSigned::WeakKey(what) => Flaw::WeakKey(what),
            NotSigned::UnsupportedKey => Flaw::UnsupportedKey(self.key_name.clone()),
        })
    }

    /// Whether a certificate that its key signed counts.
    pub(in super::super) fn may_have_issued(&self, issued: &Issued, at: OffsetDateTime) -> Result<(), Flaw> {
        self.check(at)?;
        match (&self.name_constraints, &issued.subject_alt_name) {
            (Some(constraints), Some(names)) => constraints.check(names).map_err(Flaw::NotItsName),
            _ => Ok(()),
        }
    }

    /// Whether it has the same key as another.
    pub(in super::super) fn has_key_of(&self, other: &Self) -> bool {
        self.key_info == other.key_info
    }

    /// How well its key identifier fits the issuer's in a certificate (RFC 5280, section 4.2.1.1): the smaller, the
    /// better.
    pub(in super::super) fn distance(&self, issued: &Issued) -> u8 {
        let wanted = &issued.authority_key_identifier;
        let found = &self.subject_key_identifier;
        match (wanted == found, wanted.is_empty() == found.is_empty()) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }
}

/// Why this is no CA, as Go sees it: in version 3, basicConstraints must say so, and keyUsage must be
/// absent, say nothing or have keyCertSign. Earlier versions have no extensions.
fn not_a_ca(certificate: &Certificate<'_>) -> Option<Flaw> {
    if !is_ca(certificate) {
        return Some(Flaw::NotACa);
    }
    let usage = certificate.extension(oid::KEY_USAGE).and_then(|value| {
        let bits = der::Reader::new(value).bit_string()?;
        Some([bits.byte(0), bits.byte(1) & 0x80])
    });
    // Bit 5 of the nine that there are is keyCertSign (RFC 5280, section 4.2.1.3).
    usage
        .filter(|[first, second]| (*first != 0 || *second != 0) && first & 0x04 == 0)
        .map(|_| Flaw::MayNotSign)
}

fn is_ca(certificate: &Certificate<'_>) -> bool {
    let Some(value) = certificate.extension(oid::BASIC_CONSTRAINTS) else {
        return certificate.version != 3;
    };
    let constraints = der::Reader::new(value).enter(der::SEQUENCE);
    constraints
        .is_some_and(|mut constraints| constraints.peeks(der::BOOLEAN) && constraints.boolean() == Some(true))
}

/// The pathLenConstraint (RFC 5280, section 4.2.1.9).
fn path_length(certificate: &Certificate<'_>) -> Option<u64> {
    let mut constraints =
        der::Reader::new(certificate.extension(oid::BASIC_CONSTRAINTS)?).enter(der::SEQUENCE)?;
    if constraints.peeks(der::BOOLEAN) {
        constraints.boolean()?;
    }
    constraints.small_integer(der::INTEGER).and_then(|length| u64::try_from(length).ok())
}

fn subject_key_identifier(certificate: &Certificate<'_>) -> Vec<u8> {
    let identifier = certificate
        .extension(oid::SUBJECT_KEY_IDENTIFIER)
        .and_then(|value| der::Reader::new(value).read(der::OCTET_STRING));
    identifier.unwrap_or_default().to_vec()
}
