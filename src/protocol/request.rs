//! The request: its action, Ansible's controls, and the action's parameters.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::coerce;
use crate::error::{Error, Result};

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
}

/// One parsed request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The value of `action`, not yet known to be one of ours.
    pub action: String,
    /// Ansible's controls.
    pub controls: Controls,
    /// Everything else, as it came.
    parameters: Map<String, Value>,
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
        parameters.retain(|key, value| match key.strip_prefix("_ansible_") {
            Some(control) => {
                controls.set(control, value);
                false
            }
            None => true,
        });
        let action = match parameters.shift_remove("action") {
            Some(Value::String(action)) => action,
            Some(_) => return Err(Error::invalid("parameter `action` must be a text").hint(EXAMPLE)),
            None => return Err(Error::invalid("parameter `action` is missing").hint(EXAMPLE)),
        };
        Ok(Self { action, controls, parameters })
    }

    /// Whether the user asked for debugging output (`-vvv` or more).
    #[must_use]
    pub fn is_debugging(&self) -> bool {
        self.controls.verbosity >= 3
    }

    /// The parameters as the type that declares them, coerced as Ansible's argument specs do.
    ///
    /// `planned` names parameters of the contract that this version does not have: giving one is an
    /// error of its own, since ignoring it would do something else than asked.
    pub fn parameters<T: DeserializeOwned>(&self, planned: &[&str]) -> Result<T> {
        if let Some(name) = planned.iter().find(|name| self.parameters.contains_key(**name)) {
            return Err(Error::not_in_this_version(&format!(
                "parameter `{name}` of action `{}`",
                self.action
            )));
        }
        coerce::from_parameters(&self.action, self.parameters.clone())
    }

    /// What `invocation.module_args` shows: the action and the parameters as given, long lists as
    /// their length.
    pub(super) fn module_args(&self) -> Map<String, Value> {
        const LONGEST_LIST_SHOWN: usize = 20;
        let mut shown = Map::new();
        shown.insert("action".to_owned(), Value::String(self.action.clone()));
        for (name, value) in &self.parameters {
            let value = match value {
                Value::Array(items) if items.len() > LONGEST_LIST_SHOWN => {
                    Value::String(format!("(a list of {} items)", items.len()))
                }
                other => other.clone(),
            };
            shown.insert(name.clone(), value);
        }
        shown
    }
}

impl Controls {
    fn set(&mut self, control: &str, value: &Value) {
        let truth = coerce::boolean(value).unwrap_or(false);
        match control {
            "check_mode" => self.check_mode = truth,
            "diff" => self.diff = truth,
            "verbosity" => self.verbosity = value.as_u64().unwrap_or(0),
            _ => {}
        }
    }
}
