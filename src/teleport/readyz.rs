//! Whether a running `tbot` is healthy: what it answers at `/readyz` of its diagnostics address.
//!
//! `tbot` answers 200 once every service is healthy, and else 503, with JSON that says which is not. Any local user can
//! answer there while `tbot` does not, so that an answer counts only in this form, and from the service's own process where
//! that can be seen.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::config::HostPort;
use crate::host::listener::{Listeners, Owner, is_numbered};
use crate::message::shortened;
use crate::net::{Client, Limits};

/// How long one request may take in all.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is taken.
const LONGEST: usize = 64 * 1024;

/// Where `tbot` answers (`diag_addr` in its configuration): host and port; no host, and an address that stands for
/// every one, is asked on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DiagnosticsAddress(String);

impl TryFrom<String> for DiagnosticsAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text };
        let text = String::from(HostPort::try_from(text)?.as_str());
        let address = match text.rsplit_once(':') {
            Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
            Some(("[::]", port)) => format!("[::1]:{port}"),
            _ => text,
        };
        Ok(Self(address))
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// `tbot` answers that it is ready, and what it says.
    Ready(Value),
    /// It answers that it is not, and what it says.
    Unready(Value),
    /// Something answers, but not as `tbot` does that tells its services: an older one, or another program.
    Unknown(String),
    /// Another process answers than the service's, and which.
    Foreign(String),
    /// There is no answer that could be read, and why.
    Silent(String),
}

impl DiagnosticsAddress {
    /// Asks once. Redirects are not followed, and an answer of more than 64 KiB or 5 seconds is none.
    fn ask(&self) -> Health {
        let limits =
            Limits { request: LIMIT, deadline: Instant::now() + LIMIT, bytes: LONGEST, redirects: 0 };
        let url = format!("http://{}/readyz", self.0);
        match Client::local().get(&url, Some("application/json"), &limits) {
            Ok(answer) => Health::of(answer.status, &answer.body),
            Err(failure) => Health::Silent(format!("nothing can be read from {}: {failure}", self.0)),
        }
    }

    /// Asks the service with these processes, or where they are not known, whatever answers. What another process says is
    /// [`Health::Foreign`]. The second value says what could not be checked.
    #[must_use]
    pub fn ask_service(&self, processes: Option<&[u32]>) -> (Health, Option<String>) {
        let addresses: Vec<SocketAddr> = self.0.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        let before = Listeners::at(&addresses);
        let health = self.ask();
        if let Health::Silent(_) = health {
            return (health, None);
        }
        let foreign =
            |why: String| (Health::Foreign(format!("{} is not the service's: {why}", self.0)), None);
        // A socket that is there before and after is the one that has answered.
        let is_same = before == Listeners::at(&addresses);
        let owner = match processes {
            Some(_) if !is_same => Owner::Other("another process than a moment ago".to_owned()),
            Some(processes) => before.owner(processes),
            None => Owner::Theirs,
        };
        if let Owner::Other(who) = owner {
            return foreign(format!("{who} listens there"));
        }
        let is_numbered_so = |number: u64| match processes {
            Some(processes) => processes.iter().any(|process| is_numbered(*process, number)),
            None => before.are_held_by(number) != Some(false),
        };
        match (health.process(), owner) {
            (Some(number), _) if !is_numbered_so(number) => {
                foreign(format!("what answers says it is process {number}, which does not listen there"))
            }
            (_, Owner::Unknown(why)) => {
                let doubt =
                    format!("it cannot be checked whether the service itself answers at {}: {why}", self.0);
                (health, Some(doubt))
            }
            _ => (health, None),
        }
    }
}

impl Health {
    /// That of an answer: `{"status": …, "services": {NAME: {"status": …}}}`, with status 200 where all are healthy, and
    /// else 503.
    fn of(code: u16, body: &[u8]) -> Self {
        let unknown = |why: &str| Self::Unknown(format!("/readyz answers with status {code}{why}"));
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(services) = value["services"].as_object() else {
            return unknown(match code {
                200 => ", but names no services: an older tbot, or another program",
                _ => "",
            });
        };
        let are_healthy = services.values().all(|service| service["status"] == "healthy");
        match (code, value["status"].as_str()) {
            (200, Some("healthy")) if are_healthy => Self::Ready(value),
            (503, Some("unhealthy")) => Self::Unready(value),
            _ => unknown(", which contradicts what it says of its services"),
        }
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// What `tbot` says.
    #[must_use]
    pub fn status(&self) -> Option<&Value> {
        match self {
            Self::Ready(status) | Self::Unready(status) => Some(status),
            Self::Unknown(_) | Self::Foreign(_) | Self::Silent(_) => None,
        }
    }

    /// The id that the process which answers says it has; versions of `tbot` before November 2025 say none. One that is no
    /// such number is 0, which no process has.
    #[must_use]
    pub fn process(&self) -> Option<u64> {
        self.status()?.get("pid").map(|number| number.as_u64().unwrap_or_default())
    }

    /// It in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Ready(_) => "/readyz answers that it is ready".to_owned(),
            Self::Unready(status) => match unhealthy(status) {
                parts if parts.is_empty() => {
                    format!("/readyz answers with status 503: {}", shortened(&status.to_string()))
                }
                parts => format!("/readyz answers with status 503; unhealthy: {}", parts.join(", ")),
            },
            Self::Unknown(why) | Self::Foreign(why) | Self::Silent(why) => why.clone(),
        }
    }
}

/// The services that say of themselves that they are anything else than healthy, with their reasons.
fn unhealthy(status: &Value) -> Vec<String> {
    let services = status["services"].as_object().into_iter().flatten();
    let ill =
        services.filter(|(_, service)| service["status"].as_str().is_some_and(|word| word != "healthy"));
    ill.map(|(name, service)| {
        let why = service["reason"].as_str().or(service["status"].as_str()).unwrap_or_default();
        format!("{} ({})", Value::from(shortened(name)), Value::from(shortened(why)))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DiagnosticsAddress, Health};

    #[test]
    fn only_what_tbot_says_is_health() {
        let healthy =
            json!({ "status": "healthy", "services": { "identity": { "status": "healthy" } }, "pid": 7 });
        let unhealthy =
            json!({ "status": "unhealthy", "services": { "identity": { "status": "initializing" } } });
        let of = |code, body: &serde_json::Value| Health::of(code, body.to_string().as_bytes());
        assert_eq!(of(200, &healthy), Health::Ready(healthy.clone()));
        assert_eq!((of(200, &healthy).process(), of(503, &unhealthy).process()), (Some(7), None));
        assert_eq!(of(503, &unhealthy), Health::Unready(unhealthy.clone()));
        for (code, body) in [
            (200, unhealthy.clone()),
            (503, healthy.clone()),
            (204, healthy),
            (200, json!({ "status": "healthy" })),
            (200, json!({ "status": "healthy", "services": [] })),
            (200, json!({ "status": "healthy", "services": { "x": { "status": "unhealthy" } } })),
            (200, json!({ "status": "healthy", "services": { "x": "healthy" } })),
            (200, json!({ "services": {} })),
            (200, json!({ "status": "ok" })),
            (200, json!("ok")),
            (404, json!({ "error": "x" })),
        ] {
            assert!(matches!(of(code, &body), Health::Unknown(_)), "{code} {body}");
        }
        for body in ["", "ok", "<html>ready</html>", "{"] {
            let Health::Unknown(why) = Health::of(200, body.as_bytes()) else { panic!("{body}") };
            assert!(why.ends_with("an older tbot, or another program"), "{why}");
        }
    }

    #[test]
    fn what_stands_for_every_address_is_asked_on_loopback() {
        let address = |text: &str| DiagnosticsAddress::try_from(text.to_owned()).map(|address| address.0);
        for (given, asked) in [
            (":3001", "127.0.0.1:3001"),
            ("0.0.0.0:3001", "127.0.0.1:3001"),
            ("[::]:3001", "[::1]:3001"),
            ("192.0.2.1:3001", "192.0.2.1:3001"),
            ("localhost:3001", "localhost:3001"),
        ] {
            assert_eq!(address(given).as_deref(), Ok(asked));
        }
        assert!(address("127.0.0.1").is_err());
    }
}
