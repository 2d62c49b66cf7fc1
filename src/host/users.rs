//! The system's users and groups: those of passwd(5) and group(5), and those that only the host's name services know
//! (nsswitch.conf(5): LDAP, SSSD, systemd-userdbd), which getent(1) is asked for.
//!
//! The shipped binary is static, so that it cannot load the modules of a host's C library that speak to these
//! services; getent is a part of that library, and can. Any other build does the same.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::program;
use crate::error::{Error, Kind, Result};
use crate::ordered;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user, as passwd(5) has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// A group, as group(5) has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The number.
    pub gid: u32,
    /// Names of the users that are in it beside those whose primary group it is.
    pub members: Vec<String>,
}

impl User {
    /// The user of that name.
    pub fn by_name(name: &str) -> Result<Option<Self>> {
        find(PASSWD, "passwd", name, Self::parse, |user| user.name == name)
    }

    /// The user of that number.
    pub fn by_number(number: u32) -> Result<Option<Self>> {
        find(PASSWD, "passwd", &number.to_string(), Self::parse, |user| user.uid == number)
    }

    /// Numbers of all groups that the user is in, the primary one among them.
    pub fn groups(&self) -> Result<BTreeSet<u32>> {
        let mut numbers = BTreeSet::from([self.gid]);
        let groups = read(GROUP)?;
        let has_user = |group: &Group| group.members.contains(&self.name);
        numbers.extend(groups.lines().filter_map(Group::parse).filter(has_user).map(|group| group.gid));
        // `NAME  4 24`: a user of /etc/passwd may be in groups of a directory service.
        let said = getent("initgroups", &self.name)?.unwrap_or_default();
        numbers.extend(said.split_whitespace().skip(1).filter_map(number));
        Ok(numbers)
    }

    fn parse(line: &str) -> Option<Self> {
        let [name, _, uid, gid, _, home, ..] = fields(line)[..] else { return None };
        Some(Self { name: name.into(), uid: number(uid)?, gid: number(gid)?, home: home.into() })
    }
}

impl Group {
    /// The group of that name.
    pub fn by_name(name: &str) -> Result<Option<Self>> {
        find(GROUP, "group", name, Self::parse, |group| group.name == name)
    }

    /// The group of that number.
    pub fn by_number(number: u32) -> Result<Option<Self>> {
        find(GROUP, "group", &number.to_string(), Self::parse, |group| group.gid == number)
    }

    /// Names of the members, those among them that only a name service knows: `group: files [SUCCESS=merge] sss` adds some
    /// to a group that the file has.
    pub fn all_members(&self) -> Result<BTreeSet<String>> {
        let said = getent("group", &self.gid.to_string())?.unwrap_or_default();
        let merged = said.lines().filter_map(Self::parse).flat_map(|group| group.members);
        Ok(ordered::set(self.members.iter().cloned().chain(merged)))
    }

    fn parse(line: &str) -> Option<Self> {
        let [name, _, gid, members, ..] = fields(line)[..] else { return None };
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(Self { name: name.into(), gid: number(gid)?, members })
    }
}

/// The first entry of the file that matches; where it has none, what getent says.
fn find<T>(
    file: &str,
    database: &str,
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
    is_it: impl Fn(&T) -> bool,
) -> Result<Option<T>> {
    let first = |text: &str| text.lines().filter_map(&parse).find(&is_it);
    match first(&read(file)?) {
        Some(found) => Ok(Some(found)),
        None => Ok(getent(database, key)?.as_deref().and_then(first)),
    }
}

/// The number of an account. The largest is none: chown(2) and setresuid(2) take it for "leave as it is".
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

/// What is in the file. A host without it has no users, or no groups, of its own.
fn read(file: &str) -> Result<String> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io(&format!("read {file}"), &error)),
    }
}

/// What getent prints; none where it finds nothing, or where the host has none, and so no name services either. It is an
/// error of kind `io` where it fails otherwise: an account must not be taken for missing then.
fn getent(database: &str, key: &str) -> Result<Option<String>> {
    let Some(program) = program::find("getent") else { return Ok(None) };
    let said = program::run(&program, &[database, key], "")?;
    match said.status.code() {
        Some(0) => Ok(Some(said.output)),
        // Not found (getent(1)); or no such database, as `initgroups` is none to musl's getent.
        Some(1 | 2) => Ok(None),
        _ => {
            let message = format!("`getent {database} {key}` failed ({})", said.status);
            Err(Error::new(Kind::Io, message).detail(said.words()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_their_manual_pages_have_them() {
        let bot =
            User::parse("bot:x:992:991:Teleport Machine ID bot:/nonexistent:/usr/sbin/nologin").unwrap();
        assert_eq!((bot.name.as_str(), bot.uid, bot.gid), ("bot", 992, 991));
        assert_eq!(bot.home, PathBuf::from("/nonexistent"));
        let tss = Group::parse("tss:x:107:bot,web").unwrap();
        assert_eq!((tss.name.as_str(), tss.gid, tss.members), ("tss", 107, vec!["bot".into(), "web".into()]));
        assert!(Group::parse("empty:x:5:").unwrap().members.is_empty());
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        for line in [
            "",
            "+::::::",
            "bot:x:no:1::/:",
            "bot:x:1",
            "# bot:x",
            "bot:x:-1:0::/:",
            "bot:x:4294967295:0::/:",
        ] {
            assert_eq!(User::parse(line), None, "{line}");
        }
        for line in ["", "+:::", "tss:x:no:", "tss:x", "tss:x:4294967295:"] {
            assert_eq!(Group::parse(line), None, "{line}");
        }
    }

    #[test]
    fn this_machines_users_are_found_by_name_and_number() {
        let root = User::by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(User::by_number(0).unwrap().unwrap().name, root.name);
        assert!(root.groups().unwrap().contains(&0));
        assert_eq!(Group::by_number(0).unwrap(), Group::by_name("root").unwrap());
        assert_eq!(User::by_name("no-such-user").unwrap(), None);
        assert_eq!(Group::by_number(4_294_000_000).unwrap(), None);
    }
}
