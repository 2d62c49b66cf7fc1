//! The parameters of `ekcert_ca`.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::super::hosts::{self, Hosts};
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
pub(in crate::actions) struct Parameters {
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

/// What the parameters ask for.
pub(in crate::actions) struct Asked {
    pub given: Parameters,
    /// None where a certificate is given instead.
    pub hosts: Option<Hosts>,
    /// The tokens that there are.
    pub current: Vec<Token>,
}

impl Parameters {
    pub(super) fn checked(mut self) -> Result<Asked> {
        hosts::check_archived(&self.archived, self.hosts.as_deref(), self.registry.as_ref())?;
        let hosts = match (&self.ek_cert_pem, self.hosts.take(), self.registry.take()) {
            (Some(_), None, None) => None,
            (Some(_), ..) => {
                return Err(Error::invalid(
                    "give either `ek_cert_pem` or hosts (`hosts`, `registry`), not both",
                ));
            }
            (None, hosts, registry) => Some(Hosts::checked("ekcert_ca", hosts, registry)?),
        };
        for (sources, parameter) in [(&self.ca_bundle, "ca_bundle"), (&self.trusted_roots, "trusted_roots")] {
            sources.iter().try_for_each(|source| source.check(parameter))?;
        }
        let source = teleport::Source { name: "`current`", malformed: Kind::InvalidRequest };
        let read = |given| teleport::read_tokens(given, source);
        let current = self.current.take().map_or_else(|| Ok(Vec::new()), read)?;
        Ok(Asked { given: self, hosts, current })
    }

    /// The hosts whose issuers are asked for. A certificate alone is a host without a name.
    pub(super) fn read_hosts(&mut self, hosts: Option<Hosts>, request: &Request) -> Result<Registry> {
        let Some(hosts) = hosts else {
            let host = Identity { ek_cert_pem: self.ek_cert_pem.take(), ..Identity::default() };
            return Ok(Registry { identities: vec![host], ..Registry::default() });
        };
        let mut given = hosts.read(request)?;
        let is_archived = |name: &str| self.archived.iter().any(|archived| archived == name);
        given.identities.retain(|host| !host.name().is_some_and(is_archived));
        given.unusable.retain(|file| !file.name.as_deref().is_some_and(is_archived));
        Ok(given)
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

    /// What the links of one EK certificate may take of that.
    pub(super) fn time_a_certificate(&self) -> Duration {
        self.total_timeout.duration() / 2
    }
}
