//! `cluster`: the version and name of a cluster, as its Proxy Service tells them.

use serde::Deserialize;

use super::Action;
use super::seconds::Seconds;
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::net::{Client, Destinations};
use crate::protocol::{Answer, Request};
use crate::teleport::ProxyAddress;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    proxy_server: ProxyAddress,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    timeout: Seconds,
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        Ok(parameters)
    }

    fn run(self, _: &Request) -> Result<Answer> {
        // The user names the proxy, which may well be in a private network.
        let client = Client::new(Destinations::Any, self.ca_file.as_ref().map(AsRef::as_ref))?;
        let cluster = self.proxy_server.ask(&client, self.timeout.duration())?;
        Ok(Answer::new(false)
            .result("server_version", cluster.server_version.to_string())
            .result("min_client_version", cluster.min_client_version.map(|version| version.to_string()))
            .result("cluster_name", cluster.cluster_name)
            .result("edition", cluster.edition)
            .result("auto_update", cluster.auto_update))
    }
}
