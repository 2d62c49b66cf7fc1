//! What `tbot` would refuse in a configuration.

use serde_json::{Map, Value};

use super::host_port::{is_port, split};
use super::{CaPin, HostPort};
use crate::host::{AbsolutePath, is_shared_directory};
use crate::teleport::Name;

type Values = Map<String, Value>;

/// Keys that `tbot` takes only one of.
const EXCLUSIVE: [(&str, &str, &str); 2] =
    [("", "proxy_server", "auth_server"), ("onboarding", "ca_pins", "ca_path")];
pub(super) const BOOLEANS: [&str; 4] = ["debug", "fips", "insecure", "oneshot"];
/// What Go's YAML reader takes for a boolean besides `true` and `false`, where one is wanted (YAML 1.1).
const BOOLEAN_WORDS: [(&str, bool); 6] =
    [("y", true), ("yes", true), ("on", true), ("n", false), ("no", false), ("off", false)];

/// The types of storage that `tbot` knows.
pub(super) const STORAGE_TYPES: [&str; 2] = ["directory", "memory"];
/// Keys of a storage that take one of a few words.
const STORAGE_WORDS: [(&str, &[&str]); 2] =
    [("symlinks", &["secure", "try-secure", "insecure"]), ("acls", &["off", "try", "required"])];

/// What is wrong with values, in one sentence. Keys that are not there are no matter, but for the type and path
/// of a storage where all is `complete`.
pub(super) fn check(values: &Values, is_complete: bool) -> Result<(), String> {
    exclusive(values)?;
    if values.contains_key("destinations") {
        return Err("`destinations` is of version v1; version v2 has `services`".to_owned());
    }
    for name in ["proxy_server", "auth_server"] {
        if let Some(address) = text(values, "", name)? {
            HostPort::try_from(address.to_owned()).map_err(|why| format!("`{name}`: {why}"))?;
        }
    }
    if let Some(address) = text(values, "", "diag_addr")? {
        listener(address).map_err(|why| format!("`diag_addr`: {why}"))?;
    }
    for name in BOOLEANS {
        match values.get(name) {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(value) if is_complete && truth(value).is_some() => {}
            Some(_) => return Err(format!("`{name}` is true or false")),
        }
    }
    if let Some(onboarding) = object(values, "onboarding")? {
        check_onboarding(onboarding)?;
    }
    if let Some(storage) = object(values, "storage")? {
        check_storage(storage, is_complete)?;
    }
    check_trust(values)?;
    for name in ["services", "outputs"] {
        check_services(values, name)?;
    }
    Ok(())
}

/// Whether a key says something: `tbot` takes an empty value for none.
pub(super) fn is_set(values: &Values, name: &str) -> bool {
    match values.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

/// The same of a key of the object at another.
pub(super) fn is_set_within(values: &Values, place: &str, name: &str) -> bool {
    values.get(place).and_then(Value::as_object).is_some_and(|fields| is_set(fields, name))
}

/// The object of this name; none where there is none.
pub(super) fn object<'a>(values: &'a Values, name: &str) -> Result<Option<&'a Values>, String> {
    match values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(fields)),
        Some(_) => Err(format!("`{name}` is no mapping of keys to values")),
    }
}

fn exclusive(values: &Values) -> Result<(), String> {
    for (place, one, other) in EXCLUSIVE {
        let both = |values: &Values| is_set(values, one) && is_set(values, other);
        let inner = values.get(place).and_then(Value::as_object);
        if (place.is_empty() && both(values)) || inner.is_some_and(both) {
            return Err(format!("`{one}` and `{other}` exclude each other; keep one of them"));
        }
    }
    Ok(())
}

fn text<'a>(values: &'a Values, place: &str, name: &str) -> Result<Option<&'a str>, String> {
    match values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{place}{name}` is a text; put it in quotes")),
    }
}

/// A listener may leave the host out, and so listen at every address.
fn listener(address: &str) -> Result<(), String> {
    match split(address) {
        Some(("", port)) if is_port(port) => Ok(()),
        _ => HostPort::try_from(address.to_owned()).map(|_| ()),
    }
}

/// What a value is to `tbot` where it wants a boolean; none where it is none.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(word) => {
            BOOLEAN_WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, truth)| *truth)
        }
        _ => None,
    }
}

fn check_onboarding(onboarding: &Values) -> Result<(), String> {
    match onboarding.get("token") {
        None | Some(Value::Null) => {}
        // A token may also be the path of a file that holds it.
        Some(Value::String(token)) if token.starts_with('/') => {}
        Some(Value::String(token)) if token.is_empty() => {}
        Some(Value::String(token)) => {
            Name::try_from(token.clone()).map_err(|why| format!("`onboarding.token`: {why}"))?;
        }
        Some(_) => return Err("`onboarding.token` is a text".to_owned()),
    }
    text(onboarding, "onboarding.", "join_method")?;
    text(onboarding, "onboarding.", "ca_path")?;
    match onboarding.get("ca_pins") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(pins)) => pins.iter().try_for_each(|pin| {
            let pin = pin.as_str().ok_or("`onboarding.ca_pins` is a list of texts")?;
            CaPin::try_from(pin.to_owned()).map_err(|why| format!("`onboarding.ca_pins`: {why}"))?;
            Ok(())
        }),
        Some(_) => Err("`onboarding.ca_pins` is a list".to_owned()),
    }
}

fn check_storage(storage: &Values, is_complete: bool) -> Result<(), String> {
    let path = text(storage, "storage.", "path")?;
    match (text(storage, "storage.", "type")?, path) {
        (None, _) if is_complete => return Err("`storage` has no `type`".to_owned()),
        (Some("directory"), None) if is_complete => {
            return Err("`storage` is a directory without a `path`".to_owned());
        }
        (Some("memory"), Some(_)) => return Err("`storage.type: memory` has no `storage.path`".to_owned()),
        (Some(other), _) if !is_complete && !STORAGE_TYPES.contains(&other) => {
            return Err(format!(
                "`storage.type` is {}, and {other:?} is neither",
                STORAGE_TYPES.join(" or ")
            ));
        }
        _ => {}
    }
    for (name, words) in STORAGE_WORDS {
        match text(storage, "storage.", name)? {
            Some(word) if !words.contains(&word) => {
                return Err(format!(
                    "`storage.{name}` is {}, and {word:?} is none of them",
                    words.join(" or ")
                ));
            }
            _ => {}
        }
    }
    let Some(path) = path else { return Ok(()) };
    let path = AbsolutePath::try_from(path.to_owned()).map_err(|why| format!("`storage.path`: {why}"))?;
    if is_shared_directory(path.as_ref()) {
        return Err(format!(
            "`storage.path`: {} is a directory of the system; use one below it",
            path.as_str()
        ));
    }
    Ok(())
}

/// Who trusts every server checks none.
fn check_trust(values: &Values) -> Result<(), String> {
    let is_insecure = values.get("insecure").and_then(truth) == Some(true);
    let pinned = ["ca_pins", "ca_path"].into_iter().find(|name| is_set_within(values, "onboarding", name));
    match pinned.filter(|_| is_insecure) {
        Some(name) => Err(format!("`insecure` and `onboarding.{name}` exclude each other; keep one of them")),
        None => Ok(()),
    }
}

fn check_services(values: &Values, name: &str) -> Result<(), String> {
    match values.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(services)) => {
            let has_no_type = |service: &Value| !service["type"].is_string();
            match services.iter().position(has_no_type) {
                Some(index) => Err(format!("`{name}[{index}]` is no object with a text as its `type`")),
                None => Ok(()),
            }
        }
        Some(_) => Err(format!("`{name}` is a list")),
    }
}
