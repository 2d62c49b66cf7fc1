//! The account that a service runs as: its user, its group, and further groups that the user is to be in.
//! What is missing of it systemd-sysusers(8) makes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::resume_unwind;
use std::thread;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::users::{Group, User};
use super::{Account, group_name, program};
use crate::error::{Error, Kind, Result};
use crate::ordered;

/// An account as it should be.
#[derive(Debug)]
pub struct ServiceAccount<'a> {
    /// The user.
    pub user: &'a Account,
    /// A group that the user is in; that of the user's files.
    pub group: &'a Account,
    /// Further groups that the user is in, as far as the host has them.
    pub supplementary_groups: &'a [Account],
}

/// How much of an account there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The user, where there is one.
    pub user: Option<User>,
    /// The number of the account's group, where there is one.
    pub gid: Option<u32>,
    /// Names and numbers of the groups that the user is in, as it is when it logs in.
    pub groups: BTreeMap<String, u32>,
    /// Existing groups that the user is to be in, by name.
    wanted: BTreeMap<String, u32>,
    /// Supplementary groups that the host does not have.
    pub absent_groups: Vec<String>,
    /// The names that the account has, or will have.
    user_name: String,
    group_name: String,
}

impl ServiceAccount<'_> {
    /// Looks the account up.
    pub fn look_up(&self) -> Result<Standing> {
        let user = find_user(self.user)?;
        let group = find_group(self.group)?;
        let mut wanted = BTreeMap::new();
        wanted.extend(group.as_ref().map(|group| (group.name.clone(), group.gid)));
        let mut absent = BTreeSet::new();
        for name in self.supplementary_groups.iter().filter(|name| *name != self.group) {
            match find_group(name)? {
                Some(found) => _ = wanted.insert(found.name, found.gid),
                None => _ = absent.insert(name.as_str().to_owned()),
            }
        }
        // A user whom systemd-sysusers makes brings a group of the same name.
        if user.is_none() {
            absent.remove(self.user.as_str());
        }
        let groups = user.as_ref().map(groups_of).transpose()?.unwrap_or_default();
        Ok(Standing {
            user_name: user.as_ref().map_or(self.user.as_str(), |user| &user.name).to_owned(),
            group_name: group.as_ref().map_or(self.group.as_str(), |group| &group.name).to_owned(),
            gid: group.map(|group| group.gid),
            absent_groups: absent.into_iter().collect(),
            user,
            groups,
            wanted,
        })
    }

    /// Makes what is missing of it, by one run of systemd-sysusers, and looks again.
    pub fn make(&self, standing: &Standing) -> Result<Standing> {
        let lines = standing.sysusers_lines()?;
        let program = program::find("systemd-sysusers").ok_or_else(|| {
            Error::new(Kind::NotFound, "this host has no systemd-sysusers, which would make the account").hint(
                "make the user, its group and memberships by hand (useradd --system), and set `create: false`",
            )
        })?;
        let said = program::run(&program, &["-"], &lines)?;
        let made = self.look_up()?;
        if made.is_complete() {
            return Ok(made);
        }
        let message = format!(
            "systemd-sysusers did not make all of the account `{}`; missing: {}",
            self.user.as_str(),
            made.missing().join(", ")
        );
        Err(Error::new(Kind::Io, message)
            .detail(said.words())
            .hint("make it by hand, where the host's accounts are kept, and set `create: false`"))
    }
}

impl Standing {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// An error where a name is none that systemd-sysusers takes, so that what is missing cannot be made.
    pub fn check_names(&self) -> Result<()> {
        self.sysusers_lines().map(|_| ())
    }

    /// What is missing, in words.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.gid.is_none() {
            missing.push(format!("the group `{}`", self.group_name));
        }
        if self.user.is_none() {
            missing.push(format!("the user `{}`", self.user_name));
        }
        missing.extend(self.new_memberships().map(|group| format!("membership in the group `{group}`")));
        missing
    }

    /// Names of the groups that the user is in once nothing is missing.
    #[must_use]
    pub fn wanted_groups(&self) -> Vec<String> {
        let mut names = ordered::set(self.groups.keys().chain(self.wanted.keys()).map(String::as_str));
        names.insert(&self.group_name);
        if self.user.is_none() {
            names.insert(&self.user_name);
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// Numbers of the groups that the user is in once nothing is missing, as far as these exist.
    #[must_use]
    pub fn wanted_gids(&self) -> Vec<u32> {
        self.groups.values().chain(self.wanted.values()).copied().collect()
    }

    /// What to call a group in a configuration file: its name, or its number where the name has unusual
    /// characters, which may mean something there.
    #[must_use]
    pub fn plain_group(&self, preferred: &str) -> String {
        let (name, number) = match self.wanted.get(preferred) {
            Some(number) => (preferred, Some(*number)),
            None => (self.group_name.as_str(), self.gid),
        };
        number.filter(|_| !is_plain(name)).map_or_else(|| name.to_owned(), |number| number.to_string())
    }

    /// The account as it is, for a diff.
    #[must_use]
    pub fn describe(&self) -> String {
        let user = self.user.as_ref().map(|user| user.name.as_str());
        let group = self.gid.map(|_| self.group_name.as_str());
        describe(user, group, &self.groups.keys().cloned().collect::<Vec<_>>())
    }

    /// The account once nothing is missing, for a diff.
    #[must_use]
    pub fn describe_wanted(&self) -> String {
        describe(Some(&self.user_name), Some(&self.group_name), &self.wanted_groups())
    }

    /// Groups that the user is still to be put into. A new user is in the group of its own name.
    fn new_memberships(&self) -> impl Iterator<Item = &str> {
        let new_group = Some(self.group_name.as_str()).filter(|_| self.gid.is_none());
        let existing =
            self.wanted.iter().filter(|(_, number)| !self.groups.values().any(|gid| gid == *number));
        existing
            .map(|(name, _)| name.as_str())
            .chain(new_group)
            .filter(|name| self.user.is_some() || *name != self.user_name)
    }

    /// Lines of sysusers.d(5) that make what is missing. Only forms that every version from 239 knows: there
    /// a new user's primary group can only be named by its number, so it is always that of its own name, and
    /// the account's group is one more.
    fn sysusers_lines(&self) -> Result<String> {
        let mut lines = Vec::new();
        if self.gid.is_none() {
            lines.push(format!("g {} -", for_sysusers(&self.group_name)?));
        }
        if self.user.is_none() {
            let user = for_sysusers(&self.user_name)?;
            lines.push(format!("u {user} - \"Teleport Machine ID bot\" /nonexistent /usr/sbin/nologin"));
        }
        for group in self.new_memberships() {
            lines.push(format!("m {} {}", for_sysusers(&self.user_name)?, for_sysusers(group)?));
        }
        Ok(lines.join("\n") + "\n")
    }
}

fn describe(user: Option<&str>, group: Option<&str>, groups: &[String]) -> String {
    let [user, group] = [user, group].map(|name| name.unwrap_or("absent"));
    format!("user: {user}\ngroup: {group}\ngroups: [{}]\n", groups.join(", "))
}

/// A name that systemd-sysusers makes (sysusers.d(5)), which can be no specifier (`%`), second field or line.
fn for_sysusers(name: &str) -> Result<&str> {
    if is_plain(name) {
        return Ok(name);
    }
    Err(Error::invalid(format!("systemd-sysusers makes no user or group of the name {name:?}")).hint(
        "use letters, digits, `_` and `-`, at most 31, with a letter or `_` first; or make the account by hand and \
         set `create: false`",
    ))
}

fn is_plain(name: &str) -> bool {
    const LONGEST: usize = 31;
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_next = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.len() <= LONGEST && name.starts_with(is_first) && name.chars().all(is_next)
}

fn find_user(account: &Account) -> Result<Option<User>> {
    match account.number() {
        Some(number) => User::by_number(number),
        None => User::by_name(account.as_str()),
    }
}

fn find_group(account: &Account) -> Result<Option<Group>> {
    match account.number() {
        Some(number) => Group::by_number(number),
        None => Group::by_name(account.as_str()),
    }
}

fn groups_of(user: &User) -> Result<BTreeMap<String, u32>> {
    Ok(ordered::map(user.groups()?.into_iter().map(|number| (group_name(number), number))))
}

/// Does some work as that user, in a thread of its own: to Linux the credentials are a thread's (credentials(7)), so that the rest of
/// this process stays whose it is.
pub fn as_user<T: Send>(user: &User, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let groups = user.groups()?;
    as_account(user.uid, user.gid, &groups, work)
        .map_err(|error| Error::io(&format!("become the user `{}`", user.name), &error))?
}

/// The same by numbers.
pub(in crate::host) fn as_account<T: Send>(
    uid: u32,
    gid: u32,
    groups: &BTreeSet<u32>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let in_thread = || {
        become_account(uid, gid, groups)?;
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(in_thread).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Turns this thread into one of that account's, for good: no way leads back.
fn become_account(uid: u32, gid: u32, groups: &BTreeSet<u32>) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&groups)
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_names_without_a_meaning_of_their_own_are_handed_on() {
        for name in ["teleport", "_bot", "Bot-1", "a"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", "%h", "a b", "a\nu root", "1a", "-a", "a.b", "a$", "é", &"a".repeat(32)] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
