//! Plain directories of the user's own, such as a registry: made where they are missing, and locked while
//! several of their files change together.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode as Bits, OFlags, flock, mkdirat, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::umask;

use super::directory::Walk;
use super::file::sweep;
use super::reopen::sync;
use super::{Mode, Trust};
use crate::error::{Error, Result};

/// Makes a directory, and those above it that are missing, with exactly this mode and on the disk. One that is
/// there stays as it is. `unsafe_path` where users who are not trusted could lead the way elsewhere.
pub fn make_directory(path: &Path, mode: Mode, trust: Trust) -> Result<()> {
    let failed = |error: &io::Error| Error::io(&format!("make the directory {}", path.display()), error);
    let walk = Walk::to_files(path, trust);
    let place = walk.to_the_directory()?;
    let mut here = place.parent;
    for name in place.names {
        // The mode is there with the directory, whatever the user's umask: no crash leaves another.
        let former = umask(Bits::empty());
        let outcome = mkdirat(&here.directory, &name, Bits::from_raw_mode(mode.bits()));
        umask(former);
        match outcome {
            Ok(()) => sync(&here.directory).map_err(|error| failed(&error))?,
            // Another process was faster.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(&error.into())),
        }
        let directory = walk.open_directory(&here, &name)?;
        here = walk.step_into_made(&here, &name, directory)?;
    }
    Ok(())
}

/// Whether a directory of files exists. `unsafe_path` where users who are not trusted could lead the way elsewhere.
pub fn has_directory(path: &Path, trust: Trust) -> Result<bool> {
    Ok(Walk::to_files(path, trust).to_the_directory()?.names.is_empty())
}

/// Removes from a directory what killed runs left, as far as that is possible.
pub fn sweep_directory(path: &Path) {
    opened(path).iter().for_each(sweep);
}

/// Waits until no other process holds the directory's lock (flock(2)), and holds it until the value goes. A file
/// system that knows no locks is no obstacle.
pub fn lock_directory(path: &Path) -> Result<OwnedFd> {
    let directory =
        opened(path).map_err(|error| Error::io(&format!("read the directory {}", path.display()), &error))?;
    let _ = retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive));
    Ok(directory)
}

/// Moves a file to a place on the same file system where there is none, both on the disk. Its content is not looked at.
pub fn move_file(from: &Path, to: &Path) -> Result<()> {
    let directories = || [to, from].into_iter().filter_map(Path::parent);
    let moved = fs::rename(from, to)
        .and_then(|()| directories().try_for_each(|directory| opened(directory).and_then(sync)));
    moved.map_err(|error| Error::io(&format!("move {} to {}", from.display(), to.display()), &error))
}

/// The regular files in a directory and in those below it, sorted. Hidden ones are left out; links are followed to
/// files, not to directories.
pub fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: &io::Error| Error::io(&format!("read {}", directory.display()), error);
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

fn opened(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Bits::empty())?)
}
