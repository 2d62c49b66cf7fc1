//! The file that takes another's place: complete and with the right owner and mode before anyone sees it
//! under its name, and swept away by a later run where this one is killed on the way.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, fchmod, fchown, flock, fstat, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::host::Attributes;
use crate::host::reopen::{reopened, sync};

const PREFIX: &str = ".tbot_tpm.";
/// Hex digits after the prefix.
const DIGITS: usize = 16;

/// Whether a file of this name may be one that a killed run left.
pub fn is_temporary_name(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PREFIX.as_bytes()).filter(|digits| digits.len() == DIGITS);
    digits.is_some_and(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

/// A new file in a directory, under a name that means nothing. It is gone with the value, unless it takes
/// another's place before.
///
/// It is locked (flock(2)) as long as this process lives: what is not locked was left behind.
pub struct Temporary<'a> {
    directory: BorrowedFd<'a>,
    name: String,
    file: File,
    is_in_place: bool,
}

impl<'a> Temporary<'a> {
    /// Makes one that nobody but this process's user may open.
    pub fn create(directory: &'a OwnedFd) -> io::Result<Self> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let name = random_name()?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match openat(directory, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            };
            let temporary = Self { directory: directory.as_fd(), name, file, is_in_place: false };
            if temporary.is_ours()? {
                return Ok(temporary);
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Locks it. Another process may have taken it for one left behind, in the moment before.
    fn is_ours(&self) -> io::Result<bool> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(false),
            // Without locks nothing is ever taken for left behind either.
            Ok(()) | Err(_) => Ok(fstat(&self.file)?.st_nlink > 0),
        }
    }

    /// Fills it, and puts it in the place of `name` in the same directory, on the disk.
    pub fn take_place(mut self, name: &str, content: &str, attributes: Attributes) -> io::Result<()> {
        let (user, group) = attributes.owners();
        if Attributes::of(&fstat(&self.file)?).owners() != (user, group) {
            fchown(&self.file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        fchmod(&self.file, Mode::from_raw_mode(attributes.mode.bits()))?;
        self.file.write_all(content.as_bytes())?;
        self.file.sync_all()?;
        renameat(self.directory, &self.name, self.directory, name)?;
        self.is_in_place = true;
        sync(self.directory)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_in_place {
            let _ = unlinkat(self.directory, &self.name, AtFlags::empty());
        }
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{PREFIX}{:0DIGITS$x}", u64::from_ne_bytes(bytes)))
}

/// Removes temporary files that no process holds any longer. What cannot be removed stays: a later run, or
/// one by another user, may do it.
pub fn sweep(directory: &OwnedFd) {
    let Ok(entries) = reopened(directory).and_then(|directory| Ok(Dir::new(directory)?)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_temporary_name(name.to_bytes()) {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(file) = openat(directory, name, flags, Mode::empty()) else { continue };
            let is_file = fstat(&file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file());
            if is_file && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = unlinkat(directory, name, AtFlags::empty());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_temporary_name, random_name};

    #[test]
    fn names_of_temporary_files_are_known_and_no_others() {
        assert!(is_temporary_name(random_name().unwrap().as_bytes()));
        assert!(is_temporary_name(b".tbot_tpm.0123456789abcdef"));
        for name in
            [".tbot_tpm.yaml", ".tbot_tpm.0123456789abcde", ".tbot_tpm.0123456789ABCDEF", ".tbot_tpm.", "x"]
        {
            assert!(!is_temporary_name(name.as_bytes()), "{name}");
        }
    }
}
