//! A fleet as the request and the registry tell it, read once for any number of tokens.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::known::Known;
use super::output::Output;
use super::terms::Terms;
use crate::actions::hosts::{self, Hosts};
use crate::error::{Error, Kind, Result};
use crate::ordered;
use crate::protocol::Request;
use crate::teleport::registry::{Archive, Unusable};
use crate::teleport::{self, Identity, Registry, Untouched};

/// Who is to be let in and who is not any more.
#[derive(Default)]
pub(in crate::actions) struct Fleet {
    /// Hosts, each with a TPM of its own.
    hosts: Vec<Identity>,
    /// TPMs that are not to be let in any more, none of which a host has.
    archived: Vec<Identity>,
    /// What hosts are or were called, whatever else is known of them, and what their rules say or said.
    names: Arc<HashSet<String>>,
    /// Files of the registry that say nothing usable.
    unusable: Vec<Unusable>,
    /// Hosts that share a TPM, and what to say of them.
    clones: HashSet<String>,
    shared_hashes: HashSet<String>,
    shared: Vec<Error>,
    /// Warnings about files of the archive.
    of_archive: Vec<String>,
}

impl Fleet {
    /// Reads the registry and its archive. The entries of the hosts named by `archived` count as archived, and so do those of
    /// `former`.
    pub(in crate::actions) fn read(
        request: &Request,
        hosts: Hosts,
        archived: &[String],
        former: &[Identity],
    ) -> Result<Self> {
        let directory = hosts.registry().cloned();
        let mut registry = hosts.read(request)?;
        let mut archive = match &directory {
            Some(directory) => Archive::read(directory.as_ref())?,
            None => Archive::default(),
        };
        archive.tpms.extend_from_slice(former);
        let names = Arc::new(registry.names(&archive));
        let of_archive = archive.unusable.iter();
        let of_archive = of_archive
            .map(|file| format!("left out of the archive: {}", hosts::warning(&file.problem)))
            .collect();
        let leaving = take_named(&mut registry, archived);
        // Among all of them, so that no TPM goes that another host has.
        let archived = out_of_use(&mut registry, leaving, archive.tpms);
        let Registry { identities, unusable, .. } = registry;
        Ok(Self { archived, names, unusable, of_archive, ..Self::of_different(identities) })
    }

    /// The hosts without those that share a TPM.
    fn of_different(mut hosts: Vec<Identity>) -> Self {
        let shared = teleport::sharing_a_tpm(&hosts);
        let one_tpm = |hosts: &Vec<&Identity>| {
            Error::new(Kind::Conflict, teleport::one_tpm(hosts)).hint(teleport::ONE_TPM_HINT)
        };
        let problems = shared.iter().map(one_tpm).collect();
        let hashes: HashSet<String> =
            shared.iter().filter_map(|hosts| hosts.first()?.hash()).map(str::to_owned).collect();
        let is_clone = |host: &Identity| host.hash().is_some_and(|hash| hashes.contains(hash));
        let clones = hosts
            .extract_if(.., |host| is_clone(host))
            .filter_map(|host| host.description.map(String::from))
            .collect();
        Self { hosts, clones, shared_hashes: hashes, shared: problems, ..Self::default() }
    }

    /// What a token has to know.
    pub(in crate::actions) fn into_known(mut self, terms: &Terms<'_>, output: &Output<'_>) -> Result<Known> {
        let is_asked = terms.is_asked();
        let mut known = self.about(&is_asked, terms, output)?;
        self.hosts.retain(|host| !terms.withdraw && is_asked(host.name()));
        self.archived.retain(|tpm| is_asked(tpm.name()) || (terms.all_archived && output.has_rule_of(tpm)));
        (known.hosts, known.archived) = (self.hosts, self.archived);
        Ok(known)
    }

    /// The same, where another token has to know it as well.
    pub(in crate::actions) fn known(&self, terms: &Terms<'_>, output: &Output<'_>) -> Result<Known> {
        let is_asked = terms.is_asked();
        let mut known = self.about(&is_asked, terms, output)?;
        let leaves: HashSet<&str> = terms.leaves.iter().map(String::as_str).collect();
        let is_leaving = |host: &&Identity| host.name().is_some_and(|name| leaves.contains(name));
        let is_asked_host = |host: &&Identity| is_asked(host.name()) && !is_leaving(host);
        if !terms.withdraw {
            known.hosts = self.hosts.iter().filter(is_asked_host).cloned().collect();
        }
        let is_gone =
            |tpm: &&Identity| is_asked(tpm.name()) || (terms.all_archived && output.has_rule_of(tpm));
        let archived = self.archived.iter().filter(is_gone);
        known.archived = archived.chain(self.hosts.iter().filter(is_leaving)).cloned().collect();
        Ok(known)
    }

    /// The hosts.
    pub(in crate::actions) fn hosts(&self) -> &[Identity] {
        &self.hosts
    }

    /// What is wrong with what says nothing of a host.
    pub(in crate::actions) fn problems(&self) -> Vec<String> {
        self.unusable.iter().map(hosts::left_out).collect()
    }

    /// Whether there are TPMs that are not to be let in any more.
    pub(in crate::actions) fn has_archived(&self) -> bool {
        !self.archived.is_empty()
    }

    /// The names of all hosts that are or were in the registry.
    pub(in crate::actions) fn host_names(&self) -> BTreeSet<String> {
        let tpms = self.hosts.iter().chain(&self.archived).filter_map(Identity::name).map(str::to_owned);
        let unusable = self.unusable.iter().filter_map(|file| file.name.clone());
        ordered::set(tpms.chain(unusable).chain(self.clones.iter().cloned()))
    }

    /// All but the TPMs. Registry files that say nothing usable are warnings, and no rule goes because of them: their hosts keep
    /// what they have. They are errors only where nobody knows what that is, so that the token would lose these hosts, or where
    /// there are no others. Those of the archive are warnings.
    fn about(
        &self,
        is_asked: &impl Fn(Option<&str>) -> bool,
        terms: &Terms<'_>,
        output: &Output<'_>,
    ) -> Result<Known> {
        let unusable: Vec<&Unusable> =
            self.unusable.iter().filter(|file| is_asked(file.name.as_deref())).collect();
        let problems: Vec<&Error> = unusable.iter().map(|file| &file.problem).chain(&self.shared).collect();
        let would_say_nothing = self.hosts.is_empty() && (output.current().is_empty() || terms.prune);
        if !output.knows_current() || would_say_nothing {
            refuse(&problems)?;
        }
        let left_out = |problem: &&Error| {
            format!("left out, but any rule that it has stays: {}", hosts::warning(problem))
        };
        let warnings = problems.iter().map(left_out).chain(self.of_archive.iter().cloned()).collect();
        let untouched = Untouched {
            names: unusable.iter().filter_map(|file| file.name.clone()).collect(),
            has_nameless: unusable.iter().any(|file| file.name.is_none()),
            clones: self.clones.iter().cloned().collect(),
            hashes: self.shared_hashes.clone(),
        };
        Ok(Known { names: Arc::clone(&self.names), untouched, warnings, ..Known::default() })
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
    let mut former: Vec<Identity> = named.into_iter().chain(overridden).chain(archive).collect();
    if former.is_empty() {
        return former;
    }
    let mut known: HashSet<String> =
        registry.identities.iter().filter_map(Identity::hash).map(str::to_owned).collect();
    former.retain(|tpm| {
        let may_be_in_use = tpm.name().is_some_and(|name| unusable.contains(name));
        !may_be_in_use && tpm.hash().is_some_and(|hash| known.insert(hash.to_owned()))
    });
    former
}

/// All problems as one error.
fn refuse(problems: &[&Error]) -> Result<()> {
    let Some((first, others)) = problems.split_first() else { return Ok(()) };
    let mut error = (*first).clone();
    for other in others {
        error.message = [&error.message, "; ", &other.message].concat();
    }
    Err(error)
}
