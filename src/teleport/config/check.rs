//! What is wrong with a configuration: what `tbot` would refuse, and what it takes although nobody should write it.

use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::host_port::{is_port, split};
use super::{CaPin, HostPort, ProxyAddress, STORAGE_TYPES, services};
use crate::host::{AbsolutePath, is_shared_directory};
use crate::teleport::Name;

type Values = Map<String, Value>;

/// Keys that `tbot` takes only one of.
const EXCLUSIVE: [(&str, &str, &str); 2] =
    [("", "proxy_server", "auth_server"), ("onboarding", "ca_pins", "ca_path")];
pub(super) const BOOLEANS: [&str; 5] = ["debug", "fips", "insecure", "oneshot", "scoped"];
const DURATIONS: [&str; 3] = ["credential_ttl", "certificate_ttl", "renewal_interval"];
/// What Go's YAML reader takes for a boolean besides `true` and `false`, where one is wanted (YAML 1.1).
const BOOLEAN_WORDS: [(&str, bool); 6] =
    [("y", true), ("yes", true), ("on", true), ("n", false), ("no", false), ("off", false)];

const PLACE_OF_STORAGE: &str = "storage.";
/// Keys of a storage that take one of a few words.
const STORAGE_WORDS: [(&str, &[&str]); 2] =
    [("symlinks", &["secure", "try-secure", "insecure"]), ("acls", &["off", "try", "required"])];

/// What is wrong with values. Keys that are not there are no matter, but for the type and path of a storage where
/// all is `complete`, as in a file.
pub(super) fn check(values: &Values, is_complete: bool) -> Faults {
    let mut faults = Faults::default();
    exclusive(values, &mut faults);
    if values.contains_key("destinations") {
        faults.doubt("`destinations` is of version v1; version v2 has `services`");
    }
    let is_proxy = |address: String| ProxyAddress::try_from(address).map(drop);
    let is_server = |address: String| HostPort::try_from(address).map(drop);
    for (name, check) in
        [("proxy_server", &is_proxy as &dyn Fn(String) -> Result<(), String>), ("auth_server", &is_server)]
    {
        if let Some(address) = text(values, "", name, &mut faults)
            && let Err(why) = check(address.to_owned())
        {
            faults.doubt(format!("`{name}`: {why}"));
        }
    }
    if let Some(address) = text(values, "", "diag_addr", &mut faults) {
        listener(address, &mut faults);
    }
    for name in BOOLEANS {
        match values.get(name) {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(value) if is_complete && truth(value).is_some() => {}
            Some(_) => faults.refuse(format!("`{name}` is true or false")),
        }
    }
    for name in DURATIONS {
        if let Some(value) = values.get(name)
            && let Err(why) = services::duration(&json!({ name: value }), name)
        {
            faults.refuse(why);
        }
    }
    for (name, check) in
        [("onboarding", check_onboarding as fn(&Values, bool, &mut Faults)), ("storage", check_storage)]
    {
        match object(values, name) {
            Ok(None) => {}
            Ok(Some(fields)) => check(fields, is_complete, &mut faults),
            Err(why) => faults.refuse(why),
        }
    }
    check_trust(values, &mut faults);
    services::check(values, &mut faults);
    faults
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

fn exclusive(values: &Values, faults: &mut Faults) {
    for (place, one, other) in EXCLUSIVE {
        let both = |values: &Values| is_set(values, one) && is_set(values, other);
        let inner = values.get(place).and_then(Value::as_object);
        if (place.is_empty() && both(values)) || inner.is_some_and(both) {
            faults.refuse(format!("`{one}` and `{other}` exclude each other; keep one of them"));
        }
    }
}

/// The text at a key. Where a number or a boolean stands there, Go's YAML reader takes it as it is written.
fn text<'a>(values: &'a Values, place: &str, name: &str, faults: &mut Faults) -> Option<&'a str> {
    let wrong = format!("`{place}{name}` is a text; put it in quotes");
    match values.get(name)? {
        Value::Null => {}
        Value::String(text) => return Some(text.as_str()).filter(|text| !text.is_empty()),
        Value::Bool(_) | Value::Number(_) => faults.doubt(wrong),
        Value::Array(_) | Value::Object(_) => faults.refuse(wrong),
    }
    None
}

/// A listener may leave the host out, and so listen at every address. It needs a port.
fn listener(address: &str, faults: &mut Faults) {
    let why = match (split(address), HostPort::try_from(address.to_owned())) {
        (Some(("", port)), _) if is_port(port) => return,
        (_, Ok(_)) => return,
        (_, Err(why)) => format!("`diag_addr`: {why}"),
    };
    if split(address).is_some() { faults.doubt(why) } else { faults.refuse(why) }
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

fn check_onboarding(onboarding: &Values, _: bool, faults: &mut Faults) {
    const PLACE: &str = "onboarding.";
    // A token may also be the path of a file that holds it.
    if let Some(token) = text(onboarding, PLACE, "token", faults).filter(|token| !token.starts_with('/'))
        && let Err(why) = Name::try_from(token.to_owned())
    {
        faults.doubt(format!("`onboarding.token`: {why}"));
    }
    text(onboarding, PLACE, "join_method", faults);
    text(onboarding, PLACE, "ca_path", faults);
    match onboarding.get("ca_pins") {
        None | Some(Value::Null) => {}
        Some(Value::Array(pins)) => pins.iter().for_each(|pin| check_pin(pin, faults)),
        Some(_) => faults.refuse("`onboarding.ca_pins` is a list"),
    }
}

fn check_pin(pin: &Value, faults: &mut Faults) {
    let wrong = "`onboarding.ca_pins` is a list of texts";
    match pin {
        Value::String(pin) => {
            if let Err(why) = CaPin::try_from(pin.clone()) {
                faults.doubt(format!("`onboarding.ca_pins`: {why}"));
            }
        }
        Value::Array(_) | Value::Object(_) => faults.refuse(wrong),
        Value::Null | Value::Bool(_) | Value::Number(_) => faults.doubt(wrong),
    }
}

fn check_storage(storage: &Values, is_complete: bool, faults: &mut Faults) {
    let path = text(storage, PLACE_OF_STORAGE, "path", faults);
    match (text(storage, PLACE_OF_STORAGE, "type", faults), path) {
        (None, _) if is_complete => faults.refuse("`storage` has no `type`"),
        (Some("directory"), None) if is_complete => {
            faults.refuse("`storage` is a directory without a `path`");
        }
        (Some("memory"), Some(_)) => return faults.doubt("`storage.type: memory` has no `storage.path`"),
        (Some(other), _) if !is_complete && !STORAGE_TYPES.contains(&other) => {
            faults.refuse(format!(
                "`storage.type` is {}, and {other:?} is neither",
                STORAGE_TYPES.join(" or ")
            ));
        }
        _ => {}
    }
    for (name, words) in STORAGE_WORDS {
        match storage.get(name) {
            // `false`, which is no word to Go's YAML reader, is the text as it is written.
            Some(Value::Bool(_) | Value::Number(_)) => {
                faults.refuse(format!("`storage.{name}` is a text; put it in quotes"));
            }
            _ => {
                if let Some(word) = text(storage, PLACE_OF_STORAGE, name, faults)
                    && !words.contains(&word)
                {
                    let words = words.join(" or ");
                    faults.refuse(format!("`storage.{name}` is {words}, and {word:?} is none of them"));
                }
            }
        }
    }
    if let Some(path) = path {
        check_storage_path(path, is_complete, faults);
    }
}

fn check_storage_path(path: &str, is_complete: bool, faults: &mut Faults) {
    match AbsolutePath::try_from(path.to_owned()) {
        // In a file, that is worth some advice.
        Err(_) if is_complete && !path.starts_with('/') => {}
        Err(why) => faults.doubt(format!("`storage.path`: {why}")),
        Ok(path) if is_shared_directory(path.as_ref()) => faults.doubt(format!(
            "`storage.path`: {} is a directory of the system; use one below it",
            path.as_str()
        )),
        Ok(_) => {}
    }
}

/// Who trusts every server checks none.
fn check_trust(values: &Values, faults: &mut Faults) {
    let is_insecure = values.get("insecure").and_then(truth) == Some(true);
    let exclude =
        |name: &str| format!("`insecure` and `onboarding.{name}` exclude each other; keep one of them");
    if is_insecure && is_set_within(values, "onboarding", "ca_pins") {
        faults.refuse(exclude("ca_pins"));
    }
    if is_insecure && is_set_within(values, "onboarding", "ca_path") {
        faults.doubt(exclude("ca_path"));
    }
}
