//! Finding the issuers of EK certificates: the CAs that a token must allow, and whether they are the
//! manufacturer's.
//!
//! A search has EK certificates and candidates. Where no candidate issued a certificate, or its issuer has no chain
//! to something trusted, it follows the links in the certificates (Authority Information Access, RFC 5280, section
//! 4.2.2.1), until nothing is left to follow. What a link leads to proves nothing: it counts only by its chain.
//!
//! Whoever made one EK certificate may be an attacker. So what a link leads to counts for those certificates alone that
//! led there, until it is proved, and each has a budget of its own ([`Ended`]).

mod budget;
mod candidates;
mod chain;
mod folded_name;
mod formats;
mod links;
mod pursuit;
mod seeker;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::authorities::{Flaw, NotVerified};
use super::{CertificateChain, EkCertificate};
use crate::parallel;

pub use budget::Ended;
pub use candidates::{Candidate, Candidates};
pub use chain::{Broken, Chain, Trust};
pub use formats::Contents;
pub use links::{Fetch, Link, Links, Permit};
pub use pursuit::Following;

use chain::{Climber, Verdicts, View};
use seeker::{Issuer, Seeker};

/// What a search finds out about one EK certificate.
#[derive(Debug)]
pub struct Found {
    /// What is known of its issuer.
    pub finding: Finding,
    /// What ended the search before everything was tried.
    pub ended: Option<Ended>,
}

/// What is known of an EK certificate's issuer.
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
    /// How many of them the user gave.
    given: usize,
    trust: &'a Trust,
    at: OffsetDateTime,
    links: Links,
    verdicts: Verdicts,
    /// Candidates that need a chain whatever they issued.
    kept: Vec<usize>,
    chains_of_kept: Vec<(Chain, Option<Ended>)>,
    /// Candidates that came with a certificate, by the certificate's number.
    beside: BTreeMap<usize, Vec<usize>>,
    /// Candidates that are trusted by a chain that was found.
    proved: Vec<usize>,
}

impl<'a> Search<'a> {
    /// A search among these candidates, at this time.
    #[must_use]
    pub fn new(candidates: Candidates, trust: &'a Trust, at: OffsetDateTime) -> Self {
        let given = candidates.len();
        Self {
            candidates,
            given,
            trust,
            at,
            links: Links::default(),
            verdicts: Verdicts::default(),
            kept: Vec::new(),
            chains_of_kept: Vec::new(),
            beside: BTreeMap::new(),
            proved: Vec::new(),
        }
    }

    /// Has the search find chains of these candidates, too, whatever they issued.
    pub fn keep(&mut self, places: Vec<usize>) {
        self.kept = places;
    }

    /// Adds certificates that came with an EK certificate, by its number in [`Self::run`]. Whoever made that brought them,
    /// so they count for it alone, like those that its links lead to.
    pub fn add_beside(&mut self, number: usize, chain: &CertificateChain, source: &str) {
        let places: Vec<usize> =
            chain.certificates().iter().filter_map(|der| self.candidates.add(der, source)).collect();
        self.beside.insert(number, places);
    }

    /// Whether a candidate came with a certificate alone.
    #[must_use]
    pub fn came_beside(&self, place: usize) -> bool {
        place >= self.given && self.beside.values().any(|places| places.contains(&place))
    }

    /// Their chains, once the search has run, and what ended the search for more of them.
    pub fn kept(&self) -> impl Iterator<Item = (usize, &Chain, Option<Ended>)> {
        let chains = self.chains_of_kept.iter();
        self.kept.iter().zip(chains).map(|(place, (chain, ended))| (*place, chain, *ended))
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

    /// Looks for the issuer of each certificate; what it finds is in the same order. Without a way to follow links, none
    /// is followed.
    pub fn run(&mut self, certificates: &[EkCertificate], following: Option<&Following<'_>>) -> Vec<Found> {
        let of_certificates = certificates.iter().map(|certificate| Seeker::of(certificate, self.at));
        let of_kept = self.kept.iter().map(|place| Seeker::of_candidate(*place));
        let mut seekers: Vec<Seeker<'_>> = of_certificates.chain(of_kept).collect();
        for (number, places) in &self.beside {
            seekers[*number].bring(places, self.given);
        }
        let all: Vec<usize> = (0..seekers.len()).collect();
        match following {
            Some(following) => pursuit::pursue(self, &mut seekers, following),
            None => self.look(&mut seekers, &all),
        }
        // What is proved by now may help the others: nobody's trick is in it.
        self.prove(&mut seekers);
        let unsettled: Vec<usize> = all.into_iter().filter(|number| !seekers[*number].is_settled).collect();
        for number in &unsettled {
            seekers[*number].refresh(&self.proved);
        }
        self.look(&mut seekers, &unsettled);
        let of_kept = seekers.split_off(certificates.len());
        self.chains_of_kept = self
            .kept
            .clone()
            .into_iter()
            .zip(of_kept)
            .map(|(place, mut seeker)| (self.chain(&mut seeker, place), seeker.ended))
            .collect();
        seekers.into_iter().map(|seeker| self.found(seeker)).collect()
    }

    /// Holds these certificates against the candidates that are new to them, and settles those whose issuer is trusted.
    fn look(&mut self, seekers: &mut [Seeker<'_>], numbers: &[usize]) {
        let (candidates, trust, given, at) = (&self.candidates, self.trust, self.given, self.at);
        let sightings = {
            let looking: Vec<&Seeker<'_>> = numbers.iter().map(|number| &seekers[*number]).collect();
            parallel::map(&looking, |seeker| seeker.look(candidates, trust, given, at))
        };
        for (number, sighting) in numbers.iter().zip(sightings) {
            let seeker = &mut seekers[*number];
            seeker.see(sighting);
            seeker.is_settled = seeker.is_settled || self.settles(seeker);
        }
    }

    /// Whether no link is needed any more: a trusted issuer was found, or none of its issuers can ever count.
    fn settles(&mut self, seeker: &mut Seeker<'_>) -> bool {
        let issuers: Vec<Issuer> =
            seeker.issuers.iter().copied().filter(|issuer| issuer.is_accepted).collect();
        issuers
            .into_iter()
            .any(|issuer| matches!(self.chain(seeker, issuer.place).broken, None | Some(Broken::Unfit(_))))
    }

    fn chain(&mut self, seeker: &mut Seeker<'_>, issuer: usize) -> Chain {
        let view = View { given: self.given, own: &seeker.own, proved: &self.proved };
        let (candidates, trust, at) = (&self.candidates, self.trust, self.at);
        let (verdicts, signatures) = (&mut self.verdicts, &mut seeker.signatures);
        let chain = Climber { candidates, trust, at, view, verdicts, signatures }.chain(issuer);
        if seeker.signatures == 0 {
            seeker.end(Ended::Signatures);
        }
        chain
    }

    /// Notes what is trusted.
    fn prove(&mut self, seekers: &mut [Seeker<'_>]) {
        let mut proved: Vec<usize> = Vec::new();
        for seeker in seekers.iter_mut().filter(|seeker| seeker.is_settled) {
            let own: Vec<usize> = seeker.issuers.iter().map(|issuer| issuer.place).collect();
            for place in own.into_iter().filter(|place| !proved.contains(place)).collect::<Vec<_>>() {
                let chain = self.chain(seeker, place);
                if chain.broken.is_none() {
                    proved.extend(chain.places);
                    proved.sort_unstable();
                    proved.dedup();
                }
            }
        }
        self.proved = proved;
    }

    fn found(&mut self, mut seeker: Seeker<'_>) -> Found {
        // One that is trusted and that a cluster accepts before the others, then the one with the longest validity.
        let chains: Vec<(Issuer, Chain)> = seeker
            .issuers
            .clone()
            .into_iter()
            .map(|issuer| (issuer, self.chain(&mut seeker, issuer.place)))
            .collect();
        let best = chains.into_iter().max_by_key(|(issuer, chain)| {
            let candidate = self.candidates.get(issuer.place);
            let end = candidate.authority.validity.not_after;
            (chain.broken.is_none(), issuer.is_accepted, end, candidate.sha256().to_owned())
        });
        let links = seeker.links();
        let ended = seeker.ended;
        let finding = match (best, seeker.refused, seeker.unfit) {
            (Some((Issuer { place, is_accepted }, chain)), ..) => {
                Finding::Issued { issuer: place, chain, is_accepted }
            }
            (None, Some(why), _) => Finding::Refused(why),
            (None, None, Some((place, flaw))) => Finding::Unfit(place, flaw),
            (None, None, None) => Finding::NotFound(self.links.outcomes(links)),
        };
        Found { finding, ended }
    }
}
