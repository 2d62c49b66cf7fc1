//! Hosts as URLs and addresses of servers name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::uri::Authority;

/// A host: a DNS name (RFC 1123, section 2.1, and `_`), an IPv4 address, or an IPv6 address, which is written in
/// brackets (RFC 3986, section 3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name in lower case, without the dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// The host that the text names; none where it is no such text.
    ///
    /// A name whose last part is a number (`127.1`, `0x7f000001`) is none: it would be taken for an address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        is_name(name).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    /// Whether it is `localhost` or a name below it (RFC 6761, section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// The number of a port, from 1 to 65535; none where the text is no such number.
pub(super) fn port_number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// The port of an authority, or this one where it has none; none where it has one that is no number of a port, for which
/// `Authority::port_u16` has no word.
pub(super) fn port_of(authority: &Authority, default: u16) -> Option<u16> {
    let place = authority.as_str().rsplit('@').next()?;
    match place.get(authority.host().len()..) {
        None | Some("") => Some(default),
        Some(rest) => port_number(rest.strip_prefix(':')?),
    }
}

fn is_name(name: &str) -> bool {
    const LONGEST: usize = 253;
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len())
            && label.chars().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= LONGEST && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

/// What `inet_aton(3)` takes for a number.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
