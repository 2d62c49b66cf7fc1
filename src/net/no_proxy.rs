//! Hosts that are asked without a proxy: the variable `no_proxy`, read as curl(1) reads it.

use std::net::IpAddr;

use super::address::is_within;
use super::host::Host;

/// The hosts that no proxy is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoProxy {
    All,
    These(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A host, and every name below it.
    Domain(String),
    /// Addresses whose first so many bits are these.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Names, addresses and networks (`192.0.2.0/24`), separated by commas or blanks; a star alone is every host. A dot
    /// before a name does not matter. What is none of these is passed over.
    pub(super) fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::All;
        }
        let entries = text.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self::These(entries.filter_map(Entry::parse).collect())
    }

    pub(super) fn holds(&self, host: &Host) -> bool {
        match self {
            Self::All => true,
            Self::These(entries) => entries.iter().any(|entry| entry.holds(host)),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            return Some(Self::Network(address, length.unwrap_or(most)))
                .filter(|_| length.is_none_or(|it| it <= most));
        }
        let name = text.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(text);
        match Host::parse(name.trim_start_matches('.'))? {
            Host::Name(name) => Some(Self::Domain(name)),
            Host::Address(_) => None,
        }
    }

    fn holds(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Domain(domain), Host::Name(name)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(network, length), Host::Address(address)) => {
                is_within(*address, *network, *length)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::Host;
    use super::NoProxy;

    #[test]
    fn names_hold_those_below_them_and_networks_their_addresses() {
        let holds = |list: &str, host: &str| NoProxy::parse(list).holds(&Host::parse(host).unwrap());
        assert!(holds("*", "anything.example") && holds(" * ", "192.0.2.1"));
        for list in ["example.com", ".example.com", "*.example.com", "a.test, EXAMPLE.com ,b.test"] {
            assert!(holds(list, "example.com") && holds(list, "a.b.example.com"), "{list}");
            assert!(!holds(list, "badexample.com") && !holds(list, "example.com.test"), "{list}");
        }
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("2001:db8::/32 ::1", "[2001:db8::5]") && holds("[::1]", "[::1]"));
        for nothing in ["", ",", "192.0.2.0/33", "192.0.2.0/x", "a b c/d", "192.0.2.0/24", "2.0.192"] {
            assert!(!holds(nothing, "192.0.5.1") && !holds(nothing, "example.com"), "{nothing}");
        }
    }
}
