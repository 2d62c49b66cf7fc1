//! The join token: a `token` resource, version 2, with join method `tpm`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Description, Expiry, Identity, Label, Name, Role, yaml};
use crate::ekcert::{EkPublicHash, Serial};
use crate::error::{Error, Result};

/// What a rule compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The EK's public key.
    #[default]
    Hash,
    /// The EK's public key and the EK certificate's serial number, where there is one.
    HashAndSerial,
}

/// One rule of a token: the TPM that it lets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    description: Option<Description>,
    ek_public_hash: Option<EkPublicHash>,
    ek_certificate_serial: Option<Serial>,
}

impl Rule {
    /// The rule that lets this host in. One without a hash and a serial number would let every host
    /// in, and a cluster refuses it.
    fn for_host(host: &Identity, compare: Match) -> Result<Self> {
        let by_serial = compare == Match::HashAndSerial || host.ek_public_hash.is_none();
        let ek_certificate_serial = host.ek_cert_serial.clone().filter(|_| by_serial);
        if host.ek_public_hash.is_none() && ek_certificate_serial.is_none() {
            return Err(Error::invalid(format!(
                "{} has neither `ek_public_hash` nor `ek_cert_serial`, and a cluster refuses a rule without both",
                host.label()
            )));
        }
        Ok(Self {
            description: host.description.clone(),
            ek_public_hash: host.ek_public_hash.clone(),
            ek_certificate_serial,
        })
    }

    fn to_json(&self) -> Value {
        let mut rule = Map::new();
        if let Some(description) = &self.description {
            rule.insert("description".to_owned(), json!(description));
        }
        if let Some(hash) = &self.ek_public_hash {
            rule.insert("ek_public_hash".to_owned(), json!(hash));
        }
        if let Some(serial) = &self.ek_certificate_serial {
            rule.insert("ek_certificate_serial".to_owned(), json!(serial));
        }
        Value::Object(rule)
    }
}

/// A join token by which exactly the given TPMs join.
#[derive(Debug, Clone)]
pub struct Token {
    /// `metadata.name`, which `tbot` names in its configuration.
    pub name: Name,
    /// `spec.bot_name`: whose credentials the hosts get.
    pub bot_name: Option<Name>,
    /// `spec.roles`.
    pub roles: Vec<Role>,
    /// `spec.tpm.ekcert_allowed_cas`: one certificate in PEM each.
    pub ekcert_allowed_cas: Vec<String>,
    /// `metadata.expires`.
    pub expires: Option<Expiry>,
    /// `metadata.labels`.
    pub labels: BTreeMap<Label, Label>,
    /// `spec.tpm.allow`, sorted.
    rules: Vec<Rule>,
}

impl Token {
    /// A token without rules, checked against what a cluster refuses at creation.
    pub fn new(name: Name, bot_name: Option<Name>, roles: Vec<Role>) -> Result<Self> {
        if roles.is_empty() {
            return Err(Error::invalid("`roles` is empty, and a cluster refuses a token without a role"));
        }
        match (roles.iter().any(Role::is_bot), &bot_name) {
            (true, None) => {
                return Err(Error::invalid(
                    "a token with the role Bot needs `bot_name`, or a cluster refuses it",
                ));
            }
            (false, Some(_)) => {
                return Err(Error::invalid(
                    "`bot_name` goes with the role Bot only; a cluster refuses it with other roles",
                ));
            }
            _ => {}
        }
        let mut distinct: Vec<Role> = Vec::with_capacity(roles.len());
        for role in roles {
            if !distinct.contains(&role) {
                distinct.push(role);
            }
        }
        Ok(Self {
            name,
            bot_name,
            roles: distinct,
            ekcert_allowed_cas: Vec::new(),
            expires: None,
            labels: BTreeMap::new(),
            rules: Vec::new(),
        })
    }

    /// Adds a rule for each host, and puts them in the order of descriptions, then hashes, so that
    /// the same hosts give the same token in any order.
    pub fn allow(&mut self, hosts: &[Identity], compare: Match) -> Result<()> {
        for host in hosts {
            let rule = Rule::for_host(host, compare)?;
            if rule.ek_public_hash.is_none() && self.ekcert_allowed_cas.is_empty() {
                return Err(Error::invalid(format!(
                    "{} has a serial number and no hash; a cluster refuses that without `ekcert_allowed_cas`, since \
                     any CA could issue that number",
                    host.label()
                )));
            }
            self.rules.push(rule);
        }
        if self.rules.is_empty() {
            return Err(Error::invalid("there are no hosts, and a cluster refuses a token without a rule"));
        }
        self.rules.sort();
        Ok(())
    }

    /// The number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The resource as a cluster stores it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        if let Some(expires) = &self.expires {
            metadata.insert("expires".to_owned(), json!(expires));
        }
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(self.labels));
        }
        let mut tpm = Map::new();
        if !self.ekcert_allowed_cas.is_empty() {
            tpm.insert("ekcert_allowed_cas".to_owned(), json!(self.ekcert_allowed_cas));
        }
        tpm.insert("allow".to_owned(), self.rules.iter().map(Rule::to_json).collect());
        let mut spec = Map::new();
        spec.insert("roles".to_owned(), json!(self.roles));
        spec.insert("join_method".to_owned(), json!("tpm"));
        if let Some(bot_name) = &self.bot_name {
            spec.insert("bot_name".to_owned(), json!(bot_name));
        }
        spec.insert("tpm".to_owned(), Value::Object(tpm));
        json!({ "kind": "token", "version": "v2", "metadata": metadata, "spec": spec })
    }

    /// The resource as YAML for `tctl create -f`.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let count = self.rules.len();
        let hosts = if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
        format!(
            "# Join token for {hosts}, written by tbot_tpm; the next run replaces what is changed here.\n{}",
            yaml::write(&self.to_json())
        )
    }

    /// Bytes of the resource as compact JSON, which is what a cluster stores.
    #[must_use]
    pub fn size(&self) -> usize {
        self.to_json().to_string().len()
    }
}
