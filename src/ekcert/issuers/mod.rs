//! Finding the issuers of EK certificates: the CAs that a token must allow, and whether they are the
//! manufacturer's.
//!
//! A search has EK certificates and candidates. Where no candidate issued a certificate, or its issuer has no chain
//! to something trusted, it follows the links in the certificates (Authority Information Access, RFC 5280, section
//! 4.2.2.1), round by round, until nothing is left to follow. What a link leads to proves nothing: it counts only
//! by its chain.

mod candidates;
mod chain;
mod folded_name;
mod formats;
mod links;

use std::collections::{BTreeSet, HashMap};

use time::OffsetDateTime;

use super::EkCertificate;
use super::authorities::{Authority, Flaw, NotVerified};
use crate::parallel;

pub use candidates::{Candidate, Candidates};
pub use chain::{Broken, Chain, Trust};
pub use formats::Contents;
pub use links::{Fetch, Link, Links};

use links::Wanted;

/// What a search finds out about one EK certificate.
#[derive(Debug)]
pub enum Finding {
    /// It was issued by a candidate.
    Issued {
        /// Where that is.
        issuer: usize,
        /// Its chain, which proves something or not.
        chain: Chain,
        /// Whether a cluster sees it so too, which compares the two names byte by byte.
        is_accepted: bool,
    },
    /// The candidate at this place has the name and key of its issuer, and this is wrong with it.
    Unfit(usize, Flaw),
    /// A cluster would not accept it by any CA: why.
    Refused(NotVerified),
    /// Nobody here issued it: what came of its links, in their order.
    NotFound(Vec<(String, Link)>),
}

/// A search for the issuers of EK certificates.
#[derive(Debug)]
pub struct Search<'a> {
    candidates: Candidates,
    trust: &'a Trust,
    at: OffsetDateTime,
    links: Links,
    /// Candidates that need a chain whatever they issued.
    kept: Vec<usize>,
}

/// How far the search is with one certificate.
#[derive(Debug)]
struct Subject<'a> {
    certificate: &'a EkCertificate,
    links: &'a [String],
    issuers: Vec<Issuer>,
    /// A candidate that would be its issuer, and what is wrong with that.
    unfit: Option<Unfit>,
    /// Why no CA could make a cluster accept it.
    refused: Option<NotVerified>,
    /// Whether that is so, or one was found that does and is trusted.
    is_settled: bool,
}

/// Where a candidate is, and what is wrong with it.
type Unfit = (usize, Flaw);

/// A candidate that issued a certificate, or is that certificate.
#[derive(Debug, Clone, Copy)]
struct Issuer {
    place: usize,
    /// Whether a cluster sees it so too: it compares names byte by byte.
    is_accepted: bool,
}

impl<'a> Search<'a> {
    /// A search among these candidates, at this time.
    #[must_use]
    pub fn new(candidates: Candidates, trust: &'a Trust, at: OffsetDateTime) -> Self {
        Self { candidates, trust, at, links: Links::default(), kept: Vec::new() }
    }

    /// Has the search find chains of these candidates, too, whatever they issued.
    pub fn keep(&mut self, places: Vec<usize>) {
        self.kept = places;
    }

    /// Their chains, once the search has run.
    pub fn kept(&self) -> impl Iterator<Item = (usize, Chain)> {
        let chain = |place| chain::chain_if_fit(&self.candidates, self.trust, place, self.at);
        self.kept.iter().map(move |place| (*place, chain(*place)))
    }

    /// The candidate at a place of a finding.
    #[must_use]
    pub fn candidate(&self, place: usize) -> &Candidate {
        self.candidates.get(place)
    }

    /// The links that were followed.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The links of a candidate that lead nowhere, each with the reason.
    pub fn dead_links_of(&self, candidate: &Candidate) -> impl Iterator<Item = String> {
        self.links.outcomes(candidate.links()).into_iter().filter_map(|(link, outcome)| match outcome {
            Link::Dead(why) => Some(format!("{link}: {why}")),
            Link::Untried | Link::Leads(_) => None,
        })
    }

    /// Looks for the issuer of each certificate; the findings are in the same order. Without a way to fetch, no
    /// link is followed.
    pub fn run(&mut self, certificates: &[EkCertificate], fetch: Option<&Fetch<'_>>) -> Vec<Finding> {
        let mut subjects: Vec<Subject<'_>> =
            certificates.iter().map(|certificate| Subject::of(certificate, self.at)).collect();
        let mut looked_at = 0;
        let mut chains = HashMap::new();
        loop {
            // Chains may have become longer with the new candidates.
            chains.clear();
            self.look(&mut subjects, looked_at);
            looked_at = self.candidates.len();
            for subject in subjects.iter_mut().filter(|subject| !subject.is_settled) {
                subject.is_settled = subject
                    .issuers
                    .iter()
                    .any(|it| it.is_accepted && self.chain(&mut chains, it.place).broken.is_none());
            }
            let Some(fetch) = fetch else { break };
            let mut wanted = self.wanted(&subjects);
            for (place, chain) in self.kept() {
                if chain.broken.is_some_and(|why| !matches!(why, Broken::Unfit(_))) {
                    wanted.extend(self.links_above(place));
                }
            }
            if wanted.is_empty() {
                break;
            }
            self.links.follow(&wanted, fetch, &mut self.candidates);
        }
        subjects.into_iter().map(|subject| self.finding(&mut chains, subject)).collect()
    }

    /// Holds certificates against the candidates from this place on.
    fn look(&self, subjects: &mut [Subject<'_>], from: usize) {
        let unsettled: Vec<&Subject<'_>> = subjects.iter().filter(|subject| !subject.is_settled).collect();
        let found =
            parallel::map(&unsettled, |subject| subject.look(&self.candidates, self.trust, from, self.at));
        let unsettled = subjects.iter_mut().filter(|subject| !subject.is_settled);
        for (subject, (issuers, unfit)) in unsettled.zip(found) {
            subject.issuers.extend(issuers);
            subject.unfit = unfit.or(subject.unfit.take());
        }
    }

    fn chain(&self, known: &mut HashMap<usize, Chain>, issuer: usize) -> Chain {
        let climb = || chain::chain(&self.candidates, self.trust, issuer, self.at);
        known.entry(issuer).or_insert_with(climb).clone()
    }

    /// The next link of each certificate that has one, and is not settled. Chains come before other issuers.
    fn wanted(&self, subjects: &[Subject<'_>]) -> Wanted {
        let mut wanted = Wanted::default();
        let mut ancestors_of: HashMap<usize, Vec<String>> = HashMap::new();
        for subject in subjects.iter().filter(|subject| !subject.is_settled) {
            let mut above: Vec<String> = Vec::new();
            for issuer in &subject.issuers {
                let links =
                    ancestors_of.entry(issuer.place).or_insert_with(|| self.links_above(issuer.place));
                above.extend(links.iter().cloned());
            }
            if above.is_empty() {
                wanted.extend(self.links.next_of(subject.links));
            } else {
                wanted.extend(above);
            }
        }
        wanted
    }

    /// The next link of each candidate on the way up from an issuer.
    fn links_above(&self, issuer: usize) -> Vec<String> {
        let mut seen = BTreeSet::from([issuer]);
        let mut waiting = vec![issuer];
        let mut next = Vec::new();
        while let Some(place) = waiting.pop() {
            let candidate = self.candidates.get(place);
            next.extend(self.links.next_of(candidate.links()));
            for parent in self.candidates.called(&candidate.certificate.issued().issuer) {
                if seen.insert(*parent) {
                    waiting.push(*parent);
                }
            }
        }
        next
    }

    fn finding(&self, chains: &mut HashMap<usize, Chain>, subject: Subject<'_>) -> Finding {
        // One that is trusted and that a cluster accepts before the others, then the one with the longest validity.
        let best = subject.issuers.iter().max_by_key(|issuer| {
            let candidate = self.candidates.get(issuer.place);
            let is_trusted = self.chain(chains, issuer.place).broken.is_none();
            (is_trusted, issuer.is_accepted, candidate.authority.validity.not_after, candidate.sha256())
        });
        if let Some(Issuer { place, is_accepted }) = best {
            let chain = self.chain(chains, *place);
            return Finding::Issued { issuer: *place, chain, is_accepted: *is_accepted };
        }
        match (subject.refused, subject.unfit) {
            (Some(why), _) => Finding::Refused(why),
            (None, Some((place, flaw))) => Finding::Unfit(place, flaw),
            (None, None) => Finding::NotFound(self.links.outcomes(subject.links)),
        }
    }
}

impl<'a> Subject<'a> {
    fn of(certificate: &'a EkCertificate, at: OffsetDateTime) -> Self {
        let issued = certificate.issued();
        let refused = issued.check(at).and_then(|()| issued.scheme()).err();
        let links = &certificate.links;
        let is_settled = refused.is_some();
        Self { certificate, links, issuers: Vec::new(), unfit: None, refused, is_settled }
    }

    /// Holds the certificate against the candidates from this place on.
    fn look(
        &self,
        candidates: &Candidates,
        trust: &Trust,
        from: usize,
        at: OffsetDateTime,
    ) -> (Vec<Issuer>, Option<Unfit>) {
        let (mut issuers, mut unfit) = (Vec::new(), None);
        let issued = self.certificate.issued();
        let Ok(scheme) = issued.scheme() else { return (issuers, unfit) };
        let places = candidates.called(&issued.issuer).iter().copied();
        let mut places: Vec<usize> = places.filter(|place| *place >= from).collect();
        places.sort_by_key(|place| candidates.get(*place).authority.distance(issued));
        let mut signer: Option<&Authority> = None;
        for place in places {
            let authority = &candidates.get(place).authority;
            // Of several certificates of one key, as when a CA is renewed, one signature tells of all.
            let is_signed = match signer {
                Some(signer) => signer.has_key_of(authority).then_some(()).ok_or(Flaw::OtherKey),
                None => authority.signed(issued, scheme),
            };
            if is_signed.is_ok() {
                signer = Some(authority);
            }
            match is_signed.and_then(|()| authority.may_have_issued(issued, at)) {
                Ok(()) => {
                    let is_accepted = authority.subject == issued.issuer;
                    issuers.push(Issuer { place, is_accepted });
                }
                // Not the issuer: another key of the same name, or the same key in another certificate.
                Err(Flaw::OtherKey | Flaw::SameKey) => {}
                Err(flaw) => unfit = Some((place, flaw)),
            }
        }
        // A cluster accepts a certificate that is among its CAs itself.
        if let Some(place) = candidates.find(self.certificate).filter(|place| *place >= from)
            && trust.names(candidates.sha256(place))
        {
            issuers.push(Issuer { place, is_accepted: true });
        }
        (issuers, unfit)
    }
}
