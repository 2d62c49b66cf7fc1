//! The address of a cluster's Proxy Service.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::host_port::{parse, split};
use crate::net::Host;

/// The port of the Proxy Service where an address leaves it out.
const PORT: u16 = 443;

/// The address of a Proxy Service: a host and perhaps a port, which is 443 where it is left out. Two of them are equal
/// where they lead to the same place, however they are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ProxyAddress {
    text: String,
    host: Host,
    port: u16,
}

impl ProxyAddress {
    /// The address as it was given, with its port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether that text is this address, where a text without a port has this one.
    pub(super) fn is(&self, text: &str, port: u16) -> bool {
        parse(text, Some(port)).is_ok_and(|place| place == (self.host.clone(), self.port))
    }
}

impl TryFrom<String> for ProxyAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (host, port) = parse(&text, Some(PORT))?;
        let text = if split(&text).is_some() { text } else { format!("{text}:{PORT}") };
        Ok(Self { text, host, port })
    }
}

impl PartialEq for ProxyAddress {
    fn eq(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

impl Eq for ProxyAddress {}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Gives `proxy_server` its port where that is left out.
pub(super) fn add_port(values: &mut Map<String, Value>) {
    if let Some(Value::String(address)) = values.get_mut("proxy_server")
        && let Ok(proxy) = ProxyAddress::try_from(address.clone())
    {
        proxy.as_str().clone_into(address);
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyAddress;

    fn address(text: &str) -> ProxyAddress {
        ProxyAddress::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn the_port_is_443_where_it_is_left_out() {
        for (text, whole) in [
            ("example.teleport.sh", "example.teleport.sh:443"),
            ("example.teleport.sh:3080", "example.teleport.sh:3080"),
            ("Example.Teleport.sh.", "Example.Teleport.sh.:443"),
            ("192.0.2.1", "192.0.2.1:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
        ] {
            assert_eq!(address(text).as_str(), whole);
        }
    }

    #[test]
    fn addresses_that_lead_to_the_same_place_are_equal() {
        for (one, other) in [
            ("example.com", "example.com:443"),
            ("EXAMPLE.com.", "example.com"),
            ("[2001:db8::1]", "[2001:0DB8:0::1]:443"),
        ] {
            assert_eq!(address(one), address(other));
        }
        for (one, other) in [("example.com", "example.com:3080"), ("example.com", "www.example.com")] {
            assert_ne!(address(one), address(other));
        }
    }

    #[test]
    fn an_error_shows_the_address_as_it_was_given() {
        for (wrong, why) in [
            ("https://example.com", "scheme"),
            ("example.com/web", "path"),
            ("", "a host is"),
            ("443", "a host is"),
            ("example.com:", "65535"),
            ("2001:db8::1", "brackets"),
        ] {
            let message = ProxyAddress::try_from(wrong.to_owned()).unwrap_err();
            assert!(message.starts_with(&format!("{wrong:?} is no host:port: ")), "{message}");
            assert!(message.contains(why), "{message}");
        }
    }
}
