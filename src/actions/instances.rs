//! Bots of a host beside the unnamed one, which the other parameters speak of: what `deploy` and `enroll` take as `instances`. Both take
//! all of it, so that one list does for the two; each checks all and uses its part.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::host::unit::UnitName;
use crate::host::{AbsolutePath, Account};
use crate::teleport::Name;

/// A bot with a service, a configuration and a directory of its own.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Instance {
    pub name: InstanceName,
    #[serde(default)]
    pub state: State,

    // In the cluster.
    bot_name: Option<Name>,
    token_name: Option<Name>,
    /// The bot's roles; without them, the bot is left as it is.
    pub bot_roles: Option<Vec<String>>,
    pub bot_traits: Option<BTreeMap<String, Vec<String>>>,
    /// The hosts that have it, where these are not all. Rules of others in its token are left as they are.
    pub hosts: Option<Vec<String>>,
    /// Hosts whose rules go from its token.
    #[serde(default)]
    pub leaves: Vec<String>,

    // On the host. What is not given of user and group is the unnamed bot's.
    pub user: Option<Account>,
    pub group: Option<Account>,
    /// Without them, the configuration keeps those that it has.
    pub services: Option<Vec<Value>>,
    #[serde(default)]
    pub readers: Vec<Account>,
    #[serde(default)]
    pub config_extra: Map<String, Value>,
    storage_path: Option<AbsolutePath>,
    config_path: Option<AbsolutePath>,
    service_name: Option<UnitName>,
    /// An empty one is none.
    diag_addr: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[default]
    Present,
    Absent,
}

/// What tells the bots of a host apart. It becomes part of the names of services and files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct InstanceName(String);

impl InstanceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstanceName {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        const LONGEST: usize = 32;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if text.len() > LONGEST
            || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !text.chars().all(is_plain)
        {
            return Err(format!(
                "{text:?} cannot name an instance: use letters, digits, `-` and `_` (1 to {LONGEST}, a letter or digit first)"
            ));
        }
        Ok(Self(text))
    }
}

impl Instance {
    pub fn is_absent(&self) -> bool {
        self.state == State::Absent
    }

    /// The bot that it joins as: of its own name, where no other is given.
    pub fn bot_name(&self) -> Result<Name> {
        self.bot_name.clone().map_or_else(|| named(self.name.as_str().to_owned()), Ok)
    }

    /// The join token, or what the names of several begin with.
    pub fn token_name(&self) -> Result<Name> {
        self.token_name.clone().map_or_else(|| named(self.own("tbot-", "")), Ok)
    }

    pub fn storage_path(&self) -> Result<AbsolutePath> {
        self.path(self.storage_path.as_ref(), "/var/lib/teleport/bot-", "")
    }

    pub fn config_path(&self) -> Result<AbsolutePath> {
        self.path(self.config_path.as_ref(), "/etc/tbot-", ".yaml")
    }

    pub fn service_name(&self) -> Result<UnitName> {
        let name = self.service_name.clone();
        name.map_or_else(|| UnitName::try_from(self.own("tbot-", "")).map_err(Error::invalid), Ok)
    }

    /// Where it says whether it is well, for a configuration that does not say so itself; none where an empty text is given. The port
    /// follows from the name alone, so that it stays whatever instances come and go.
    pub fn diag_addr(&self) -> Option<String> {
        match &self.diag_addr {
            Some(address) => Some(address.clone()).filter(|address| !address.is_empty()),
            None => Some(format!("127.0.0.1:{}", port(self.name.as_str()))),
        }
    }

    fn own(&self, before: &str, after: &str) -> String {
        format!("{before}{}{after}", self.name.as_str())
    }

    fn path(&self, given: Option<&AbsolutePath>, before: &str, after: &str) -> Result<AbsolutePath> {
        let path = given.cloned().map_or_else(|| AbsolutePath::try_from(self.own(before, after)), Ok);
        path.map_err(Error::invalid)
    }
}

/// Refuses two of one name, and hosts that are to have an instance and to leave it.
pub(super) fn check(instances: &[Instance]) -> Result<()> {
    let mut names = HashSet::new();
    for instance in instances {
        let name = instance.name.as_str();
        if !names.insert(name) {
            return Err(Error::invalid(format!(
                "two of `instances` are called `{name}`: give each a name of its own"
            )));
        }
        if instance.is_absent() && instance.hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()) {
            return Err(Error::invalid(format!(
                "`instances`: `{name}` is to be absent, and has `hosts`: name hosts that leave it in `leaves`"
            )));
        }
        let both = instance.hosts.iter().flatten().find(|host| instance.leaves.contains(host));
        if let Some(host) = both {
            return Err(Error::invalid(format!(
                "`instances`: `{host}` is among both `hosts` and `leaves` of `{name}`: remove it from one of them"
            )));
        }
    }
    Ok(())
}

fn named(text: String) -> Result<Name> {
    Name::try_from(text).map_err(Error::invalid)
}

/// A port beside 3001, which the unnamed bot has.
fn port(name: &str) -> u32 {
    const FIRST: u32 = 3002;
    const NUMBER: u32 = 998;
    // FNV-1a, which stays the same wherever and whenever it is computed.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    FIRST + hash % NUMBER
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn instance(fields: Value) -> serde_json::Result<Instance> {
        serde_json::from_value(fields)
    }

    #[test]
    fn everything_follows_from_the_name() {
        let instance = instance(json!({ "name": "deploy" })).unwrap();
        assert_eq!(instance.bot_name().unwrap().as_str(), "deploy");
        assert_eq!(instance.token_name().unwrap().as_str(), "tbot-deploy");
        assert_eq!(instance.config_path().unwrap().as_str(), "/etc/tbot-deploy.yaml");
        assert_eq!(instance.storage_path().unwrap().as_str(), "/var/lib/teleport/bot-deploy");
        assert_eq!(instance.diag_addr().as_deref(), Some("127.0.0.1:3214"));
        assert!(!instance.is_absent());
    }

    #[test]
    fn an_empty_diag_addr_is_none() {
        assert_eq!(instance(json!({ "name": "deploy", "diag_addr": "" })).unwrap().diag_addr(), None);
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["", "-a", "a/b", "..", "a.b", "a b", "ä", &"a".repeat(33)] {
            assert!(instance(json!({ "name": name })).is_err(), "{name:?} was taken");
        }
    }

    #[test]
    fn no_two_have_one_name() {
        let two = ["a", "b", "a"].map(|name| instance(json!({ "name": name })).unwrap());
        assert!(check(&two).unwrap_err().message.contains("`a`"));
    }
}
