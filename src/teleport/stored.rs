//! A token as it is now, in a file or in the cluster, and what replacing it would do.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Token;
use crate::error::{Error, Kind, Result};

/// Labels that a cluster adds by itself.
const CLUSTERS_OWN_LABELS: &str = "teleport.dev/";

/// A join token of method `tpm` as somebody wrote it or the cluster stores it.
#[derive(Debug)]
pub struct StoredToken {
    resource: Value,
}

/// What replacing a token takes away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Rules of hosts that the new token does not let in, by their descriptions.
    pub lost: Vec<String>,
    /// Rules of hosts that the new token lets in by another TPM, by their descriptions.
    pub superseded: Vec<String>,
}

impl StoredToken {
    /// The token in a YAML or JSON text: one document, or a list of one as `tctl get` prints it. None
    /// where the text holds nothing. `source` names it in errors, which are a `conflict` for anything
    /// else than the very token that `token` is to replace: another name, bot or join method.
    pub fn parse(text: &str, source: &str, token: &Token) -> Result<Option<Self>> {
        let value = serde_yaml::from_str(text).map_err(|e| {
            conflict(source, "is no YAML or JSON document with one token").detail(e.to_string())
        })?;
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
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/kind") != "token" || text("/spec/join_method") != "tpm" {
            return Err(conflict(source, "is no join token of method tpm"));
        }
        if text("/metadata/name") != token.name.as_str() {
            return Err(conflict(source, &format!("is another token than `{}`", token.name)));
        }
        if text("/spec/bot_name") != token.bot_name.as_ref().map_or("", |name| name.as_str()) {
            return Err(conflict(source, "belongs to another bot"));
        }
        Ok(Some(Self { resource }))
    }

    /// Whether the cluster would treat both alike: order, form and what the cluster adds aside.
    #[must_use]
    pub fn means_the_same(&self, token: &Token) -> bool {
        Meaning::of(&self.resource) == Meaning::of(&token.to_json())
    }

    /// What putting `token` in this one's place takes away.
    #[must_use]
    pub fn losses(&self, token: &Token) -> Losses {
        let new = token.to_json();
        let of_new =
            |key: &str| -> HashSet<String> { rules(&new).filter_map(|rule| folded(rule, key)).collect() };
        let (hashes, serials) = (of_new("ek_public_hash"), of_new("ek_certificate_serial"));
        let descriptions: HashSet<&str> = rules(&new).filter_map(|rule| text(rule, "description")).collect();
        let mut losses = Losses::default();
        for rule in rules(&self.resource) {
            let kept = match (folded(rule, "ek_public_hash"), folded(rule, "ek_certificate_serial")) {
                (Some(hash), _) => hashes.contains(&hash),
                (None, Some(serial)) => serials.contains(&serial),
                (None, None) => true,
            };
            if kept {
                continue;
            }
            let description = text(rule, "description");
            let keys = ["description", "ek_public_hash", "ek_certificate_serial"];
            let label = keys.iter().find_map(|key| text(rule, key)).unwrap_or_default().to_owned();
            if description.is_some_and(|name| descriptions.contains(name)) {
                losses.superseded.push(label);
            } else {
                losses.lost.push(label);
            }
        }
        losses
    }
}

/// What of a token decides anything.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    expires: Option<OffsetDateTime>,
    labels: BTreeMap<String, String>,
    /// The cluster takes roles in any case.
    roles: BTreeSet<String>,
    ekcert_allowed_cas: BTreeSet<String>,
    /// Description, hash and serial number to the letter, as the cluster compares them.
    rules: BTreeSet<[String; 3]>,
}

impl Meaning {
    fn of(resource: &Value) -> Self {
        let at = |pointer: &str| resource.pointer(pointer);
        let texts = |pointer: &str| -> Vec<String> {
            let items = at(pointer).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
        };
        let labels = at("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let field = |rule: &Value, key: &str| text(rule, key).unwrap_or_default().to_owned();
        Self {
            expires: at("/metadata/expires")
                .and_then(Value::as_str)
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
                // Go writes the year 1 for none.
                .filter(|instant| instant.year() > 1),
            labels: labels
                .filter(|(name, _)| !name.starts_with(CLUSTERS_OWN_LABELS))
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            roles: texts("/spec/roles").iter().map(|role| role.to_lowercase()).collect(),
            ekcert_allowed_cas: texts("/spec/tpm/ekcert_allowed_cas").into_iter().collect(),
            rules: rules(resource)
                .map(|rule| {
                    ["description", "ek_public_hash", "ek_certificate_serial"].map(|key| field(rule, key))
                })
                .collect(),
        }
    }
}

fn rules(resource: &Value) -> impl Iterator<Item = &Value> {
    resource.pointer("/spec/tpm/allow").and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(rule: &'a Value, key: &str) -> Option<&'a str> {
    rule.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn folded(rule: &Value, key: &str) -> Option<String> {
    text(rule, key).map(str::to_ascii_lowercase)
}

fn conflict(source: &str, what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{source} {what}; it was left as it is"))
        .hint("give the token another name or `path`, or move what is there away")
}
