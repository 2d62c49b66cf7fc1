//! Whether a running `tbot` is healthy: what it answers at `/readyz` of its diagnostics address.
//!
//! `tbot` answers 200 once every service is healthy, and else 503 with JSON that says which is not.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::config::HostPort;
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
    /// It is ready; with what it says, where that is JSON.
    Ready(Option<Value>),
    /// It answers with another status than 200; with what it says, likewise.
    Unready(u16, Option<Value>),
    /// There is no answer that could be read, and why.
    Silent(String),
}

impl DiagnosticsAddress {
    /// Asks once. Redirects are not followed, and an answer of more than 64 KiB or 5 seconds is none.
    #[must_use]
    pub fn ask(&self) -> Health {
        let limits =
            Limits { request: LIMIT, deadline: Instant::now() + LIMIT, bytes: LONGEST, redirects: 0 };
        let url = format!("http://{}/readyz", self.0);
        match Client::local().get(&url, Some("application/json"), &limits) {
            Ok(answer) => {
                let status = serde_json::from_slice(&answer.body).ok();
                match answer.status {
                    200 => Health::Ready(status),
                    code => Health::Unready(code, status),
                }
            }
            Err(failure) => Health::Silent(format!("nothing can be read from {}: {failure}", self.0)),
        }
    }
}

impl Health {
    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// What it says, where that is JSON.
    #[must_use]
    pub fn status(&self) -> Option<&Value> {
        match self {
            Self::Ready(status) | Self::Unready(_, status) => status.as_ref(),
            Self::Silent(_) => None,
        }
    }

    /// It in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Ready(_) => "/readyz answers that it is ready".to_owned(),
            Self::Unready(code, None) => format!("/readyz answers with status {code}"),
            Self::Unready(code, Some(status)) => match unhealthy(status) {
                parts if parts.is_empty() => {
                    format!("/readyz answers with status {code}: {}", shortened(&status.to_string()))
                }
                parts => format!("/readyz answers with status {code}; unhealthy: {}", parts.join(", ")),
            },
            Self::Silent(why) => why.clone(),
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
    use super::DiagnosticsAddress;

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
