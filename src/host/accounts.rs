//! Users and groups as requests name them, and as results show them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::thread::LocalKey;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::users::{Group, User};
use crate::error::Result;

/// A user or group as a request names it: a name, or digits that are its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(Cow<'static, str>);

impl Account {
    /// A name that is known to be one when this is compiled: a default.
    #[must_use]
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name or number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl TryFrom<String> for Account {
    type Error = String;

    /// Letters, digits, `_`, `-`, `.`, `@`, and a final `$`: what shadow-utils and directory services use
    /// and units can hold. Digits are a number that systemd takes ("Users, Groups, UIDs and GIDs on systemd
    /// Systems"): in 32 bits, not the largest number of 16 or 32 bits, which mean "none" and, to chown(2),
    /// "leave as it is", and without leading zeros.
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let body = text.strip_suffix('$').unwrap_or(&text);
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !is_number(&text) {
            return Err(format!("{text} is no number that a user or group can have"));
        }
        if ["", ".", ".."].contains(&body) || body.starts_with('-') || !body.chars().all(plain) {
            return Err(format!(
                "{text:?} is no name of a user or group that can be used here; give its number"
            ));
        }
        Ok(Self(Cow::Owned(text)))
    }
}

fn is_number(digits: &str) -> bool {
    let is_used = |number: u32| ![u32::from(u16::MAX), u32::MAX].contains(&number);
    digits.parse().is_ok_and(|number: u32| is_used(number) && number.to_string() == digits)
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AccountVisitor)
    }
}

struct AccountVisitor;

impl Visitor<'_> for AccountVisitor {
    type Value = Account;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name or number of a user or group (quote it, as in \"on\")")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Account, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Account, E> {
        Account::try_from(text.to_owned()).map_err(E::custom)
    }
}

/// The owner and group that a file should have, as far as they are given and exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The user's number; none leaves the owner as it is.
    pub user: Option<u32>,
    /// The group's number; none leaves the group as it is.
    pub group: Option<u32>,
}

impl Accounts {
    /// Looks up both. Names that do not exist come back as the second value, as sentences: an error
    /// to most, but in check mode an earlier task may be about to create them.
    pub fn find(user: Option<&Account>, group: Option<&Account>) -> Result<(Self, Vec<String>)> {
        let mut missing = Vec::new();
        let mut accounts = Self::default();
        if let Some(user) = user {
            let found = match user.number() {
                Some(number) => Some(number),
                None => User::by_name(&user.0)?.map(|found| found.uid).or_else(|| foreseen(&USERS, &user.0)),
            };
            accounts.user = found.or_else(|| note(&mut missing, "user", user));
        }
        if let Some(group) = group {
            let found = match group.number() {
                Some(number) => Some(number),
                None => {
                    Group::by_name(&group.0)?.map(|found| found.gid).or_else(|| foreseen(&GROUPS, &group.0))
                }
            };
            accounts.group = found.or_else(|| note(&mut missing, "group", group));
        }
        Ok((accounts, missing))
    }
}

fn note(missing: &mut Vec<String>, what: &str, account: &Account) -> Option<u32> {
    missing.push(format!("there is no {what} `{}` on this host", account.0));
    None
}

/// A user's name, or its number where it has none.
#[must_use]
pub fn user_name(number: u32) -> String {
    known(&USERS, number, || User::by_number(number).ok().flatten().map(|user| user.name))
}

/// A group's name, or its number where it has none.
#[must_use]
pub fn group_name(number: u32) -> String {
    known(&GROUPS, number, || Group::by_number(number).ok().flatten().map(|group| group.name))
}

type Names = RefCell<HashMap<u32, String>>;

thread_local! {
    // A look-up may ask a server, and a directory's content asks for the same few again and again.
    static USERS: Names = RefCell::default();
    static GROUPS: Names = RefCell::default();
}

/// From now on a user and a group of these names count as there, as they would be after a run that makes them: for check mode. They have
/// numbers that no account has.
pub fn foresee_accounts(user: Option<&str>, group: Option<&str>) {
    // A new user brings a group of its own name.
    for (names, name) in [(&USERS, user), (&GROUPS, user), (&GROUPS, group)] {
        let Some(name) = name else { continue };
        names.with_borrow_mut(|names| {
            let number = FIRST_FORESEEN + u32::try_from(names.len()).unwrap_or_default();
            if !names.values().any(|known| known == name) {
                names.insert(number, name.to_owned());
            }
        });
    }
}

/// Above what systemd takes for container and dynamic users (systemd.io, "Users, Groups, UIDs and GIDs").
const FIRST_FORESEEN: u32 = 0xF000_0000;

fn foreseen(names: &'static LocalKey<Names>, name: &str) -> Option<u32> {
    names.with_borrow(|names| {
        names
            .iter()
            .find(|(number, known)| **number >= FIRST_FORESEEN && *known == name)
            .map(|(number, _)| *number)
    })
}

fn known(names: &'static LocalKey<Names>, number: u32, look_up: impl FnOnce() -> Option<String>) -> String {
    names.with_borrow_mut(|names| {
        names.entry(number).or_insert_with(|| look_up().unwrap_or_else(|| number.to_string())).clone()
    })
}
