//! The rules of all of a fleet's tokens, and the hosts among them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Current, Match, Outcome, Place, Wanted};
use crate::ekcert::Serial;
use crate::error::{Error, Kind, Result};
use crate::message::{first, shown};
use crate::ordered;
use crate::teleport::{Identity, Rule};

/// Every rule once, whatever tokens it is in.
pub struct Union {
    pub entries: Vec<Entry>,
}

/// A rule and its history.
pub struct Entry {
    pub rule: Rule,
    /// The tokens that have it.
    pub places: Vec<Place>,
    /// Those of them that have it to the letter, where it lets its TPM in already.
    pub matching: Vec<Place>,
    pub fate: Fate,
}

/// What becomes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Updated,
    Added,
    Removed,
}

impl Union {
    /// The rules as the cluster would have to have them for them to match; of exact duplicates one stays.
    pub fn of(current: &Current<'_>) -> Self {
        let mut found: Vec<(Rule, Place, bool)> = Vec::new();
        for (place, token) in current {
            found.extend(token.rules().iter().map(|rule| {
                let mut rule = rule.clone();
                let is_folded = rule.fold_case();
                (rule, *place, is_folded)
            }));
        }
        found.sort();
        let mut entries: Vec<Entry> = Vec::with_capacity(found.len());
        for (rule, place, is_folded) in found {
            if entries.last().is_none_or(|last| last.rule != rule) {
                entries.push(Entry { rule, places: Vec::new(), matching: Vec::new(), fate: Fate::Kept });
            }
            let Some(entry) = entries.last_mut() else { continue };
            if entry.places.last() != Some(&place) {
                entry.places.push(place);
            }
            if is_folded {
                entry.fate = Fate::Updated;
            } else if entry.matching.last() != Some(&place) {
                entry.matching.push(place);
            }
        }
        Self { entries }
    }

    /// The rules that stay, by one of their parts; empty parts are left out.
    pub fn by<'a>(&'a self, part: impl Fn(&'a Rule) -> &'a str) -> HashMap<&'a str, Vec<usize>> {
        let mut indexes: HashMap<&str, Vec<usize>> = HashMap::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let key = part(&entry.rule);
            if entry.fate != Fate::Removed && !key.is_empty() {
                indexes.entry(key).or_default().push(index);
            }
        }
        indexes
    }

    pub fn drop_all(&mut self, indexes: impl IntoIterator<Item = usize>) {
        for index in indexes {
            self.entries[index].fate = Fate::Removed;
        }
    }

    /// Warnings about rules that are no good to anyone, or that say more than is understood.
    pub fn oddities(&self) -> Vec<String> {
        let rules = || self.entries.iter().map(|entry| &entry.rule);
        let mut warnings = Vec::new();
        let dead: Vec<&str> = rules().filter(|rule| rule.can_never_match()).map(Rule::label).collect();
        if !dead.is_empty() {
            warnings.push(format!(
                "rules that can never match, since their hash or serial number is written wrongly: {}",
                shown(&dead)
            ));
        }
        let unknown: Vec<&str> = rules().filter(|rule| rule.has_unknown_fields()).map(Rule::label).collect();
        if !unknown.is_empty() {
            warnings.push(format!(
                "rules with fields that this version does not know, and leaves as they are: {}",
                shown(&unknown)
            ));
        }
        warnings
    }

    pub fn outcome(&self, wanted: &Wanted) -> Outcome {
        let by_hash: HashMap<&str, &Identity> =
            wanted.given().filter_map(|host| Some((host.hash()?, host))).collect();
        let label = |rule: &Rule| {
            let host = by_hash.get(rule.ek_public_hash.as_str());
            let own =
                host.filter(|host| host.rule_text().is_some_and(|text| text.as_str() == rule.description));
            own.and_then(|host| host.name()).unwrap_or_else(|| rule.label()).to_owned()
        };
        let labels = |fate| {
            let entries = self.entries.iter().filter(|entry| entry.fate == fate);
            let mut labels: Vec<String> = entries.map(|entry| label(&entry.rule)).collect();
            labels.sort();
            labels
        };
        Outcome {
            added: labels(Fate::Added),
            updated: labels(Fate::Updated),
            removed: labels(Fate::Removed),
            kept: labels(Fate::Kept),
            superseded: Vec::new(),
        }
    }
}

/// A rule whose host is given with another TPM, and that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    pub label: String,
    ek_public_hash: String,
}

impl Superseded {
    pub fn warning(&self) -> String {
        format!(
            "`{}` has another TPM than the rule of that name, which stays ({}): once the former TPM is out of use, \
             drop it with `replace: true`",
            self.label, self.ek_public_hash
        )
    }
}

/// Finds the rules of given hosts' former TPMs: those with a host's description and a hash that no given
/// host has. They go where that is wanted; the others come back.
///
/// Descriptions need not be unique, so to replace two TPMs under one is a `conflict`.
pub fn replace(union: &mut Union, wanted: &Wanted, replaces: bool) -> Result<Vec<Superseded>> {
    let given = given_hashes(wanted);
    let by_description = union.by(|rule| &rule.description);
    let mut old: BTreeSet<usize> = BTreeSet::new();
    for host in wanted.hosts.iter().filter(|host| host.ek_public_hash.is_some()) {
        let Some(description) = &host.description else { continue };
        let same = by_description.get(description.as_str()).into_iter().flatten();
        let former: Vec<usize> = same
            .copied()
            .filter(|index| {
                let rule = &union.entries[*index].rule;
                let hash = rule.ek_public_hash.as_str();
                !hash.is_empty() && !given.contains(hash) && !wanted.untouched.covers(rule)
            })
            .collect();
        let tpms =
            ordered::set(former.iter().map(|index| union.entries[*index].rule.ek_public_hash.as_str()));
        if replaces && tpms.len() > 1 {
            let hashes = tpms.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::new(
                Kind::Conflict,
                format!("`{description}` would replace rules of several TPMs: {hashes}"),
            )
            .hint("if they all are out of use, give their hashes as `remove`"));
        }
        old.extend(former);
    }
    if replaces {
        union.drop_all(old);
        return Ok(Vec::new());
    }
    let superseded = |index: usize| {
        let rule = &union.entries[index].rule;
        Superseded { label: rule.label().to_owned(), ek_public_hash: rule.ek_public_hash.clone() }
    };
    Ok(old.into_iter().map(superseded).collect())
}

/// Adds a rule for each host that has none, and brings the one that it has up to date. Where a host has
/// several, these are alternatives, which stay as they are; and so does one under a name that was never known, but where
/// all other rules go. Returns a warning about the latter.
pub fn add_hosts(union: &mut Union, wanted: &Wanted, prunes: bool) -> Result<Option<String>> {
    let by_hash = union.by(|rule| &rule.ek_public_hash);
    let by_serial =
        union.by(|rule| if rule.ek_public_hash.is_empty() { &rule.ek_certificate_serial } else { "" });
    let mut strangers: Vec<String> = Vec::new();
    let mut updates: Vec<(usize, Rule)> = Vec::new();
    let mut added: Vec<Rule> = Vec::new();
    for host in &wanted.hosts {
        let serial = serial_to_compare(host, wanted.compare)?;
        if host.ek_public_hash.is_none() && wanted.shards.count() > 1 {
            return Err(Error::invalid(format!(
                "{} has no `ek_public_hash`, by which `shards` spreads the hosts",
                host.label()
            ))
            .hint("give it a token of its own, without `shards`"));
        }
        let same = match &host.ek_public_hash {
            Some(hash) => by_hash.get(hash.as_str()),
            None => serial.and_then(|serial| by_serial.get(serial.as_str())),
        };
        let same = same.map_or(&[][..], Vec::as_slice);
        let is_strange = |index: &usize| !prunes && !wanted.owns(&union.entries[*index].rule);
        let is_stranger =
            host.ek_public_hash.is_some() && host.description.is_some() && same.iter().all(is_strange);
        if is_stranger && let Some(index) = same.first() {
            let label = union.entries[*index].rule.label();
            strangers.push(format!("{} has the TPM that the token lists as `{label}`", host.label()));
        }
        match same {
            [] => added.push(Rule::for_host(host, serial)),
            [_] if host.ek_public_hash.is_none() => {}
            [index] if !is_stranger => {
                let rule = &union.entries[*index].rule;
                let newer = rule.updated(&Rule::for_host(host, serial));
                if newer != *rule {
                    updates.push((*index, newer));
                }
            }
            alternatives => {
                updates.extend(renamed(union, alternatives, host));
                let is_there = |index: &usize| {
                    let rule = &union.entries[*index].rule;
                    let is_open = is_stranger && rule.ek_certificate_serial.is_empty();
                    is_open || serial.is_none_or(|serial| rule.ek_certificate_serial == serial.as_str())
                };
                if !alternatives.iter().any(is_there) {
                    added.push(Rule::for_host(host, serial));
                }
            }
        }
    }
    for (index, rule) in updates {
        union.entries[index].rule = rule;
        union.entries[index].fate = Fate::Updated;
    }
    let new = |rule| Entry { rule, places: Vec::new(), matching: Vec::new(), fate: Fate::Added };
    union.entries.extend(added.into_iter().map(new));
    Ok(strangers_warning(strangers))
}

/// The host's own rules among several of its TPM that have a former text of it, with the present one. Others' keep theirs.
fn renamed(union: &Union, alternatives: &[usize], host: &Identity) -> Vec<(usize, Rule)> {
    let Some(text) = host.rule_text() else { return Vec::new() };
    let is_former = |rule: &Rule| {
        let mut texts = host.description.iter().chain(&host.former_rule_descriptions);
        rule.description != text.as_str() && texts.any(|former| former.as_str() == rule.description)
    };
    let rules = alternatives.iter().map(|index| (*index, &union.entries[*index].rule));
    let renamed = |(index, rule): (usize, &Rule)| {
        let mut newer = rule.clone();
        text.as_str().clone_into(&mut newer.description);
        (index, newer)
    };
    rules.filter(|(_, rule)| is_former(rule)).map(renamed).collect()
}

/// That hosts have the TPMs of rules under names that were never known.
fn strangers_warning(mut strangers: Vec<String>) -> Option<String> {
    strangers.sort();
    (!strangers.is_empty()).then(|| {
        format!(
            "{}, which this registry does not know: such a rule lets the host in, and stays as it is. If nobody else needs it, \
             name it in `remove`: then it is written under the host's name",
            first(&strangers)
        )
    })
}

/// The serial number that the host's rule compares. A host without hash and serial number is an error.
fn serial_to_compare(host: &Identity, compare: Match) -> Result<Option<&Serial>> {
    let by_serial = compare == Match::HashAndSerial || host.ek_public_hash.is_none();
    let serial = host.ek_cert_serial.as_ref().filter(|_| by_serial);
    if host.ek_public_hash.is_none() && serial.is_none() {
        return Err(Error::invalid(format!(
            "{} has neither `ek_public_hash` nor `ek_cert_serial`, and a cluster refuses a rule without both",
            host.label()
        ))
        .hint("identify the host (action `identify`), or leave it out"));
    }
    Ok(serial)
}

/// The hashes of the given hosts, skipped ones included.
pub fn given_hashes(wanted: &Wanted) -> HashSet<&str> {
    wanted.given().filter_map(Identity::hash).collect()
}
