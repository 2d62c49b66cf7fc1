//! What `ekcert_ca` answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::refusal::{Cause, Outcome, Unresolved};
use super::warnings::with_end;
use crate::ekcert::issuers::{Broken, Candidate, Chain, Ended, Finding, Found, Link, Search, Trust};
use crate::ekcert::{EkCertificate, Flaw, is_malformed_link};
use crate::error::Result;

/// Issuers, links and the like that a message names.
pub(super) const SHOWN: usize = 5;

/// What was found, put together by issuer.
pub(super) struct Report<'a> {
    pub(super) search: &'a Search<'a>,
    trusts_anything: bool,
    pub(super) may_fetch: bool,
    /// By their places among the candidates.
    pub(super) issuers: BTreeMap<usize, Issuer>,
    pub(super) unresolved: Unresolved,
    /// CAs that a token allows now and that are not trusted.
    pub(super) dropped: Vec<String>,
    /// Hosts whose search was ended before everything was tried.
    pub(super) ended: Vec<(Ended, String)>,
}

pub(super) struct Issuer {
    chain: Chain,
    pub(super) hosts: Vec<String>,
    /// Whether it is trusted, and a cluster lets a host in because of it.
    pub(super) is_of_use: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(search: &'a Search<'a>, trust: &Trust, may_fetch: bool) -> Self {
        let trusts_anything = !trust.roots.is_empty() || !trust.pinned.is_empty();
        let (issuers, unresolved, ended) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { search, trusts_anything, may_fetch, issuers, unresolved, dropped: Vec::new(), ended }
    }

    /// Takes up what was found for a host.
    pub(super) fn add(&mut self, host: &str, certificate: &EkCertificate, has_chain: bool, found: Found) {
        let mut cause = cause(&found.finding);
        let why = match found.finding {
            Finding::Issued { issuer: place, chain, is_accepted } => {
                match self.add_issued(host, place, chain, is_accepted) {
                    Some(why) => why,
                    None => return,
                }
            }
            Finding::Unfit(place, flaw) => {
                format!("issued by {}, whose certificate {flaw}", self.identified(place))
            }
            Finding::Refused(why) => why.to_string(),
            Finding::NotFound(links) => {
                let is_dead = |(link, outcome): &(String, Link)| {
                    matches!(outcome, Link::Dead(_)) && !is_malformed_link(link)
                };
                if !links.is_empty() && links.iter().all(is_dead) {
                    cause = Cause::Unanswered;
                }
                self.not_found(certificate, has_chain, &links)
            }
        };
        self.ended.extend(found.ended.map(|ended| (ended, host.to_owned())));
        let why = with_end(why, found.ended);
        self.leave_out(host.to_owned(), certificate.issuer(), why, cause);
    }

    /// Takes up the issuer of a host's certificate, and says why it is of no use to the host where that is so.
    fn add_issued(&mut self, host: &str, place: usize, chain: Chain, is_accepted: bool) -> Option<String> {
        let why = match (&chain.broken, is_accepted) {
            (Some(_), _) => Some(format!("issued by {}", self.untrusted(place, &chain))),
            (None, false) => Some(self.in_other_bytes(place)),
            (None, true) => None,
        };
        let known = self.issuers.entry(place).or_insert_with(|| Issuer {
            chain: chain.clone(),
            hosts: Vec::new(),
            is_of_use: false,
        });
        // A search that stopped early may have missed what another one found.
        if known.chain.broken.is_some() {
            known.chain = chain;
        }
        known.hosts.push(host.to_owned());
        known.is_of_use |= why.is_none();
        why
    }

    /// Takes up a CA that a token allows now. It stays where it is trusted: hosts that are not given may need it.
    pub(super) fn keep(&mut self, place: usize, chain: &Chain, ended: Option<Ended>) {
        if let Some(found) = self.issuers.get_mut(&place) {
            found.is_of_use |= found.chain.broken.is_none();
        } else if chain.broken.is_none() {
            self.issuers.insert(place, Issuer { chain: chain.clone(), hosts: Vec::new(), is_of_use: true });
        } else {
            self.dropped.push(with_end(self.untrusted(place, chain), ended));
        }
    }

    /// Takes up a host for which there is no issuer to allow.
    pub(super) fn leave_out(&mut self, host: String, issuer: Option<String>, why: String, cause: Cause) {
        let left_out = self.unresolved.entry((issuer, why)).or_default();
        left_out.hosts.push(host);
        left_out.cause = cause;
    }

    /// What came of the hosts with a certificate.
    pub(super) fn outcome(&self) -> Outcome<'_> {
        Outcome {
            unresolved: &self.unresolved,
            without_certificate: &[],
            has_hosts: !self.unresolved.is_empty() || !self.issuers.is_empty(),
            problems: &[],
            has_untrusted: self.issuers.values().any(|issuer| issuer.chain.broken.is_some()),
            allowed: self.allowed().count(),
            trusts_any: self.trusts_anything,
        }
    }

    /// The CAs to allow, the issuers with their chains, and the hosts without one.
    pub(super) fn results(self) -> Result<(Vec<String>, Vec<Value>, Unresolved)> {
        let allowed = self.allowed().map(|(issuer, _)| issuer.to_pem()).collect::<Result<_>>()?;
        let issuers = self.sorted().map(|(issuer, found)| self.describe(issuer, found)).collect();
        Ok((allowed, issuers, self.unresolved))
    }

    fn describe(&self, issuer: &Candidate, found: &Issuer) -> Value {
        let chain: Vec<Value> = found
            .chain
            .places
            .iter()
            .map(|place| self.search.candidate(*place))
            .map(|it| json!({ "subject": it.subject(), "sha256": it.sha256(), "source": it.source }))
            .collect();
        json!({
            "subject": issuer.subject(), "sha256": issuer.sha256(), "source": issuer.source,
            "not_after": issuer.not_after(), "trusted": found.chain.broken.is_none(), "chain": chain,
            "hosts": found.hosts,
        })
    }

    pub(super) fn allowed(&self) -> impl Iterator<Item = (&Candidate, &Issuer)> {
        self.sorted().filter(|(_, found)| found.is_of_use)
    }

    /// The issuers in an order that depends on nothing but them, so that a second run makes the same token.
    fn sorted(&self) -> impl Iterator<Item = (&Candidate, &Issuer)> {
        let mut sorted: Vec<(&Candidate, &Issuer)> =
            self.issuers.iter().map(|(place, found)| (self.search.candidate(*place), found)).collect();
        sorted.sort_by_key(|(issuer, _)| (issuer.subject(), issuer.sha256().to_owned()));
        sorted.into_iter()
    }
}

/// What a finding that leaves a host out is about, before its links are looked at.
fn cause(finding: &Finding) -> Cause {
    match finding {
        Finding::Unfit(_, flaw)
        | Finding::Issued { chain: Chain { broken: Some(Broken::Parent(_, flaw)), .. }, .. }
            if matches!(flaw, Flaw::UnsupportedKey(_)) =>
        {
            Cause::Unsupported
        }
        _ => Cause::Untrusted,
    }
}
