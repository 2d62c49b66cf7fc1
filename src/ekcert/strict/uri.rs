//! Whether a uniformResourceIdentifier in subjectAltName is one that Go takes: its `net/url` must
//! parse it, as RFC 3986 with exceptions, and its host, if any, must be a domain name.

use std::net::Ipv6Addr;

use super::domain::is_domain;
use super::{Edition, Release};

/// Whether Go takes this URI. It has ASCII characters only.
pub fn is_acceptable(uri: &str, edition: &Edition) -> bool {
    host(uri, edition).is_some_and(|host| is_domain(&host, false))
}

/// The host of a URI, with its port and without percent encoding; empty where there is none.
pub fn host(uri: &str, edition: &Edition) -> Option<Vec<u8>> {
    let (location, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    if location.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    decode(fragment, Part::Elsewhere)?;
    if location == "*" {
        return Some(Vec::new());
    }
    let (scheme, rest) = scheme(location)?;
    let hierarchy = rest.split_once('?').map_or(rest, |(before, _)| before);
    if !hierarchy.starts_with('/') {
        let first = hierarchy.split('/').next().unwrap_or_default();
        let has_scheme = !scheme.is_empty();
        // With a scheme this is opaque; without one, it could be mistaken for a scheme.
        return (has_scheme || !first.contains(':') && decode(hierarchy, Part::Elsewhere).is_some())
            .then(Vec::new);
    }
    let authority = hierarchy.strip_prefix("//").filter(|rest| !scheme.is_empty() || !rest.starts_with('/'));
    let (authority, path) = match authority {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", hierarchy),
    };
    decode(path, Part::Elsewhere)?;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_user = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    decode(user, Part::Elsewhere).filter(|_| user.bytes().all(is_user))?;
    decoded_host(scheme, host, edition)
}

/// The scheme and what follows its colon; an empty scheme where there is none. None where the scheme is
/// missing before a colon.
fn scheme(location: &str) -> Option<(&str, &str)> {
    let is_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    match location.find(|character| !is_scheme(character)) {
        Some(0) if location.starts_with(':') => None,
        Some(end)
            if location[end..].starts_with(':')
                && location.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            Some((&location[..end], &location[end + 1..]))
        }
        _ => Some(("", location)),
    }
}

/// A host and port, decoded.
fn decoded_host(scheme: &str, host: &str, edition: &Edition) -> Option<Vec<u8>> {
    match host.rfind('[') {
        Some(open) if open == 0 || edition.is(Release::Go1_25) => return decoded_address(&host[open + 1..]),
        Some(_) => return None,
        None => {}
    }
    // Go allows several colons because of lists of database hosts, so not where the scheme is HTTP.
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let is_strict = is_web && edition.is(Release::Go1_27);
    let colon = if is_strict { host.find(':') } else { host.rfind(':') };
    is_port(&host[colon.unwrap_or(host.len())..]).then(|| decode(host, Part::Host))?
}

/// `address]:port`, where the address is IPv6, perhaps with a zone after `%25` (RFC 6874).
fn decoded_address(rest: &str) -> Option<Vec<u8>> {
    let (address, port) = rest.rsplit_once(']').filter(|(_, port)| is_port(port))?;
    let (host, zone) = address.split_at(address.find("%25").unwrap_or(address.len()));
    let address = [decode(host, Part::Host)?, decode(zone, Part::Zone)?].concat();
    let mut parts = address.splitn(2, |byte| *byte == b'%');
    let number = parts.next().and_then(|number| std::str::from_utf8(number).ok())?;
    let is_address = number.parse::<Ipv6Addr>().is_ok() && parts.next().is_none_or(|zone| !zone.is_empty());
    is_address.then(|| [b"[", &address[..], b"]", port.as_bytes()].concat())
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A part of a URI that has its own rules for percent encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Zone,
    Elsewhere,
}

/// The bytes that a part of a URI stands for.
///
/// A host encodes only bytes beyond ASCII and the percent sign itself, a zone what a host could say
/// directly, and a space.
fn decode(text: &str, part: Part) -> Option<Vec<u8>> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"!$&'()*+,;=:[]<>\"-_.~".contains(&byte);
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let mut byte = *first;
        if byte == b'%' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            rest = after;
            byte = hexadecimal(digits[0])? << 4 | hexadecimal(digits[1])?;
            let allowed = match part {
                Part::Host => byte >= 0x80 || byte == b'%',
                Part::Zone => byte == b'%' || byte == b' ' || is_host(byte),
                Part::Elsewhere => true,
            };
            allowed.then_some(())?;
        } else if part != Part::Elsewhere && !is_host(byte) {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::{Edition, Release, is_acceptable};

    #[test]
    fn uris_are_taken_as_go_takes_them() {
        for (uri, expected) in [
            ("", true),
            ("https://example.com/%2f?%zz#x", true),
            ("https://example.com./", false),
            ("https://user:p%40ss@example.com:443", true),
            ("https://example.com:port", false),
            ("https://exa%6dple.com", false),
            ("https://[fe80::1%25en0]:1/", true),
            ("https://[fe80::1%25]/", false),
            ("https://[1.2.3.4]/", false),
            ("urn:ek:anything %zz", true),
            ("://example.com", false),
            ("1:2", false),
            ("path/1:2", true),
            ("///%", false),
            ("a#%", false),
            ("\u{7f}", false),
        ] {
            assert_eq!(is_acceptable(uri, &Edition::of(Release::Go1_27)), expected, "{uri}");
            assert_eq!(is_acceptable(uri, &Edition::of(Release::Go1_25)), expected, "{uri}");
        }
        for uri in ["https://a:b:1/", "ldap://a[::1]/"] {
            assert!(
                is_acceptable(uri, &Edition::of(Release::Go1_25))
                    && !is_acceptable(uri, &Edition::of(Release::Go1_27)),
                "{uri}"
            );
        }
    }
}
