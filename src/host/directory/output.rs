//! A directory that `tbot` writes to for others, or makes a socket in: it is made where it is missing. One that is there stays as it
//! is, because others may use it, but for an empty one of root's that nobody else may write to.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Stat, access, fchown, fsync};
use rustix::process::{Gid, Uid};

use super::mount::is_mount_point;
use super::walk::Walk;
use super::{Directory, Trust, contents, reopened};
use crate::error::{Error, Result};
use crate::host::service_account::as_account;
use crate::host::users::User;
use crate::host::{AbsolutePath, Accounts, Attributes, Mode, user_name};

const ROOT: u32 = 0;
const OTHERS_WRITE: u32 = 0o022;
const OWNER_WRITES: u32 = 0o300;

/// What is to become of such a directory.
pub struct OutputDirectory<'a> {
    path: PathBuf,
    directory: Directory<'a>,
    /// Of a new one.
    mode: Mode,
    work: Work,
}

enum Work {
    Make,
    Nothing,
    /// It is root's and empty, and is given to the bot's user.
    Give(OwnedFd, Stat),
    /// It is not changed, for this reason.
    Leave(String),
}

impl<'a> OutputDirectory<'a> {
    /// Looks at a directory in which the user of `accounts` is to write, and that has this mode where it is new. None where that user can
    /// do what is left to do.
    ///
    /// `unsafe_path` where it does not exist, and anyone could lead it elsewhere but root, the user that this process runs as, and its
    /// future owner.
    pub fn inspect(path: &'a AbsolutePath, accounts: Accounts, mode: Mode) -> Result<Option<Self>> {
        if accounts.user.is_some_and(|user| is_usable(user, path.as_ref())) {
            return Ok(None);
        }
        let trust = Trust::in_owner(accounts.user);
        let walk = Walk::to_own_directory(path.as_ref(), trust);
        let mut place = match walk.to_the_end() {
            Err(_) if accounts.user.is_some_and(|user| can_make(user, path.as_ref())) => return Ok(None),
            found => found?,
        };
        let target = place.target.take();
        let path = place.path();
        let work = match target {
            None => Work::Make,
            Some((directory, found)) => work(&path, directory, found, accounts)?,
        };
        let directory = Directory { walk, trust, place, accounts, existing: None };
        Ok(Some(Self { path, directory, mode, work }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has to be made.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.work, Work::Make)
    }

    /// Why it is left as it is, where the user cannot write to it.
    #[must_use]
    pub fn reason_to_leave(&self) -> Option<&str> {
        if let Work::Leave(reason) = &self.work { Some(reason) } else { None }
    }

    /// What is there, and what should be, as lines for a diff; none where nothing is to be done.
    #[must_use]
    pub fn difference(&self) -> Option<(String, String)> {
        let describe = |attributes: Attributes| format!("state: directory\n{}", attributes.describe());
        match &self.work {
            Work::Make => Some(("state: absent\n".to_owned(), self.directory.describe_wanted(self.made()))),
            Work::Give(_, found) => Some((describe(Attributes::of(found)), describe(self.given(found)))),
            Work::Nothing | Work::Leave(_) => None,
        }
    }

    /// Makes it, or gives it to its user.
    pub fn apply(&self) -> Result<()> {
        match &self.work {
            Work::Make => self.directory.apply(self.made()),
            Work::Give(directory, found) => {
                let (user, group) = self.given(found).owners();
                fchown(directory, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
                    .and_then(|()| fsync(directory))
                    .map_err(|error| {
                        let what = format!("give the directory {} to its user", self.path.display());
                        Error::io(&what, &error.into())
                    })
            }
            Work::Nothing | Work::Leave(_) => Ok(()),
        }
    }

    fn made(&self) -> Attributes {
        Attributes::wanted(None, self.directory.accounts, self.mode)
    }

    fn given(&self, found: &Stat) -> Attributes {
        Attributes::wanted(Some(Attributes::of(found)), self.directory.accounts, Mode::new(found.st_mode))
    }
}

/// What is to be done with a directory that is there, and to which the user cannot write.
fn work(path: &Path, directory: OwnedFd, found: Stat, accounts: Accounts) -> Result<Work> {
    let owner = found.st_uid;
    if accounts.user.is_none_or(|user| user == owner) {
        return Ok(Work::Nothing);
    }
    let failed = |error| Error::io(&format!("look into {}", path.display()), &error);
    let directory = reopened(directory).map_err(failed)?;
    let is_roots_alone = owner == ROOT && found.st_mode & OTHERS_WRITE == 0;
    let is_mounted = is_mount_point(&directory) == Some(true);
    if is_roots_alone && !is_mounted && contents::names(&directory).map_err(failed)?.is_empty() {
        return Ok(Work::Give(directory, found));
    }
    Ok(Work::Leave(format!("belongs to {}", user_name(owner))))
}

/// Whether a directory is there in which a user can write. As far as its owner and mode tell, nobody becomes that user.
fn is_usable(user: u32, directory: &Path) -> bool {
    let Ok(found) = fs::metadata(directory) else { return false };
    let is_own = found.uid() == user && found.mode() & OWNER_WRITES == OWNER_WRITES;
    // With an ACL, the bits of the group are those that the ACL may give at most (acl(5)).
    let is_roots_alone = found.uid() == ROOT && found.mode() & OTHERS_WRITE == 0;
    found.is_dir() && user != ROOT && (is_own || (!is_roots_alone && can_write(user, directory)))
}

/// Whether a user may make and replace files in a directory.
fn can_write(user: u32, directory: &Path) -> bool {
    let found = User::by_number(user).ok().flatten();
    let groups = found.as_ref().and_then(|user| user.groups().ok()).unwrap_or_default();
    let gid = found.map_or(user, |user| user.gid);
    let is_let = || directory.is_dir() && access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    // Nobody but root can become another.
    as_account(user, gid, &groups, is_let).unwrap_or(false)
}

/// Whether a user may make a directory, as `tbot` then does.
fn can_make(user: u32, directory: &Path) -> bool {
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let nearest = directory.ancestors().find(is_there);
    user == ROOT || nearest.is_some_and(|nearest| can_write(user, nearest))
}
