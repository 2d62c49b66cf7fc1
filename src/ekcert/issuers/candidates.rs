//! Certificates among which issuers are looked for.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::super::authorities::Authority;
use super::super::description::timestamp;
use super::super::{EkCertificate, pem_encode, strict};
use super::folded_name::folded;
use crate::error::Result;

/// A certificate that may be an issuer's.
#[derive(Debug)]
pub struct Candidate {
    pub(super) authority: Authority,
    /// The same certificate as one that somebody issued.
    pub(super) certificate: EkCertificate,
    /// Where it came from: a path, a URL, or words.
    pub source: String,
    /// Its issuer's Name, folded.
    issuer: Vec<u8>,
    is_self_issued: bool,
}

impl Candidate {
    /// Its name, safe to show.
    #[must_use]
    pub fn subject(&self) -> String {
        self.authority.subject_text()
    }

    /// SHA-256 of the certificate in DER, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.authority.sha256()
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> Result<String> {
        pem_encode("CERTIFICATE", self.certificate.der())
    }

    /// The last second in which it is valid, RFC 3339 in UTC.
    #[must_use]
    pub fn not_after(&self) -> String {
        timestamp(self.authority.validity.not_after)
    }

    /// Whether it is not valid any more at this time.
    #[must_use]
    pub fn ends_by(&self, at: OffsetDateTime) -> bool {
        self.authority.validity.not_after < at
    }

    /// Where its own issuer's certificate is, it says.
    pub(super) fn links(&self) -> &[String] {
        &self.certificate.links
    }

    /// Whether subject and issuer are equal, as RFC 5280 compares them.
    pub(super) fn is_self_issued(&self) -> bool {
        self.is_self_issued
    }
}

/// All of them, each once.
#[derive(Debug, Default)]
pub struct Candidates {
    all: Vec<Candidate>,
    /// Where in `all` those of a name are.
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    by_sha256: HashMap<String, usize>,
}

impl Candidates {
    /// Adds a certificate in DER, with nothing after it, and says where it is. One that is there already keeps its
    /// source. None where it does not parse.
    pub fn add(&mut self, der: &[u8], source: &str) -> Option<usize> {
        let reading = strict::read_whole(der).ok()?;
        let authority = Authority::of(&reading);
        if let Some(place) = self.by_sha256.get(authority.sha256()) {
            return Some(*place);
        }
        let place = self.all.len();
        let certificate = EkCertificate::of(reading);
        let (subject, issuer) = (folded(&authority.subject), folded(&certificate.issued().issuer));
        let is_self_issued = subject == issuer;
        self.by_subject.entry(subject).or_default().push(place);
        self.by_sha256.insert(authority.sha256().to_owned(), place);
        self.all.push(Candidate {
            authority,
            certificate,
            source: source.to_owned(),
            issuer,
            is_self_issued,
        });
        Some(place)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// SHA-256 of the certificate at a place, in DER, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self, place: usize) -> &str {
        self.get(place).sha256()
    }

    pub(super) fn get(&self, place: usize) -> &Candidate {
        &self.all[place]
    }

    /// Where this very certificate is.
    pub(super) fn find(&self, certificate: &EkCertificate) -> Option<usize> {
        let places = self.called(&certificate.issued().subject).iter();
        places.copied().find(|place| self.get(*place).certificate.der() == certificate.der())
    }

    /// Those whose subject is the name of this candidate's issuer.
    pub(super) fn parents(&self, candidate: &Candidate) -> &[usize] {
        self.by_subject.get(&candidate.issuer).map_or(&[], Vec::as_slice)
    }

    /// Those whose subject is this issuer's Name, as RFC 5280 compares names.
    pub(super) fn called(&self, issuer: &[u8]) -> &[usize] {
        self.by_subject.get(&folded(issuer)).map_or(&[], Vec::as_slice)
    }
}
