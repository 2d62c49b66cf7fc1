//! The parameters of `token`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::hosts::{self, Hosts};
use super::cas::{Cas, certificates};
use super::known::Known;
use super::without_cas;
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::teleport::{
    self, Changes, Identity, Label, Match, Name, Role, Scope, Shards, Timestamp, Token, Wanted,
};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // the contract's parameters
pub(in crate::actions) struct Parameters {
    pub name: Name,
    pub bot_name: Option<Name>,
    pub scope: Option<Scope>,
    pub roles: Option<Vec<Role>>,
    pub hosts: Option<Vec<Identity>>,
    pub registry: Option<AbsolutePath>,
    pub ekcert_allowed_cas: Option<Vec<String>>,
    /// Whether a token may have no CAs; none where only an oversight is refused.
    pub allow_without_cas: Option<bool>,
    /// The tokens as the cluster has them; an empty list or text where it has none.
    pub current: Option<Value>,
    pub expires: Option<End>,
    pub labels: Option<BTreeMap<Label, Label>>,
    #[serde(default)]
    pub prune: bool,
    #[serde(default)]
    pub remove: Vec<String>,
    /// Hosts of the registry and its archive that the token is for; all without it.
    pub only: Option<Vec<String>>,
    /// Hosts whose entries in the registry count as archived.
    #[serde(default)]
    pub archived: Vec<String>,
    /// Whether rules of archived TPMs go, and nobody is added.
    #[serde(default)]
    pub withdraw: bool,
    #[serde(default)]
    pub replace: bool,
    #[serde(default)]
    pub retire: bool,
    #[serde(default, rename = "match")]
    pub compare: Match,
    #[serde(default = "default_shards")]
    pub shards: u64,
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
    #[serde(default)]
    pub allow_lockout: bool,
    #[serde(default)]
    pub skip_refused: bool,
    pub path: Option<AbsolutePath>,
}

/// `expires`: a time, or `never`, which takes one away.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::actions) struct End(Option<Timestamp>);

impl TryFrom<String> for End {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        Timestamp::try_from(text).map(|end| Self(Some(end)))
    }
}

pub(in crate::actions) fn default_shards() -> u64 {
    1
}

/// Below the 400 KiB that a cluster's storage may allow an item.
pub(in crate::actions) fn default_max_bytes() -> u64 {
    400_000
}

/// What the parameters ask for.
pub(in crate::actions) struct Asked {
    pub given: Parameters,
    /// None where it is only said what is to go, or once it is taken.
    pub hosts: Option<Hosts>,
    /// Whether it is only said what is to go.
    pub only_takes_away: bool,
    /// The tokens as the cluster has them, where these are known.
    pub current: Option<Vec<Token>>,
    shards: Shards,
    cas: Option<Vec<Cas>>,
}

impl Parameters {
    pub(super) fn checked(mut self) -> Result<Asked> {
        let source = teleport::Source { name: "`current`", malformed: Kind::InvalidRequest };
        let current = self.current.take().map(|given| teleport::read_tokens(given, source)).transpose()?;
        hosts::check_archived(&self.archived, self.hosts.as_deref(), self.registry.as_ref())?;
        if self.withdraw && (self.registry.is_none() || self.prune) {
            return Err(Error::invalid(
                "`withdraw` takes away the rules of TPMs that `registry` has archived, and no others: it needs `registry`, and no `prune`",
            ));
        }
        let gives_none = self.hosts.is_none() && self.registry.is_none();
        let hosts = if gives_none && (self.retire || !self.remove.is_empty()) {
            None
        } else {
            Some(Hosts::checked("token", self.hosts.take(), self.registry.take())?)
        };
        let asked = self.without_hosts()?;
        let only_takes_away = hosts.is_none();
        Ok(Asked { hosts, only_takes_away, current, ..asked })
    }

    /// What they ask for of hosts that are known already.
    pub(in crate::actions) fn without_hosts(mut self) -> Result<Asked> {
        let given = self.ekcert_allowed_cas.take();
        without_cas::refuse_empty(given.as_deref(), self.allow_without_cas)?;
        let cas = given.map(|given| given.iter().enumerate().map(Cas::parse).collect()).transpose()?;
        if self.remove.iter().any(|name| name.trim().is_empty()) {
            return Err(Error::invalid("`remove` has an empty element"));
        }
        let shards = Shards::new(self.name.clone(), self.shards)?;
        Ok(Asked { given: self, hosts: None, only_takes_away: false, current: None, shards, cas })
    }
}

impl Parameters {
    /// Parameters by which archived TPMs leave a token of this name, and nothing else changes.
    pub(in crate::actions) fn to_withdraw(&self, name: Name) -> Self {
        Self {
            name,
            bot_name: None,
            roles: None,
            hosts: None,
            ekcert_allowed_cas: None,
            allow_without_cas: None,
            current: None,
            expires: None,
            labels: None,
            prune: false,
            remove: Vec::new(),
            only: None,
            archived: Vec::new(),
            withdraw: true,
            replace: false,
            retire: false,
            shards: default_shards(),
            path: None,
            ..self.clone()
        }
    }
}

impl Asked {
    /// What they ask for, with what is known of the hosts.
    pub(super) fn wanted(self, known: Known) -> Result<Wanted> {
        let Self { given, shards, cas, .. } = self;
        let Known { hosts, archived, names, untouched, .. } = known;
        Ok(Wanted {
            shards,
            changes: Changes {
                scope: given.scope,
                roles: given.roles,
                bot_name: given.bot_name,
                ekcert_allowed_cas: cas.map(certificates).transpose()?,
                expires: given.expires.map(|end| end.0),
                labels: given.labels,
            },
            hosts,
            skipped: Vec::new(),
            archived,
            names,
            untouched,
            compare: given.compare,
            remove: given.remove,
            prune: given.prune,
            replace: given.replace,
            retire: given.retire,
            max_bytes: usize::try_from(given.max_bytes).unwrap_or(usize::MAX),
        })
    }
}
