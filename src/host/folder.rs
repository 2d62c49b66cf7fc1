//! Plain directories of the user's own, such as a registry: made where they are missing, and locked while
//! several of their files change together.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode as Bits, OFlags, flock, mkdir, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::umask;

use super::Mode;
use super::reopen::sync;
use crate::error::{Error, Result};

/// Makes a directory, and those above it that are missing, with exactly this mode and on the disk. One that is
/// there stays as it is.
pub fn make_directory(path: &Path, mode: Mode) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent != path {
        make_directory(parent, mode)?;
    }
    // The mode is there with the directory, whatever the user's umask: no crash leaves another.
    let former = umask(Bits::empty());
    let outcome = mkdir(path, Bits::from_raw_mode(mode.bits()));
    umask(former);
    let result = match outcome {
        Ok(()) => opened(parent).and_then(sync),
        // Another process was faster.
        Err(Errno::EXIST) if path.is_dir() => return Ok(()),
        Err(Errno::EXIST) => Err(Errno::NOTDIR.into()),
        Err(error) => Err(error.into()),
    };
    result.map_err(|error| Error::io(&format!("make the directory {}", path.display()), &error))
}

/// Waits until no other process holds the directory's lock (flock(2)), and holds it until the value goes. A file
/// system that knows no locks is no obstacle.
pub fn lock_directory(path: &Path) -> Result<OwnedFd> {
    let directory =
        opened(path).map_err(|error| Error::io(&format!("read the directory {}", path.display()), &error))?;
    let _ = retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive));
    Ok(directory)
}

/// The regular files in a directory and in those below it, sorted. Hidden ones are left out; links are followed to
/// files, not to directories.
pub fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: &std::io::Error| Error::io(&format!("read {}", directory.display()), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| failed(&e))? {
        let entry = entry.map_err(|e| failed(&e))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(|e| failed(&e))?.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn opened(path: &Path) -> std::io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Bits::empty())?)
}
