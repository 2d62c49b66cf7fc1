//! What a cluster tells everyone who asks its Proxy Service: its version, its name, and how it updates clients.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::HostPort;
use super::version::Version;
use crate::error::{Error, Kind, Result};
use crate::message::shortened;
use crate::net::{Client, Failure, Limits};

/// Bytes of the longest answer that is taken.
const LONGEST: usize = 1024 * 1024;

/// The address of a Proxy Service: host and port; the port is 443 where it is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ProxyAddress(HostPort);

/// What a cluster tells. What it does not say is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cluster {
    /// The version that the cluster runs.
    pub server_version: Version,
    /// The oldest version of clients that it lets in.
    pub min_client_version: Option<Version>,
    /// The cluster's name.
    pub cluster_name: Option<String>,
    /// `oss`, `ent` or `community`.
    pub edition: Option<String>,
    /// How it updates clients: `tools_version`, `agent_version` and more.
    pub auto_update: Option<Map<String, Value>>,
}

impl TryFrom<String> for ProxyAddress {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        HostPort::with_default(text, 443).map(Self)
    }
}

impl ProxyAddress {
    /// Asks the proxy, within that time. Every failure is of kind `network`.
    pub fn ask(&self, client: &Client, time: Duration) -> Result<Cluster> {
        let url = format!("https://{}/v1/webapi/find", self.0);
        let limits = Limits { request: time, deadline: Instant::now() + time, bytes: LONGEST, redirects: 0 };
        let answer = client.get(&url, Some("application/json"), &limits).map_err(|why| self.silent(&why))?;
        if answer.status != 200 {
            return Err(self.other(&format!("it answers with status {}", answer.status)));
        }
        let Ok(found) = serde_json::from_slice::<Value>(&answer.body) else {
            return Err(self.other("its answer is not JSON"));
        };
        self.understand(&found)
    }

    fn understand(&self, found: &Value) -> Result<Cluster> {
        let version = |value: &Value, name: &str| match value {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => Version::parse(text).map(Some).ok_or_else(|| {
                self.other(&format!("its `{name}` is {:?}, which is no version", shortened(text)))
            }),
            _ => Err(self.other(&format!("its `{name}` is no text"))),
        };
        let text = |name: &str| found[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let server_version = version(&found["server_version"], "server_version")?
            .ok_or_else(|| self.other("its answer has no `server_version`"))?;
        let mut auto_update = found["auto_update"].as_object().cloned();
        for (name, value) in auto_update.iter_mut().flatten().filter(|(name, _)| name.ends_with("_version")) {
            *value = version(value, name)?.map_or(Value::Null, |version| version.to_string().into());
        }
        Ok(Cluster {
            server_version,
            min_client_version: version(&found["min_client_version"], "min_client_version")?,
            cluster_name: text("cluster_name"),
            edition: text("edition"),
            auto_update,
        })
    }

    fn silent(&self, why: &Failure) -> Error {
        let error = Error::new(Kind::Network, format!("the proxy {} cannot be asked: {why}", self.0));
        if why.is_untrusted {
            error.hint("give the CA that issued it as `ca_file`, or correct `proxy_server`")
        } else {
            error.hint("check `proxy_server`, the way there, and the variables https_proxy and no_proxy")
        }
    }

    fn other(&self, why: &str) -> Error {
        Error::new(Kind::Network, format!("what answers at {} is not a Teleport proxy: {why}", self.0))
            .hint("give the address of the Proxy Service's web port as `proxy_server`")
    }
}
