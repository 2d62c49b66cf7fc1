//! Whether a running `tbot` is healthy: what it answers at `/readyz` of its diagnostics address.
//!
//! `tbot` answers 200 once every service is healthy, and else 503 with JSON that says which is not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::config::HostPort;
use crate::message::shortened;

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
        match self.exchange() {
            Ok(answer) => understand(&answer)
                .unwrap_or_else(|| Health::Silent(format!("what answers at {} does not speak HTTP", self.0))),
            Err(error) => Health::Silent(format!("nothing answers at {}: {error}", self.0)),
        }
    }

    fn exchange(&self) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + LIMIT;
        let mut stream = self.connect(deadline)?;
        stream.set_write_timeout(Some(LIMIT))?;
        // In version 1.0 the answer comes in one piece, and ends with the connection.
        let request = format!("GET /readyz HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\r\n", self.0);
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            stream.set_read_timeout(Some(left_until(deadline)?))?;
            let count = match stream.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(too_slow()),
                Err(error) => return Err(error),
            };
            answer.extend_from_slice(&buffer[..count]);
            if answer.len() > LONGEST {
                return Err(io::Error::other(format!("the answer has more than {LONGEST} bytes")));
            }
            if count == 0 || is_complete(&answer) {
                return Ok(answer);
            }
        }
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        let mut outcome = Err(io::Error::other("the name has no address"));
        for address in self.0.to_socket_addrs()? {
            outcome = TcpStream::connect_timeout(&address, left_until(deadline)?);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
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

fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(too_slow()) } else { Ok(left) }
}

fn too_slow() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, format!("no whole answer within {} s", LIMIT.as_secs()))
}

/// Head and body of an answer (RFC 9112, section 2.1).
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]))
}

/// Whether the length that the head tells is there.
fn is_complete(answer: &[u8]) -> bool {
    let Some((head, body)) = split(answer) else { return false };
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .is_some_and(|length| body.len() >= length)
}

fn understand(answer: &[u8]) -> Option<Health> {
    let (head, body) = split(answer)?;
    let (version, rest) = head.lines().next()?.split_once(' ')?;
    let code = rest.split(' ').next().filter(|code| code.len() == 3)?;
    let code: u16 = code.parse().ok().filter(|_| version.starts_with("HTTP/1."))?;
    let status = serde_json::from_slice(body).ok();
    Some(if code == 200 { Health::Ready(status) } else { Health::Unready(code, status) })
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
