//! Who may change what a path leads to: whoever owns a directory on the way, or may write to it, can put
//! something else in the place of what is in it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat, openat};

use super::acl::Acl;
use crate::host::users::{Group, User};

/// The number of root, and of its group.
const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Directories that Debian gives to group staff (Debian Policy, section 9.1.2), and their mode.
const STAFF_DIRECTORIES: [&str; 2] = ["/usr/local", "/var/local"];
const STAFF_MODE: u32 = 0o2775;

/// Whose doing is trusted: root's, that of the user whom this process runs as, and that of the user who is
/// to own what the path leads to.
#[derive(Debug, Clone, Copy)]
pub struct Trust {
    caller: u32,
    owner: Option<u32>,
    /// Whether a request may name that owner.
    takes_owner: bool,
    /// Whether whoever may write to the directories on the way is trusted as well.
    is_shared: bool,
}

impl Trust {
    /// Trust in the future owner too, where one is given.
    #[must_use]
    pub fn in_owner(owner: Option<u32>) -> Self {
        Self { owner, takes_owner: true, ..Self::in_root() }
    }

    /// Trust in root and the caller alone: for what root acts upon, such as units and udev's rules.
    #[must_use]
    pub fn in_root() -> Self {
        let caller = rustix::process::geteuid().as_raw();
        Self { caller, owner: None, takes_owner: false, is_shared: false }
    }

    /// For files of a checkout that a team may share, such as a registry. An ordinary user gains and risks there what
    /// the team's playbooks do anyway; only what strangers left in a directory that everybody may write to is refused.
    /// Root risks the whole machine, and is as strict as everywhere.
    #[must_use]
    pub fn in_team() -> Self {
        let root = Self::in_root();
        Self { is_shared: !is_root(root.caller), ..root }
    }

    /// Whether whoever may write to the directories on the way is trusted as well.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether a request may name the future owner.
    #[must_use]
    pub fn takes_owner(&self) -> bool {
        self.takes_owner
    }

    /// Whether this user is trusted.
    #[must_use]
    pub fn is_trusted(&self, user: u32) -> bool {
        user == ROOT || self.is_caller(user) || self.owner == Some(user)
    }

    /// Whether this process runs as this user.
    #[must_use]
    pub fn is_caller(&self, user: u32) -> bool {
        user == self.caller
    }

    /// Whether a path is or lies below the home directory of the user whom this process runs as, by the system's
    /// own knowledge of users: the environment may name another's.
    #[must_use]
    pub fn is_in_own_home(&self, path: &Path) -> bool {
        let Ok(Some(user)) = User::by_number(self.caller) else { return false };
        // Where homes are behind a link of root's (`/home` to `var/home`), the account may name either.
        let homes = [Some(user.home.clone()), user.home.canonicalize().ok()];
        homes.iter().flatten().any(|home| home != Path::new("/") && path.starts_with(home))
    }
}

/// Whether anyone but its owner and root may write to a directory.
///
/// Not counted are root's group, Debian's group staff in the directories that Debian gives it, and a group
/// that is its owner's alone (as many distributions make one for each user), where no ACL adds anyone.
#[must_use]
pub fn others_write(directory: &OwnedFd, found: &Stat, path: &Path) -> bool {
    if everybody_writes(found) {
        return true;
    }
    let is_harmless = || {
        (is_roots_group(found, path) || is_own_group(found.st_uid, found.st_gid).unwrap_or(false))
            && matches!(names_others(directory), Ok(false))
    };
    found.st_mode & GROUP_WRITES != 0 && !is_harmless()
}

/// Whether everybody may write to a directory.
#[must_use]
pub fn everybody_writes(found: &Stat) -> bool {
    found.st_mode & OTHERS_WRITE != 0
}

/// Whether the directory lets each user change only what is the user's own (inode(7), "sticky bit").
#[must_use]
pub fn is_sticky(found: &Stat) -> bool {
    found.st_mode & STICKY != 0
}

/// Whether a user is root.
#[must_use]
pub fn is_root(user: u32) -> bool {
    user == ROOT
}

fn is_roots_group(found: &Stat, path: &Path) -> bool {
    let is_staff = || {
        found.st_uid == ROOT
            && found.st_mode & 0o7777 == STAFF_MODE
            && STAFF_DIRECTORIES.iter().any(|directory| path == Path::new(directory))
            && Group::by_name("staff").is_ok_and(|group| group.is_some_and(|it| it.gid == found.st_gid))
    };
    found.st_gid == ROOT || is_staff()
}

/// Whether a group has the name of its only member.
fn is_own_group(user: u32, group: u32) -> Option<bool> {
    let user = User::by_number(user).ok()??;
    let found = Group::by_number(group).ok()??;
    let is_named_so = user.gid == group && user.name == found.name;
    Some(is_named_so && found.all_members().ok()?.iter().all(|member| *member == user.name))
}

/// Whether an ACL gives further users or groups anything.
fn names_others(directory: &OwnedFd) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = openat(directory.as_fd(), c".", flags, Mode::empty())?;
    Ok(Acl::access(&readable)?.is_some_and(|acl| acl.widens()))
}
