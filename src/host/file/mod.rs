//! Reading files, and replacing them atomically.

mod temporary;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode as Bits, OFlags, Stat, fstat, open, openat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::directory::{Step, Walk, refuse_strangers};
use super::reopen::sync;
use super::{Accounts, Attributes, Mode, Trust, make_directory};
use crate::error::{Error, Kind, Result};
pub(super) use temporary::sweep;
use temporary::{Temporary, is_temporary_name};

/// Bytes of the largest file that is read: several times the tokens of 100,000 hosts.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// What directories of files that anybody may read have.
const DIRECTORY_MODE: Mode = Mode::new(0o755);

/// Reads a regular file, through symbolic links. Anything that could block or never end, such as a
/// FIFO or a device, is an error, and so is a file of more than 64 MiB.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, LARGEST_FILE)
}

/// The same for a file that must have fewer bytes: one that has more is an error.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Bits::empty());
    read_regular(path, file, most).map(|(_, bytes)| bytes)
}

fn read_regular(path: &Path, opened: rustix::io::Result<OwnedFd>, most: u64) -> Result<(Stat, Vec<u8>)> {
    let failed = |error: io::Error| Error::io(&format!("read {}", path.display()), &error);
    let file = opened.map_err(|error| failed(error.into()))?;
    let found = fstat(&file).map_err(|error| failed(error.into()))?;
    if !FileType::from_raw_mode(found.st_mode).is_file() {
        return Err(not_a_file(path));
    }
    let too_large = || Err(Error::new(Kind::Io, format!("{} is larger than {most} bytes", path.display())));
    let size = u64::try_from(found.st_size).unwrap_or_default();
    if size > most {
        return too_large();
    }
    // With room for one byte more, which stays empty where all comes at once. Then it is not read again.
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default() + 1];
    let length = retry_on_intr(|| rustix::io::read(&file, &mut bytes[..]));
    bytes.truncate(length.map_err(|error| failed(error.into()))?);
    let length = bytes.len() as u64;
    if length != size {
        File::from(file).take((most + 1).saturating_sub(length)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > most { too_large() } else { Ok((found, bytes)) }
}

fn not_a_file(path: &Path) -> Error {
    Error::new(Kind::UnsafePath, format!("{} is not a regular file", path.display())).hint(
        "remove it, or give another path; where a file is to be written, not even a link to one will do",
    )
}

/// A text file to be written, and what is in its place. It is looked at once, for check mode and for
/// the run alike, so that both find the same obstacles; and through one open directory, so that what is
/// written goes where it was looked at.
#[derive(Debug)]
pub struct TextFile<'a> {
    path: &'a Path,
    name: &'a str,
    directory: Option<OwnedFd>,
    existing: Option<Existing>,
}

/// What is to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// It stays as it is.
    Keep,
    /// It gets this content and these attributes.
    Write(&'a str, Attributes),
    /// It goes.
    Remove,
}

#[derive(Debug)]
struct Existing {
    text: String,
    attributes: Attributes,
}

impl<'a> TextFile<'a> {
    /// Looks at the absolute `path`. A symbolic link or anything else but a file there is `unsafe_path`, and so is a way
    /// there that users can change who are not trusted. A file that is no text is a `conflict`.
    pub fn inspect(path: &'a Path, trust: Trust) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_a_file(path))?;
        if is_temporary_name(name.as_bytes()) {
            let message = format!(
                "{} has the name of a temporary file, which the next run would remove",
                path.display()
            );
            return Err(Error::new(Kind::UnsafePath, message).hint("give another path"));
        }
        let walk = Walk::to_files(path, trust);
        let place = walk.to_the_parent()?;
        if !place.names.is_empty() {
            return Ok(Self { path, name, directory: None, existing: None });
        }
        let Step { directory, .. } = &place.parent;
        let existing = Existing::read(path, directory, name)?;
        if let Some(existing) = &existing {
            refuse_strangers(&walk, &place.parent, trust, existing.attributes.user, "files")?;
        }
        Ok(Self { path, name, directory: Some(place.parent.directory), existing })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path
    }

    /// The text that is there now.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.existing.as_ref().map(|existing| existing.text.as_str())
    }

    /// Owner, group and mode of the file that is there now.
    #[must_use]
    pub fn attributes(&self) -> Option<Attributes> {
        self.existing.as_ref().map(|existing| existing.attributes)
    }

    /// What the file should have: an owner or group that is not given stays as it is.
    #[must_use]
    pub fn wanted(&self, accounts: Accounts, mode: Mode) -> Attributes {
        Attributes::wanted(self.attributes(), accounts, mode)
    }

    /// Whether the directory that the file is to be in exists.
    #[must_use]
    pub fn has_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// The directory that the file is to be in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        parent(self.path)
    }

    /// Changes the file in one step: whoever looks, or crashes, finds the old file or the new. What killed
    /// runs left beside it goes in any case.
    pub fn settle(&self, change: Change<'_>) -> Result<()> {
        self.directory.iter().for_each(sweep);
        self.settle_swept(change)
    }

    /// The same in a directory that was swept before ([`sweep_directory`](super::sweep_directory)), for many files of one.
    pub fn settle_swept(&self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Keep => Ok(()),
            Change::Write(content, attributes) => self.replace(content, attributes),
            Change::Remove => self.remove(),
        }
    }

    /// The same, after the directories that are missing for a file that is written were made, with mode 0755.
    pub fn settle_in_directory(&self, change: Change<'_>, trust: Trust) -> Result<()> {
        if self.has_directory() || !matches!(change, Change::Write(..)) {
            return self.settle(change);
        }
        make_directory(self.directory(), DIRECTORY_MODE, trust)?;
        Self::inspect(self.path, trust)?.settle(change)
    }

    fn replace(&self, content: &str, attributes: Attributes) -> Result<()> {
        let path = self.path.display();
        let Some(directory) = &self.directory else {
            let directory = self.directory().display();
            return Err(Error::new(
                Kind::NotFound,
                format!("cannot write {path}: there is no directory {directory}"),
            )
            .hint("make it first, or give another one"));
        };
        Temporary::create(directory)
            .and_then(|temporary| temporary.take_place(self.name, content, attributes))
            .map_err(|error| Error::io(&format!("write {path}"), &error))
    }

    fn remove(&self) -> Result<()> {
        let (Some(directory), Some(_)) = (&self.directory, &self.existing) else { return Ok(()) };
        let removed = match unlinkat(directory, self.name, AtFlags::empty()) {
            Ok(()) => sync(directory),
            // Another run was faster.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        };
        removed.map_err(|error| Error::io(&format!("remove {}", self.path.display()), &error))
    }
}

impl Existing {
    fn read(path: &Path, directory: &OwnedFd, name: &str) -> Result<Option<Self>> {
        match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if !FileType::from_raw_mode(found.st_mode).is_file() => return Err(not_a_file(path)),
            Ok(_) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::io(&format!("read {}", path.display()), &error.into())),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(directory, name, flags, Bits::empty()) {
            // Another run has removed it in this moment.
            Err(Errno::NOENT) => return Ok(None),
            opened => opened,
        };
        let (found, bytes) = read_regular(path, opened, LARGEST_FILE)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(Kind::Conflict, format!("{} is not a text file", path.display()))
                .hint("move it away, or give another path")
        })?;
        Ok(Some(Self { text, attributes: Attributes::of(&found) }))
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
