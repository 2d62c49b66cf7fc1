//! The join decision: whether a cluster lets a host in by a token, known before the cluster is asked.
//!
//! A token past its end lets nobody in. One with `ekcert_allowed_cas` lets in only TPMs whose EK certificate
//! one of these CAs issued directly ([`Authorities`]). Then some rule must have the TPM's hash, or none, and
//! its serial number, or none, compared to the letter.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use time::OffsetDateTime;

use super::{Identity, Name, Rule, Token};
use crate::ekcert::{Authorities, Authority, Serial};

/// A token's decision about any number of hosts.
#[derive(Debug)]
pub struct Decision<'a> {
    token: &'a Token,
    now: OffsetDateTime,
    authorities: Authorities,
    /// The rules by hash: the first, and others, which few TPMs have.
    by_hash: HashMap<&'a str, (&'a Rule, Vec<&'a Rule>)>,
    without_hash: Vec<&'a Rule>,
    /// Only for what to say to hosts that are refused.
    by_description: OnceLock<HashMap<&'a str, &'a Rule>>,
    /// The hashes of rules that have them in upper case, in lower case.
    in_upper_case: HashSet<String>,
}

impl<'a> Decision<'a> {
    /// The token's decision at this time.
    #[must_use]
    pub fn by(token: &'a Token, now: OffsetDateTime) -> Self {
        let mut by_hash: HashMap<&str, (&Rule, Vec<&Rule>)> = HashMap::with_capacity(token.rules().len());
        let mut without_hash = Vec::new();
        let mut in_upper_case = HashSet::new();
        for rule in token.rules() {
            if rule.ek_public_hash.bytes().any(|byte| byte.is_ascii_uppercase()) {
                in_upper_case.insert(rule.ek_public_hash.to_ascii_lowercase());
            }
            if rule.ek_public_hash.is_empty() {
                without_hash.push(rule);
                continue;
            }
            match by_hash.entry(&rule.ek_public_hash) {
                Entry::Vacant(entry) => _ = entry.insert((rule, Vec::new())),
                Entry::Occupied(entry) => entry.into_mut().1.push(rule),
            }
        }
        let cas = token.settings.ekcert_allowed_cas.iter().map(String::as_str);
        Self {
            token,
            now,
            authorities: Authorities::from_pem(cas),
            by_hash,
            without_hash,
            by_description: OnceLock::new(),
            in_upper_case,
        }
    }

    /// Warnings about CAs by which the cluster will let nobody in.
    #[must_use]
    pub fn ca_warnings(&self) -> Vec<String> {
        let warning = |ca: &Authority| {
            let flaw = ca.flaw(self.now)?;
            Some(format!("of no use in `ekcert_allowed_cas`: {} {flaw}", ca.subject_text()))
        };
        self.authorities.iter().filter_map(warning).collect()
    }

    /// The rule by which the cluster lets the host in, or why it refuses it and what to do about that.
    ///
    /// A host of which too little is known to tell is refused.
    pub fn on(&self, host: &Identity) -> Result<&'a Rule, String> {
        if let Some(expires) =
            self.token.settings.expires.as_ref().filter(|expires| expires.is_past(self.now))
        {
            return Err(format!("token `{}` ended on {expires}: give a later `expires`", self.token.name));
        }
        let serial = if self.checks_certificates() { self.check_certificate(host)? } else { serial(host)? };
        let hash = host.hash();
        let serial = serial.as_ref().map(Serial::as_str);
        let candidates = hash.into_iter().flat_map(|hash| self.candidates(hash)).chain(&self.without_hash);
        candidates
            .copied()
            .find(|rule| rule.lets_in(hash, serial))
            .ok_or_else(|| self.no_rule(host, hash, serial))
    }

    /// The token and rule by which the cluster lets the host in, where it could join by any of these tokens;
    /// else the reason of the one that has a rule for it.
    pub fn of_any(decisions: &[Self], host: &Identity) -> Result<(&'a Name, &'a Rule), String> {
        let mut reason = None;
        for decision in decisions {
            match decision.on(host) {
                Ok(rule) => return Ok((&decision.token.name, rule)),
                Err(why) if reason.is_none() || decision.knows(host) => reason = Some(why),
                Err(_) => {}
            }
        }
        Err(reason.unwrap_or_else(|| "there is no token".to_owned()))
    }

    /// Whether the token has a rule for the host's hash.
    fn knows(&self, host: &Identity) -> bool {
        host.hash().is_some_and(|hash| self.by_hash.contains_key(hash))
    }

    fn checks_certificates(&self) -> bool {
        !self.token.settings.ekcert_allowed_cas.is_empty()
    }

    fn by_description(&self) -> &HashMap<&'a str, &'a Rule> {
        let rules = || self.token.rules().iter().map(|rule| (rule.description.as_str(), rule)).collect();
        self.by_description.get_or_init(rules)
    }

    fn candidates(&self, hash: &str) -> impl Iterator<Item = &&'a Rule> {
        self.by_hash.get(hash).into_iter().flat_map(|(first, others)| std::iter::once(first).chain(others))
    }

    /// The serial number of the EK certificate, where one of the CAs issued that.
    fn check_certificate(&self, host: &Identity) -> Result<Option<Serial>, String> {
        if host.ek_cert_present == Some(false) {
            return Err(
                "the TPM has no EK certificate, and the token has `ekcert_allowed_cas`: give such hosts a token of \
                 their own, without CAs"
                    .to_owned(),
            );
        }
        let certificate = host.certificate()?.ok_or(
            "its EK certificate is not given (`ek_cert_pem`), which the token's `ekcert_allowed_cas` must have issued: \
             identify the host again",
        )?;
        self.authorities.verify(&certificate, self.now).map_err(|why| why.to_string())?;
        Ok(Some(certificate.serial))
    }

    /// Why no rule lets the host in.
    fn no_rule(&self, host: &Identity, hash: Option<&str>, serial: Option<&str>) -> String {
        let token = &self.token.name;
        if let Some(rule) = hash.and_then(|hash| self.candidates(hash).next()) {
            let theirs = serial.map_or("has none".to_owned(), |serial| format!("has {serial}"));
            return format!(
                "token `{token}` wants the serial number {} with its hash, and the host's EK certificate {theirs}: write \
                 the host's with `match: hash_and_serial`, or correct the rule",
                rule.ek_certificate_serial
            );
        }
        if hash.is_some_and(|hash| self.in_upper_case.contains(hash)) {
            return format!(
                "token `{token}` has its hash in upper case, which never matches: build the token anew, which corrects that"
            );
        }
        let description = host.rule_text();
        if let Some(rule) = description.and_then(|text| self.by_description().get(text.as_str()))
            && !rule.ek_public_hash.is_empty()
        {
            return format!(
                "token `{token}` has another hash under this name, {}: its TPM was replaced, or its identity is out of \
                 date; build the token anew with the host",
                rule.ek_public_hash
            );
        }
        format!("token `{token}` has no rule for its TPM: build the token anew with the host")
    }
}

/// The serial number that is given, or that the given certificate has.
fn serial(host: &Identity) -> Result<Option<Serial>, String> {
    match &host.ek_cert_serial {
        Some(serial) => Ok(Some(serial.clone())),
        None => Ok(host.certificate()?.map(|certificate| certificate.serial)),
    }
}
