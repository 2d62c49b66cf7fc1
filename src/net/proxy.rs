//! Which proxy a URL is asked through: the variables of the environment, read as curl(1) reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;

use super::failure::Failure;
use super::host::{Host, port_of};
use super::no_proxy::NoProxy;
use super::url::Url;
use crate::message::shortened;

/// The proxies that the environment names.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Variable>,
    https: Option<Variable>,
    no_proxy: Option<NoProxy>,
}

/// A variable's name and value. It is read where it is needed, since a malformed one does no harm elsewhere.
#[derive(Debug, Clone)]
struct Variable {
    name: &'static str,
    value: String,
}

/// A proxy that speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: Host,
    pub(super) port: u16,
    /// Whether it is spoken to in TLS.
    pub(super) is_https: bool,
    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(super) authorization: Option<String>,
}

impl Proxies {
    /// `http_proxy` in lower case only, since a CGI program has a request's header `Proxy` in the other; `https_proxy`,
    /// `all_proxy` and `no_proxy` in both. An empty variable is none.
    pub(super) fn from_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = read(name).filter(|value| !value.is_empty())?;
                Some(Variable { name, value })
            })
        };
        Self {
            http: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).map(|variable| NoProxy::parse(&variable.value)),
        }
    }

    /// The proxy for that URL; none where it is asked directly.
    pub(super) fn choose(&self, url: &Url) -> Result<Option<Proxy>, Failure> {
        if self.no_proxy.as_ref().is_some_and(|no_proxy| no_proxy.holds(&url.host)) {
            return Ok(None);
        }
        let variable = if url.is_https { &self.https } else { &self.http };
        variable.as_ref().map(Variable::read).transpose()
    }
}

impl Variable {
    fn read(&self) -> Result<Proxy, Failure> {
        const FORM: &str = "write it as http://HOST:PORT";
        let wrong = |why: &str| Failure::new(format!("the variable {} names no proxy: {why}", self.name));
        let (scheme, rest) = self.value.split_once("://").unwrap_or(("http", &self.value));
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        // Ports as curl takes them: 1080 is for SOCKS, and for HTTP out of habit.
        let default_port = match scheme.as_str() {
            "http" => 1080,
            "https" => 443,
            socks if socks.starts_with("socks") => {
                return Err(wrong("SOCKS is not supported, only http and https"));
            }
            other if is_scheme => {
                return Err(wrong(&format!("{} is not supported, only http and https", shortened(other))));
            }
            // It may hold a password.
            _ => return Err(wrong(FORM)),
        };
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| wrong(FORM))?;
        let authority = uri.authority().ok_or_else(|| wrong(FORM))?;
        if rest.get(authority.as_str().len()..).is_some_and(|behind| behind.contains('@')) {
            return Err(wrong("in its user name and password, write `/` as %2F, `?` as %3F and `#` as %23"));
        }
        let host = Host::parse(authority.host()).ok_or_else(|| wrong(FORM))?;
        let port = port_of(authority, default_port)
            .ok_or_else(|| wrong("its port is not a number from 1 to 65535"))?;
        let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        let authorization = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let mut plain = decode(name);
            plain.push(b':');
            plain.extend(decode(password));
            format!("Basic {}", STANDARD.encode(plain))
        });
        Ok(Proxy { host, port, is_https: scheme == "https", authorization })
    }
}

/// Percent-encoded text (RFC 3986, section 2.1) as bytes.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let (b'%', Some(high), Some(low)) = (first, digit(after.first()), digit(after.get(1))) {
            bytes.extend(u8::try_from(high * 16 + low));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::url::Url;
    use super::{Proxies, Proxy};

    fn choose(environment: &[(&str, &str)], url: &str) -> Result<Option<Proxy>, String> {
        let read = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let chosen = Proxies::from_environment(read).choose(&Url::parse(url).unwrap());
        chosen.map_err(|failure| failure.to_string())
    }

    /// The chosen proxy's host and port.
    fn place(environment: &[(&str, &str)], url: &str) -> Option<String> {
        choose(environment, url).unwrap().map(|proxy| format!("{}:{}", proxy.host, proxy.port))
    }

    #[test]
    fn the_variable_of_the_urls_scheme_counts() {
        let (http, https) = ("http://pki.example/", "https://pki.example/");
        let both = [("http_proxy", "http://one:1"), ("https_proxy", "two:2"), ("all_proxy", "three:3")];
        assert_eq!(place(&both, http).as_deref(), Some("one:1"));
        assert_eq!(place(&both, https).as_deref(), Some("two:2"));
        assert_eq!(place(&both[2..], http).as_deref(), Some("three:3"));
        assert_eq!(place(&[("ALL_PROXY", "https://four")], https).as_deref(), Some("four:443"));
        assert_eq!(place(&[("HTTPS_PROXY", "[::1]:8080")], https).as_deref(), Some("[::1]:8080"));
        // A CGI program has a request's header in it.
        assert_eq!(place(&[("HTTP_PROXY", "evil:1")], http), None);
        assert_eq!(place(&[("http_proxy", ""), ("all_proxy", "")], http), None);
        assert_eq!(place(&[both[0], ("no_proxy", "example")], http), None);
    }

    #[test]
    fn credentials_are_decoded_and_what_is_no_proxy_names_its_variable() {
        let proxy = choose(&[("http_proxy", "http://a%40b:p%3Aq@one:1")], "http://x/").unwrap().unwrap();
        // printf 'a@b:p:q' | base64
        assert_eq!(proxy.authorization.as_deref(), Some("Basic YUBiOnA6cQ=="));
        for (value, why) in [
            ("socks5://one:1", "SOCKS"),
            ("ftp://one", "ftp"),
            ("http://", "HOST:PORT"),
            ("a b", "HOST:PORT"),
            ("http://:8080", "HOST:PORT"),
            ("http:/one:1", "1 to 65535"),
            ("http://one:99999", "1 to 65535"),
            ("https://one:65536", "1 to 65535"),
            ("one:0", "1 to 65535"),
            ("one:", "1 to 65535"),
            ("one:abc", "1 to 65535"),
            ("one:-1", "1 to 65535"),
            ("one:+80", "1 to 65535"),
            ("http://[::1]:99999", "1 to 65535"),
            ("http://me:s3cret@one:x", "1 to 65535"),
            ("http://me:s3cret/@one:1", "%2F"),
            ("http://me:s3cret#@one:1", "%2F"),
            ("http://me:1/s3cret@one:1", "%2F"),
            ("http://me:1?s3cret@one:1", "%2F"),
            ("me:s3cret@http://one:1", "HOST:PORT"),
        ] {
            let message = choose(&[("http_proxy", value)], "http://x/").unwrap_err();
            assert!(message.contains("http_proxy") && message.contains(why), "{value}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
