//! Who a file or directory belongs to, and what others may do with it.

use rustix::fs::Stat;

use super::{Accounts, Mode, group_name, user_name};

/// Owner, group and permission bits of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The owner's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
    /// The permission bits.
    pub mode: Mode,
}

impl Attributes {
    /// Those of something that is there.
    #[must_use]
    pub fn of(found: &Stat) -> Self {
        Self { user: found.st_uid, group: found.st_gid, mode: Mode::new(found.st_mode) }
    }

    /// Those that something should have. An owner or group that is not given stays as it is, or is that
    /// of a new file of this process.
    #[must_use]
    pub fn wanted(current: Option<Self>, accounts: Accounts, mode: Mode) -> Self {
        let (user, group) = match current {
            Some(current) => (current.user, current.group),
            None => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        };
        Self { user: accounts.user.unwrap_or(user), group: accounts.group.unwrap_or(group), mode }
    }

    /// Owner and group alone.
    #[must_use]
    pub fn owners(&self) -> (u32, u32) {
        (self.user, self.group)
    }

    /// A line each for owner, group and mode, for a diff.
    #[must_use]
    pub fn describe(&self) -> String {
        let (user, group) = (user_name(self.user), group_name(self.group));
        format!("owner: {user}\ngroup: {group}\nmode: '{}'\n", self.mode)
    }
}
