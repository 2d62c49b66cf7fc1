//! `tbot`'s configuration, `/etc/tbot.yaml` in its version v2: what a host needs to join, put into the file that
//! there is.
//!
//! The keys and their meaning are those of Teleport's "Machine & Workload Identity Configuration Reference".

mod advice;
mod ca_pin;
mod check;
mod duration;
mod faults;
mod gone;
mod host_port;
mod join_uri;
mod merge;
mod paths;
mod proxy_address;
mod same_proxy;
mod same_value;
mod service_types;
mod services;
mod settings;

pub use ca_pin::CaPin;
pub use gone::refuse_gone;
pub use host_port::HostPort;
pub use merge::Wanted;
pub use paths::{Paths, Reader};
pub use proxy_address::ProxyAddress;
pub use same_proxy::refuse_other_server;
pub use settings::{Service, Settings, Storage};

use serde_json::{Map, Value};

use super::splice;
use crate::error::{Error, Kind, Result};
use crate::secrets::Known;

/// Where `tbot` keeps its state if the configuration does not say.
pub const DEFAULT_STORAGE: &str = "/var/lib/teleport/bot";
/// The keys that `tbot` knows at the top.
const KNOWN_KEYS: [&str; 17] = [
    "auth_server",
    "certificate_ttl",
    "credential_ttl",
    "debug",
    "diag_addr",
    "fips",
    "insecure",
    "join_uri",
    "onboarding",
    "oneshot",
    "outputs",
    "proxy_server",
    "renewal_interval",
    "scoped",
    "services",
    "storage",
    "version",
];
/// The types of storage that `tbot` knows.
const STORAGE_TYPES: [&str; 2] = ["directory", "memory"];
/// The key of the join token's name, within that of the other.
const TOKEN: [&str; 2] = ["onboarding", "token"];
/// The versions that `tbot` has had.
const VERSIONS: [&str; 2] = ["v1", "v2"];

/// The values of a file; none where it says nothing. `path` is what to call it in errors, which repeat no secrets of it.
///
/// `tbot` reads the first document of a file alone, and so does this. What is no mapping, and what readers would disagree about, is a `conflict`.
pub fn parse(text: &str, path: &str) -> Result<Option<Map<String, Value>>> {
    values(text).map_err(|why| {
        let error = conflict(path, &format!("is no configuration of tbot: {why}"));
        Known::in_text(text).hide_in_error(error).hint("put that right, or move the file away")
    })
}

/// The documents of a text, the first of which is the configuration.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // What ends a document (`...`), or begins the next, comes first in the rest.
        let (document, behind) = splice::first_document(rest);
        let mark =
            if document.is_empty() { behind.find(['\n', '\r']).map_or(behind.len(), |at| at + 1) } else { 0 };
        let found = Some(rest).filter(|rest| !rest.is_empty()).map(|rest| &rest[..document.len() + mark]);
        rest = &behind[mark..];
        found
    })
}

/// Whether something stands behind the first document of a text, which `tbot` does not read.
#[must_use]
pub fn has_further_documents(text: &str) -> bool {
    splice::says_something(splice::first_document(text).1)
}

/// The values of a text, or why it has none that all readers agree about.
pub fn values(text: &str) -> std::result::Result<Option<Map<String, Value>>, String> {
    let values = splice::mapping(text)?;
    Ok(values.map(|mut values| {
        if let Some(token) = token(&mut values).filter(|token| token.is_number())
            && let Some(written) = splice::plain_scalar(text, &TOKEN)
        {
            // Go's YAML reader takes it as it is written where a text is wanted: the name 0123, say.
            *token = Value::from(written);
        }
        values
    }))
}

/// The text of a file with these values. `path` is what to call it in errors.
///
/// A file that cannot take them without saying something else as well is a `conflict`.
pub fn write(text: &str, values: &Map<String, Value>, path: &str) -> Result<String> {
    let mut wanted = values.clone();
    let mut current = splice::mapping(text).ok().flatten().unwrap_or_default();
    if let (Some(wanted), Some(current)) = (token(&mut wanted), token(&mut current))
        && wanted.as_str().is_some_and(|token| splice::plain_scalar(text, &TOKEN) == Some(token))
    {
        *wanted = current.take();
    }
    splice::splice(text, &wanted).map_err(|why| {
        conflict(path, &format!("cannot be changed: {why}"))
            .hint("write it in plain block style (`key: value`), without anchors, aliases and `<<`")
    })
}

/// The name of the join token.
fn token(values: &mut Map<String, Value>) -> Option<&mut Value> {
    values.get_mut(TOKEN[0])?.as_object_mut()?.get_mut(TOKEN[1])
}

/// Refuses to remove a file that is not recognisably a configuration of `tbot`.
pub fn recognise(text: &str, path: &str) -> Result<()> {
    let values = parse(text, path)?.unwrap_or_default();
    let has = |key: &str| values.contains_key(key);
    let has_version = values.get("version").and_then(Value::as_str).is_some_and(|v| VERSIONS.contains(&v));
    // Others too have a version, or a server.
    let has_server = ["auth_server", "proxy_server", "join_uri"].into_iter().any(has);
    let signs = [has_version, has_server, has("destinations")];
    let count = signs.into_iter().filter(|sign| *sign).count();
    if values.get("onboarding").is_some_and(Value::is_object) || count > 1 {
        return Ok(());
    }
    Err(unrecognised(path).hint("remove it by hand if it is to go"))
}

fn unrecognised(path: &str) -> Error {
    conflict(path, "does not look like a configuration of tbot")
}

fn conflict(path: &str, what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{path} {what}; it was left as it is"))
}
