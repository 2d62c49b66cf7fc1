//! The request: its action, Ansible's controls, and the action's parameters.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::coerce;
use crate::error::{Error, Result};
use crate::json;

/// Ansible's `_ansible_*` keys that matter here; unknown ones are ignored, since new ones appear
/// with new versions of Ansible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Controls {
    /// `_ansible_check_mode`: change nothing, predict everything.
    pub check_mode: bool,
    /// `_ansible_diff`: show what changed or would change.
    pub diff: bool,
    /// `_ansible_verbosity`: the number of `-v`.
    pub verbosity: u64,
    /// `_tbot_validate_only`: check the parameters, and do nothing. No file, account, TPM or server that they name is
    /// looked at, since they may be another host's: the controller asks this before it sends the request there.
    pub validate_only: bool,
}

/// What the names of Ansible's controls begin with.
const ANSIBLE: &str = "_ansible_";
/// The one control that is not Ansible's. A version that did not know it would have to refuse it, and not run the
/// action, so it is not named like those that are ignored where they are unknown.
const VALIDATE_ONLY: &str = "_tbot_validate_only";

/// One parsed request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The value of `action`, not yet known to be one of ours.
    pub action: String,
    /// Ansible's controls.
    pub controls: Controls,
    /// Everything else, as it came, until the action takes it.
    parameters: Map<String, Value>,
    /// What `invocation.module_args` shows: the action and the parameters as given, large ones as their
    /// size.
    module_args: Map<String, Value>,
}

impl Request {
    /// Parses one JSON object; an empty input, another JSON value and a missing `action` are errors.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        const EXAMPLE: &str = r#"send one JSON object such as {"action": "identify"}"#;
        if bytes.trim_ascii().is_empty() {
            return Err(Error::invalid("the request is empty").hint(EXAMPLE));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| {
            Error::invalid("the request is not valid JSON").detail(e.to_string()).hint(EXAMPLE)
        })?;
        let Value::Object(mut parameters) = value else {
            return Err(Error::invalid("the request is JSON, but not an object").hint(EXAMPLE));
        };
        let mut controls = Controls::default();
        for (key, value) in &parameters {
            controls.set(key, value)?;
        }
        parameters.retain(|key, _| !key.starts_with(ANSIBLE) && key != VALIDATE_ONLY);
        let action = match parameters.shift_remove("action") {
            Some(Value::String(action)) => action,
            Some(_) => return Err(Error::invalid("parameter `action` must be a text").hint(EXAMPLE)),
            None => return Err(Error::invalid("parameter `action` is missing").hint(EXAMPLE)),
        };
        let mut module_args = Map::new();
        module_args.insert("action".to_owned(), Value::String(action.clone()));
        module_args.extend(parameters.iter().map(|(name, value)| (name.clone(), summary(value))));
        Ok(Self { action, controls, parameters, module_args })
    }

    /// Whether the user asked for debugging output (`-vvv` or more).
    #[must_use]
    pub fn is_debugging(&self) -> bool {
        self.controls.verbosity >= 3
    }

    /// Takes the parameters out, as the type that declares them, coerced as Ansible's argument specs do.
    pub fn parameters<T: DeserializeOwned>(&mut self) -> Result<T> {
        coerce::from_parameters(&self.action, std::mem::take(&mut self.parameters))
    }

    /// What `invocation.module_args` shows.
    pub(super) fn module_args(&self) -> &Map<String, Value> {
        &self.module_args
    }
}

/// The value itself, or its size where it would swell the answer.
fn summary(value: &Value) -> Value {
    const LARGEST_SHOWN: usize = 2048;
    match (value, json::size(value)) {
        (_, size) if size <= LARGEST_SHOWN => value.clone(),
        (Value::Array(items), _) => format!("(a list of {} items)", items.len()).into(),
        (_, size) => format!("({size} bytes)").into(),
    }
}

impl Controls {
    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        // Not understood must not mean "go on and change things".
        let truth = || {
            coerce::boolean(value)
                .ok_or_else(|| Error::invalid(format!("`{key}` is true or false, not {value}")))
        };
        match key.strip_prefix(ANSIBLE) {
            Some("check_mode") => self.check_mode = truth()?,
            Some("diff") => self.diff = truth()?,
            Some("verbosity") => self.verbosity = value.as_u64().unwrap_or(0),
            None if key == VALIDATE_ONLY => self.validate_only = truth()?,
            _ => {}
        }
        Ok(())
    }
}
