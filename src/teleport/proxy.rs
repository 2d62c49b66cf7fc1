//! What a cluster tells everyone who asks its Proxy Service: its version, its name, and how it updates clients.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::config::ProxyAddress;
use super::version::Version;
use crate::error::{Error, Kind, Result};
use crate::message::shortened;
use crate::net::{Client, Failure, Limits};

/// Bytes of the longest answer that is taken.
const LONGEST: usize = 1024 * 1024;
/// The editions that let no TPM join.
const WITHOUT_TPM: [&str; 2] = ["oss", "community"];

/// One thing that a cluster tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// [`Cluster::server_version`].
    ServerVersion,
    /// [`Cluster::min_client_version`].
    MinClientVersion,
    /// [`Cluster::cluster_name`].
    ClusterName,
    /// [`Cluster::edition`].
    Edition,
    /// [`Cluster::auto_update`].
    AutoUpdate,
}

/// What a cluster tells. What it does not say, or says in a form that cannot be read, is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The version that the cluster runs.
    pub server_version: Option<Version>,
    /// The oldest version of clients that it lets in.
    pub min_client_version: Option<Version>,
    /// The cluster's name.
    pub cluster_name: Option<String>,
    /// `oss`, `ent` or `community`.
    pub edition: Option<String>,
    /// How it updates clients: `tools_version`, `agent_version` and more.
    pub auto_update: Option<Map<String, Value>>,
    /// What could not be read, one sentence each.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// Asks the proxy, within that time. Every failure is of kind `network`, also where the answer lacks one of the fields
    /// that it has to have.
    pub fn ask(proxy: &ProxyAddress, client: &Client, time: Duration, wanted: &[Field]) -> Result<Self> {
        let url = format!("https://{proxy}/v1/webapi/find");
        let limits = Limits { request: time, deadline: Instant::now() + time, bytes: LONGEST, redirects: 0 };
        let answer =
            client.get(&url, Some("application/json"), &limits).map_err(|why| silent(proxy, &why))?;
        if answer.status != 200 {
            return Err(other(proxy, &format!("it answers with status {}", answer.status)));
        }
        let Ok(found) = serde_json::from_slice::<Value>(&answer.body) else {
            return Err(other(proxy, "its answer is not JSON"));
        };
        Self::read(&found, proxy, wanted)
    }

    /// Refuses a cluster that lets no TPM join, as `join_would_fail`. One that does not say its edition passes.
    pub fn require_enterprise(&self, proxy: &ProxyAddress) -> Result<()> {
        match self.edition.as_deref() {
            Some(edition) if WITHOUT_TPM.iter().any(|without| edition.eq_ignore_ascii_case(without)) => Err(Error::new(
                Kind::JoinWouldFail,
                format!(
                    "joining by TPM needs Teleport Enterprise, and the cluster at {proxy} runs edition `{edition}`"
                ),
            )
            .hint("use a Teleport Enterprise cluster; if this one is such a build, set `tbot_assume_enterprise: true`")),
            _ => Ok(()),
        }
    }

    fn read(found: &Value, proxy: &ProxyAddress, wanted: &[Field]) -> Result<Self> {
        if ["server_version", "cluster_name"].iter().all(|name| found.get(name).is_none()) {
            return Err(other(proxy, "its answer has no `server_version`"));
        }
        let mut reader = Reader { odd: Vec::new() };
        let mut auto_update = reader.object(found, "auto_update");
        for (name, value) in auto_update.iter_mut().flatten().filter(|(name, _)| name.ends_with("_version")) {
            let version = reader.version(Some(&*value), &format!("auto_update.{}", shortened(name)));
            *value = version.map_or(Value::Null, |version| version.to_string().into());
        }
        let cluster = Self {
            server_version: reader.version(found.get("server_version"), "server_version"),
            min_client_version: reader.version(found.get("min_client_version"), "min_client_version"),
            cluster_name: reader.text(found, "cluster_name"),
            edition: reader.text(found, "edition"),
            auto_update,
            warnings: Vec::new(),
        };
        for field in wanted {
            cluster.require(*field, proxy, &reader)?;
        }
        let warning = |(place, what): &(String, String)| {
            format!("`{place}` in the answer of the proxy {proxy} {what}; it is ignored")
        };
        let warnings = reader.odd.iter().map(warning).collect();
        Ok(Self { warnings, ..cluster })
    }

    fn require(&self, field: Field, proxy: &ProxyAddress, reader: &Reader) -> Result<()> {
        let (name, is_there) = match field {
            Field::ServerVersion => ("server_version", self.server_version.is_some()),
            Field::MinClientVersion => ("min_client_version", self.min_client_version.is_some()),
            Field::ClusterName => ("cluster_name", self.cluster_name.is_some()),
            Field::Edition => ("edition", self.edition.is_some()),
            Field::AutoUpdate => ("auto_update", self.auto_update.is_some()),
        };
        // What is odd within it makes it as useless as what is odd itself.
        let is_within = |place: &str| place.split('.').next() == Some(name);
        match reader.odd.iter().find(|(place, _)| is_within(place)) {
            Some((place, what)) => Err(unusable(proxy, &format!("`{place}` {what}"))),
            None if !is_there => Err(unusable(proxy, &format!("it has no `{name}`"))),
            None => Ok(()),
        }
    }
}

/// Reads fields, and remembers which have a form that cannot be read. A blank one is none.
struct Reader {
    /// The place of each, and what is wrong with it.
    odd: Vec<(String, String)>,
}

impl Reader {
    fn version(&mut self, value: Option<&Value>, place: &str) -> Option<Version> {
        let text = self.as_text(value, place)?;
        let version = Version::parse(&text);
        if version.is_none() {
            self.note(place, &format!("is {:?}, which is not a version", shortened(&text)));
        }
        version
    }

    fn text(&mut self, found: &Value, name: &str) -> Option<String> {
        self.as_text(found.get(name), name)
    }

    fn as_text(&mut self, value: Option<&Value>, place: &str) -> Option<String> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
            Some(_) => {
                self.note(place, "is not a text");
                None
            }
        }
    }

    fn object(&mut self, found: &Value, name: &str) -> Option<Map<String, Value>> {
        match found.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(fields)) => Some(fields.clone()),
            Some(_) => {
                self.note(name, "is not an object");
                None
            }
        }
    }

    fn note(&mut self, place: &str, what: &str) {
        self.odd.push((place.to_owned(), what.to_owned()));
    }
}

fn silent(proxy: &ProxyAddress, why: &Failure) -> Error {
    let error = Error::new(Kind::Network, format!("the proxy {proxy} cannot be asked: {why}"));
    if why.is_untrusted {
        error.hint(
            "give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`",
        )
    } else {
        error.hint("check `proxy_server`, the way there, and the variables https_proxy and no_proxy")
    }
}

fn other(proxy: &ProxyAddress, why: &str) -> Error {
    Error::new(Kind::Network, format!("what answers at {proxy} is not a Teleport proxy: {why}"))
        .hint("give the address of the Proxy Service's web port as `proxy_server`")
}

fn unusable(proxy: &ProxyAddress, why: &str) -> Error {
    Error::new(Kind::Network, format!("the answer of the proxy {proxy} cannot be used: {why}"))
        .hint("give the address of the Proxy Service's web port as `proxy_server`")
}
