//! Rules that go because the request says so.

use std::collections::{BTreeSet, HashSet};

use super::rules::{Union, given_hashes};
use super::{Error, Kind, Result, Wanted};
use crate::message::{first, shown};
use crate::ordered;
use crate::teleport::{Description, Identity, Rule};

/// Drops the rules that the request names, and those of hosts that it does not give where it prunes.
/// Returns warnings.
pub fn remove(union: &mut Union, wanted: &Wanted, prunes: bool) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut named: BTreeSet<usize> = BTreeSet::new();
    if !wanted.remove.is_empty() {
        let lookup = Lookup::of(union);
        let given = Given::of(wanted);
        for name in &wanted.remove {
            given.refuse(name)?;
            let found = lookup.find(name)?;
            if found.is_empty() {
                warnings.push(format!(
                    "no rule has the hash, serial number or description `{name}`, which `remove` names"
                ));
            }
            named.extend(found);
        }
    }
    union.drop_all(named);
    if prunes {
        warnings.extend(prune(union, wanted));
    }
    Ok(warnings)
}

/// Drops the rules of archived TPMs, by their hashes, but for those under names that were never known: they are another
/// inventory's, or somebody's own. Returns a warning about these.
pub fn drop_archived(union: &mut Union, wanted: &Wanted) -> Option<String> {
    if wanted.archived.is_empty() {
        return None;
    }
    let by_hash = union.by(|rule| &rule.ek_public_hash);
    let mut dropped: Vec<usize> = Vec::new();
    let mut left: Vec<String> = Vec::new();
    for tpm in &wanted.archived {
        for index in tpm.hash().and_then(|hash| by_hash.get(hash)).into_iter().flatten() {
            let rule = &union.entries[*index].rule;
            if wanted.untouched.covers(rule) {
                continue;
            }
            if wanted.owns(rule) {
                dropped.push(*index);
            } else {
                left.push(format!("`{}` (the TPM of {})", rule.label(), tpm.label()));
            }
        }
    }
    union.drop_all(dropped);
    left.sort();
    (!left.is_empty()).then(|| {
        format!(
            "the TPMs of these rules are archived, but the rules stay, since this registry does not know their names: {}. If \
             nobody else needs them, name them in `remove`",
            first(&left)
        )
    })
}

/// Drops the rules of all hashes that no given host has. Rules without a hash may be anybody's, and stay.
fn prune(union: &mut Union, wanted: &Wanted) -> Option<String> {
    let given = given_hashes(wanted);
    let by_hash = union.by(|rule| &rule.ek_public_hash);
    let others: Vec<usize> = by_hash
        .into_iter()
        .filter(|(hash, _)| !given.contains(hash))
        .flat_map(|(_, indexes)| indexes)
        .filter(|index| !wanted.untouched.covers(&union.entries[*index].rule))
        .collect();
    union.drop_all(others);
    let serials: HashSet<&str> = wanted.given().filter_map(Identity::serial).collect();
    let by_serial =
        union.by(|rule| if rule.ek_public_hash.is_empty() { &rule.ek_certificate_serial } else { "" });
    let left = by_serial.into_iter().filter(|(serial, _)| !serials.contains(serial));
    let left = ordered::set(left.flat_map(|(_, indexes)| indexes));
    let labels: Vec<&str> = left.iter().map(|index| union.entries[*index].rule.label()).collect();
    (!labels.is_empty()).then(|| {
        format!(
            "`prune` leaves rules without a hash, whose hosts it cannot tell; name them in `remove`: {}",
            shown(&labels)
        )
    })
}

/// Rules by what `remove` may name them.
struct Lookup<'a> {
    union: &'a Union,
    hashes: std::collections::HashMap<&'a str, Vec<usize>>,
    serials: std::collections::HashMap<&'a str, Vec<usize>>,
    descriptions: std::collections::HashMap<&'a str, Vec<usize>>,
}

impl<'a> Lookup<'a> {
    fn of(union: &'a Union) -> Self {
        Self {
            union,
            hashes: union.by(|rule| &rule.ek_public_hash),
            serials: union.by(|rule| &rule.ek_certificate_serial),
            descriptions: union.by(|rule| &rule.description),
        }
    }

    /// The rules of that name: all that share a hash, or the one with that description or serial number.
    /// It is a `conflict` where several rules could be meant.
    fn find(&self, name: &str) -> Result<Vec<usize>> {
        let folded = name.to_ascii_lowercase();
        let indexes = |found: Option<&Vec<usize>>| found.cloned().unwrap_or_default();
        let by_hash = indexes(self.hashes.get(folded.as_str()));
        let mut others = ordered::set(indexes(self.serials.get(folded.as_str())));
        others.extend(indexes(self.descriptions.get(name)));
        let is_clear = if by_hash.is_empty() {
            others.len() <= 1
        } else {
            others.iter().all(|index| by_hash.contains(index))
        };
        if is_clear {
            return Ok(if by_hash.is_empty() { others.into_iter().collect() } else { by_hash });
        }
        others.extend(by_hash);
        let rules = others.iter().map(|index| distinguished(&self.union.entries[*index].rule));
        let rules = rules.collect::<Vec<_>>();
        Err(Error::new(
            Kind::Conflict,
            format!("`remove` names `{name}`, which several rules have: {}", shown(&rules)),
        )
        .hint("name the hash, or what else only one rule has"))
    }
}

/// A rule by its hash, or else its serial number.
fn distinguished(rule: &Rule) -> &str {
    if rule.ek_public_hash.is_empty() { &rule.ek_certificate_serial } else { &rule.ek_public_hash }
}

/// What the given hosts are called by: to let them in and to remove them cannot both be meant.
struct Given<'a>(HashSet<&'a str>);

impl<'a> Given<'a> {
    fn of(wanted: &'a Wanted) -> Self {
        let names = |host: &'a Identity| {
            let hash = host.hash();
            let serial = host.serial();
            let texts = [host.name(), host.rule_text().map(Description::as_str)];
            [hash, serial].into_iter().chain(texts).flatten()
        };
        Self(wanted.given().flat_map(names).collect())
    }

    fn refuse(&self, name: &str) -> Result<()> {
        if !self.0.contains(name) && !self.0.contains(name.to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        Err(Error::invalid(format!("`remove` names `{name}`, which is given as a host too")).hint(
            "take it out of one of the two; a host's former TPM goes by its hash, or with `replace: true`",
        ))
    }
}
