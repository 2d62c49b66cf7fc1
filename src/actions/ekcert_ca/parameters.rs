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
    ca_bundle: Vec<Source>,
    #[serde(default)]
    trusted_roots: Vec<Source>,
    #[serde(default)]
    trusted_sha256: Vec<Fingerprint>,
    #[serde(default = "yes")]
    fetch: bool,
    allowed_urls: Option<Vec<HostPattern>>,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    timeout: Seconds,
    #[serde(default = "Seconds::for_all_servers")]
    total_timeout: Seconds,
    #[serde(default)]
    skip_untrusted: bool,
}

fn yes() -> bool {
    true
}

/// By what issuers are looked for, and what is trusted.
#[derive(Clone)]
pub(in crate::actions) struct Terms {
    pub ca_bundle: Vec<Source>,
    pub trusted_roots: Vec<Source>,
    pub trusted_sha256: Vec<Fingerprint>,
    pub fetch: bool,
    pub allowed_urls: Option<Vec<HostPattern>>,
    pub ca_file: Option<AbsolutePath>,
    /// For a request, and for all of them.
    pub timeout: Seconds,
    pub total_timeout: Seconds,
    /// Whether hosts may be left out.
    pub skip_untrusted: bool,
}

/// What the parameters ask for.
pub(in crate::actions) struct Asked {
    pub terms: Terms,
    /// None where a certificate is given instead.
    hosts: Option<Hosts>,
    ek_cert_pem: Option<String>,
    archived: Vec<String>,
    /// The tokens that there are.
    pub current: Vec<Token>,
}

impl Parameters {
    pub(super) fn checked(self) -> Result<Asked> {
        hosts::check_archived(&self.archived, self.hosts.as_deref(), self.registry.as_ref())?;
        let hosts = match (&self.ek_cert_pem, self.hosts, self.registry) {
            (Some(_), None, None) => None,
            (Some(_), ..) => {
                return Err(Error::invalid(
                    "give either `ek_cert_pem` or hosts (`hosts`, `registry`), not both",
                ));
            }
            (None, hosts, registry) => Some(Hosts::checked("ekcert_ca", hosts, registry)?),
        };
        let terms = Terms {
            ca_bundle: self.ca_bundle,
            trusted_roots: self.trusted_roots,
            trusted_sha256: self.trusted_sha256,
            fetch: self.fetch,
            allowed_urls: self.allowed_urls,
            ca_file: self.ca_file,
            timeout: self.timeout,
            total_timeout: self.total_timeout,
            skip_untrusted: self.skip_untrusted,
        };
        terms.check()?;
        let source = teleport::Source { name: "`current`", malformed: Kind::InvalidRequest };
        let read = |given| teleport::read_tokens(given, source);
        let current = self.current.map_or_else(|| Ok(Vec::new()), read)?;
        Ok(Asked { terms, hosts, ek_cert_pem: self.ek_cert_pem, archived: self.archived, current })
    }
}

impl Asked {
    /// The hosts whose issuers are asked for. A certificate alone is a host without a name.
    pub(super) fn read_hosts(&mut self, request: &Request) -> Result<Registry> {
        let Some(hosts) = self.hosts.take() else {
            let host = Identity { ek_cert_pem: self.ek_cert_pem.take(), ..Identity::default() };
            return Ok(Registry { identities: vec![host], ..Registry::default() });
        };
        let mut given = hosts.read(request)?;
        let is_archived = |name: &str| self.archived.iter().any(|archived| archived == name);
        given.identities.retain(|host| !host.name().is_some_and(is_archived));
        given.unusable.retain(|file| !file.name.as_deref().is_some_and(is_archived));
        Ok(given)
    }
}

impl Terms {
    /// Refuses texts that hold no certificate.
    pub(in crate::actions) fn check(&self) -> Result<()> {
        for (sources, parameter) in [(&self.ca_bundle, "ca_bundle"), (&self.trusted_roots, "trusted_roots")] {
            sources.iter().try_for_each(|source| source.check(parameter))?;
        }
        Ok(())
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
