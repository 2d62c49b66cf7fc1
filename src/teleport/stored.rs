//! A token as it is now, in a file or in the cluster, and what replacing it would do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Expiry, Identity, Token, yaml};
use crate::error::{Error, Kind, Result};

/// Labels that a cluster adds by itself.
const CLUSTERS_OWN_LABELS: &str = "teleport.dev/";
/// How Go writes no time at all.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A join token of method `tpm` as somebody wrote it or the cluster stores it.
#[derive(Debug)]
pub struct StoredToken {
    resource: Value,
    parsed: Resource,
}

/// The parts that are compared. Parts of the wrong type are errors, since a rule that is not
/// understood could be lost unseen; unknown ones are the cluster's own.
#[derive(Debug, Deserialize)]
struct Resource {
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    expires: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct Spec {
    roles: Vec<String>,
    join_method: String,
    #[serde(default)]
    bot_name: String,
    tpm: Tpm,
}

#[derive(Debug, Deserialize)]
struct Tpm {
    ekcert_allowed_cas: Option<Vec<String>>,
    allow: Vec<StoredRule>,
}

/// A rule to the letter, as the cluster compares it; an absent part is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct StoredRule {
    #[serde(default)]
    description: String,
    #[serde(default)]
    ek_public_hash: String,
    #[serde(default)]
    ek_certificate_serial: String,
}

/// What replacing a token takes away, by the rules' descriptions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Rules of hosts that are not given now.
    pub lost: Vec<String>,
    /// Rules of given hosts whose TPM is another one now.
    pub superseded: Vec<String>,
}

impl StoredToken {
    /// The token in a YAML or JSON text: one document, or a list of one as `tctl get` prints it. None
    /// where the text holds nothing. `source` names it in errors, which are a `conflict` for anything
    /// else than the very token that `token` is to replace: another name, bot or join method.
    pub fn parse(text: &str, source: &str, token: &Token) -> Result<Option<Self>> {
        let unreadable =
            |detail: String| conflict(source, "is no YAML or JSON document with one token").detail(detail);
        // serde_yaml's own value refuses a key that is given twice; the last one would win silently.
        let checked: serde_yaml::Value = match serde_json::from_str(text) {
            Ok(json) => return Self::from_value(json, source, token),
            Err(_) => serde_yaml::from_str(text).map_err(|e| unreadable(e.to_string()))?,
        };
        let value = serde_json::to_value(checked).map_err(|e| unreadable(e.to_string()))?;
        Self::from_value(value, source, token)
    }

    /// The same for a text that has been parsed already.
    pub fn from_value(value: Value, source: &str, token: &Token) -> Result<Option<Self>> {
        let resource = match value {
            Value::Null => return Ok(None),
            Value::Array(mut items) => match items.pop() {
                None => return Ok(None),
                Some(only) if items.is_empty() => only,
                Some(_) => return Err(conflict(source, "holds several resources, not the one token")),
            },
            other => other,
        };
        let parsed = Resource::deserialize(&resource)
            .map_err(|e| conflict(source, "is no join token of method tpm").detail(e.to_string()))?;
        if parsed.kind != "token" || parsed.spec.join_method != "tpm" {
            return Err(conflict(source, "is no join token of method tpm"));
        }
        if parsed.metadata.name != token.name.as_str() {
            return Err(conflict(source, &format!("is another token than `{}`", token.name)));
        }
        if parsed.spec.bot_name != token.bot_name.as_ref().map_or("", |name| name.as_str()) {
            return Err(conflict(source, "belongs to another bot"));
        }
        if parsed.spec.tpm.allow.iter().any(StoredRule::is_empty) {
            return Err(conflict(source, "has a rule with neither a hash nor a serial number"));
        }
        Ok(Some(Self { resource, parsed }))
    }

    /// Whether both have the same expiry, labels, roles, CAs and rules, in any order and form.
    #[must_use]
    pub fn means_the_same(&self, token: &Token) -> bool {
        let new = Resource::deserialize(token.to_json());
        new.is_ok_and(|new| Meaning::of(&self.parsed) == Meaning::of(&new))
    }

    /// What putting `token`, made for these hosts, in this one's place takes away.
    #[must_use]
    pub fn losses(&self, token: &Token, hosts: &[Identity]) -> Losses {
        let new = Resource::deserialize(token.to_json()).map(|new| new.spec.tpm.allow).unwrap_or_default();
        let given: BTreeSet<String> =
            hosts.iter().filter_map(|host| host.description.clone()).map(String::from).collect();
        let rules = &self.parsed.spec.tpm.allow;
        let mut losses = Losses::default();
        for rule in rules {
            if new.iter().any(|new| new.covers(rule)) || hosts.iter().any(|host| rule.lets_in(host)) {
                continue;
            }
            // Only where nothing but this rule can have been the host's: descriptions need not be unique.
            let unique = rules.iter().filter(|other| other.description == rule.description).count() == 1;
            if unique && given.contains(&rule.description) {
                losses.superseded.push(rule.label().to_owned());
            } else {
                losses.lost.push(rule.label().to_owned());
            }
        }
        losses
    }

    /// The resource as YAML, to compare with.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.resource)
    }
}

impl StoredRule {
    fn is_empty(&self) -> bool {
        self.ek_public_hash.is_empty() && self.ek_certificate_serial.is_empty()
    }

    fn label(&self) -> &str {
        let parts = [&self.description, &self.ek_public_hash, &self.ek_certificate_serial];
        parts.into_iter().find(|part| !part.is_empty()).map_or("", String::as_str)
    }

    /// Whether this rule lets every TPM in that `other` does.
    fn covers(&self, other: &Self) -> bool {
        let part = |own: &str, others: &str| own.is_empty() || own.eq_ignore_ascii_case(others);
        part(&self.ek_public_hash, &other.ek_public_hash)
            && part(&self.ek_certificate_serial, &other.ek_certificate_serial)
    }

    /// Whether this is a rule for the given host's TPM.
    fn lets_in(&self, host: &Identity) -> bool {
        let hash = host.ek_public_hash.clone().map(String::from).unwrap_or_default();
        let serial = host.ek_cert_serial.clone().map(String::from).unwrap_or_default();
        let part = |own: &str, hosts: &str| own.is_empty() || own.eq_ignore_ascii_case(hosts);
        part(&self.ek_public_hash, &hash) && part(&self.ek_certificate_serial, &serial)
    }
}

/// What of a token decides anything, free of order and form.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    expires: Option<String>,
    labels: BTreeMap<String, String>,
    /// The cluster takes roles in any case.
    roles: BTreeSet<String>,
    ekcert_allowed_cas: BTreeSet<String>,
    rules: BTreeSet<StoredRule>,
}

impl Meaning {
    fn of(resource: &Resource) -> Self {
        let expires = resource.metadata.expires.clone().filter(|text| text != NO_TIME && !text.is_empty());
        let labels = resource.metadata.labels.clone().unwrap_or_default();
        let cas = resource.spec.tpm.ekcert_allowed_cas.iter().flatten();
        Self {
            expires: expires.map(|text| Expiry::try_from(text.clone()).map_or(text, String::from)),
            labels: labels.into_iter().filter(|(name, _)| !name.starts_with(CLUSTERS_OWN_LABELS)).collect(),
            roles: resource.spec.roles.iter().map(|role| role.to_lowercase()).collect(),
            ekcert_allowed_cas: cas.map(|pem| pem.trim().to_owned()).collect(),
            rules: resource.spec.tpm.allow.iter().cloned().collect(),
        }
    }
}

fn conflict(source: &str, what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{source} {what}; it was left as it is"))
        .hint("give the token another name or `path`, or move what is there away")
}
