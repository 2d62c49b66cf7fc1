//! `cluster`: the version and name of a cluster, as its Proxy Service tells them.

use serde::Deserialize;

use super::seconds::Seconds;
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::net::{Client, Destinations};
use crate::protocol::{Answer, Request};
use crate::teleport::ProxyAddress;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    proxy_server: ProxyAddress,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    timeout: Seconds,
}

pub(super) fn run(request: &mut Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&[])?;
    // The user names the proxy, which may well be in a private network.
    let client = Client::new(Destinations::Any, parameters.ca_file.as_ref().map(AsRef::as_ref))?;
    let cluster = parameters.proxy_server.ask(&client, parameters.timeout.duration())?;
    Ok(Answer::new(false)
        .result("server_version", cluster.server_version.to_string())
        .result("min_client_version", cluster.min_client_version.map(|version| version.to_string()))
        .result("cluster_name", cluster.cluster_name)
        .result("edition", cluster.edition)
        .result("auto_update", cluster.auto_update))
}
