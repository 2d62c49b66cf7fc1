//! The parameters of `ekcert_ca`.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::hosts;
use super::super::seconds::Seconds;
use super::sources::Source;
use crate::ekcert::Fingerprint;
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::net::HostPattern;
use crate::protocol::Request;
use crate::teleport::{self, Identity, Registry, Token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    hosts: Option<Vec<Identity>>,
    registry: Option<AbsolutePath>,
    ek_cert_pem: Option<String>,
    /// Hosts of the registry that do not count.
    #[serde(default)]
    archived: Vec<String>,
    /// YAML or JSON text, or what that says.
    current: Option<Value>,
    #[serde(default)]
    pub ca_bundle: Vec<Source>,
    #[serde(default)]
    pub trusted_roots: Vec<Source>,
    #[serde(default)]
    trusted_sha256: Vec<Fingerprint>,
    #[serde(default = "yes")]
    pub fetch: bool,
    pub allowed_urls: Option<Vec<HostPattern>>,
    pub ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    timeout: Seconds,
    #[serde(default = "Seconds::for_all_servers")]
    total_timeout: Seconds,
    #[serde(default)]
    pub skip_untrusted: bool,
}

fn yes() -> bool {
    true
}

impl Parameters {
    /// The hosts whose issuers are asked for. A certificate alone is a host without a name.
    pub(super) fn take_hosts(&mut self, request: &Request) -> Result<Registry> {
        hosts::check_archived(&self.archived, self.hosts.as_deref(), self.registry.as_ref())?;
        let Some(pem) = self.ek_cert_pem.take() else {
            let mut given = hosts::given(request, self.hosts.take(), self.registry.as_ref())?;
            let is_archived = |name: &str| self.archived.iter().any(|archived| archived == name);
            given.identities.retain(|host| !host.name().is_some_and(is_archived));
            return Ok(given);
        };
        if self.hosts.is_some() || self.registry.is_some() {
            return Err(Error::invalid("give either `ek_cert_pem` or hosts (`hosts`, `registry`), not both"));
        }
        let host = Identity { ek_cert_pem: Some(pem), ..Identity::default() };
        Ok(Registry { identities: vec![host], ..Registry::default() })
    }

    /// The tokens that there are.
    pub(super) fn take_current(&mut self) -> Result<Vec<Token>> {
        let source = teleport::Source { name: "`current`", malformed: Kind::InvalidRequest };
        self.current.take().map_or_else(|| Ok(Vec::new()), |given| teleport::read_tokens(given, source))
    }

    pub(super) fn pinned(&self) -> HashSet<String> {
        self.trusted_sha256.iter().map(|fingerprint| fingerprint.as_str().to_owned()).collect()
    }

    pub(super) fn time_a_request(&self) -> Duration {
        self.timeout.duration()
    }

    pub(super) fn time_in_all(&self) -> Duration {
        self.total_timeout.duration()
    }
}
