//! `ekcert_ca`: the CAs that a token must allow for these hosts, found and proved.

mod certified;
mod parameters;
mod reasons;
mod refusal;
mod report;
mod sources;
mod warnings;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use time::OffsetDateTime;

use super::{Action, hosts};
use crate::ekcert::is_malformed_link;
use crate::ekcert::issuers::{Candidates, Contents, Following, Permit, Search, Trust};
use crate::error::Result;
use crate::net::{Client, Destinations, Host, Limits};
use crate::protocol::{Answer, Request};
use crate::teleport::Token;
use certified::Certified;
pub(super) use parameters::Asked;
use parameters::Parameters;
use refusal::Outcome;
use report::Report;
use sources::Given;

/// Bytes that a link may lead to.
const LARGEST_CERTIFICATE: usize = 64 * 1024;
const MOST_REDIRECTS: u32 = 3;
/// What a link may lead to (RFC 2585, section 4; RFC 8551, section 3.2).
const ACCEPTED: &str = "application/pkix-cert, application/pkcs7-mime, application/x-x509-ca-cert, */*;q=0.5";

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        parameters.checked()
    }

    fn run(self, request: &Request) -> Result<Answer> {
        find(request, self)
    }
}

fn find(request: &Request, asked: Asked) -> Result<Answer> {
    let Asked { given: mut parameters, hosts, current } = asked;
    let given = parameters.read_hosts(hosts, request)?;
    let problems: Vec<String> = given.unusable.iter().map(hosts::left_out).collect();
    let (mut candidates, trust, mut warnings) = candidates(&parameters)?;
    let allowed = allowed_now(&current, &mut candidates);

    let mut hosts = Certified::of(&given.identities);
    let now = OffsetDateTime::now_utc();
    let mut search = Search::new(candidates, &trust, now);
    let fetcher = if parameters.fetch { Some(Fetcher::new(&mut parameters)?) } else { None };
    let fetch = fetcher.as_ref().map(|fetcher| |url: &str, permit: &Permit<'_>| fetcher.get(url, permit));
    let following = fetcher.as_ref().zip(fetch.as_ref()).map(|(fetcher, fetch)| Following {
        fetch,
        deadline: fetcher.limits.deadline,
        share: parameters.time_a_certificate(),
    });
    let certificates = std::mem::take(&mut hosts.certificates);
    for (number, chain) in &hosts.chains {
        search.add_beside(*number, chain, &format!("the TPM of {}", hosts.names[*number]));
    }
    search.keep(allowed);
    let found = search.run(&certificates, following.as_ref());

    let mut report = Report::new(&search, &trust, parameters.fetch);
    for (number, (certificate, found)) in certificates.iter().zip(found).enumerate() {
        let has_chain = hosts.chains.contains_key(&number);
        report.add(&hosts.names[number], certificate, has_chain, found);
    }
    for (place, chain, ended) in search.kept() {
        report.keep(place, chain, ended);
    }
    for (host, why) in hosts.unusable {
        report.leave_out(host, None, why, false);
    }
    let outcome = Outcome {
        without_certificate: &hosts.without_certificate,
        has_hosts: !given.identities.is_empty(),
        problems: &problems,
        ..report.outcome()
    };
    outcome.check(parameters.skip_untrusted)?;
    warnings.extend(hosts.damaged_chains);
    warnings.extend(problems);
    warnings.extend(report.warnings(now));
    Ok(report
        .answer()?
        .result("without_certificate", hosts.without_certificate)
        .result("requests", fetcher.map_or(0, |fetcher| fetcher.requests.into_inner()))
        .warnings(warnings))
}

/// What issuers are looked for among, what of it is trusted, and warnings about what was left out.
fn candidates(parameters: &Parameters) -> Result<(Candidates, Trust, Vec<String>)> {
    let mut candidates = Candidates::default();
    let bundle = Given::read(&parameters.ca_bundle, "ca_bundle")?;
    let trusted = Given::read(&parameters.trusted_roots, "trusted_roots")?;
    let mut roots = HashSet::new();
    for (der, source) in &bundle.certificates {
        candidates.add(der, source);
    }
    for (der, source) in &trusted.certificates {
        roots.extend(candidates.add(der, source).map(|place| candidates.sha256(place).to_owned()));
    }
    let trust = Trust { roots, pinned: parameters.pinned() };
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

/// Follows links, within the limits of the request.
struct Fetcher {
    client: Client,
    limits: Limits,
    requests: AtomicUsize,
}

impl Fetcher {
    fn new(parameters: &mut Parameters) -> Result<Self> {
        let destinations = parameters.allowed_urls.take().map_or(Destinations::Public, Destinations::Hosts);
        let client = Client::new(destinations, parameters.ca_file.as_ref().map(AsRef::as_ref))?;
        let limits = Limits {
            request: parameters.time_a_request(),
            deadline: Instant::now() + parameters.time_in_all(),
            bytes: LARGEST_CERTIFICATE,
            redirects: MOST_REDIRECTS,
        };
        Ok(Self { client, limits, requests: AtomicUsize::new(0) })
    }

    fn get(&self, url: &str, permit: &Permit<'_>) -> std::result::Result<Vec<u8>, String> {
        if is_malformed_link(url) {
            return Err("it is malformed: download what it means, and give that in `ca_bundle`".to_owned());
        }
        let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        if !["http", "https"].contains(&scheme.as_str()) {
            return Err(
                "only http and https links are followed: download it, and give it in `ca_bundle`".to_owned()
            );
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let permit = |host: &Host| permit(&host.to_string());
        let response = self.client.get_where(url, Some(ACCEPTED), &self.limits, &permit);
        let response = response.map_err(|failure| failure.to_string())?;
        match response.status {
            200 => Ok(response.body),
            status => Err(format!("the answer has status {status}")),
        }
    }
}
