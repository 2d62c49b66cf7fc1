//! The CAs of a join token, and whether a cluster accepts an EK certificate because of them.
//!
//! A cluster verifies the certificate as Go's `x509.Certificate.Verify` does it with these CAs as the
//! only roots and without intermediates: one of them must be the certificate's direct issuer, or the
//! certificate itself. The tests hold every answer against Go's. What is left out: Go trusts no chain with one
//! of a few keys of CAs of the web that failed, which have nothing to do with TPMs.

mod authority;
mod constraints;
mod issued;
mod refusal;

#[cfg(test)]
mod bundle;

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;

use super::{EkCertificate, pem};

pub use authority::Authority;
pub(super) use issued::Issued;
pub use refusal::{Flaw, NotVerified};

/// Signatures that Go checks for one certificate, at most.
const MOST_CANDIDATES: usize = 100;

/// The CAs of a token, as the cluster loads them.
#[derive(Debug, Default)]
pub struct Authorities {
    /// In their order, each once.
    all: Vec<Authority>,
    /// Where in `all` the CAs of a name are, which is a Name's content in DER.
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    /// Of their certificates in DER.
    certificates: HashSet<Vec<u8>>,
}

impl Authorities {
    /// From the elements of `ekcert_allowed_cas`, loaded as Go's `x509.CertPool.AppendCertsFromPEM` does with
    /// each: every PEM block of type `CERTIFICATE` without headers that parses. The others are skipped.
    #[must_use]
    pub fn from_pem<'a>(elements: impl IntoIterator<Item = &'a str>) -> Self {
        let mut authorities = Self::default();
        for block in elements.into_iter().flat_map(|element| pem::blocks(element.as_bytes())) {
            if !block.is_certificate() || block.has_headers || authorities.has(&block.content) {
                continue;
            }
            if let Some(authority) = Authority::read(&block.content) {
                let place = authorities.all.len();
                authorities.by_subject.entry(authority.subject.clone()).or_default().push(place);
                authorities.all.push(authority);
                authorities.certificates.insert(block.content);
            }
        }
        authorities
    }

    /// Whether there is no certificate among them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The CAs, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.all.iter()
    }

    fn has(&self, certificate: &[u8]) -> bool {
        self.certificates.contains(certificate)
    }

    /// Whether the cluster accepts the certificate at this time.
    ///
    /// An error says why not. It also comes where releases of Teleport disagree.
    pub fn verify(&self, certificate: &EkCertificate, at: OffsetDateTime) -> Result<(), NotVerified> {
        let issued = certificate.issued();
        issued.check(at)?;
        if self.has(certificate.der()) {
            return Ok(());
        }
        let scheme = issued.scheme()?;
        let candidates = self.candidates(issued);
        let mut found = None;
        for candidate in candidates.iter().take(MOST_CANDIDATES) {
            match candidate.vouch_for(issued, scheme, at) {
                Ok(()) => return Ok(()),
                // The most telling one counts.
                Err(flaw) => found = found.max(Some(flaw)),
            }
        }
        Err(match found {
            Some(flaw) => {
                NotVerified::Issuer { issuer: issued.issuer_text(), flaw, candidates: candidates.len() }
            }
            None => self.no_issuer(certificate),
        })
    }

    /// The CAs that have the issuer's name, byte for byte, those first whose key identifier fits.
    fn candidates(&self, issued: &Issued) -> Vec<&Authority> {
        let places = self.by_subject.get(&issued.issuer).map_or(&[][..], Vec::as_slice);
        let mut candidates: Vec<&Authority> =
            places.iter().filter_map(|place| self.all.get(*place)).collect();
        candidates.sort_by_key(|candidate| candidate.distance(issued));
        candidates
    }

    fn no_issuer(&self, certificate: &EkCertificate) -> NotVerified {
        let issuer = certificate.issued().issuer_text();
        let is_alike = |authority: &Authority| authority.subject_text().eq_ignore_ascii_case(&issuer);
        if self.all.iter().any(is_alike) {
            return NotVerified::IssuerInOtherBytes { issuer };
        }
        NotVerified::NoIssuer {
            issuer,
            allowed: self.all.iter().map(|ca| (ca.subject_text(), ca.is_self_issued())).collect(),
            link: certificate.links.first().cloned(),
        }
    }
}
