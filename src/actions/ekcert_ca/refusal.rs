//! When `ekcert_ca` fails: where a host would be left out that nobody said may be, and where nothing is left to allow.
//!
//! A token without CAs lets TPMs in by their hashes alone, so an empty list is never the answer to a search.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::message::shown;

/// Reasons that a message names.
const SHOWN: usize = 5;

/// Hosts for which there is no CA to allow, for one reason.
#[derive(Default, Clone)]
pub(in crate::actions) struct LeftOut {
    pub hosts: Vec<String>,
    /// The error of a request in which every host has it.
    pub cause: Cause,
}

/// What the reason is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::actions) enum Cause {
    /// Trust.
    #[default]
    Untrusted,
    /// No link led to a certificate, and nothing else is wrong.
    Unanswered,
    /// A CA has a key whose signatures this version cannot verify.
    Unsupported,
}

/// Hosts that are left out, by their issuer's name and the reason.
pub(in crate::actions) type Unresolved = BTreeMap<(Option<String>, String), LeftOut>;

/// What a search came to.
pub(super) struct Outcome<'a> {
    pub unresolved: &'a Unresolved,
    pub without_certificate: &'a [String],
    /// Whether there are hosts of which something is known.
    pub has_hosts: bool,
    /// What is wrong with what says nothing of a host.
    pub problems: &'a [String],
    /// Whether issuers were found that are not trusted.
    pub has_untrusted: bool,
    /// How many CAs there are to allow.
    pub allowed: usize,
    pub trusts_any: bool,
}

impl Outcome<'_> {
    /// Fails where a host with an EK certificate has no CA that is trusted, unless such hosts are skipped; and in any case
    /// where there are hosts and no CA to allow.
    pub(super) fn check(&self, skip_untrusted: bool) -> Result<()> {
        if !skip_untrusted && !self.unresolved.is_empty() {
            return Err(self.error(NONE_FOUND, Some(OR_SKIP)));
        }
        let is_about_nobody = !self.has_hosts && self.problems.is_empty();
        if self.allowed > 0 || is_about_nobody {
            return Ok(());
        }
        Err(self.error(NOTHING_TO_ALLOW, None))
    }

    /// The reasons, each after its hosts as `names` writes them.
    fn lines(&self, names: fn(&[String]) -> String) -> Vec<String> {
        let mut lines: Vec<String> = self
            .unresolved
            .iter()
            .map(|((_, why), left_out)| format!("{}: {why}", names(&left_out.hosts)))
            .collect();
        if !self.without_certificate.is_empty() {
            lines.push(format!("{}: the TPM has no EK certificate", names(self.without_certificate)));
        }
        lines.extend(self.problems.iter().cloned());
        lines
    }

    /// What the reasons of all hosts are about, where that is the same.
    fn common_cause(&self) -> Option<Cause> {
        let mut causes = self.unresolved.values().map(|left_out| left_out.cause);
        let first = causes.next()?;
        causes.all(|cause| cause == first).then_some(first)
    }

    fn error(&self, what: &str, or: Option<&str>) -> Error {
        let mut lines = self.lines(shown);
        if or.is_some() {
            // The others stop nothing.
            lines.truncate(self.unresolved.len());
        }
        let mut message = what.to_owned();
        if !lines.is_empty() {
            let first = lines.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
            message = format!("{what}: {first}");
        }
        if lines.len() > SHOWN {
            message = format!("{message}; and {} more reasons, see `detail`", lines.len() - SHOWN);
        }
        let is_about_unresolved =
            or.is_some() || (self.without_certificate.is_empty() && self.problems.is_empty());
        let cause = self.common_cause().filter(|_| is_about_unresolved).unwrap_or_default();
        let (kind, what_to_do) = match cause {
            Cause::Untrusted => (Kind::UntrustedCa, None),
            Cause::Unanswered => (Kind::Network, Some(UNANSWERED)),
            Cause::Unsupported => (Kind::EkUnsupported, Some(UNSUPPORTED)),
        };
        let hints = [
            what_to_do,
            (self.has_untrusted && !self.trusts_any).then_some(TRUSTS_NOTHING),
            self.has_untrusted.then_some(HOW_TO_TRUST),
            or.or_else(|| (!self.without_certificate.is_empty()).then_some(OF_ITS_OWN)),
        ];
        let hint = hints.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let error = Error::new(kind, message).detail(self.lines(|hosts| hosts.join(", ")).join("\n"));
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

const UNSUPPORTED: &str = "give such hosts a token without `ekcert_allowed_cas`";
const NONE_FOUND: &str = "no trusted CA was found for an EK certificate";
const NOTHING_TO_ALLOW: &str =
    "no host has an EK certificate whose issuer is trusted, and a token without CAs checks no certificate";
const UNANSWERED: &str = "see why these servers do not answer, and run this again; or get the certificates of the issuers \
                          from the manufacturer, and give them in `ca_bundle`";
const HOW_TO_TRUST: &str = "compare the fingerprint with what the TPM's manufacturer publishes; if it is theirs, give their root in `trusted_roots`, \
     or the issuer's fingerprint in `trusted_sha256`; else leave these hosts out";
const TRUSTS_NOTHING: &str = "neither `trusted_roots` nor `trusted_sha256` is given";
const OF_ITS_OWN: &str = "hosts without an EK certificate need a token and a registry of their own";
const OR_SKIP: &str = "to leave such hosts out, set `skip_untrusted: true`";
