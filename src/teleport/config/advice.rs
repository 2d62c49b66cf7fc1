//! What works in a configuration of `tbot`, but not as its author may think.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::check::{is_set, truth};
use super::duration::DAY;
use super::host_port::split;
use super::service_types::{COMMON, FORMER_TYPES, TYPES};
use super::services::{self, duration, nearest};
use super::{DEFAULT_STORAGE, KNOWN_KEYS, STORAGE_TYPES, gone};
use crate::message::{first, shortened};

type Values = Map<String, Value>;

/// Hosts that stand for every address.
const ALL_ADDRESSES: [&str; 4] = ["", "0.0.0.0", "[::]", "::"];

/// What a person should know of a configuration, one sentence each. `given` is what the request sets of it.
pub(super) fn of(values: &Values, given: &Values) -> Vec<String> {
    let mut advice: Vec<String> = [
        unknown_keys(values),
        unknown_storage(values),
        oneshot(values),
        scoped(values, given),
        diagnostics(values),
        lifetime(values),
    ]
    .into_iter()
    .flatten()
    .collect();
    for list in [
        unknown_types(values),
        unknown_fields(values),
        relative_paths(values),
        shared_paths(values),
        stored_paths(values),
        gone::all(values).into_iter().map(|(_, said)| said).collect(),
    ] {
        advice.extend(bounded(list));
    }
    advice
}

/// The first few of many sentences, and how many more there are.
pub(super) fn bounded(mut sentences: Vec<String>) -> Vec<String> {
    const MOST: usize = 10;
    let more = sentences.len().saturating_sub(MOST);
    sentences.truncate(MOST);
    sentences.extend((more > 0).then(|| format!("{more} more places of the configuration are alike")));
    sentences
}

/// A text of the file for a message: what could steer a terminal is escaped.
pub(super) fn printed(text: &str) -> String {
    shortened(text).escape_debug().to_string()
}

fn unknown_keys(values: &Values) -> Option<String> {
    let is_unknown = |key: &&String| !KNOWN_KEYS.contains(&key.as_str());
    let unknown: Vec<String> =
        values.keys().filter(is_unknown).map(|key| format!("`{}`", printed(key))).collect();
    (!unknown.is_empty()).then(|| {
        format!("tbot may not know these keys of the configuration, which stay: {}", first(&unknown))
    })
}

fn unknown_storage(values: &Values) -> Option<String> {
    let kind = values.get("storage")?["type"].as_str().filter(|kind| !STORAGE_TYPES.contains(kind))?;
    Some(format!("tbot may not know this type of storage, which stays: `{}`", printed(kind)))
}

fn is_true(values: &Values, name: &str) -> bool {
    values.get(name).and_then(truth) == Some(true)
}

fn oneshot(values: &Values) -> Option<String> {
    is_true(values, "oneshot").then(|| {
        "`oneshot: true` ends tbot after it has written its files once, and a systemd service starts it again \
         for ever: set it to false for a service"
            .to_owned()
    })
}

fn scoped(values: &Values, given: &Values) -> Option<String> {
    if is_true(values, "scoped") && given.contains_key("scoped") && services::each(values).next().is_some() {
        return Some(
            "tbot refuses most types of services with `scoped: true`: see whether yours start".to_owned(),
        );
    }
    (is_true(values, "scoped") && !given.contains_key("scoped")).then(|| {
        "`scoped: true` stays, but nothing asks for a scope: tbot ends unless the cluster gives it scoped \
         certificates; set `scoped` in `extra` to what you mean"
            .to_owned()
    })
}

fn diagnostics(values: &Values) -> Option<String> {
    let address = values.get("diag_addr")?.as_str()?;
    let (_, port) = split(address).filter(|(host, _)| ALL_ADDRESSES.contains(host))?;
    Some(format!(
        "`diag_addr` {} listens on all addresses, so that the network can read tbot's status without a password; \
         127.0.0.1:{} is for this host alone",
        printed(address),
        printed(port)
    ))
}

/// At the top, tbot warns of what it refuses in a service.
fn lifetime(values: &Values) -> Option<String> {
    let of = |name| duration(&Value::Object(pick(values, name)), name).ok().flatten();
    let given = ["credential_ttl", "certificate_ttl"].into_iter().find(|name| is_set(values, name));
    let (name, ttl) =
        given.and_then(|name| Some((name, of(name)?))).unwrap_or(("credential_ttl", DEFAULT_TTL));
    let interval = of("renewal_interval").unwrap_or(DEFAULT_INTERVAL);
    if is_set(values, "credential_ttl") && is_set(values, "certificate_ttl") {
        return Some("`certificate_ttl` is an older name of `credential_ttl`: keep one of them".to_owned());
    }
    if ttl < interval && !is_true(values, "oneshot") {
        return Some(format!(
            "`{name}` is shorter than `renewal_interval`, so that credentials end before tbot renews them"
        ));
    }
    (ttl > DAY).then(|| format!("`{name}` is longer than 24h, which tbot warns of"))
}

fn pick(values: &Values, name: &str) -> Values {
    values.get(name).map(|value| (name.to_owned(), value.clone())).into_iter().collect()
}

/// The path of each directory that `tbot` writes to, with its place.
fn directories(values: &Values) -> impl Iterator<Item = (String, &str)> {
    let storage = values.get("storage").map(|storage| ("storage".to_owned(), storage));
    let destinations = services::each(values)
        .map(|(place, service)| (format!("{place}.destination"), &service["destination"]));
    storage.into_iter().chain(destinations).filter_map(|(place, directory)| {
        let path = directory["path"].as_str().filter(|path| !path.is_empty())?;
        (directory["type"] == "directory").then_some((place, path))
    })
}

fn relative_paths(values: &Values) -> Vec<String> {
    let relative = directories(values).filter(|(_, path)| !path.starts_with('/'));
    let advice = |(place, path): (String, &str)| {
        format!(
            "`{place}.path` {} is relative: a systemd service takes it from its working directory, which is / by \
             default; write an absolute path",
            printed(path)
        )
    };
    relative.map(advice).collect()
}

fn shared_paths(values: &Values) -> Vec<String> {
    let mut users: HashMap<String, String> = HashMap::new();
    let mut shared = Vec::new();
    for (place, path) in directories(values) {
        match users.get(&plain(path)) {
            Some(other) => shared.push(format!(
                "`{other}` and `{place}` share the directory {}, where each overwrites files of the other: give \
                 each its own",
                printed(path)
            )),
            None => _ = users.insert(plain(path), place),
        }
    }
    shared
}

/// A path without what says nothing: `/opt//a/./` is `/opt/a`.
fn plain(path: &str) -> String {
    let root = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<&str> = path.split('/').filter(|part| !["", "."].contains(part)).collect();
    format!("{root}{}", parts.join("/"))
}

/// What is in the storage is for the bot alone.
fn stored_paths(values: &Values) -> Vec<String> {
    let storage = values.get("storage").unwrap_or(&Value::Null);
    let storage = match (storage["type"].as_str(), storage["path"].as_str()) {
        (Some("directory"), Some(path)) => plain(path),
        (None, _) => DEFAULT_STORAGE.to_owned(),
        _ => return Vec::new(),
    };
    let is_stored = |(_, path): &(String, &str)| {
        plain(path).strip_prefix(&storage).is_some_and(|rest| rest.starts_with('/'))
    };
    let advice = |(place, path): (String, &str)| {
        format!(
            "`{place}.path` {} lies in the bot's storage, which nobody else may enter: use a directory outside of {}",
            printed(path),
            printed(&storage)
        )
    };
    directories(values).filter(is_stored).map(advice).collect()
}

fn unknown_types(values: &Values) -> Vec<String> {
    let is_known = |kind: &str| {
        TYPES.iter().any(|known| known.name == kind) || FORMER_TYPES.iter().any(|former| former.name == kind)
    };
    let types =
        services::each(values).filter_map(|(place, service)| Some((place, service["type"].as_str()?)));
    let unknown = types.filter(|(_, kind)| !is_known(kind));
    unknown
        .map(|(place, kind)| {
            format!(
                "`{place}.type`: this version does not know the type {}: check that your tbot does",
                printed(kind)
            )
        })
        .collect()
}

/// `tbot` passes over fields that it does not know.
fn unknown_fields(values: &Values) -> Vec<String> {
    let of = |(place, service): (String, &Value)| -> Vec<String> {
        let kind = TYPES.iter().find(|known| service["type"] == known.name);
        let (Some(kind), Some(fields)) = (kind, service.as_object()) else { return Vec::new() };
        let known = || COMMON.iter().chain(kind.required).chain(kind.optional).copied();
        let unknown = fields.keys().filter(|name| known().all(|known| known != *name));
        unknown
            .map(|name| {
                let (name, nearest) = (printed(name), nearest(name, known()));
                format!(
                    "`{place}.{name}`: tbot may not know this field of a service of type {}; did you mean {nearest}?",
                    kind.name
                )
            })
            .collect()
    };
    services::each(values).flat_map(of).collect()
}

/// Nanoseconds of `credential_ttl` and `renewal_interval` where the configuration has none (60 and 20 minutes).
const DEFAULT_TTL: i64 = 3_600_000_000_000;
const DEFAULT_INTERVAL: i64 = DEFAULT_TTL / 3;
