//! `tbot`'s configuration, `/etc/tbot.yaml` in its version v2: what a host needs to join, put into the file that
//! there is.
//!
//! The keys and their meaning are those of Teleport's "Machine & Workload Identity Configuration Reference".

mod ca_pin;
mod check;
mod host_port;
mod merge;
mod paths;
mod settings;

pub use ca_pin::CaPin;
pub use host_port::HostPort;
pub use merge::Wanted;
pub use paths::Paths;
pub use settings::{Service, Settings, Storage};

use serde_json::{Map, Value};

use super::splice;
use crate::error::{Error, Kind, Result};

/// Where `tbot` keeps its state if the configuration does not say.
pub const DEFAULT_STORAGE: &str = "/var/lib/teleport/bot";
/// The keys that `tbot` knows at the top.
const KNOWN_KEYS: [&str; 15] = [
    "auth_server",
    "certificate_ttl",
    "credential_ttl",
    "debug",
    "diag_addr",
    "fips",
    "insecure",
    "onboarding",
    "oneshot",
    "outputs",
    "proxy_server",
    "renewal_interval",
    "services",
    "storage",
    "version",
];
/// Keys of which one tells a configuration of `tbot`. Others too have a `storage` or a `version`.
const TELLING_KEYS: [&str; 4] = ["auth_server", "destinations", "onboarding", "proxy_server"];

/// The values of a file; none where it says nothing. `path` is what to call it in errors.
///
/// What is no single mapping, and what readers would disagree about, is a `conflict`.
pub fn parse(text: &str, path: &str) -> Result<Option<Map<String, Value>>> {
    splice::mapping(text).map_err(|why| {
        conflict(path, &format!("is no configuration of tbot: {why}"))
            .hint("put that right, or move the file away")
    })
}

/// The text of a file with these values. `path` is what to call it in errors.
///
/// A file that cannot take them without saying something else as well is a `conflict`.
pub fn write(text: &str, values: &Map<String, Value>, path: &str) -> Result<String> {
    splice::splice(text, values).map_err(|why| {
        conflict(path, &format!("cannot be changed: {why}"))
            .hint("write it in plain block style (`key: value`), without anchors and aliases")
    })
}

/// Refuses a file that is recognisably something else than a configuration of `tbot`.
pub fn recognise(text: &str, path: &str) -> Result<()> {
    let values = parse(text, path)?.unwrap_or_default();
    if TELLING_KEYS.iter().any(|key| values.contains_key(*key)) {
        return Ok(());
    }
    Err(conflict(path, "does not look like a configuration of tbot").hint("remove it by hand if it is to go"))
}

fn conflict(path: &str, what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{path} {what}; it was left as it is"))
}
