//! The registry: a directory with one `HOST.json` identity a file, which the user keeps in version
//! control, and a folder for those of TPMs that are out of use.

mod archive;
mod entry;
mod index;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{HostName, Identity};
use crate::error::{Error, Kind, Result};
use crate::parallel;

pub use archive::{Archive, archive_folder, archived_path, unreadable_path};
pub use entry::{Entry, Found, RuleText, text};
pub use index::Index;

/// What the registry holds.
#[derive(Debug, Default)]
pub struct Registry {
    /// The identities, by file name.
    pub identities: Vec<Identity>,
    /// The files that cannot be read or are malformed.
    pub unusable: Vec<Unusable>,
    /// The entries that given hosts stand above.
    pub overridden: Vec<Identity>,
}

/// A file of which nothing is known but its name.
#[derive(Debug)]
pub struct Unusable {
    /// The name of the host whose file it is, where that is text.
    pub name: Option<String>,
    /// Why it cannot be used, and what to do.
    pub problem: Error,
}

impl Registry {
    /// Every identity in `directory`. A missing directory is `not_found`.
    ///
    /// A host's description is its file's name, whatever the file says. Files that do not end in `.json`
    /// and hidden ones are not part of the registry.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut registry = Self::default();
        let hosts: Vec<(OsString, Vec<PathBuf>)> = files(directory)?.into_iter().collect();
        let read = parallel::map(&hosts, |(_, paths)| read_host(paths));
        for ((name, _), identity) in hosts.into_iter().zip(read) {
            match identity {
                Ok(identity) => registry.identities.push(identity),
                Err(problem) => registry.unusable.push(Unusable { name: name.into_string().ok(), problem }),
            }
        }
        Ok(registry)
    }

    /// The archived TPMs that no host has, or may have: nobody knows which TPM a host has whose file is malformed.
    pub fn withdrawn<'a>(&'a self, archive: &'a Archive) -> impl Iterator<Item = &'a Identity> {
        let known: HashSet<&str> = self.identities.iter().filter_map(Identity::hash).collect();
        archive.tpms.iter().filter(move |tpm| {
            let is_malformed =
                |name: &str| self.unusable.iter().any(|file| file.name.as_deref() == Some(name));
            let is_in_use = tpm.hash().is_some_and(|hash| known.contains(hash));
            !is_in_use && !tpm.name().is_some_and(is_malformed)
        })
    }

    /// The names of all hosts that it and its archive know, and what else the rules of these say or said.
    #[must_use]
    pub fn names(&self, archive: &Archive) -> HashSet<String> {
        let unusable = self.unusable.iter().chain(&archive.unusable);
        let mut names = HashSet::with_capacity(self.identities.len());
        names.extend(unusable.filter_map(|file| file.name.clone()));
        for host in [&self.identities, &self.overridden, &archive.tpms].into_iter().flatten() {
            let texts = host.description.iter().chain(&host.rule_description);
            names.extend(texts.chain(&host.former_rule_descriptions).cloned().map(String::from));
        }
        names
    }

    /// Puts these hosts above the entries of the same description, be they readable or not.
    pub fn put_above(&mut self, hosts: Vec<Identity>) {
        let named: HashSet<String> = hosts.iter().filter_map(Identity::name).map(str::to_owned).collect();
        let is_named = |entry: &mut Identity| entry.name().is_some_and(|name| named.contains(name));
        self.overridden.extend(self.identities.extract_if(.., is_named));
        self.unusable.retain(|file| !file.name.as_ref().is_some_and(|name| named.contains(name)));
        self.identities.extend(hosts);
    }
}

/// The file of a host.
#[must_use]
pub fn entry_path(registry: &Path, host: &HostName) -> PathBuf {
    registry.join(format!("{host}.json"))
}

/// The registry's files by host, each list sorted.
fn files(directory: &Path) -> Result<BTreeMap<OsString, Vec<PathBuf>>> {
    let failed = |error: &io::Error| Error::io(&format!("read the registry {}", directory.display()), error);
    let mut hosts: BTreeMap<OsString, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(|e| failed(&e))? {
        let path = entry.map_err(|e| failed(&e))?.path();
        if is_part_of_registry(&path) {
            hosts.entry(path.file_stem().unwrap_or_default().to_owned()).or_default().push(path);
        }
    }
    for paths in hosts.values_mut() {
        paths.sort();
    }
    Ok(hosts)
}

fn is_part_of_registry(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The identity in the file of one host, or why its files, which differ in the case of `.json`, tell none.
fn read_host(paths: &[PathBuf]) -> Result<Identity> {
    if let [path] = paths {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        return entry::read_identity(path, name).map(|(identity, _)| identity);
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    Err(Error::new(
        Kind::Conflict,
        format!("the registry has several files of one host: {}", paths.join(", ")),
    )
    .hint("remove those that are out of date"))
}
