//! What `ekcert_ca` answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::ekcert::EkCertificate;
use crate::ekcert::issuers::{Candidate, Chain, Finding, Link, Search, Trust};
use crate::error::{Error, Kind, Result};
use crate::message::shown;
use crate::protocol::Answer;

/// Before a CA expires, its users are told.
const NOTICE: Duration = Duration::days(30);
/// Issuers, links and the like that a message names.
const SHOWN: usize = 5;

/// What was found, put together by issuer.
pub(super) struct Report<'a> {
    search: &'a Search<'a>,
    trusts_anything: bool,
    may_fetch: bool,
    /// By their places among the candidates.
    issuers: BTreeMap<usize, Issuer>,
    /// Hosts by issuer's name and reason.
    unresolved: BTreeMap<(Option<String>, String), Vec<String>>,
    /// CAs that a token allows now and that are not trusted.
    dropped: Vec<String>,
}

struct Issuer {
    chain: Chain,
    hosts: Vec<String>,
    /// Whether it is trusted, and a cluster lets a host in because of it.
    is_of_use: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(search: &'a Search<'a>, trust: &Trust, may_fetch: bool) -> Self {
        let trusts_anything = !trust.roots.is_empty() || !trust.pinned.is_empty();
        let (issuers, unresolved) = (BTreeMap::new(), BTreeMap::new());
        Self { search, trusts_anything, may_fetch, issuers, unresolved, dropped: Vec::new() }
    }

    /// Takes up what was found for a host.
    pub(super) fn add(&mut self, host: &str, certificate: &EkCertificate, finding: Finding) {
        match finding {
            Finding::Issued { issuer: place, chain, is_accepted } => {
                let why = match (&chain.broken, is_accepted) {
                    (Some(_), _) => Some(format!("issued by {}", self.untrusted(place, &chain))),
                    (None, false) => Some(self.in_other_bytes(place)),
                    (None, true) => None,
                };
                let found = self.issuers.entry(place).or_insert(Issuer {
                    chain,
                    hosts: Vec::new(),
                    is_of_use: false,
                });
                found.hosts.push(host.to_owned());
                found.is_of_use |= why.is_none();
                if let Some(why) = why {
                    self.leave_out(host.to_owned(), certificate.issuer(), why);
                }
            }
            Finding::Unfit(place, flaw) => {
                let why = format!("issued by {}, whose certificate {flaw}", self.identified(place));
                self.leave_out(host.to_owned(), certificate.issuer(), why);
            }
            Finding::Refused(why) => self.leave_out(host.to_owned(), certificate.issuer(), why.to_string()),
            Finding::NotFound(links) => {
                self.leave_out(host.to_owned(), certificate.issuer(), not_found(&links, self.may_fetch));
            }
        }
    }

    /// Takes up a CA that a token allows now. It stays where it is trusted: hosts that are not given may need it.
    pub(super) fn keep(&mut self, place: usize, chain: Chain) {
        if let Some(found) = self.issuers.get_mut(&place) {
            found.is_of_use |= found.chain.broken.is_none();
        } else if chain.broken.is_none() {
            self.issuers.insert(place, Issuer { chain, hosts: Vec::new(), is_of_use: true });
        } else {
            self.dropped.push(self.untrusted(place, &chain));
        }
    }

    /// Takes up a host for which there is no issuer to allow.
    pub(super) fn leave_out(&mut self, host: String, issuer: Option<String>, why: String) {
        self.unresolved.entry((issuer, why)).or_default().push(host);
    }

    /// Fails with `untrusted_ca` where an issuer is not trusted.
    pub(super) fn refuse_untrusted(&self) -> Result<()> {
        let untrusted: Vec<(&usize, &Issuer)> =
            self.issuers.iter().filter(|(_, issuer)| issuer.chain.broken.is_some()).collect();
        if untrusted.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = untrusted
            .iter()
            .map(|(place, issuer)| {
                let untrusted = self.untrusted(**place, &issuer.chain);
                format!("{}: issued by {untrusted}", shown(&issuer.hosts))
            })
            .collect();
        let mut message = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
        if lines.len() > SHOWN {
            message = format!("{message}; and {} more, see `detail`", lines.len() - SHOWN);
        }
        Err(Error::new(
            Kind::UntrustedCa,
            format!("the issuer of an EK certificate is not trusted: {message}"),
        )
        .detail(lines.join("\n"))
        .hint(self.how_to_trust()))
    }

    fn how_to_trust(&self) -> String {
        let nothing =
            if self.trusts_anything { "" } else { "neither `trusted_roots` nor `trusted_sha256` is given; " };
        format!(
            "{nothing}compare the fingerprint with what the TPM's manufacturer publishes; where it is theirs, give their \
             root in `trusted_roots`, or the issuer's fingerprint in `trusted_sha256`; where it is not, do not let these \
             hosts in"
        )
    }

    /// What was found of an issuer that is not trusted, and why it is not.
    fn untrusted(&self, place: usize, chain: &Chain) -> String {
        let issuer = self.search.candidate(place);
        let last = chain.places.last().map_or(issuer, |last| self.search.candidate(*last));
        let why = chain.broken.as_ref().map(ToString::to_string).unwrap_or_default();
        let subject = if chain.places.len() > 1 { identified(last) } else { "it".to_owned() };
        let dead: Vec<String> = self.search.dead_links_of(last).collect();
        let dead = if dead.is_empty() { String::new() } else { format!(" ({})", dead.join("; ")) };
        format!("{}, which is not trusted: {subject} {why}{dead}", identified(issuer))
    }

    fn in_other_bytes(&self, place: usize) -> String {
        format!(
            "issued by {}, which is trusted, but writes its name in other bytes than the EK certificate does (another string \
             type, or other letter case), and the cluster compares bytes: give this host a token without \
             `ekcert_allowed_cas`",
            self.identified(place)
        )
    }

    fn identified(&self, place: usize) -> String {
        identified(self.search.candidate(place))
    }

    /// What nobody has to act on now.
    pub(super) fn warnings(&self, now: OffsetDateTime) -> Vec<String> {
        let reasons: Vec<&String> = self.unresolved.keys().map(|(_, why)| why).collect();
        let is_told = |link: &str| reasons.iter().any(|reason| reason.contains(link));
        let dead: Vec<String> = self
            .search
            .links()
            .dead()
            .filter(|(link, _)| !is_told(link))
            .map(|(link, why)| format!("a link that was not needed leads nowhere: {link}: {why}"))
            .collect();
        let ending = self.allowed().filter(|(issuer, _)| issuer.ends_by(now + NOTICE)).map(|(issuer, _)| {
            format!(
                "the CA {} expires on {}, and no host with its EK certificates can join then: ask the manufacturer for its \
                 successor",
                issuer.subject(),
                issuer.not_after()
            )
        });
        let dropped = self.dropped.iter().map(|what| format!("no longer in `ekcert_allowed_cas`: {what}"));
        dropped.chain(dead.into_iter().take(SHOWN)).chain(ending).collect()
    }

    /// The results.
    pub(super) fn answer(&self) -> Result<Answer> {
        let allowed: Vec<String> =
            self.allowed().map(|(issuer, _)| issuer.to_pem()).collect::<Result<_>>()?;
        let issuers: Vec<Value> = self.sorted().map(|(issuer, found)| self.describe(issuer, found)).collect();
        let unresolved: Vec<Value> = self
            .unresolved
            .iter()
            .map(|((issuer, reason), hosts)| json!({ "hosts": hosts, "issuer": issuer, "reason": reason }))
            .collect();
        Ok(Answer::new(false)
            .result("ekcert_allowed_cas", allowed)
            .result("issuers", issuers)
            .result("unresolved", unresolved))
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

    fn allowed(&self) -> impl Iterator<Item = (&Candidate, &Issuer)> {
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

/// A certificate's name and fingerprint, and where it came from.
fn identified(certificate: &Candidate) -> String {
    format!("{} (SHA-256 {}, from {})", certificate.subject(), certificate.sha256(), certificate.source)
}

/// Why there is no certificate of an issuer.
fn not_found(links: &[(String, Link)], may_fetch: bool) -> String {
    if links.is_empty() {
        return "the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it: get it from \
                the manufacturer, and give it there"
            .to_owned();
    }
    if !may_fetch {
        let links: Vec<&str> = links.iter().map(|(link, _)| link.as_str()).collect();
        return format!(
            "the certificate of its issuer is not in `ca_bundle`, and links are not followed (`fetch`): {}",
            links.join("; ")
        );
    }
    let outcomes: Vec<String> =
        links.iter().map(|(link, outcome)| format!("{link}: {}", words(outcome))).collect();
    format!(
        "the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: {}",
        outcomes.join("; ")
    )
}

fn words(outcome: &Link) -> String {
    match outcome {
        Link::Untried => "it was not followed".to_owned(),
        Link::Leads(names) => format!("it leads to {}, which did not issue it", names.join(" and ")),
        Link::Dead(why) => why.clone(),
    }
}
