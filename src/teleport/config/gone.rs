//! What a version of `tbot` does not start with any more, although an older one does.

use serde_json::{Map, Value};

use super::advice::printed;
use super::host_port::split;
use super::service_types::{FORMER_FIELDS, FORMER_TYPES, NO_PROXY_AS_AUTH_SERVER};
use super::services::each;
use crate::error::{Error, Kind, Result};
use crate::teleport::Version;

/// The ports of a Teleport proxy: the usual one, and that of a cluster without a load balancer.
const PROXY_PORTS: [&str; 2] = ["443", "3080"];

/// Each thing of the configuration that some version does not start with: the major version, and a sentence that says what to do.
pub(super) fn all(values: &Map<String, Value>) -> Vec<(u64, String)> {
    let mut gone = Vec::new();
    for (place, service) in each(values) {
        if let Some(former) = FORMER_TYPES.iter().find(|former| service["type"] == former.name) {
            let said = format!("the type {} of `{place}`: use {} instead", former.name, former.instead);
            gone.push((former.gone_in, said));
        }
        for former in &FORMER_FIELDS {
            let is_set = !matches!(&service[former.name], Value::Null)
                && service[former.name].as_array().is_none_or(|items| !items.is_empty());
            if is_set {
                gone.push((former.gone_in, format!("`{place}.{}`: {}", former.name, former.instead)));
            }
        }
    }
    let address = values.get("auth_server").and_then(Value::as_str);
    let is_proxy = |address: &&str| split(address).is_some_and(|(_, port)| PROXY_PORTS.contains(&port));
    if let Some(address) = address.filter(is_proxy) {
        let said = format!("the proxy {} as `auth_server`: give it as `proxy_server`", printed(address));
        gone.push((NO_PROXY_AS_AUTH_SERVER, said));
    }
    let sentence = |(version, said)| (version, format!("tbot {version} does not start with {said}"));
    gone.into_iter().map(sentence).collect()
}

/// Refuses a configuration with which `tbot` of this version would not start.
pub fn refuse_gone(values: &Map<String, Value>, version: &Version, path: &str) -> Result<()> {
    let gone = all(values).into_iter().filter(|(since, _)| *since <= version.major());
    let said: Vec<String> = super::advice::bounded(gone.map(|(_, said)| said).collect());
    if said.is_empty() {
        return Ok(());
    }
    let message = format!("{path} would not work with tbot {version}: {}", said.join("; "));
    Err(Error::new(Kind::Conflict, message).hint("change that, or stay with an older tbot"))
}
