//! The request: its action, Ansible's controls, and the action's parameters.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::coerce;
use super::earlier::Earlier;
use crate::document;
use crate::error::{Error, Result};
use crate::json;
use crate::message::shortened;

/// Bytes of the largest request that is read: that of 10,000 hosts with EK certificates is half as large.
const LARGEST_REQUEST: u64 = 64 * 1024 * 1024;
/// Parameters of a request at most: several times those of any action.
const MOST_PARAMETERS: usize = 100;
use crate::secrets::{self, Known};

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

const EXAMPLE: &str = r#"send one JSON object such as {"action": "identify"}"#;
const SMALLER: &str = "give many hosts by `registry`, or in several requests";

/// What the names of Ansible's controls begin with.
const ANSIBLE: &str = "_ansible_";
/// With it, nothing of the task is to be shown.
const NO_LOG: &str = "_ansible_no_log";
/// The controls that are not Ansible's. A version that did not know them would have to refuse them, and not run the
/// action, so they are not named like those that are ignored where they are unknown.
const VALIDATE_ONLY: &str = "_tbot_validate_only";
const DEFAULTS: &str = "_tbot_defaults";

/// Actions with parameters that may hold tokens of other join methods, whose names are secrets.
const TOKENS: [(&str, &str); 4] =
    [("ekcert_ca", "current"), ("preflight", "token"), ("registry", "current"), ("token", "current")];

/// The action whose parameters are objects with those of other actions.
const PARTED: &str = "deploy";

/// Bytes of the largest parameter that an answer repeats, as JSON.
const LARGEST_SHOWN: usize = 2048;
/// Bytes of the largest one that is searched for secrets: larger than any configuration, and smaller than a large fleet.
const LARGEST_SEARCHED: usize = 256 * 1024;

/// One parsed request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The value of `action`, not yet known to be one of ours.
    pub action: String,
    /// Ansible's controls.
    pub controls: Controls,
    /// What earlier parts of it have done.
    pub earlier: Earlier,
    /// Everything else, as it came, until the action takes it.
    parameters: Map<String, Value>,
    /// `_tbot_defaults`: the parameters that no task names. They are the `module_defaults` of all actions together.
    defaults: Vec<String>,
    /// What `invocation.module_args` shows: the action and the parameters as given, but for secrets, and large ones as
    /// their size.
    module_args: Map<String, Value>,
    /// Whether the answer may repeat them: not where the task has `no_log`.
    pub(super) is_repeated: bool,
    /// The secrets that the parameters hold.
    secrets: Known,
}

impl Request {
    /// Parses one JSON object; an empty input, another JSON value and a missing `action` are errors. So is a key that is there
    /// twice, at any depth, and what would take too much memory: more than 64 MiB, more than 100 levels, or far more values than
    /// a request of that size has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let Value::Object(mut parameters) = value(bytes)? else {
            return Err(Error::invalid("the request is JSON, but not an object").hint(EXAMPLE));
        };
        let is_repeated = parameters.get(NO_LOG).is_none_or(|value| coerce::boolean(value) == Some(false));
        let mut controls = Controls::default();
        for (key, value) in &parameters {
            controls.set(key, value)?;
        }
        let defaults = names(parameters.shift_remove(DEFAULTS))?;
        parameters.retain(|key, _| !key.starts_with(ANSIBLE) && key != VALIDATE_ONLY);
        if parameters.len() > MOST_PARAMETERS {
            let message =
                format!("the request has {} parameters, and no action takes so many", parameters.len());
            return Err(Error::invalid(message).hint(EXAMPLE));
        }
        let action = match parameters.shift_remove("action") {
            Some(Value::String(action)) => action,
            Some(_) => return Err(Error::invalid("parameter `action` must be a text").hint(EXAMPLE)),
            None => return Err(Error::invalid("parameter `action` is missing").hint(EXAMPLE)),
        };
        let mut module_args = Map::new();
        module_args.insert("action".to_owned(), Value::String(action.clone()));
        let mut secrets = Known::default();
        for (name, value) in &parameters {
            // The parts of a deployment have the parameters of other actions.
            let shown = match value {
                Value::Object(fields) if action == PARTED => fields
                    .iter()
                    .map(|(name, value)| (name.clone(), noted(&action, name, value, &mut secrets)))
                    .collect(),
                value => noted(&action, name, value, &mut secrets),
            };
            module_args.insert(name.clone(), shown);
        }
        Ok(Self {
            action,
            controls,
            earlier: Earlier::default(),
            parameters,
            defaults,
            module_args,
            is_repeated,
            secrets,
        })
    }

    /// Leaves out the parameters from `module_defaults` that this action does not have, but another action has. What no action
    /// has stays, and is refused like any misspelt parameter. Parts of a deployment take those of their actions. `has` tells whether an
    /// action, or any without a name, has a parameter.
    pub fn leave_out_defaults(&mut self, own: &[&str], has: impl Fn(Option<&str>, &str) -> bool) {
        for name in std::mem::take(&mut self.defaults) {
            let is_own = own.contains(&name.as_str());
            let is_part =
                self.action == PARTED && self.parameters.get(&name).is_some_and(|value| !value.is_object());
            if (is_own && !is_part) || !has(None, &name) {
                continue;
            }
            self.module_args.shift_remove(&name);
            let Some(value) = self.parameters.shift_remove(&name).filter(|_| self.action == PARTED) else {
                continue;
            };
            for (part, fields) in &mut self.parameters {
                if let Value::Object(fields) = fields
                    && has(Some(part), &name)
                {
                    fields.entry(&name).or_insert_with(|| value.clone());
                }
            }
        }
    }

    /// Whether the user asked for debugging output (`-vvv` or more).
    #[must_use]
    pub fn is_debugging(&self) -> bool {
        self.controls.verbosity >= 3
    }

    /// Takes the parameters out, as the type that declares them, coerced as Ansible's argument specs do.
    pub fn parameters<T: DeserializeOwned>(&mut self) -> Result<T> {
        coerce::from_fields(&self.action, std::mem::take(&mut self.parameters))
    }

    /// The secrets that the parameters hold.
    pub(super) fn secrets(&self) -> &Known {
        &self.secrets
    }

    /// What `invocation.module_args` shows.
    pub(super) fn module_args(&self) -> &Map<String, Value> {
        &self.module_args
    }
}

/// All of a request of about that many bytes, or more than a request may have.
pub fn read(source: impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(LARGEST_REQUEST) + 1).unwrap_or_default());
    source.take(LARGEST_REQUEST + 1).read_to_end(&mut bytes).map(|_| bytes)
}

/// The JSON value of a request.
fn value(bytes: &[u8]) -> Result<Value> {
    if bytes.len() as u64 > LARGEST_REQUEST {
        let message = format!("the request is larger than {} MiB", LARGEST_REQUEST >> 20);
        return Err(Error::invalid(message).hint(SMALLER));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Error::invalid("the request is empty").hint(EXAMPLE));
    }
    let malformed = |why: String| Error::invalid("the request is not valid JSON").detail(why).hint(EXAMPLE);
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
    document::read_json(text).map_err(|error| {
        if !error.is_data() {
            return malformed(error.to_string());
        }
        let refused = Error::invalid(format!("the request is refused: {error}"));
        if refused.message.contains("is there twice") { refused } else { refused.hint(SMALLER) }
    })
}

/// The names in the control that lists the defaults.
fn names(control: Option<Value>) -> Result<Vec<String>> {
    let Some(value) = control else { return Ok(Vec::new()) };
    serde_json::from_value(value)
        .map_err(|_| Error::invalid(format!("`{DEFAULTS}` is a list of names of parameters")))
}

/// What an answer repeats of a parameter, whose secrets are noted.
fn noted(action: &str, name: &str, value: &Value, secrets: &mut Known) -> Value {
    let size = json::size_within(value, LARGEST_SEARCHED);
    let may_hold_names = TOKENS.contains(&(action, name));
    if size.is_some() {
        secrets.add_parameter(name, value);
    }
    if size.is_some_and(|size| size <= LARGEST_SHOWN) && (!may_hold_names || secrets::are_for_tpms(value)) {
        secrets::mask_parameter(name, value)
    } else {
        summary(value)
    }
}

/// The size of a value that would swell the answer, or is not to be shown.
fn summary(value: &Value) -> Value {
    match value {
        Value::Array(items) => format!("(a list of {} items)", items.len()).into(),
        _ => format!("({} bytes)", json::size(value)).into(),
    }
}

impl Controls {
    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        // Not understood must not mean "go on and change things".
        let truth = || {
            coerce::boolean(value).ok_or_else(|| {
                let value = shortened(&value.to_string());
                Error::invalid(format!("`{key}` is true or false, not {value}"))
            })
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
