//! What is in a directory, at any depth: whose it is, and who may read it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, chownat, fchmod, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::acl::Acl;
use super::mount::is_mount_point;
use crate::host::reopen::reopened;
use crate::host::{Accounts, group_name, user_name};
use crate::message::printable;

/// Directories within each other; a bot has two or three.
const DEEPEST: usize = 64;
const OTHERS_READ_OR_WRITE: u32 = 0o066;
const OTHERS_WRITE: u32 = 0o022;
const GROUP_BITS: u32 = 0o070;

/// What is wrong with a directory's content.
#[derive(Debug, Default)]
pub struct Findings {
    /// What belongs to somebody else, or has ACLs that widen access: a line each as it is.
    pub before: Vec<String>,
    /// The same lines as they should be.
    pub after: Vec<String>,
    /// The ACL entries among them, with the path before each.
    pub acls: Vec<String>,
    /// Files that their group or everybody may read or change, and directories that they may change.
    pub open_to_others: Vec<String>,
    /// What is left alone although it is wrong, with the reason.
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
        let is_right = !item.is_strangers(accounts) && item.acls.is_empty();
        if is_right || item.reason_to_leave().is_some() || !item.is_still_there()? {
            return Ok(());
        }
        if item.is_strangers(accounts) {
            let (user, group) = item.owners(accounts);
            let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
            chownat(item.file, c"", user, group, AtFlags::EMPTY_PATH)?;
        }
        // Its former owner could have added to them until now.
        for acl in Acl::widening(item.file)? {
            if let Some(group) = acl.group_bits() {
                let others = fstat(item.file)?.st_mode & !GROUP_BITS;
                fchmod(item.file, Mode::from_raw_mode(others | group))?;
            }
            acl.remove(item.file)?;
        }
        Ok(())
    })
}

/// One thing in the directory.
struct Item<'a> {
    /// Where, below the directory.
    path: &'a Path,
    /// Opened to be read; as a place only where it is neither a file nor a directory, or may not be read.
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

    fn is_open_to_others(&self) -> bool {
        let bits = match self.kind() {
            FileType::RegularFile => OTHERS_READ_OR_WRITE,
            FileType::Directory => OTHERS_WRITE,
            _ => 0,
        };
        self.found.st_mode & bits != 0
    }

    /// A second name of a file may be anywhere, and be what somebody wants to have: it is not given away.
    fn reason_to_leave(&self) -> Option<&'static str> {
        match self.kind() {
            _ if self.is_elsewhere => Some("is on another file system"),
            FileType::Directory => None,
            FileType::BlockDevice | FileType::CharacterDevice => Some("is a device"),
            _ if self.found.st_nlink > 1 => Some("has a second name (a hard link), which may be anywhere"),
            _ => None,
        }
    }

    /// Whether it has had its name ever since it was opened. Whoever may change the directory could have given
    /// this name to a file from elsewhere, and have taken it away before the file's names were counted.
    ///
    /// The kernel tells it by the name that a file was opened by: a name that was removed once stays so
    /// (proc(5), `/proc/pid/fd`).
    fn is_still_there(&self) -> io::Result<bool> {
        let opened_by = std::fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        Ok(opened_by.file_name() == self.path.file_name())
    }
}

impl Findings {
    fn add(&mut self, item: &Item<'_>, accounts: Accounts) {
        let path = printable(item.path);
        if item.is_open_to_others() {
            self.open_to_others.push(path.clone());
        }
        let is_strangers = item.is_strangers(accounts);
        let is_wrong = is_strangers || !item.acls.is_empty();
        if let Some(reason) = item.reason_to_leave() {
            if is_wrong || item.is_elsewhere {
                self.left_alone.push(format!("{path} {reason}"));
            }
            return;
        }
        if !is_wrong {
            return;
        }
        let acls: Vec<String> = item.acls.iter().flat_map(Acl::describe).collect();
        let line = |(user, group), acls: &[String]| {
            let owners = format!("{}:{}", user_name(user), group_name(group));
            format!("{path}: {}", [&[owners], acls].concat().join(" "))
        };
        self.before.push(line((item.found.st_uid, item.found.st_gid), &acls));
        self.after.push(line(item.owners(accounts), &[]));
        self.acls.extend(acls.iter().map(|entry| format!("{path}: {entry}")));
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
        return Err(io::Error::other(format!("{} is more than {DEEPEST} levels deep", printable(path))));
    }
    for name in names(directory)? {
        path.push(&name);
        match open(directory, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // A bot at work replaces its files.
            opened => {
                let inner = opened
                    .and_then(|file| show(file, path, device, visitor))
                    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", printable(path))))?;
                if let Some(inner) = inner {
                    descend(&inner, path, device, visitor)?;
                }
            }
        }
        path.pop();
    }
    Ok(())
}

/// Shows one thing to `visitor`, and returns it where it is a directory to go on with.
fn show(file: OwnedFd, path: &Path, device: u64, visitor: &mut Visitor<'_>) -> io::Result<Option<OwnedFd>> {
    let found = fstat(&file)?;
    // Files of one overlay may have several devices' numbers, so these count only where nothing else tells.
    let is_elsewhere = is_mount_point(&file).unwrap_or(found.st_dev != device);
    let acls = if is_elsewhere { Vec::new() } else { Acl::widening(&file)? };
    visitor(&Item { path, file: &file, found, acls, is_elsewhere })?;
    Ok((FileType::from_raw_mode(found.st_mode).is_dir() && !is_elsewhere).then_some(file))
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
    let open_as =
        |access| openat(&directory, name, access | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let to_read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => open_as(to_read | OFlags::DIRECTORY),
        // Whose it is can be told without reading it; only root finds ACLs of what it may not read.
        FileType::RegularFile => match open_as(to_read) {
            Err(Errno::ACCESS) => open_as(OFlags::PATH),
            opened => opened,
        },
        _ => open_as(OFlags::PATH),
    };
    match opened {
        // Exchanged for something else in between.
        Err(Errno::LOOP | Errno::NOTDIR) => Err(io::ErrorKind::NotFound.into()),
        opened => Ok(opened?),
    }
}
