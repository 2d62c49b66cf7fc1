//! What a request asks for: one host's entry changed, or those of many.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::State;
use crate::error::{Error, Result};
use crate::protocol::{boolean, from_value};
use crate::teleport::HostName;
use crate::teleport::registry::{Found, RuleText};

/// What is to become of one host's entry.
pub(in crate::actions) struct Change {
    pub host: HostName,
    /// None where the entry is to be archived.
    pub found: Option<Found>,
    /// None where it stays.
    pub rule_description: Option<RuleText>,
    /// Whether another TPM is accepted.
    pub accept: bool,
}

/// One of many hosts, of which nothing but the name's being there is certain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    host: String,
    identity: Option<Value>,
    rule_description: Option<Value>,
}

/// Whose TPMs may be others than before.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Accepted {
    /// All hosts', or no one's.
    All(bool),
    Hosts(HashSet<String>),
}

impl Default for Accepted {
    fn default() -> Self {
        Self::All(false)
    }
}

impl TryFrom<Value> for Accepted {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        if let Some(all) = boolean(&value) {
            return Ok(Self::All(all));
        }
        from_value("registry", "accept_identity_change", value)
            .map(Self::Hosts)
            .map_err(|_| "expected true, false or a list of hosts' names".to_owned())
    }
}

impl Accepted {
    pub(super) fn has(&self, host: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Hosts(hosts) => hosts.contains(host),
        }
    }
}

impl Change {
    pub(super) fn new(
        state: &State,
        host: HostName,
        identity: Option<Found>,
        rule_description: Option<RuleText>,
        accepted: &Accepted,
    ) -> Result<Self> {
        let found = match (state, identity) {
            (State::Present, None) => {
                return Err(Error::invalid("action `registry` needs parameter `identity`")
                    .hint("give what `identify` returned for the host, or `state: archived`"));
            }
            (State::Present, found) => found,
            _ => None,
        };
        let accept = accepted.has(host.as_str());
        Ok(Self { host, found, rule_description, accept })
    }
}

impl Given {
    /// The host's name as it was given, and the change, or what is wrong with this host's part of the request: in the words of a
    /// request for this host alone.
    pub(super) fn into_change(self, state: &State, accepted: &Accepted) -> (String, Result<Change>) {
        let Self { host, identity, rule_description } = self;
        let name = host.clone();
        let change = || {
            let host = parsed("host", Value::String(host))?;
            let identity = identity.filter(|_| matches!(state, State::Present));
            let identity = identity.map(|identity| parsed("identity", identity)).transpose()?;
            let text = rule_description.map(|text| parsed("rule_description", text)).transpose()?;
            Change::new(state, host, identity, text, accepted)
        };
        (name, change())
    }

    pub(super) fn has_rule_description(&self) -> bool {
        self.rule_description.is_some()
    }
}

fn parsed<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    from_value("registry", name, value)
}
