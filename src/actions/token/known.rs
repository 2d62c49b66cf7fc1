//! Who is to be let in, and who no longer: from the hosts that are given, the registry and its archive.

use std::collections::HashSet;

use super::output::Output;
use super::parameters::Asked;
use crate::actions::hosts;
use crate::error::{Error, Kind, Result};
use crate::protocol::Request;
use crate::teleport::registry::{Archive, Unusable};
use crate::teleport::{self, Identity, Registry, Token, Untouched};

/// What the request and the registry tell.
#[derive(Default)]
pub(super) struct Known {
    /// The hosts that are to be let in.
    pub hosts: Vec<Identity>,
    /// TPMs that are not to be let in any more, none of which a host has.
    pub archived: Vec<Identity>,
    /// What hosts are or were called, whatever else is known of them, and what their rules say or said.
    pub names: HashSet<String>,
    /// Hosts whose rules stay, since too little is known of them.
    pub untouched: Untouched,
    pub warnings: Vec<String>,
}

impl Known {
    /// Registry files that say nothing usable are warnings, and no rule goes because of them: their hosts keep what they have.
    /// They are errors only where nobody knows what that is, so that the token would lose these hosts, or where there are
    /// no others. Those of the archive are warnings.
    pub(super) fn of(request: &Request, asked: &mut Asked, output: &Output<'_>) -> Result<Self> {
        let Some(hosts) = asked.hosts.take() else { return Ok(Self::default()) };
        let directory = hosts.registry().cloned();
        let mut registry = hosts.read(request)?;
        let archive = match &directory {
            Some(directory) => Archive::read(directory.as_ref())?,
            None => Archive::default(),
        };
        let all_names = registry.names(&archive);
        let parameters = &asked.given;
        let only: HashSet<&str> = parameters.only.iter().flatten().map(String::as_str).collect();
        let is_asked = |name: Option<&str>| only.is_empty() || name.is_some_and(|name| only.contains(name));
        registry.unusable.retain(|file| is_asked(file.name.as_deref()));
        let named = take_named(&mut registry, &parameters.archived);
        // Among all of them, so that no TPM goes that another host has.
        let mut archived = out_of_use(&mut registry, named, archive.tpms);
        let mut known = usable(registry, parameters.prune, output)?;
        known.hosts.retain(|host| !parameters.withdraw && is_asked(host.name()));
        archived.retain(|tpm| is_asked(tpm.name()));
        let of_archive =
            |file: &Unusable| format!("left out of the archive: {}", hosts::warning(&file.problem));
        known.warnings.extend(archive.unusable.iter().map(of_archive));
        Ok(Self { archived, names: all_names, ..known })
    }

    /// Whether `prune` would take others' rules away, and not only those of archived TPMs.
    pub(super) fn would_prune_all(&self, current: &[Token]) -> bool {
        let archived: HashSet<&str> = self.archived.iter().filter_map(Identity::hash).collect();
        let is_others = |hash: &str| !hash.is_empty() && !archived.contains(&*hash.to_ascii_lowercase());
        let mut rules = current.iter().flat_map(Token::rules);
        self.hosts.is_empty() && (archived.is_empty() || rules.any(|rule| is_others(&rule.ek_public_hash)))
    }
}

/// Takes the entries of these hosts out of the registry. Those that cannot be used go as well.
fn take_named(registry: &mut Registry, names: &[String]) -> Vec<Identity> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let is_named = |name: Option<&str>| name.is_some_and(|name| names.contains(name));
    registry.unusable.retain(|file| !is_named(file.name.as_deref()));
    registry.identities.extract_if(.., |entry| is_named(entry.name())).collect()
}

/// The TPMs of former entries, each once, but for those that a host has, or may have: nobody knows which TPM a
/// host has whose file is malformed.
fn out_of_use(registry: &mut Registry, named: Vec<Identity>, archive: Vec<Identity>) -> Vec<Identity> {
    let overridden = std::mem::take(&mut registry.overridden);
    let unusable: HashSet<&str> = registry.unusable.iter().filter_map(|file| file.name.as_deref()).collect();
    let mut known: HashSet<String> =
        registry.identities.iter().filter_map(Identity::hash).map(str::to_owned).collect();
    let mut former: Vec<Identity> = named.into_iter().chain(overridden).chain(archive).collect();
    former.retain(|tpm| {
        let may_be_in_use = tpm.name().is_some_and(|name| unusable.contains(name));
        !may_be_in_use && tpm.hash().is_some_and(|hash| known.insert(hash.to_owned()))
    });
    former
}

/// The hosts without those that share a TPM, which ones are left out, and warnings about them.
fn usable(registry: Registry, prune: bool, output: &Output<'_>) -> Result<Known> {
    let Registry { identities: mut hosts, unusable, .. } = registry;
    let shared = teleport::sharing_a_tpm(&hosts);
    let one_tpm = |hosts: &Vec<&Identity>| {
        Error::new(Kind::Conflict, teleport::one_tpm(hosts)).hint(teleport::ONE_TPM_HINT)
    };
    let shared_problems: Vec<Error> = shared.iter().map(one_tpm).collect();
    let hashes: HashSet<String> =
        shared.iter().filter_map(|hosts| hosts.first()?.hash()).map(str::to_owned).collect();
    let is_clone = |host: &Identity| host.hash().is_some_and(|hash| hashes.contains(hash));
    let clones = hosts
        .extract_if(.., |host| is_clone(host))
        .filter_map(|host| host.description.map(String::from))
        .collect();
    let has_nameless = unusable.iter().any(|file| file.name.is_none());
    let (names, problems): (Vec<_>, Vec<_>) =
        unusable.into_iter().map(|file| (file.name, file.problem)).unzip();
    let problems = [problems, shared_problems].concat();
    let would_say_nothing = hosts.is_empty() && (output.current().is_empty() || prune);
    if !output.knows_current() || would_say_nothing {
        refuse(&problems)?;
    }
    let left_out =
        |problem: &Error| format!("left out, but any rule that it has stays: {}", hosts::warning(problem));
    let warnings = problems.iter().map(left_out).collect();
    let untouched = Untouched { names: names.into_iter().flatten().collect(), has_nameless, clones, hashes };
    Ok(Known { hosts, untouched, warnings, ..Known::default() })
}

/// All problems as one error.
fn refuse(problems: &[Error]) -> Result<()> {
    let Some((first, others)) = problems.split_first() else { return Ok(()) };
    let mut error = first.clone();
    for other in others {
        error.message = [&error.message, "; ", &other.message].concat();
    }
    Err(error)
}
