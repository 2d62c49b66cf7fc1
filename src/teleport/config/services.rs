//! What `tbot` would refuse in `services`, and in the older `outputs`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::advice::printed;
use super::check::truth;
use super::duration::{DAY, nanoseconds};
use super::faults::Faults;
use super::service_types::{FORMER_TYPES, ServiceType, TYPES};
use crate::message::shortened;

type Values = Map<String, Value>;

/// The keys that hold services. `tbot` appends those of the second to those of the first.
pub(super) const LISTS: [&str; 2] = ["services", "outputs"];
/// The types whose credentials may last longer than a day.
const WORKLOAD_IDENTITY: &str = "workload-identity-";
/// The name of `tbot`'s own identity among the services in its status.
const RESERVED_NAME: &str = "identity";

/// Each service with its place, such as `services[0]`. What is no list has none.
pub(super) fn each(values: &Values) -> impl Iterator<Item = (String, &Value)> {
    LISTS.into_iter().flat_map(|list| {
        let items = values.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().enumerate().map(move |(index, service)| (format!("{list}[{index}]"), service))
    })
}

pub(super) fn check(values: &Values, faults: &mut Faults) {
    for list in LISTS {
        if !matches!(values.get(list), None | Some(Value::Null | Value::Array(_))) {
            faults.refuse(format!("`{list}` is a list"));
        }
    }
    let is_oneshot = values.get("oneshot").and_then(truth) == Some(true);
    let (mut names, mut listeners) = (HashMap::new(), HashMap::new());
    for (place, service) in each(values) {
        // One is enough for an error.
        if faults.has_refusal() {
            return;
        }
        let Some(kind) = service["type"].as_str() else {
            faults.refuse(format!("`{place}` is not an object with a text as its `type`"));
            continue;
        };
        let known = check_type(&place, kind, faults);
        check_name(&place, &service["name"], faults);
        if let Some(name) = service["name"].as_str().filter(|name| !name.is_empty())
            && let Some(other) = names.insert(name, place.clone())
        {
            let name = printed(name);
            faults.refuse(format!("`{other}` and `{place}` have the same name `{name}`; give each its own"));
        }
        if let Some(address) = service["listen"].as_str()
            && let Some(other) = listeners.insert(address, place.clone())
        {
            let address = printed(address);
            faults.doubt(format!(
                "`{other}` and `{place}` listen at the same address {address}; give each its own"
            ));
        }
        if let Err(why) = check_lifetime(kind, service, is_oneshot) {
            faults.refuse(format!("`{place}`: {why}"));
        }
        if let Some(known) = known.filter(|_| !faults.has_refusal()) {
            check_required(&place, known, service, faults);
        }
    }
}

/// Refuses a type whose name is almost a known one. Any other may be of a newer `tbot`.
fn check_type(place: &str, kind: &str, faults: &mut Faults) -> Option<&'static ServiceType> {
    const MISSPELT: usize = 3;
    let known = TYPES.iter().find(|known| known.name == kind);
    if known.is_none() && !FORMER_TYPES.iter().any(|former| former.name == kind) {
        let nearest = nearest(kind, TYPES.iter().map(|known| known.name));
        let letters = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
        if strsim::damerau_levenshtein(kind, nearest) <= MISSPELT && letters(kind) != letters(nearest) {
            let kind = printed(kind);
            faults.refuse(format!(
                "`{place}.type`: tbot knows no service of type `{kind}`; did you mean {nearest}?"
            ));
        }
    }
    known
}

/// The most similar of these names.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|known| strsim::damerau_levenshtein(name, known)).unwrap_or_default()
}

fn check_required(place: &str, kind: &ServiceType, service: &Value, faults: &mut Faults) {
    let missing = kind.required.iter().filter(|name| service[**name].is_null());
    let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        faults.refuse(format!(
            "`{place}`: tbot does not start a service of type {} without {missing}",
            kind.name
        ));
    }
}

fn check_name(place: &str, name: &Value, faults: &mut Faults) {
    let name = match name {
        Value::Null => return,
        Value::String(name) if name.is_empty() => return,
        Value::String(name) => name.clone(),
        Value::Bool(_) | Value::Number(_) => name.to_string(),
        Value::Array(_) | Value::Object(_) => return faults.refuse(format!("`{place}.name` is a text")),
    };
    let is_taken = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '+');
    if !name.chars().all(is_taken) {
        let name = shortened(&name);
        faults.refuse(format!(
            "`{place}.name`: {name:?} is not a name: use lower-case letters, digits, - _ and +"
        ));
    } else if name == RESERVED_NAME {
        faults.refuse(format!("`{place}.name`: tbot reserves the name `{name}` for itself; use another"));
    }
}

/// The nanoseconds at a key: none where it says nothing, an error where it is no duration.
pub(super) fn duration(values: &Value, name: &str) -> Result<Option<i64>, String> {
    let wrong = |found: &str| format!("`{name}`: {found} is not a duration: write it as in 1h30m");
    match &values[name] {
        Value::Null => Ok(None),
        Value::String(text) => {
            nanoseconds(text).map(Some).ok_or_else(|| wrong(&format!("{:?}", shortened(text))))
        }
        Value::Number(number) => Err(wrong(&number.to_string())),
        _ => Err(format!("`{name}` is a text, such as 1h30m")),
    }
}

fn check_lifetime(kind: &str, service: &Value, is_oneshot: bool) -> Result<(), String> {
    let (ttl, interval) = match (duration(service, "credential_ttl")?, duration(service, "renewal_interval")?)
    {
        (None, None) => return Ok(()),
        (Some(ttl), Some(interval)) => (ttl, interval),
        _ => {
            return Err(
                "`credential_ttl` and `renewal_interval` go together; give both or neither".to_owned()
            );
        }
    };
    if ttl <= 0 || interval <= 0 {
        return Err("`credential_ttl` and `renewal_interval` must be positive".to_owned());
    }
    if ttl < interval && !is_oneshot {
        return Err("`credential_ttl` is shorter than `renewal_interval`".to_owned());
    }
    if ttl > DAY && !kind.starts_with(WORKLOAD_IDENTITY) {
        return Err("`credential_ttl` is longer than 24h".to_owned());
    }
    Ok(())
}
