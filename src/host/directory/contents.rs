//! What is in a directory, at any depth: whose it is, and who may read it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, chownat, fchmod, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::acl::Acl;
use crate::host::reopen::reopened;
use crate::host::{Accounts, group_name, user_name};

/// Directories within each other; a bot has two or three.
const DEEPEST: usize = 64;
const READABLE_BY_OTHERS: u32 = 0o044;

/// What is wrong with a directory's content.
#[derive(Debug, Default)]
pub struct Findings {
    /// What belongs to somebody else, or has ACLs that widen access: a line each as it is.
    pub before: Vec<String>,
    /// The same lines as they should be.
    pub after: Vec<String>,
    /// Files that their group or everybody may read.
    pub readable: Vec<String>,
    /// What is left alone although it belongs to somebody else, with the reason.
    pub left_alone: Vec<String>,
}

/// Looks through a directory. `accounts` is who everything in it should belong to, as far as that matters.
pub fn look(directory: &OwnedFd, accounts: Accounts) -> io::Result<Findings> {
    let mut findings = Findings::default();
    visit(directory, &mut |item| {
        findings.add(item, accounts);
        Ok(())
    })?;
    Ok(findings)
}

/// Gives what is in a directory to `accounts`, and removes ACLs that widen access. A directory is put right
/// before what is in it, which nobody else can exchange from then on.
pub fn put_right(directory: &OwnedFd, accounts: Accounts) -> io::Result<()> {
    visit(directory, &mut |item| {
        for acl in &item.acls {
            if let Some(group) = acl.group_bits() {
                fchmod(item.file, Mode::from_raw_mode(item.found.st_mode & 0o7707 | group))?;
            }
            acl.remove(item.file)?;
        }
        let (user, group) = item.owners(accounts);
        if item.is_strangers(accounts) && item.reason_to_leave().is_none() {
            let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
            chownat(item.file, c"", user, group, AtFlags::EMPTY_PATH)?;
        }
        Ok(())
    })
}

/// One thing in the directory.
struct Item<'a> {
    /// Where, below the directory.
    path: &'a Path,
    /// Opened to be read, or as a place only where it is neither a file nor a directory.
    file: &'a OwnedFd,
    found: Stat,
    acls: Vec<Acl>,
    /// Whether it is mounted there.
    is_elsewhere: bool,
}

impl Item<'_> {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.found.st_mode)
    }

    fn owners(&self, accounts: Accounts) -> (u32, u32) {
        (accounts.user.unwrap_or(self.found.st_uid), accounts.group.unwrap_or(self.found.st_gid))
    }

    fn is_strangers(&self, accounts: Accounts) -> bool {
        self.owners(accounts) != (self.found.st_uid, self.found.st_gid)
    }

    /// A second name of a file may be anywhere, and be what somebody wants to have: it is not given away. The
    /// count of names is the file's own, so nobody can make it smaller without removing one.
    fn reason_to_leave(&self) -> Option<&'static str> {
        match self.kind() {
            _ if self.is_elsewhere => Some("is on another file system"),
            FileType::Directory => None,
            FileType::BlockDevice | FileType::CharacterDevice => Some("is a device"),
            _ if self.found.st_nlink > 1 => Some("has a second name (a hard link), which may be anywhere"),
            _ => None,
        }
    }
}

impl Findings {
    fn add(&mut self, item: &Item<'_>, accounts: Accounts) {
        let path = item.path.display().to_string();
        if item.kind() == FileType::RegularFile && item.found.st_mode & READABLE_BY_OTHERS != 0 {
            self.readable.push(path.clone());
        }
        let reason = item.reason_to_leave();
        if let Some(reason) = reason.filter(|_| item.is_strangers(accounts) || item.is_elsewhere) {
            self.left_alone.push(format!("{path} {reason}"));
        }
        let is_strangers = item.is_strangers(accounts) && reason.is_none();
        if !is_strangers && item.acls.is_empty() {
            return;
        }
        let line = |(user, group), acls: &[String]| {
            let owners = format!("{}:{}", user_name(user), group_name(group));
            format!("{path}: {}", [&[owners], acls].concat().join(" "))
        };
        let current = (item.found.st_uid, item.found.st_gid);
        let acls: Vec<String> = item.acls.iter().flat_map(Acl::describe).collect();
        self.before.push(line(current, &acls));
        self.after.push(line(if is_strangers { item.owners(accounts) } else { current }, &[]));
    }
}

type Visitor<'a> = dyn FnMut(&Item<'_>) -> io::Result<()> + 'a;

/// Shows everything in a directory to `visitor`, each directory before what is in it.
fn visit(directory: &OwnedFd, visitor: &mut Visitor<'_>) -> io::Result<()> {
    let device = fstat(directory)?.st_dev;
    descend(directory, &mut PathBuf::new(), device, visitor)
}

fn descend(
    directory: &OwnedFd,
    path: &mut PathBuf,
    device: u64,
    visitor: &mut Visitor<'_>,
) -> io::Result<()> {
    if path.components().count() > DEEPEST {
        return Err(io::Error::other(format!("{} is more than {DEEPEST} levels deep", path.display())));
    }
    for name in names(directory)? {
        let opened = match open(directory, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // A bot at work replaces its files.
            opened => opened?,
        };
        let found = fstat(&opened)?;
        path.push(&name);
        let is_elsewhere = found.st_dev != device;
        let has_acls =
            matches!(FileType::from_raw_mode(found.st_mode), FileType::Directory | FileType::RegularFile);
        let acls = if has_acls && !is_elsewhere { Acl::widening(&opened)? } else { Vec::new() };
        visitor(&Item { path, file: &opened, found, acls, is_elsewhere })?;
        if !is_elsewhere && FileType::from_raw_mode(found.st_mode).is_dir() {
            descend(&opened, path, device, visitor)?;
        }
        path.pop();
    }
    Ok(())
}

/// The names in a directory, in the order of their bytes.
pub fn names(directory: &OwnedFd) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in Dir::new(reopened(directory)?)? {
        let entry = entry?;
        let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
        if name != Path::new(".") && name != Path::new("..") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Opens what is there itself, not what a symbolic link leads to, without waiting for anything.
fn open(directory: impl AsFd, name: &Path) -> io::Result<OwnedFd> {
    let found = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let access = match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory | FileType::RegularFile => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        _ => OFlags::PATH,
    };
    match openat(&directory, name, access | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        // Exchanged for a symbolic link in between.
        Err(Errno::LOOP) => Err(io::ErrorKind::NotFound.into()),
        opened => Ok(opened?),
    }
}
