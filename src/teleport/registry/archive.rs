//! The registry's archive: the entries of TPMs that are out of use, each in a file of its own, so that what
//! was let in once is known to be taken out. An entry that nobody could read is there as it was, under a name that
//! says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Unusable, entry, is_part_of_registry};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::ordered;
use crate::parallel;
use crate::teleport::{HostName, Identity};

/// The folder of the registry.
const FOLDER: &str = "archive";
/// Hex digits of a hash that tell a host's former TPMs apart.
const DIGITS: usize = 16;
/// What the name of a file has in the place of these digits where nobody knows them. A number follows, but for the first.
const UNREADABLE: &str = "unreadable";

/// What the archive holds.
#[derive(Debug, Default)]
pub struct Archive {
    /// The TPMs, each with its host's name as description, by file name.
    pub tpms: Vec<Identity>,
    /// The files that cannot be read or are malformed.
    pub unusable: Vec<Unusable>,
}

impl Archive {
    /// Every TPM in the archive of the registry at `registry`; none where it has no archive.
    pub fn read(registry: &Path) -> Result<Self> {
        let mut archive = Self::default();
        for path in files(registry)? {
            match read_file(&path) {
                Ok(identity) => archive.tpms.push(identity),
                Err(problem) => {
                    let name = name(&path).map(str::to_owned);
                    let problem = problem.hint(
                        "correct it, or restore it from version control; if neither is possible, name its host's rule in `remove`, then \
                         remove the file",
                    );
                    archive.unusable.push(Unusable { name, problem });
                }
            }
        }
        Ok(archive)
    }
}

/// The folder of the registry at `registry` that its archive is in.
#[must_use]
pub fn archive_folder(registry: &Path) -> PathBuf {
    registry.join(FOLDER)
}

/// Where the entry of the host's TPM with this hash goes: `archive/HOST.DIGITS.json`.
#[must_use]
pub fn archived_path(registry: &Path, host: &HostName, hash: &EkPublicHash) -> PathBuf {
    let digits: String = hash.as_str().chars().take(DIGITS).collect();
    archive_folder(registry).join(format!("{host}.{digits}.json"))
}

/// Where an entry of the host goes that cannot be read: the first free one of `archive/HOST.unreadable.json`,
/// `archive/HOST.unreadable-2.json`, and so on.
#[must_use]
pub fn unreadable_path(registry: &Path, host: &HostName) -> PathBuf {
    let place = |end: &str| archive_folder(registry).join(format!("{host}.{UNREADABLE}{end}.json"));
    let numbered = (2_u64..).map(|number| place(&format!("-{number}")));
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    std::iter::once(place("")).chain(numbered).find(is_free).unwrap_or_else(|| place(""))
}

/// The TPMs of an archive by their hashes: each by the files that have it, and the hosts that these are of.
#[derive(Debug, Default)]
pub(super) struct ArchivedTpms {
    by_hash: HashMap<EkPublicHash, BTreeMap<PathBuf, String>>,
    /// Those of files that cannot be read, by the digits of their names.
    by_digits: HashMap<String, BTreeMap<PathBuf, String>>,
}

impl ArchivedTpms {
    /// Those of the registry at `registry`; none where it has no archive.
    pub(super) fn read(registry: &Path) -> Result<Self> {
        let mut tpms = Self::default();
        let files = files(registry)?;
        let hashes = parallel::map(&files, |path| read_file(path).ok()?.ek_public_hash);
        for (path, hash) in files.into_iter().zip(hashes) {
            let host = name(&path).unwrap_or_default().to_owned();
            match (hash, split(&path)) {
                (Some(hash), _) => tpms.insert(hash, &host, path),
                (None, Some((_, digits))) if !digits.is_empty() => {
                    tpms.by_digits.entry(digits.to_owned()).or_default().insert(path, host);
                }
                _ => {}
            }
        }
        Ok(tpms)
    }

    /// Adds what was archived since.
    pub(super) fn insert(&mut self, hash: EkPublicHash, host: &str, path: PathBuf) {
        self.by_hash.entry(hash).or_default().insert(path, host.to_owned());
    }

    /// The files of a TPM, sorted, and their hosts.
    pub(super) fn of(&self, hash: &EkPublicHash) -> BTreeMap<PathBuf, String> {
        let of_digits = hash.as_str().get(..DIGITS).and_then(|digits| self.by_digits.get(digits));
        let files = [self.by_hash.get(hash), of_digits].into_iter().flatten().flatten();
        ordered::map(files.map(|(path, host)| (path.clone(), host.clone())))
    }
}

/// The archive's files by the hosts that their names tell.
pub(super) fn files_by_host(registry: &Path) -> Result<BTreeMap<String, BTreeSet<PathBuf>>> {
    let mut by_host: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in files(registry)? {
        if let Some((host, _)) = split(&path) {
            by_host.entry(host.to_owned()).or_default().insert(path);
        }
    }
    Ok(by_host)
}

fn files(registry: &Path) -> Result<Vec<PathBuf>> {
    let folder = archive_folder(registry);
    let failed =
        |error: &io::Error| Error::io(&format!("read the registry's archive {}", folder.display()), error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| failed(&e))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| failed(&e))?.path();
        if is_part_of_registry(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The host's name and the digits in a file's name, where it has both; no digits where the entry could not be read.
fn split(path: &Path) -> Option<(&str, &str)> {
    let (name, mark) = path.file_stem()?.to_str()?.rsplit_once('.')?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if mark.len() == DIGITS && mark.bytes().all(is_digit) {
        return Some((name, mark));
    }
    let number = mark.strip_prefix(UNREADABLE)?;
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (number.is_empty() || number.strip_prefix('-').is_some_and(is_number)).then_some((name, ""))
}

/// The name of the host that a file is of. One that a person put there may be called as in the registry itself.
fn name(path: &Path) -> Option<&str> {
    split(path).map(|(name, _)| name).or_else(|| path.file_stem()?.to_str())
}

fn read_file(path: &Path) -> Result<Identity> {
    let digits = split(path).map_or("", |(_, digits)| digits);
    let name = name(path).unwrap_or_default();
    let (identity, hash) = entry::read_identity(path, name)?;
    if !hash.as_str().starts_with(digits) {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "the registry's file {} has the hash {}, and its name says another",
                path.display(),
                hash
            ),
        )
        .hint("correct one of them, or restore it from version control"));
    }
    Ok(identity)
}
