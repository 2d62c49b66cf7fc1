//! The join token: a `token` resource, version 2, with join method `tpm`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Name, Role, Rule, Scope, Timestamp, yaml};
use crate::ekcert;
use crate::error::{Error, Kind, Result};
use crate::json;
use crate::ordered;

/// The kind and the version of a token, and of one in a scope.
pub(super) const PLAIN: (&str, &str) = ("token", "v2");
pub(super) const SCOPED: (&str, &str) = ("scoped_token", "v1");
/// `spec.usage_mode` of a scoped token for bots.
pub(super) const BOTS: &str = "bot";

/// Labels that a cluster adds by itself.
const CLUSTERS_OWN_LABELS: &str = "teleport.dev/";

/// A join token by which TPMs join.
#[derive(Debug, Clone)]
pub struct Token {
    /// `metadata.name`, which `tbot` names in its configuration.
    pub name: Name,
    /// Everything but its name and its rules.
    pub settings: Settings,
    /// `spec.tpm.allow`, sorted, so that the same rules give the same text.
    rules: Vec<Rule>,
}

/// What a token says besides its name and its rules.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `spec.roles`; the cluster takes them in any case.
    pub roles: Vec<String>,
    /// `spec.bot_name`: whose credentials the hosts get; only with the role Bot.
    pub bot_name: Option<String>,
    /// `spec.tpm.ekcert_allowed_cas`: certificates of CAs in PEM, one of which must have issued a TPM's EK
    /// certificate; none where that does not matter.
    pub ekcert_allowed_cas: Vec<String>,
    /// `metadata.expires`.
    pub expires: Option<Timestamp>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The scope of a `scoped_token`; none of a `token`.
    pub scope: Option<Scope>,
    /// What a newer cluster, or its administrator, wrote there besides.
    pub(super) unknown: Unknown,
}

/// Fields that this version does not know, by the object that they are in. They stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Unknown {
    pub resource: Map<String, Value>,
    pub metadata: Map<String, Value>,
    pub spec: Map<String, Value>,
    pub tpm: Map<String, Value>,
}

/// The resource as it is written: the long list last, so that it can follow the rest as a stream.
#[derive(Serialize)]
struct Resource<'a> {
    kind: &'static str,
    version: &'static str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scope>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<&'a Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Spec<'a> {
    roles: &'a [String],
    join_method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot_name: Option<&'a str>,
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
    tpm: Tpm<'a>,
}

#[derive(Serialize)]
struct Tpm<'a> {
    #[serde(flatten)]
    unknown: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ekcert_allowed_cas: &'a [String],
    allow: &'a [Rule],
}

impl Token {
    /// A token with these rules, in the order of descriptions, then hashes, and without repetitions.
    #[must_use]
    pub fn new(name: Name, settings: Settings, mut rules: Vec<Rule>) -> Self {
        rules.sort();
        rules.dedup();
        Self { name, settings, rules }
    }

    /// Its rules, sorted.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Refuses what a cluster would refuse at the token's creation, but for what
    /// [`Self::check_serial_rules`] does.
    pub fn check(&self) -> Result<()> {
        self.settings.check_roles()?;
        for (index, ca) in self.settings.ekcert_allowed_cas.iter().enumerate() {
            ekcert::check_first_block(ca).map_err(|why| {
                Error::new(
                    Kind::CertificateInvalid,
                    format!("element {index} of `ekcert_allowed_cas` of token `{}` {why}", self.name),
                )
            })?;
        }
        if self.rules.is_empty() {
            return Err(Error::invalid("there are no hosts, and a cluster refuses a token without a rule"));
        }
        for rule in &self.rules {
            if rule.is_empty() {
                return Err(Error::invalid(format!(
                    "the rule `{}` of token `{}` has neither a hash nor a serial number, and a cluster refuses that",
                    rule.label(),
                    self.name
                )));
            }
        }
        Ok(())
    }

    /// Refuses rules with a serial number only where there are no CAs. Clusters before July 2026 (v18) take
    /// them.
    pub fn check_serial_rules(&self) -> Result<()> {
        for rule in &self.rules {
            if rule.ek_public_hash.is_empty() && self.settings.ekcert_allowed_cas.is_empty() {
                return Err(Error::invalid(format!(
                    "the rule `{}` of token `{}` has a serial number and no hash; a cluster refuses that without \
                     `ekcert_allowed_cas`, since any CA could issue that number",
                    rule.label(),
                    self.name
                )));
            }
        }
        Ok(())
    }

    /// The number of TPMs that it lets in: rules that share a hash are alternatives.
    #[must_use]
    pub fn host_count(&self) -> usize {
        let hashes: HashSet<&str> = self.rules.iter().map(|rule| rule.ek_public_hash.as_str()).collect();
        let without = self.rules.iter().filter(|rule| rule.ek_public_hash.is_empty()).count();
        hashes.len() - usize::from(without > 0) + without
    }

    /// Whether both have the same name, expiry, labels, roles, CAs and rules, in any order and form.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.rules == other.rules
            && Meaning::of(&self.settings) == Meaning::of(&other.settings)
    }

    /// The resource as YAML for `tctl create -f`, after a comment that says where it is from.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let count = self.host_count();
        let hosts = if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
        format!(
            "# Join token for {hosts}, written by tbot_tpm; the next run keeps what it is not told to change.\n{}",
            self.to_bare_yaml()
        )
    }

    /// The same without the comment.
    #[must_use]
    pub fn to_bare_yaml(&self) -> String {
        const NO_RULE: &str = " []\n";
        const DEPTH: usize = 3;
        // Bytes, with description, hash and serial number.
        const USUAL_RULE: usize = 256;
        let mut text = yaml::write(&serde_json::to_value(self.resource(&[])).unwrap_or_default());
        if !self.rules.is_empty() {
            // The empty list of rules is the last thing in it.
            text.truncate(text.len() - NO_RULE.len());
            text.push('\n');
            text.reserve(self.rules.len() * USUAL_RULE);
            for rule in &self.rules {
                rule.write_yaml(DEPTH, &mut text);
            }
        }
        text
    }

    /// Bytes of the resource as compact JSON, which is what a cluster stores.
    #[must_use]
    pub fn size(&self) -> usize {
        let commas = self.rules.len().saturating_sub(1);
        self.size_without_rules() + self.rules.iter().map(Rule::size).sum::<usize>() + commas
    }

    /// Bytes that are left when the rules are taken away.
    #[must_use]
    pub fn size_without_rules(&self) -> usize {
        json::size(&self.resource(&[]))
    }

    fn resource<'a>(&'a self, rules: &'a [Rule]) -> Resource<'a> {
        let Settings { roles, bot_name, ekcert_allowed_cas, expires, labels, scope, unknown } =
            &self.settings;
        let tpm = Tpm { unknown: &unknown.tpm, ekcert_allowed_cas, allow: rules };
        let (usage_mode, bot, bot_name) = match scope {
            Some(scope) => (Some(BOTS), bot_name.as_deref().map(|name| scope.qualify(name)), None),
            None => (None, None, bot_name.as_deref()),
        };
        let spec = Spec { roles, join_method: "tpm", usage_mode, bot, bot_name, unknown: &unknown.spec, tpm };
        let metadata =
            Metadata { name: &self.name, expires: expires.as_ref(), labels, unknown: &unknown.metadata };
        let (kind, version) = if scope.is_some() { SCOPED } else { PLAIN };
        Resource { kind, version, metadata, scope: scope.as_ref(), unknown: &unknown.resource, spec }
    }
}

impl Settings {
    /// Refuses what a cluster would: no role, or a bot's name without the role Bot or the other way round.
    pub fn check_roles(&self) -> Result<()> {
        if self.roles.is_empty() {
            return Err(Error::invalid("`roles` is empty, and a cluster refuses a token without a role"));
        }
        if self.scope.is_some() && self.roles.iter().any(|role| !Role::names_bot(role)) {
            return Err(Error::invalid(
                "a token in a scope is for bots alone: leave out `roles`, or `scope`",
            ));
        }
        match (self.roles.iter().any(|role| Role::names_bot(role)), &self.bot_name) {
            (true, None) => {
                Err(Error::invalid("a token with the role Bot needs `bot_name`, or a cluster refuses it"))
            }
            (false, Some(_)) => Err(Error::invalid(
                "`bot_name` goes with the role Bot only; a cluster refuses it with other roles",
            )),
            _ => Ok(()),
        }
    }

    /// The certificates of its CAs, free of order and form; texts that hold none are themselves.
    #[must_use]
    pub fn distinct_cas(&self) -> BTreeSet<String> {
        let certificates = |text: &String| {
            ekcert::pem_certificates(text, "a CA").unwrap_or_else(|_| vec![text.trim().to_owned()])
        };
        ordered::set(self.ekcert_allowed_cas.iter().flat_map(certificates))
    }
}

/// What of the settings decides anything, free of order and form.
#[derive(PartialEq)]
struct Meaning<'a> {
    expires: Option<&'a Timestamp>,
    labels: Vec<(&'a String, &'a String)>,
    roles: BTreeSet<String>,
    scope: Option<&'a Scope>,
    bot_name: Option<&'a str>,
    ekcert_allowed_cas: BTreeSet<String>,
    unknown: [Map<String, Value>; 4],
}

impl<'a> Meaning<'a> {
    fn of(settings: &'a Settings) -> Self {
        let Unknown { resource, metadata, spec, tpm } = &settings.unknown;
        Self {
            expires: settings.expires.as_ref(),
            labels: settings.labels.iter().filter(|(name, _)| !is_clusters_own(name)).collect(),
            roles: settings.roles.iter().map(|role| role.to_lowercase()).collect(),
            scope: settings.scope.as_ref(),
            bot_name: settings.bot_name.as_deref(),
            ekcert_allowed_cas: settings.distinct_cas(),
            unknown: [resource, metadata, spec, tpm].map(significant),
        }
    }
}

/// Whether a label is one that the cluster keeps for itself.
pub(super) fn is_clusters_own(label: &str) -> bool {
    label.starts_with(CLUSTERS_OWN_LABELS)
}

/// The fields without those that say nothing: a cluster shows such ones for what was left out.
fn significant(fields: &Map<String, Value>) -> Map<String, Value> {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    };
    let deep = |value: &Value| match value {
        Value::Object(fields) => Value::Object(significant(fields)),
        other => other.clone(),
    };
    let fields = fields.iter().map(|(name, value)| (name.clone(), deep(value)));
    fields.filter(|(_, value)| says_something(value)).collect()
}
