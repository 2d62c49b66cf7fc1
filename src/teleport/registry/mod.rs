//! The registry: a directory with one `HOST.json` identity a file, which the user keeps in version
//! control, and a folder for those of TPMs that are out of use.

mod archive;
mod entry;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{HostName, Identity};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::parallel;

pub use archive::{Archive, archived_files, archived_path};
pub use entry::{Entry, Found, text};

/// What the registry holds.
#[derive(Debug, Default)]
pub struct Registry {
    /// The identities, by file name.
    pub identities: Vec<Identity>,
    /// The files that cannot be read or are malformed, each with the reason.
    pub problems: Vec<Error>,
    /// The names of the hosts whose files these are, as far as they are text.
    pub unusable: Vec<String>,
    /// The entries that given hosts stand above.
    pub overridden: Vec<Identity>,
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
                Err(problem) => {
                    registry.problems.push(problem);
                    registry.unusable.extend(name.into_string());
                }
            }
        }
        Ok(registry)
    }

    /// Puts these hosts above the entries of the same description.
    pub fn put_above(&mut self, hosts: Vec<Identity>) {
        let named: HashSet<String> = hosts.iter().filter_map(Identity::name).map(str::to_owned).collect();
        let is_named = |entry: &mut Identity| entry.name().is_some_and(|name| named.contains(name));
        self.overridden.extend(self.identities.extract_if(.., is_named));
        self.identities.extend(hosts);
    }
}

/// The file of a host.
#[must_use]
pub fn entry_path(registry: &Path, host: &HostName) -> PathBuf {
    registry.join(format!("{host}.json"))
}

/// Refuses files of this host that differ from its own in the case of `.json`, as `conflict`.
pub fn refuse_other_files(registry: &Path, host: &HostName) -> Result<()> {
    let own = entry_path(registry, host);
    match files(registry)?.remove(&OsString::from(host.as_str())) {
        Some(paths) if paths != [own.clone()] => {
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

/// Refuses a TPM that another host of the registry has, as `conflict`. Files that are malformed have none.
pub fn refuse_shared(registry: &Path, host: &HostName, hash: &EkPublicHash) -> Result<()> {
    let others = Registry::read(registry)?.identities;
    let mut others = others.into_iter().filter(|other| other.name() != Some(host.as_str()));
    match others.find(|other| other.hash() == Some(hash.as_str())) {
        Some(other) => Err(Error::new(
            Kind::Conflict,
            format!(
                "`{host}` has the same TPM as {}, which the registry {} has already: the EK public hash {hash}",
                other.label(),
                registry.display()
            ),
        )
        .hint(format!(
            "{}; where it is one host under another name, archive the old entry first (`state: archived`)",
            super::ONE_TPM_HINT
        ))),
        None => Ok(()),
    }
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
        return Ok(Entry::parse(path, &host::read(path)?, name)?.into_identity());
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    Err(Error::new(
        Kind::Conflict,
        format!("the registry has several files of one host: {}", paths.join(", ")),
    )
    .hint("remove those that are out of date"))
}
