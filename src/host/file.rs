//! Reading files, and replacing them atomically.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Mode;
use crate::error::{Error, Kind, Result};

/// The content of a text file, or none where there is no such file.
pub fn read_if_exists(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Error::new(Kind::Conflict, format!("{} is not a text file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&format!("read {}", path.display()), &error)),
    }
}

/// Puts `content` at `path` in one step: whoever looks, or crashes, finds the old file or the new.
///
/// The new file has `mode`; an existing file's owner and group stay. A symbolic link or anything but
/// a file in its place is `unsafe_path`.
pub fn replace(path: &Path, content: &str, mode: Mode) -> Result<()> {
    let what = || format!("write {}", path.display());
    let existing = match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(Error::new(
                Kind::UnsafePath,
                format!("{} is in the way and not a file", path.display()),
            )
            .hint("remove it, or give another path; symbolic links are not followed"));
        }
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io(&what(), &error)),
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        return Err(Error::new(
            Kind::NotFound,
            format!("cannot {}: there is no directory {}", what(), directory.display()),
        ));
    }
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new()
            .prefix(".tbot_tpm.")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(directory)?;
        let file = temporary.as_file_mut();
        if let Some(existing) = &existing {
            keep_owner(file, existing)?;
        }
        file.set_permissions(Permissions::from_mode(mode.bits()))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        temporary.persist(path).map_err(|failed| failed.error)?;
        fs::File::open(directory)?.sync_all()
    };
    write().map_err(|error| Error::io(&what(), &error))
}

fn keep_owner(file: &fs::File, existing: &fs::Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (existing.uid(), existing.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(existing.uid()), Some(existing.gid()))
}
