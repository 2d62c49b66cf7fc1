//! The parameters of `token`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::ekcert;
use crate::error::{Error, Result};
use crate::host::{self, AbsolutePath};
use crate::teleport::{Changes, Identity, Label, Match, Name, Role, Shards, Timestamp, Wanted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // the contract's parameters
pub(super) struct Parameters {
    name: Name,
    bot_name: Option<Name>,
    roles: Option<Vec<Role>>,
    pub hosts: Option<Vec<Identity>>,
    pub registry: Option<AbsolutePath>,
    ekcert_allowed_cas: Option<Vec<String>>,
    /// The tokens as the cluster has them; an empty list or text where it has none.
    pub current: Option<Value>,
    expires: Option<End>,
    labels: Option<BTreeMap<Label, Label>>,
    #[serde(default)]
    pub prune: bool,
    #[serde(default)]
    pub remove: Vec<String>,
    /// Hosts of the registry and its archive that the token is for; all without it.
    pub only: Option<Vec<String>>,
    /// Hosts whose entries in the registry count as archived.
    #[serde(default)]
    pub archived: Vec<String>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    retire: bool,
    #[serde(default, rename = "match")]
    compare: Match,
    #[serde(default = "default_shards")]
    shards: u64,
    #[serde(default = "default_max_bytes")]
    max_bytes: u64,
    #[serde(default)]
    pub allow_lockout: bool,
    #[serde(default)]
    pub skip_refused: bool,
    pub path: Option<AbsolutePath>,
}

/// `expires`: a time, or `never`, which takes one away.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct End(Option<Timestamp>);

impl TryFrom<String> for End {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        Timestamp::try_from(text).map(|end| Self(Some(end)))
    }
}

fn default_shards() -> u64 {
    1
}

/// Below the 400 KiB that a cluster's storage may allow an item.
fn default_max_bytes() -> u64 {
    400_000
}

impl Parameters {
    /// Whether they give no hosts to let in, but say what is to go.
    pub(super) fn only_take_away(&self) -> bool {
        self.hosts.is_none() && self.registry.is_none() && (self.retire || !self.remove.is_empty())
    }

    /// What they ask for, with the hosts and archived TPMs that they lead to.
    pub(super) fn wanted(self, hosts: Vec<Identity>, archived: Vec<Identity>) -> Result<Wanted> {
        let cas = self.ekcert_allowed_cas.as_deref().map(certificates).transpose()?;
        if self.remove.iter().any(|name| name.trim().is_empty()) {
            return Err(Error::invalid("`remove` has an empty element"));
        }
        Ok(Wanted {
            shards: Shards::new(self.name, self.shards)?,
            changes: Changes {
                roles: self.roles,
                bot_name: self.bot_name,
                ekcert_allowed_cas: cas,
                expires: self.expires.map(|end| end.0),
                labels: self.labels,
            },
            hosts,
            skipped: Vec::new(),
            archived,
            compare: self.compare,
            remove: self.remove,
            prune: self.prune,
            replace: self.replace,
            retire: self.retire,
            max_bytes: usize::try_from(self.max_bytes).unwrap_or(usize::MAX),
        })
    }
}

/// The certificates of texts and files, one a PEM text, without repetitions.
fn certificates(sources: &[String]) -> Result<Vec<String>> {
    let mut certificates: Vec<String> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let found = if source.contains("-----BEGIN") {
            ekcert::pem_certificates(source, &format!("`ekcert_allowed_cas[{index}]`"))?
        } else {
            let path = AbsolutePath::try_from(source.clone()).map_err(|e| {
                Error::invalid(format!("`ekcert_allowed_cas[{index}]` is neither PEM nor a path: {e}"))
            })?;
            let text = String::from_utf8_lossy(&host::read(path.as_ref())?).into_owned();
            ekcert::pem_certificates(&text, path.as_str())?
        };
        for certificate in found {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}
