//! The parameters of `enroll`.

mod cas;
mod checked;
mod instance;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::layout::Tokens;
use crate::actions::ekcert_ca::Source;
use crate::actions::instances::Instance;
use crate::actions::seconds::Seconds;
use crate::actions::token;
use crate::ekcert::Fingerprint;
use crate::host::AbsolutePath;
use crate::net::HostPattern;
use crate::teleport::{Identity, Label, Match, Name, Role, Scope};
pub(in crate::actions) use checked::Asked;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // the contract's parameters
pub(in crate::actions) struct Parameters {
    /// The command, as a list of words or as a text that is split into words.
    tctl: Option<Value>,
    identity_file: Option<AbsolutePath>,
    auth_server: Option<String>,
    #[serde(default = "yes")]
    apply: bool,
    /// Only whether the cluster can be read, before anything else is done.
    #[serde(default)]
    read_only: bool,
    /// Whether it answers all tokens by TPM that are read.
    #[serde(default)]
    all_tokens: bool,
    #[serde(default = "Seconds::for_all_servers")]
    timeout: Seconds,
    #[serde(default = "default_settle_seconds")]
    settle_seconds: u64,
    bot: Option<WantedBot>,
    /// One or several by `shards`, where it is not given.
    tokens: Option<Tokens>,
    /// The folder of the files, or the file of the first token.
    files: Option<AbsolutePath>,
    path: Option<AbsolutePath>,
    /// Whether the files are written here, or answered, where they are another machine's.
    #[serde(default = "yes")]
    write_files: bool,
    /// What files beside those of the tokens say, where they are another machine's.
    #[serde(default)]
    applied_before: Vec<String>,
    /// Whether a token that the cluster has lost is made anew.
    #[serde(default)]
    recreate: bool,
    /// Whether hosts are taken out of service, so that no token need be left.
    #[serde(default)]
    takes_away: bool,

    /// Further bots, each with a token of its own.
    #[serde(default)]
    pub(super) instances: Vec<Instance>,

    // What `token` takes.
    name: Name,
    bot_name: Option<Name>,
    scope: Option<Scope>,
    roles: Option<Vec<Role>>,
    hosts: Option<Vec<Identity>>,
    registry: Option<AbsolutePath>,
    ekcert_allowed_cas: Option<Vec<String>>,
    allow_without_cas: Option<bool>,
    expires: Option<token::End>,
    labels: Option<BTreeMap<Label, Label>>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    remove: Vec<String>,
    only: Option<Vec<String>>,
    #[serde(default)]
    archived: Vec<String>,
    /// Entries of the archive, where the registry is another machine's.
    former: Option<Vec<Identity>>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    retire: bool,
    #[serde(default, rename = "match")]
    compare: Match,
    #[serde(default = "token::default_shards")]
    shards: u64,
    #[serde(default = "token::default_max_bytes")]
    max_bytes: u64,
    #[serde(default)]
    allow_lockout: bool,
    #[serde(default = "yes")]
    skip_refused: bool,

    // What `ekcert_ca` takes.
    ca_bundle: Option<Vec<Source>>,
    trusted_roots: Option<Vec<Source>>,
    trusted_sha256: Option<Vec<Fingerprint>>,
    #[serde(default = "yes")]
    fetch: bool,
    allowed_urls: Option<Vec<HostPattern>>,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    fetch_timeout: Seconds,
    #[serde(default = "Seconds::for_all_servers")]
    total_timeout: Seconds,
}

/// A bot that is made, or brought to these terms.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBot {
    name: Option<Name>,
    roles: Option<Vec<String>>,
    traits: Option<BTreeMap<String, Vec<String>>>,
}

fn yes() -> bool {
    true
}

/// Longer than it takes a run from reading to applying: then of two runs at the same time, at least one reads after both have applied.
fn default_settle_seconds() -> u64 {
    20
}
