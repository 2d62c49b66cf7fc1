//! What a registry and its archive hold, read once for any number of hosts, and kept up to date while these change: what
//! one host may not have because another has it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::archive::{self, ArchivedTpms};
use super::{Entry, Found, entry, entry_path, files, read_host};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::parallel;
use crate::teleport::{Description, HostName, Identity, ONE_TPM_HINT, identity};

/// What is known of a registry. The names of its files are read at first, and their contents where they matter.
#[derive(Debug)]
pub struct Index<'a> {
    directory: &'a Path,
    /// The files by host, each list sorted.
    files: BTreeMap<OsString, Vec<PathBuf>>,
    hosts: OnceCell<Hosts>,
    archived_files: Result<BTreeMap<String, BTreeSet<PathBuf>>>,
    archived_tpms: OnceCell<Result<ArchivedTpms>>,
    /// The entries that were archived since: a run in check mode leaves no files of them.
    new_in_archive: Vec<(HostName, EkPublicHash, PathBuf)>,
}

/// Which hosts have what only one host may have.
#[derive(Debug, Default)]
struct Hosts {
    known: HashMap<String, Own>,
    by_hash: HashMap<EkPublicHash, BTreeSet<String>>,
    by_text: HashMap<Description, BTreeSet<String>>,
}

/// What no other host may have.
#[derive(Debug)]
struct Own {
    hash: Option<EkPublicHash>,
    text: Option<Description>,
}

impl<'a> Index<'a> {
    /// The registry in `directory`.
    pub fn read(directory: &'a Path) -> Result<Self> {
        let archived_files = archive::files_by_host(directory);
        Ok(Self { files: files(directory)?, archived_files, ..Self::empty(directory) })
    }

    /// The registry that is to be in `directory`.
    #[must_use]
    pub fn empty(directory: &'a Path) -> Self {
        Self {
            directory,
            files: BTreeMap::new(),
            hosts: OnceCell::new(),
            archived_files: Ok(BTreeMap::new()),
            archived_tpms: OnceCell::new(),
            new_in_archive: Vec::new(),
        }
    }

    /// Where the registry is.
    #[must_use]
    pub fn directory(&self) -> &'a Path {
        self.directory
    }

    /// Refuses files of this host that differ from its own in the case of `.json`, as `conflict`.
    pub fn refuse_other_files(&self, host: &HostName) -> Result<()> {
        let own = entry_path(self.directory, host);
        match self.files.get(OsStr::new(host.as_str())) {
            Some(paths) if *paths != [own.clone()] => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the registry has other files of `{host}` than {}: {}",
                        own.display(),
                        paths.join(", ")
                    ),
                )
                .hint("remove those that are out of date, and give what is left that name"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a TPM, and a text for the rule, that another host of the registry has, as `conflict`. Files that are
    /// malformed have neither.
    pub fn refuse_shared(&self, host: &HostName, own: &Identity) -> Result<()> {
        let hosts = self.hosts();
        let other_of = |names: Option<&'_ BTreeSet<String>>| -> Option<String> {
            names?.iter().find(|name| *name != host.as_str()).cloned()
        };
        if let Some(hash) = &own.ek_public_hash
            && let Some(other) = other_of(hosts.by_hash.get(hash))
        {
            let message = format!(
                "`{host}` has the same TPM as `{other}`, which the registry {} has already: the EK public hash {hash}",
                self.directory.display()
            );
            return Err(Error::new(Kind::Conflict, message).hint(format!(
                "{ONE_TPM_HINT}; where it is one host under another name, archive the old entry first (`state: archived`)"
            )));
        }
        match own.rule_text().and_then(|text| Some((text, other_of(hosts.by_text.get(text))?))) {
            Some((text, other)) => Err(identity::same_rule_text(text, &own.label(), &format!("`{other}`"))),
            None => Ok(()),
        }
    }

    /// Refuses a TPM that is archived for another host, as `identity_changed`: whoever has it now could be let in again by a
    /// new name. So is one that was archived for this host where the host has no entry, and another TPM of it is archived as
    /// well: it may be the one that was replaced.
    ///
    /// A TPM that the host has already was accepted before.
    pub fn refuse_archived(&self, host: &HostName, former: Option<&Entry>, found: &Found) -> Result<()> {
        if former.is_some_and(|former| former.hash() == found.hash()) {
            return Ok(());
        }
        let places = self.archived_for(found.hash())?;
        let others = places.iter().find(|(_, name)| name.as_str() != host.as_str());
        let message = if let Some((path, other)) = others {
            format!(
                "`{host}` has a TPM that was archived for host `{other}` ({}): the EK public hash {}",
                path.display(),
                found.hash()
            )
        } else if let Some((path, _)) = places.first_key_value()
            && self.archived_of(host)?.len() > places.len()
        {
            format!(
                "`{host}` has one of several TPMs that were archived for it ({}), which may be one that was replaced: the EK \
                 public hash {}",
                path.display(),
                found.hash()
            )
        } else {
            return Ok(());
        };
        let accept = entry::accept(host);
        Err(Error::new(Kind::IdentityChanged, message).hint(format!(
            "if that TPM may join as `{host}` again, run once with {accept} (parameter `accept_identity_change`); if not, find \
             out why it came back"
        )))
    }

    /// Adds to an error about a TPM for which other host it was archived, if for any.
    #[must_use]
    pub fn note_archived(&self, mut error: Error, host: &HostName, found: &Found) -> Error {
        let places = self.archived_for(found.hash()).unwrap_or_default();
        if let Some((path, other)) = places.iter().find(|(_, name)| name.as_str() != host.as_str()) {
            error.message =
                format!("{}; that TPM was archived for host `{other}` ({})", error.message, path.display());
        }
        error
    }

    /// The archive's files of this host, sorted.
    pub fn archived_of(&self, host: &HostName) -> Result<BTreeSet<PathBuf>> {
        let files = self.archived_files.as_ref().map_err(Clone::clone)?;
        Ok(files.get(host.as_str()).cloned().unwrap_or_default())
    }

    /// Takes in that the host has this identity from now on.
    pub fn recorded(&mut self, host: &HostName, identity: Identity) {
        self.hosts();
        if let Some(hosts) = self.hosts.get_mut() {
            hosts.remove(host.as_str());
            hosts.insert(host.as_str(), Own::of(identity));
        }
    }

    /// Takes in that the archive has this file of the host from now on, and which TPM it is of, where that is known.
    pub fn archived(&mut self, host: &HostName, hash: Option<&EkPublicHash>, path: PathBuf) {
        if let Ok(files) = &mut self.archived_files {
            files.entry(host.as_str().to_owned()).or_default().insert(path.clone());
        }
        let Some(hash) = hash else { return };
        if let Some(Ok(tpms)) = self.archived_tpms.get_mut() {
            tpms.insert(hash.clone(), host.as_str(), path);
        } else {
            self.new_in_archive.push((host.clone(), hash.clone(), path));
        }
    }

    fn hosts(&self) -> &Hosts {
        self.hosts.get_or_init(|| Hosts::read(&self.files))
    }

    /// The hosts that a TPM is archived for, each by the file that says so. Of a file that cannot be read, its name tells.
    fn archived_for(&self, hash: &EkPublicHash) -> Result<BTreeMap<PathBuf, String>> {
        let tpms = self.archived_tpms.get_or_init(|| {
            let mut tpms = ArchivedTpms::read(self.directory)?;
            for (host, hash, path) in &self.new_in_archive {
                tpms.insert(hash.clone(), host.as_str(), path.clone());
            }
            Ok(tpms)
        });
        tpms.as_ref().map(|tpms| tpms.of(hash)).map_err(Clone::clone)
    }
}

impl Hosts {
    fn read(files: &BTreeMap<OsString, Vec<PathBuf>>) -> Self {
        let files: Vec<(&OsString, &Vec<PathBuf>)> = files.iter().collect();
        let read = parallel::map(&files, |(_, paths)| read_host(paths).ok().map(Own::of));
        let mut hosts = Self::default();
        for ((name, _), own) in files.into_iter().zip(read) {
            if let Some((name, own)) = name.to_str().zip(own) {
                hosts.insert(name, own);
            }
        }
        hosts
    }

    fn insert(&mut self, name: &str, own: Own) {
        if let Some(hash) = &own.hash {
            self.by_hash.entry(hash.clone()).or_default().insert(name.to_owned());
        }
        if let Some(text) = &own.text {
            self.by_text.entry(text.clone()).or_default().insert(name.to_owned());
        }
        self.known.insert(name.to_owned(), own);
    }

    fn remove(&mut self, name: &str) {
        let Some(own) = self.known.remove(name) else { return };
        if let Some(names) = own.hash.and_then(|hash| self.by_hash.get_mut(&hash)) {
            names.remove(name);
        }
        if let Some(names) = own.text.and_then(|text| self.by_text.get_mut(&text)) {
            names.remove(name);
        }
    }
}

impl Own {
    fn of(identity: Identity) -> Self {
        Self { text: identity.rule_text().cloned(), hash: identity.ek_public_hash }
    }
}
