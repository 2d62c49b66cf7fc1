//! Addresses of servers.

use std::fmt;

use serde::Deserialize;

use crate::net::Host;

/// The address of a service, or one to listen at: a host and a port, as in `example.teleport.sh:443`.
///
/// The host is a DNS name (RFC 1123, and `_`), an IPv4 address, or an IPv6 address in brackets; the port is
/// 1 to 65535.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPort(String);

impl HostPort {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text, None)?;
        Ok(Self(text))
    }
}

/// Host and port of an address, which may leave out the port where there is a default for it.
pub(super) fn parse(text: &str, default: Option<u16>) -> Result<(Host, u16), String> {
    let wrong = |why: &str| Err(format!("{text:?} is no host:port: {why}"));
    if text.contains("://") {
        return wrong("leave out the scheme, as in example.teleport.sh:443");
    }
    if text.contains('/') {
        return wrong("leave out the path, as in example.teleport.sh:443");
    }
    let (host, port) = match (split(text), default) {
        (Some((host, port)), _) => (host, is_port(port).then(|| port.parse().ok()).flatten()),
        (None, Some(port)) => (text, Some(port)),
        (None, None) => return wrong("it needs a port, as in example.teleport.sh:443"),
    };
    let Some(port) = port else {
        return wrong("a port is a number from 1 to 65535");
    };
    if host.contains(':') && !host.starts_with('[') {
        return wrong("put the IPv6 address into brackets, as in [2001:db8::1]:443");
    }
    match Host::parse(host) {
        Some(host) => Ok((host, port)),
        None => wrong("a host is a DNS name, an IPv4 address, or an IPv6 address in brackets"),
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Host and port of an address; none where it has no port.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(_, port)| !port.contains(']'))
}

pub(super) fn is_port(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() && c != '0') && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    #[test]
    fn a_host_is_a_name_or_an_address_and_has_a_port() {
        for right in [
            "example.teleport.sh:443",
            "localhost:3080",
            "proxy_1:1",
            "EXAMPLE.com.:65535",
            "192.0.2.1:3025",
            "[2001:db8::1]:443",
            "xn--bcher-kva.example:443",
            "3com.com:443",
        ] {
            assert_eq!(HostPort::try_from(right.to_owned()).unwrap().as_str(), right);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let long = format!("{}:443", "a.".repeat(128));
        for (wrong, why) in [
            ("https://example.com:443", "scheme"),
            ("example.com:443/web", "path"),
            ("example.com", "needs a port"),
            ("[2001:db8::1]", "needs a port"),
            ("", "needs a port"),
            ("example.com:", "65535"),
            ("example.com:0", "65535"),
            ("example.com:65536", "65535"),
            ("example.com:+443", "65535"),
            ("example.com:0443", "65535"),
            ("example.com:https", "65535"),
            ("2001:db8::1:443", "brackets"),
            (":443", "a host is"),
            ("a b:443", "a host is"),
            ("-a.example:443", "a host is"),
            ("a..example:443", "a host is"),
            ("bücher.example:443", "a host is"),
            ("256.0.2.1:443", "a host is"),
            ("[::1%lo]:443", "a host is"),
            ("[192.0.2.1]:443", "a host is"),
            ("a\n:443", "a host is"),
            (long.as_str(), "a host is"),
        ] {
            let message = HostPort::try_from(wrong.to_owned()).unwrap_err();
            assert!(message.contains(why), "{wrong}: {message}");
        }
    }
}
