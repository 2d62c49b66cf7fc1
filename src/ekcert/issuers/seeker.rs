//! The search for the issuer of one certificate, and how far it is.

use std::time::Duration;

use time::OffsetDateTime;

use super::super::EkCertificate;
use super::super::authorities::{Authority, Flaw, NotVerified};
use super::budget::{self, Ended};
use super::candidates::{Candidate, Candidates};
use super::chain::{Trust, View};

/// How far the search is with one certificate, or with a CA that needs a chain whatever it issued.
#[derive(Debug)]
pub(super) struct Seeker<'a> {
    /// None where it is about a CA.
    certificate: Option<&'a EkCertificate>,
    pub issuers: Vec<Issuer>,
    /// A candidate that would be its issuer, and what is wrong with that.
    pub unfit: Option<(usize, Flaw)>,
    /// Why no CA could make a cluster accept it.
    pub refused: Option<NotVerified>,
    /// Whether that is so, or an issuer was found that makes a cluster accept it and is trusted.
    pub is_settled: bool,
    /// Where those candidates are to which its links led, and how many links that took.
    pub own: Vec<(usize, usize)>,
    /// Those of them that it was not held against yet.
    fresh: Vec<usize>,
    has_seen_given: bool,
    /// Links whose outcome it knows.
    tried: Vec<String>,
    /// How long its requests took.
    pub time: Duration,
    /// Signatures that may still be checked for it.
    pub signatures: usize,
    pub ended: Option<Ended>,
}

/// A candidate that issued a certificate, or is that certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Issuer {
    pub place: usize,
    /// Whether a cluster sees it so too: it compares names byte by byte.
    pub is_accepted: bool,
}

/// What a look at candidates led to.
#[derive(Default)]
pub(super) struct Sighting {
    issuers: Vec<Issuer>,
    unfit: Option<(usize, Flaw)>,
    signatures: usize,
}

impl<'a> Seeker<'a> {
    pub(super) fn of(certificate: &'a EkCertificate, at: OffsetDateTime) -> Self {
        let issued = certificate.issued();
        let refused = issued.check(at).and_then(|()| issued.scheme()).err();
        Self { certificate: Some(certificate), is_settled: refused.is_some(), refused, ..Self::empty() }
    }

    /// For a chain of this candidate.
    pub(super) fn of_candidate(place: usize) -> Self {
        Self { issuers: vec![Issuer { place, is_accepted: true }], ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            certificate: None,
            issuers: Vec::new(),
            unfit: None,
            refused: None,
            is_settled: false,
            own: Vec::new(),
            fresh: Vec::new(),
            has_seen_given: false,
            tried: Vec::new(),
            time: Duration::ZERO,
            signatures: budget::MOST_SIGNATURES,
            ended: None,
        }
    }

    /// The certificate's own links.
    pub(super) fn links(&self) -> &'a [String] {
        self.certificate.map_or(&[], |certificate| &certificate.links)
    }

    /// Ends the search. The first reason counts.
    pub(super) fn end(&mut self, why: Ended) {
        self.ended.get_or_insert(why);
    }

    /// Notes that this link was tried, at this depth, and what it led to.
    pub(super) fn take(&mut self, link: &str, depth: usize, places: &[usize], given: usize) {
        self.tried.push(link.to_owned());
        self.lead_to(depth, places, given);
    }

    /// Takes up the candidates that came with the certificate.
    pub(super) fn bring(&mut self, places: &[usize], given: usize) {
        self.lead_to(0, places, given);
    }

    fn lead_to(&mut self, depth: usize, places: &[usize], given: usize) {
        for place in places.iter().copied().filter(|place| *place >= given) {
            if self.leads_to(place) {
                continue;
            }
            if self.own.len() == budget::MOST_CANDIDATES {
                self.end(Ended::Candidates);
                return;
            }
            self.own.push((place, depth));
            self.fresh.push(place);
        }
    }

    fn leads_to(&self, place: usize) -> bool {
        self.own.iter().any(|(own, _)| *own == place)
    }

    /// Has it held against these candidates, too.
    pub(super) fn refresh(&mut self, places: &[usize]) {
        let others: Vec<usize> = places.iter().copied().filter(|place| !self.leads_to(*place)).collect();
        self.fresh.extend(others);
    }

    /// The first link that was not tried, and how many links led there with it: above its issuers where it has any, else
    /// its own.
    pub(super) fn next_link(&self, candidates: &Candidates, given: usize) -> Option<(String, usize)> {
        let untried = |links: &[String]| links.iter().find(|link| !self.tried.contains(link)).cloned();
        let view = View { given, own: &self.own, proved: &[] };
        let mut above: Vec<usize> = self.issuers.iter().map(|issuer| issuer.place).collect();
        let mut next = 0;
        while let Some(place) = above.get(next).copied() {
            next += 1;
            let candidate: &Candidate = candidates.get(place);
            if let Some(link) = untried(candidate.links()) {
                let depth = self.own.iter().find(|(own, _)| *own == place).map_or(0, |(_, depth)| *depth);
                return Some((link, 1 + depth));
            }
            for parent in candidates.parents(candidate).iter().filter(|parent| view.has(**parent)) {
                if !above.contains(parent) {
                    above.push(*parent);
                }
            }
        }
        untried(self.links()).map(|link| (link, 1))
    }

    /// Holds the certificate against the candidates that it was not held against yet.
    pub(super) fn look(
        &self,
        candidates: &Candidates,
        trust: &Trust,
        given: usize,
        at: OffsetDateTime,
    ) -> Sighting {
        let mut sighting = Sighting { signatures: self.signatures, ..Sighting::default() };
        let is_new = |place: &usize| self.fresh.contains(place) || (!self.has_seen_given && *place < given);
        let Some(certificate) = self.certificate.filter(|_| !self.is_settled) else { return sighting };
        let issued = certificate.issued();
        let Ok(scheme) = issued.scheme() else { return sighting };
        let mut places: Vec<usize> =
            candidates.called(&issued.issuer).iter().copied().filter(is_new).collect();
        places.sort_by_key(|place| candidates.get(*place).authority.distance(issued));
        let mut signer: Option<&Authority> = None;
        for place in places {
            let authority = &candidates.get(place).authority;
            // Of several certificates of one key, as when a CA is renewed, one signature tells of all.
            let is_signed = if let Some(signer) = signer {
                signer.has_key_of(authority).then_some(()).ok_or(Flaw::OtherKey)
            } else {
                let Some(left) = sighting.signatures.checked_sub(1) else { break };
                sighting.signatures = left;
                authority.signed(issued, scheme)
            };
            if is_signed.is_ok() {
                signer = Some(authority);
            }
            match is_signed.and_then(|()| authority.may_have_issued(issued, at)) {
                Ok(()) => {
                    let is_accepted = authority.subject == issued.issuer;
                    sighting.issuers.push(Issuer { place, is_accepted });
                }
                // Not the issuer: another key of the same name, or the same key in another certificate.
                Err(Flaw::OtherKey | Flaw::SameKey) => {}
                Err(flaw) => sighting.unfit = Some((place, flaw)),
            }
        }
        // A cluster accepts a certificate that is among its CAs itself.
        if let Some(place) = candidates.find(certificate).filter(is_new)
            && trust.names(candidates.sha256(place))
        {
            sighting.issuers.push(Issuer { place, is_accepted: true });
        }
        sighting
    }

    /// Takes up what a look led to.
    pub(super) fn see(&mut self, sighting: Sighting) {
        self.issuers.extend(sighting.issuers);
        self.unfit = sighting.unfit.or(self.unfit.take());
        self.signatures = sighting.signatures;
        if self.signatures == 0 {
            self.end(Ended::Signatures);
        }
        self.fresh.clear();
        self.has_seen_given = true;
    }
}
