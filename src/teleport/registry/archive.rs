//! The registry's archive: the entries of TPMs that are out of use, each in a file of its own, so that what
//! was let in once is known to be taken out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, is_part_of_registry};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::teleport::{HostName, Identity};

/// The folder of the registry.
const FOLDER: &str = "archive";
/// Hex digits of a hash that tell a host's former TPMs apart.
const DIGITS: usize = 16;

/// What the archive holds.
#[derive(Debug, Default)]
pub struct Archive {
    /// The TPMs, each with its host's name as description, by file name.
    pub tpms: Vec<Identity>,
    /// The files that cannot be read or are malformed, each with the reason.
    pub problems: Vec<Error>,
}

impl Archive {
    /// Every TPM in the archive of the registry at `registry`; none where it has no archive.
    pub fn read(registry: &Path) -> Result<Self> {
        let mut archive = Self::default();
        for path in files(registry)? {
            match read_file(&path) {
                Ok(identity) => archive.tpms.push(identity),
                Err(problem) => archive.problems.push(problem),
            }
        }
        Ok(archive)
    }
}

/// Where the entry of the host's TPM with this hash goes: `archive/HOST.DIGITS.json`.
#[must_use]
pub fn archived_path(registry: &Path, host: &HostName, hash: &EkPublicHash) -> PathBuf {
    let digits: String = hash.as_str().chars().take(DIGITS).collect();
    registry.join(FOLDER).join(format!("{host}.{digits}.json"))
}

/// The archive's files of this host, sorted.
pub fn archived_files(registry: &Path, host: &HostName) -> Result<Vec<PathBuf>> {
    let mut files = files(registry)?;
    files.retain(|path| split(path).is_some_and(|(name, _)| name == host.as_str()));
    Ok(files)
}

fn files(registry: &Path) -> Result<Vec<PathBuf>> {
    let folder = registry.join(FOLDER);
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

/// The host's name and the digits in a file's name, where it has both.
fn split(path: &Path) -> Option<(&str, &str)> {
    let (name, digits) = path.file_stem()?.to_str()?.rsplit_once('.')?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == DIGITS && digits.bytes().all(is_digit)).then_some((name, digits))
}

/// A file that a person put there may be called as in the registry itself.
fn read_file(path: &Path) -> Result<Identity> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (name, digits) = split(path).unwrap_or((stem, ""));
    let entry = Entry::parse(path, &host::read(path)?, name)?;
    if !entry.hash().as_str().starts_with(digits) {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "the registry's file {} has the hash {}, and its name says another",
                path.display(),
                entry.hash()
            ),
        )
        .hint("correct one of them, or restore it from version control"));
    }
    Ok(entry.into_identity())
}
