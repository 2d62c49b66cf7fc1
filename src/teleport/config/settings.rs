//! What a request asks for.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{check, is_set};
use super::proxy_address::add_port;
use super::same_value::is_the_same;
use super::{CaPin, ProxyAddress};
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::teleport::{Name, Scope};

type Values = Map<String, Value>;

const GIVE_PARAMETERS: &str = "give the parameters `proxy_server` and `token`";

/// The base of a configuration. What is not given stays as the file has it.
#[derive(Debug, Default)]
pub struct Settings {
    /// `proxy_server`.
    pub proxy_server: Option<ProxyAddress>,
    /// `onboarding.token`, the name of the join token.
    pub token: Option<Name>,
    /// The scope of the token: `scoped`, and part of the token's name.
    pub scope: Option<Scope>,
    /// `onboarding.ca_pins`; an empty list takes them away.
    pub ca_pins: Option<Vec<CaPin>>,
    /// `storage`.
    pub storage: Option<Storage>,
    /// `services`.
    pub services: Option<Vec<Service>>,
    /// Any other keys, and keys within those above.
    pub extra: Values,
    /// Keys at the top for a file that has none of that name.
    pub defaults: Values,
}

/// Where `tbot` keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a directory; none is the one that there is, or the usual one.
    Directory(Option<AbsolutePath>),
    /// In memory: every start is a join.
    Memory,
}

/// One of `services`: an object with a text as its `type`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Values")]
pub struct Service(Values);

impl TryFrom<Values> for Service {
    type Error = String;

    fn try_from(fields: Values) -> std::result::Result<Self, String> {
        match fields.get("type") {
            Some(Value::String(kind)) if !kind.is_empty() => Ok(Self(fields)),
            _ => Err("a service needs a `type`, such as identity".to_owned()),
        }
    }
}

impl Settings {
    /// Whether they make sense by themselves: an error where `extra` contradicts another parameter, or where `tbot` would not
    /// take what is given.
    pub fn check(&self) -> Result<()> {
        self.values().map(drop)
    }

    /// The values that are given, and the two that always are: the version and the join method.
    ///
    /// It is an error where `extra` contradicts another parameter, or is not what `tbot` takes.
    pub(super) fn values(&self) -> Result<Values> {
        let mut values = Values::new();
        values.insert("version".to_owned(), json!("v2"));
        if let Some(address) = &self.proxy_server {
            values.insert("proxy_server".to_owned(), json!(address.as_str()));
        }
        let mut onboarding = json!({ "join_method": "tpm" });
        if let Some(token) = &self.token {
            let qualified = self.scope.as_ref().map(|scope| scope.qualify(token.as_str()));
            onboarding["token"] = qualified.map_or_else(|| json!(token), |token| json!(token));
        }
        if self.scope.is_some() {
            values.insert("scoped".to_owned(), json!(true));
        }
        if let Some(pins) = &self.ca_pins {
            onboarding["ca_pins"] = json!(pins);
        }
        values.insert("onboarding".to_owned(), onboarding);
        match &self.storage {
            None => {}
            Some(Storage::Memory) => _ = values.insert("storage".to_owned(), json!({ "type": "memory" })),
            Some(Storage::Directory(path)) => {
                let mut storage = json!({ "type": "directory" });
                if let Some(path) = path {
                    storage["path"] = json!(path.as_str());
                }
                values.insert("storage".to_owned(), storage);
            }
        }
        if let Some(services) = &self.services {
            let services = services.iter().map(|service| Value::Object(service.0.clone())).collect();
            values.insert("services".to_owned(), services);
        }
        add(&mut values, &self.extra, "")
            .map_err(|why| Error::invalid(format!("parameter `extra`: {why}")))?;
        add_port(&mut values);
        if is_set(&values, "join_uri") {
            let why =
                "`join_uri` stands for `proxy_server` and `onboarding`, and tbot does not start with both";
            return Err(Error::invalid(format!("parameter `extra`: {why}")).hint(GIVE_PARAMETERS));
        }
        check(&values, false)
            .none()
            .map_err(|why| Error::invalid(format!("the configuration would not be valid: {why}")))?;
        self.check_defaults(&values)?;
        Ok(values)
    }

    fn check_defaults(&self, given: &Values) -> Result<()> {
        let wrong = |why: String| Error::invalid(format!("parameter `defaults`: {why}"));
        for name in ["version", "onboarding"] {
            if self.defaults.contains_key(name) {
                return Err(wrong(format!(
                    "this action always gives `{name}`, so there is no default for it"
                )));
            }
        }
        if is_set(&self.defaults, "join_uri") {
            return Err(wrong(
                "`join_uri` stands for `onboarding`, which this action always gives".to_owned(),
            )
            .hint(GIVE_PARAMETERS));
        }
        // A contradiction among what is given has been found before.
        let mut values = self.defaults.clone();
        values.retain(|name, _| !given.contains_key(name));
        check(&values, false).none().map_err(wrong)
    }
}

/// Adds what is not there, at every depth. Another value for what is there is an error.
fn add(values: &mut Values, extra: &Values, place: &str) -> std::result::Result<(), String> {
    for (name, value) in extra {
        match (values.get_mut(name), value) {
            (None, _) => _ = values.insert(name.clone(), value.clone()),
            (Some(Value::Object(fields)), Value::Object(extra)) => {
                add(fields, extra, &format!("{place}{name}."))?;
            }
            (Some(given), _) if given == value || is_the_same(name, given, value) => {}
            (Some(given), _) => {
                let key = format!("{place}{name}");
                return Err(match parameter(&key) {
                    Some(parameter) => {
                        format!("`{key}` is {value}, but parameter `{parameter}` makes it {given}; give one")
                    }
                    None => format!("`{key}` is {value}, but this action always makes it {given}"),
                });
            }
        }
    }
    Ok(())
}

/// The parameter that sets a key.
fn parameter(key: &str) -> Option<&'static str> {
    match key {
        "proxy_server" => Some("proxy_server"),
        "onboarding.token" => Some("token"),
        "onboarding.ca_pins" => Some("ca_pins"),
        "storage" | "storage.type" => Some("storage_type` or `storage_path"),
        "storage.path" => Some("storage_path"),
        "services" => Some("services"),
        _ => None,
    }
}
