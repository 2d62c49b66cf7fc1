//! `cluster`: the version and name of a cluster, as its Proxy Service tells them.

use serde::Deserialize;

use super::Action;
use super::seconds::Seconds;
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::net::{Client, Destinations};
use crate::protocol::{Answer, Request};
use crate::teleport::config::ProxyAddress;
use crate::teleport::{Cluster, Field, Version};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    proxy_server: ProxyAddress,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    timeout: Seconds,
    /// What the answer has to have.
    #[serde(default = "version")]
    require: Vec<Field>,
    #[serde(default)]
    require_enterprise: bool,
}

fn version() -> Vec<Field> {
    vec![Field::ServerVersion]
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        Ok(parameters)
    }

    fn run(self, _: &Request) -> Result<Answer> {
        // The user names the proxy, which may well be in a private network.
        let client = Client::new(Destinations::Any, self.ca_file.as_ref().map(AsRef::as_ref))?;
        let cluster = Cluster::ask(&self.proxy_server, &client, self.timeout.duration(), &self.require)?;
        if self.require_enterprise {
            cluster.require_enterprise(&self.proxy_server)?;
        }
        let text = |version: Option<Version>| version.map(|version| version.to_string());
        Ok(Answer::new(false)
            .result("server_version", text(cluster.server_version))
            .result("min_client_version", text(cluster.min_client_version))
            .result("cluster_name", cluster.cluster_name)
            .result("edition", cluster.edition)
            .result("auto_update", cluster.auto_update)
            .warnings(cluster.warnings))
    }
}
