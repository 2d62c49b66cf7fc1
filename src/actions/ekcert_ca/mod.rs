//! `ekcert_ca`: the CAs that a token must allow for these hosts, found and proved.

mod certified;
mod fetcher;
mod parameters;
mod reasons;
mod refusal;
mod report;
mod sources;
mod warnings;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Action, hosts};
use crate::ekcert::issuers::{Candidates, Contents, Following, Permit, Search, Trust};
use crate::error::Result;
use crate::protocol::{Answer, Request};
use crate::teleport::{Identity, Token};
use certified::Certified;
use fetcher::Fetcher;
use parameters::Parameters;
pub(super) use parameters::{Asked, Terms};
use refusal::{Cause, Outcome, Unresolved};
use report::Report;
use sources::Given;
pub(super) use sources::Source;

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        parameters.checked()
    }

    fn run(self, request: &Request) -> Result<Answer> {
        find(request, self)
    }
}

fn find(request: &Request, mut asked: Asked) -> Result<Answer> {
    let given = asked.read_hosts(request)?;
    let Asked { terms, current, .. } = asked;
    let problems = given.unusable.iter().map(hosts::left_out).collect();
    Ok(search(terms, &given.identities, problems, &current)?.answer())
}

/// Looks for the CAs that a token has to allow for these hosts, beside those of the tokens that there are. `problems` tell what is
/// wrong with what says nothing of a host.
pub(super) fn search(
    mut terms: Terms,
    identities: &[Identity],
    problems: Vec<String>,
    current: &[Token],
) -> Result<Found> {
    let (mut candidates, trust, mut warnings) = candidates(&terms)?;
    let allowed = allowed_now(current, &mut candidates);
    let mut hosts = Certified::of(identities);
    let now = OffsetDateTime::now_utc();
    let mut search = Search::new(candidates, &trust, now);
    let fetcher = if terms.fetch { Some(Fetcher::new(&mut terms)?) } else { None };
    let fetch = fetcher.as_ref().map(|fetcher| |url: &str, permit: &Permit<'_>| fetcher.get(url, permit));
    let following = fetcher.as_ref().zip(fetch.as_ref()).map(|(fetcher, fetch)| Following {
        fetch,
        deadline: fetcher.limits.deadline,
        share: terms.time_a_certificate(),
    });
    let certificates = std::mem::take(&mut hosts.certificates);
    for (number, chain) in &hosts.chains {
        search.add_beside(*number, chain, &format!("the TPM of {}", hosts.names[*number]));
    }
    search.keep(allowed);
    let found = search.run(&certificates, following.as_ref());

    let mut report = Report::new(&search, &trust, terms.fetch);
    for (number, (certificate, found)) in certificates.iter().zip(found).enumerate() {
        let has_chain = hosts.chains.contains_key(&number);
        report.add(&hosts.names[number], certificate, has_chain, found);
    }
    for (place, chain, ended) in search.kept() {
        report.keep(place, chain, ended);
    }
    for (host, why) in hosts.unusable {
        report.leave_out(host, None, why, Cause::Untrusted);
    }
    let outcome = Outcome {
        without_certificate: &hosts.without_certificate,
        has_hosts: !identities.is_empty(),
        problems: &problems,
        ..report.outcome()
    };
    outcome.check(terms.skip_untrusted)?;
    warnings.extend(hosts.damaged_chains);
    warnings.extend(problems);
    warnings.extend(report.warnings(now));
    let requests = fetcher.as_ref().map_or(0, |fetcher| fetcher.requests.load(Ordering::Relaxed));
    let (allowed, issuers, unresolved) = report.results()?;
    let without_certificate = hosts.without_certificate;
    Ok(Found { allowed, issuers, unresolved, without_certificate, requests, warnings })
}

/// What came of a search.
#[derive(Clone, Default)]
pub(super) struct Found {
    /// The CAs to allow, in PEM.
    pub allowed: Vec<String>,
    issuers: Vec<Value>,
    /// Hosts for which there is none.
    pub unresolved: Unresolved,
    /// Hosts whose TPM has no EK certificate.
    pub without_certificate: Vec<String>,
    requests: usize,
    pub warnings: Vec<String>,
}

impl Found {
    /// Why there is no CA for a host, by its name.
    pub(super) fn reasons(&self) -> HashMap<&str, &str> {
        let mut reasons = HashMap::new();
        for ((_, why), left_out) in &self.unresolved {
            reasons.extend(left_out.hosts.iter().map(|host| (host.as_str(), why.as_str())));
        }
        reasons
    }

    fn answer(self) -> Answer {
        let unresolved: Vec<Value> = self
            .unresolved
            .into_iter()
            .map(|((issuer, reason), left_out)| {
                json!({ "hosts": left_out.hosts, "issuer": issuer, "reason": reason })
            })
            .collect();
        Answer::new(false)
            .result("ekcert_allowed_cas", self.allowed)
            .result("issuers", self.issuers)
            .result("unresolved", unresolved)
            .result("without_certificate", self.without_certificate)
            .result("requests", self.requests)
            .warnings(self.warnings)
    }
}

/// What issuers are looked for among, what of it is trusted, and warnings about what was left out.
fn candidates(terms: &Terms) -> Result<(Candidates, Trust, Vec<String>)> {
    let mut candidates = Candidates::default();
    let bundle = Given::read(&terms.ca_bundle, "ca_bundle")?;
    let trusted = Given::read(&terms.trusted_roots, "trusted_roots")?;
    let mut roots = HashSet::new();
    for (der, source) in &bundle.certificates {
        candidates.add(der, source);
    }
    for (der, source) in &trusted.certificates {
        roots.extend(candidates.add(der, source).map(|place| candidates.sha256(place).to_owned()));
    }
    let trust = Trust { roots, pinned: terms.pinned() };
    Ok((candidates, trust, [bundle.warnings, trusted.warnings].concat()))
}

/// Adds the CAs that tokens allow now to the candidates, and says where they are there. What is no certificate is of
/// no use to a token, and is told where the token is built.
fn allowed_now(tokens: &[Token], candidates: &mut Candidates) -> Vec<usize> {
    let mut places = Vec::new();
    for token in tokens {
        let source = format!("token `{}`", token.name);
        for text in &token.settings.ekcert_allowed_cas {
            let contents = Contents::of(text.as_bytes());
            places.extend(contents.certificates.iter().filter_map(|der| candidates.add(der, &source)));
        }
    }
    places
}
