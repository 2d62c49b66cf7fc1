//! Who may be asked.

use std::fmt;

use serde::Deserialize;

use super::address;
use super::failure::Failure;
use super::host::{Host, port_number};
use super::url::Url;

/// Which hosts a client may ask.
#[derive(Debug, Clone)]
pub enum Destinations {
    /// Every host.
    Any,
    /// Hosts whose addresses are all public, which is checked after the name is resolved. Where a proxy resolves
    /// it, only what the URL says can be checked.
    Public,
    /// Hosts that a pattern names, whatever their addresses.
    Hosts(Vec<HostPattern>),
}

/// A pattern of hosts: `HOST` or `*.DOMAIN` (every name below that domain), with an optional `:PORT`; without one, every
/// port. A host is a DNS name, an IPv4 address, or an IPv6 address in brackets; case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPattern {
    host: Host,
    is_below: bool,
    port: Option<u16>,
}

impl HostPattern {
    fn matches(&self, host: &Host, port: u16) -> bool {
        let is_host = match (&self.host, host) {
            (Host::Name(domain), Host::Name(name)) if self.is_below => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (pattern, host) => pattern == host,
        };
        is_host && self.port.is_none_or(|wanted| wanted == port)
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const FORM: &str = "write a host, as in pki.example.com, *.example.com or pki.example.com:8080";
        let wrong = |why: &str| Err(format!("{text:?} names no host: {why}"));
        if text.contains("://") {
            return wrong("leave out the scheme, as in pki.example.com");
        }
        if text.contains('/') {
            return wrong("leave out the path, as in pki.example.com");
        }
        if text.contains('@') {
            return wrong("leave out the user name, as in pki.example.com");
        }
        let (host, port) = match text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
                return wrong("put the IPv6 address into brackets, as in [2001:db8::1]");
            }
            Some((host, port)) => match port_number(port) {
                Some(port) => (host, Some(port)),
                None => return wrong("a port is a number from 1 to 65535"),
            },
            None => (text.as_str(), None),
        };
        let (name, is_below) = host.strip_prefix("*.").map_or((host, false), |domain| (domain, true));
        if host == "*" || name.contains('*') {
            return wrong("a star stands only at the start and before a domain, as in *.example.com");
        }
        match Host::parse(name) {
            Some(Host::Address(_)) if is_below => wrong("no name is below an address"),
            Some(host) => Ok(Self { host, is_below, port }),
            None => wrong(FORM),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_below {
            formatter.write_str("*.")?;
        }
        self.host.fmt(formatter)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl Destinations {
    /// Whether what the URL says is allowed. With [`Destinations::Public`] that is not all: see [`Self::check_address`].
    pub(super) fn check(&self, url: &Url) -> Result<(), Failure> {
        match self {
            Self::Any => Ok(()),
            Self::Hosts(patterns) if patterns.iter().any(|it| it.matches(&url.host, url.port)) => Ok(()),
            Self::Hosts(_) => Err(Failure::new(format!("{} is none of `allowed_urls`", url.host))),
            Self::Public if url.host.is_localhost() => {
                Err(not_public(&format!("{} is this machine", url.host)))
            }
            Self::Public => match url.host {
                Host::Address(address) => {
                    let what = address::special(address).map(|what| format!("{} is {what}", url.host));
                    what.map_or(Ok(()), |what| Err(not_public(&what)))
                }
                Host::Name(_) => Ok(()),
            },
        }
    }

    /// Whether an address to which the host of a URL leads is allowed.
    pub(super) fn check_address(&self, host: &Host, address: std::net::IpAddr) -> Result<(), Failure> {
        match (self, address::special(address)) {
            (Self::Public, Some(what)) => Err(not_public(&format!("{host} leads to {address}, {what}"))),
            _ => Ok(()),
        }
    }
}

fn not_public(what: &str) -> Failure {
    Failure::new(format!("{what}, where only public addresses are asked: name the host in `allowed_urls`"))
}

#[cfg(test)]
mod tests {
    use super::super::url::Url;
    use super::{Destinations, HostPattern};

    fn pattern(text: &str) -> Result<HostPattern, String> {
        HostPattern::try_from(text.to_owned())
    }

    fn allows(destinations: &Destinations, url: &str) -> bool {
        destinations.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_pattern_is_a_host_or_all_below_a_domain_perhaps_at_one_port() {
        let allows = |text: &str, url: &str| allows(&Destinations::Hosts(vec![pattern(text).unwrap()]), url);
        assert!(allows("PKI.example.com", "http://pki.Example.com./a"));
        assert!(allows("pki.example.com", "https://pki.example.com:8443/"));
        assert!(allows("pki.example.com:8080", "http://pki.example.com:8080/"));
        assert!(!allows("pki.example.com:8080", "http://pki.example.com/"));
        assert!(!allows("pki.example.com", "http://other.pki.example.com/"));
        assert!(!allows("example.com", "http://example.com.evil.test/"));
        assert!(allows("*.example.com", "http://a.b.example.com/"));
        assert!(!allows("*.example.com", "http://example.com/"));
        assert!(!allows("*.example.com", "http://evilexample.com/"));
        assert!(allows("10.0.0.1", "http://10.0.0.1/") && !allows("10.0.0.1", "http://10.0.0.2/"));
        assert!(allows("[2001:DB8::1]:80", "http://[2001:db8:0::1]/"));
    }

    #[test]
    fn what_is_no_pattern_is_told_how_to_write_it() {
        for (wrong, why) in [
            ("http://pki.example.com", "scheme"),
            ("pki.example.com/ca", "path"),
            ("me@pki.example.com", "user name"),
            ("*", "*.example.com"),
            ("pki.*.com", "*.example.com"),
            ("*.10.0.0.1", "below an address"),
            ("2001:db8::1", "brackets"),
            ("pki.example.com:0", "65535"),
            ("pki.example.com:https", "65535"),
            ("pki.example.com:", "65535"),
            ("", "write a host"),
            ("0x7f.1", "write a host"),
            ("a b", "write a host"),
        ] {
            let message = pattern(wrong).unwrap_err();
            assert!(message.contains(why), "{wrong}: {message}");
        }
    }

    #[test]
    fn what_a_url_says_is_checked_before_names_are_resolved() {
        for inside in [
            "http://localhost/",
            "http://LocalHost./",
            "http://a.localhost/",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://192.168.0.1/",
        ] {
            assert!(!allows(&Destinations::Public, inside), "{inside}");
            assert!(allows(&Destinations::Any, inside), "{inside}");
        }
        assert!(allows(&Destinations::Public, "http://pki.example.com/"));
        assert!(allows(&Destinations::Public, "http://8.8.8.8/"));
    }
}
