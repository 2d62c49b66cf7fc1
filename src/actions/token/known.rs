//! Who is to be let in, and who no longer: from the hosts that are given, the registry and its archive.

use std::collections::HashSet;

use super::output::Output;
use super::parameters::Asked;
use crate::actions::hosts;
use crate::error::{Error, Kind, Result};
use crate::protocol::Request;
use crate::teleport::registry::Archive;
use crate::teleport::{self, Identity, Registry, Token};

/// What the request and the registry tell.
#[derive(Default)]
pub(super) struct Known {
    /// The hosts that are to be let in.
    pub hosts: Vec<Identity>,
    /// TPMs that are not to be let in any more, none of which a host has.
    pub archived: Vec<Identity>,
    pub warnings: Vec<String>,
}

impl Known {
    /// Registry files that say nothing usable are errors where the token would lose the host by that, or where
    /// there are no others, and warnings where its rule stays. Those of the archive are warnings: no rule goes
    /// because of them.
    pub(super) fn of(request: &Request, asked: &mut Asked, output: &Output<'_>) -> Result<Self> {
        let Some(hosts) = asked.hosts.take() else { return Ok(Self::default()) };
        let directory = hosts.registry().cloned();
        let mut registry = hosts.read(request)?;
        let archive = match &directory {
            Some(directory) => Archive::read(directory.as_ref())?,
            None => Archive::default(),
        };
        let parameters = &asked.given;
        let only: HashSet<&str> = parameters.only.iter().flatten().map(String::as_str).collect();
        let is_asked = |name: Option<&str>| only.is_empty() || name.is_some_and(|name| only.contains(name));
        if !only.is_empty() && !registry.unusable.iter().any(|name| is_asked(Some(name))) {
            registry.problems.clear();
        }
        let named = take_named(&mut registry, &parameters.archived);
        // Among all of them, so that no TPM goes that another host has.
        let mut archived = out_of_use(&mut registry, named, archive.tpms);
        let (mut hosts, mut warnings) = usable(registry, parameters.prune, output)?;
        hosts.retain(|host| is_asked(host.name()));
        archived.retain(|tpm| is_asked(tpm.name()));
        let of_archive = |problem| format!("the archive: {}", hosts::warning(problem));
        warnings.extend(archive.problems.iter().map(of_archive));
        Ok(Self { hosts, archived, warnings })
    }

    /// Whether `prune` would take others' rules away, and not only those of archived TPMs.
    pub(super) fn would_prune_all(&self, current: &[Token]) -> bool {
        let archived: HashSet<&str> = self.archived.iter().filter_map(Identity::hash).collect();
        let is_others = |hash: &str| !hash.is_empty() && !archived.contains(&*hash.to_ascii_lowercase());
        let mut rules = current.iter().flat_map(Token::rules);
        self.hosts.is_empty() && (archived.is_empty() || rules.any(|rule| is_others(&rule.ek_public_hash)))
    }
}

/// Takes the entries of these hosts out of the registry.
fn take_named(registry: &mut Registry, names: &[String]) -> Vec<Identity> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let is_named = |entry: &mut Identity| entry.name().is_some_and(|name| names.contains(name));
    registry.identities.extract_if(.., is_named).collect()
}

/// The TPMs of former entries, each once, but for those that a host has, or may have: nobody knows which TPM a
/// host has whose file is malformed.
fn out_of_use(registry: &mut Registry, named: Vec<Identity>, archive: Vec<Identity>) -> Vec<Identity> {
    let overridden = std::mem::take(&mut registry.overridden);
    let unusable: HashSet<&str> = registry.unusable.iter().map(String::as_str).collect();
    let mut known: HashSet<String> =
        registry.identities.iter().filter_map(Identity::hash).map(str::to_owned).collect();
    let mut former: Vec<Identity> = named.into_iter().chain(overridden).chain(archive).collect();
    former.retain(|tpm| {
        let may_be_in_use = tpm.name().is_some_and(|name| unusable.contains(name));
        !may_be_in_use && tpm.hash().is_some_and(|hash| known.insert(hash.to_owned()))
    });
    former
}

/// The hosts without those that share a TPM, and warnings about what is left out.
fn usable(registry: Registry, prune: bool, output: &Output<'_>) -> Result<(Vec<Identity>, Vec<String>)> {
    let Registry { mut identities, mut problems, .. } = registry;
    let shared = teleport::sharing_a_tpm(&identities);
    problems.extend(
        shared
            .iter()
            .map(|it| Error::new(Kind::Conflict, teleport::one_tpm(it)).hint(teleport::ONE_TPM_HINT)),
    );
    let hashes: HashSet<String> =
        shared.iter().filter_map(|hosts| hosts.first()?.hash()).map(str::to_owned).collect();
    identities.retain(|identity| !identity.hash().is_some_and(|hash| hashes.contains(hash)));
    let would_say_nothing = identities.is_empty() && output.current().is_empty();
    match problems.split_first() {
        Some((first, others)) if prune || !output.knows_current() || would_say_nothing => {
            let mut error = first.clone();
            for other in others {
                error.message = [&error.message, "; ", &other.message].concat();
            }
            Err(error)
        }
        _ => {
            let left_out =
                |problem| format!("left out, but any rule that it has stays: {}", hosts::warning(problem));
            Ok((identities, problems.iter().map(left_out).collect()))
        }
    }
}
