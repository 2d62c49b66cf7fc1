//! Directories that are open as a place only (`O_PATH`), which is enough to name what is in them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fsync, openat};

/// The same directory, opened to be read.
pub fn reopened(directory: impl AsFd) -> io::Result<OwnedFd> {
    Ok(openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Brings the directory's entries to the disk.
pub fn sync(directory: impl AsFd) -> io::Result<()> {
    Ok(fsync(reopened(directory)?)?)
}
