//! What a request asks for, over what a file says.

use serde_json::{Map, Value, json};

use super::check::{check, is_set, is_set_within, object};
use super::join_uri::JoinUri;
use super::proxy_address::add_port;
use super::same_value::is_the_same;
use super::{DEFAULT_STORAGE, KNOWN_KEYS, Settings, advice, conflict, unrecognised};
use crate::error::{Error, Result};

type Values = Map<String, Value>;

/// Keys of which `tbot` takes one, or that take the place of the other: where the first is given, the second goes.
const PAIRS: [(&str, &str); 3] =
    [("proxy_server", "auth_server"), ("auth_server", "proxy_server"), ("services", "outputs")];
const MIGRATE: &str = "migrate it first (`tbot migrate`)";

/// What a file should say.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its values.
    pub values: Values,
    /// What a person should know of it, one sentence each.
    pub warnings: Vec<String>,
}

impl Settings {
    /// The values that a file should have that has these, or none yet. `path` is what to call it in errors.
    ///
    /// A file with nothing that `tbot` knows, one of another version, or one that would not be valid with these settings, is a `conflict`.
    pub fn over(&self, current: Option<Values>, path: &str) -> Result<Wanted> {
        let given = self.values()?;
        let is_new = current.is_none();
        let mut values = current.unwrap_or_default();
        refuse_version(&values, path)?;
        if !values.is_empty() && !values.keys().any(|key| KNOWN_KEYS.contains(&key.as_str())) {
            return Err(unrecognised(path).hint("give another `path`, or move the file away"));
        }
        for name in ["onboarding", "storage"] {
            object(&values, name).map_err(|why| conflict(path, &format!("cannot be used: {why}")))?;
        }
        let mut warnings = replace_join_uri(&mut values, &given, path)?;
        refuse_foreign_token(&values, &given, path)?;
        warnings.extend(take_former_method_away(&mut values));
        warnings.extend(make_room(&mut values, &given));
        self.take_pins_away(&mut values);
        merge(&mut values, given.clone());
        let has_default_storage = self.add_defaults(&mut values);
        self.complete(&mut values, is_new || has_default_storage, is_new);
        require(&values, path, is_new)?;
        let doubts = check(&values, true)
            .tolerated()
            .map_err(|why| conflict(path, &format!("would not be valid: {why}")))?;
        let doubts = doubts.iter().map(|why| format!("{path} keeps a value that may not work: {why}"));
        warnings.extend(advice::bounded(doubts.collect()));
        warnings.extend(advice::of(&values, &given));
        Ok(Wanted { values, warnings })
    }

    /// Adds the defaults of which there is no key, nor one that `tbot` does not take together with it. An empty value
    /// is one: so a person leaves a key out for good. Says whether a storage came with them.
    fn add_defaults(&self, values: &mut Values) -> bool {
        let mut has_storage = false;
        for (name, value) in self.defaults.iter().filter(|(_, value)| !value.is_null()) {
            let others = PAIRS.iter().filter(|(one, _)| one == name).map(|(_, other)| other);
            if values.contains_key(name) || others.into_iter().any(|other| is_set(values, other)) {
                continue;
            }
            has_storage |= name == "storage";
            values.insert(name.clone(), value.clone());
            if name == "proxy_server" {
                add_port(values);
            }
        }
        has_storage
    }

    fn take_pins_away(&self, values: &mut Values) {
        let none_are_wanted = self.ca_pins.as_ref().is_some_and(Vec::is_empty);
        if let Some(Value::Object(onboarding)) = values.get_mut("onboarding").filter(|_| none_are_wanted)
            && is_set(onboarding, "ca_pins")
        {
            onboarding.shift_remove("ca_pins");
        }
    }

    /// Adds what a new file and a given storage have in any case.
    fn complete(&self, values: &mut Values, is_storage_new: bool, is_new: bool) {
        if is_new {
            values.entry("storage").or_insert_with(|| json!({}));
            // What people and other programs fill in stands last.
            let services = values.shift_remove("services").unwrap_or_else(|| json!([]));
            values.insert("services".to_owned(), services);
        }
        let is_storage_given = self.storage.is_some() || self.extra.contains_key("storage") || is_storage_new;
        if let Some(Value::Object(storage)) = values.get_mut("storage").filter(|_| is_storage_given) {
            complete_storage(storage);
        }
    }
}

/// Puts what `join_uri` says in its place, as far as neither the file nor the request says something else. `tbot` takes
/// it neither beside a server nor beside `onboarding`.
fn replace_join_uri(values: &mut Values, given: &Values, path: &str) -> Result<Vec<String>> {
    if !is_set(values, "join_uri") {
        return Ok(Vec::new());
    }
    let goes = "`join_uri` goes, since tbot does not start with `proxy_server` and `onboarding` beside it";
    let uri = values.shift_remove("join_uri").and_then(|uri| JoinUri::parse(uri.as_str()?));
    // What cannot be read may be a secret anywhere.
    let Some(uri) = uri else { return Ok(vec![format!("{goes}; it could not be read")]) };
    let has_server = |values: &Values| is_set(values, "proxy_server") || is_set(values, "auth_server");
    if !has_server(values) && !has_server(given) {
        values.insert(uri.server.to_owned(), json!(uri.address));
        add_port(values);
    }
    let has_token = |values| is_set_within(values, "onboarding", "token");
    if !has_token(values) && !has_token(given) {
        let onboarding = match (&uri.token, uri.method.as_str()) {
            (Some(token), method) => json!({ "join_method": method, "token": token }),
            (None, "tpm") => json!({}),
            (None, method) => return Err(needs_token(path, method)),
        };
        merge(values, Map::from_iter([("onboarding".to_owned(), onboarding)]));
    }
    Ok(vec![format!("{goes}; it said {}", uri.shown())])
}

/// Takes away the settings of another join method than `tpm`, which may hold secrets, and says which they were.
fn take_former_method_away(values: &mut Values) -> Vec<String> {
    let Some(Value::Object(onboarding)) = values.get_mut("onboarding") else { return Vec::new() };
    if onboarding.get("join_method").is_some_and(|method| method == "tpm") {
        return Vec::new();
    }
    let is_own = |(name, value): (&String, &Value)| value.is_object().then(|| name.clone());
    let own: Vec<String> = onboarding.iter().filter_map(is_own).collect();
    let goes = |name: String| {
        onboarding.shift_remove(&name);
        format!("`onboarding.{}` goes, since it is for the former join method", advice::printed(&name))
    };
    advice::bounded(own.into_iter().map(goes).collect())
}

fn needs_token(path: &str, method: &str) -> Error {
    Error::invalid(format!(
        "action `config` needs parameter `token`, since {path} joins by `{}`, and its token is for that",
        advice::printed(method)
    ))
}

/// The token of another join method is none for TPMs.
fn refuse_foreign_token(values: &Values, given: &Values, path: &str) -> Result<()> {
    let method = values.get("onboarding").and_then(|onboarding| onboarding["join_method"].as_str());
    match method.filter(|method| !["", "tpm"].contains(method)) {
        Some(method) if !is_set_within(given, "onboarding", "token") => Err(needs_token(path, method)),
        _ => Ok(()),
    }
}

fn refuse_version(values: &Values, path: &str) -> Result<()> {
    let storage = values.get("storage").and_then(Value::as_object);
    let is_old_storage = storage.is_some_and(|storage| {
        !storage.contains_key("type") && (storage.contains_key("directory") || storage.contains_key("memory"))
    });
    let has_destinations = values.contains_key("destinations");
    let version = match values.get("version") {
        Some(Value::String(version)) if version == "v2" => return Ok(()),
        Some(Value::String(version)) => version.clone(),
        None | Some(Value::Null) if has_destinations || is_old_storage => "v1".to_owned(),
        None | Some(Value::Null) => return Ok(()),
        Some(other) => other.to_string(),
    };
    Err(conflict(path, &format!("is a configuration of version {version}, not v2")).hint(MIGRATE))
}

/// Takes away what `tbot` does not take together with what is given, and says what that was.
fn make_room(values: &mut Values, given: &Values) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut goes = |values: &mut Values, place: &str, name: &str, because: &str| {
        if is_set(values, name) {
            values.shift_remove(name);
            warnings.push(format!("`{place}{name}` goes, since `{place}{because}` comes in its place"));
        }
    };
    for (one, other) in PAIRS {
        if given.contains_key(one) && !given.contains_key(other) {
            goes(values, "", other, one);
        }
    }
    if let Some(Value::Object(onboarding)) = values.get_mut("onboarding") {
        for (one, other) in [("ca_pins", "ca_path"), ("ca_path", "ca_pins")] {
            if is_set_within(given, "onboarding", one) && !is_set_within(given, "onboarding", other) {
                goes(onboarding, "onboarding.", other, one);
            }
        }
    }
    let kind = |values: &Values| values.get("storage")?["type"].as_str().map(str::to_owned);
    if kind(given).is_some_and(|given| kind(values).is_some_and(|kind| kind != given)) {
        // What else it has is for the other type.
        values.insert("storage".to_owned(), json!({}));
    }
    warnings
}

/// Puts the given values in, at every depth. Where there is nothing, an empty list says nothing new.
fn merge(values: &mut Values, given: Values) {
    for (name, value) in given {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        match (values.get_mut(&name), value) {
            (None | Some(Value::Null), _) if is_empty => {}
            (Some(Value::Object(fields)), Value::Object(given)) => merge(fields, given),
            (Some(old), value) if is_the_same(&name, old, &value) => {}
            (_, value) => _ = values.insert(name, value),
        }
    }
}

fn complete_storage(storage: &mut Values) {
    if !is_set(storage, "type") {
        storage.insert("type".to_owned(), json!("directory"));
    }
    if storage["type"] == "directory" && !is_set(storage, "path") {
        storage.insert("path".to_owned(), json!(DEFAULT_STORAGE));
    }
}

fn require(values: &Values, path: &str, is_new: bool) -> Result<()> {
    let because = if is_new { String::new() } else { format!(", since {path} does not say it") };
    let missing = if !is_set(values, "proxy_server") && !is_set(values, "auth_server") {
        "proxy_server"
    } else if !is_set_within(values, "onboarding", "token") {
        "token"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("action `config` needs parameter `{missing}`{because}")))
}
