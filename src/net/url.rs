//! URLs that can be asked, and where a redirect leads (RFC 3986).

use ureq::http::Uri;

use super::failure::Failure;
use super::host::{Host, port_of};
use crate::message::shortened;

/// An `http` or `https` URL without userinfo.
#[derive(Debug, Clone)]
pub(super) struct Url {
    pub(super) uri: Uri,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) is_https: bool,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let malformed = || Failure::new(format!("{:?} is no URL", shortened(text)));
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => {
                let scheme = shortened(other);
                return Err(Failure::new(format!("{scheme} is not supported, only http and https")));
            }
            None => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(Failure::new("the URL holds a user name, which is not sent anywhere"));
        }
        let host = Host::parse(authority.host()).ok_or_else(malformed)?;
        let port = port_of(authority, if is_https { 443 } else { 80 }).ok_or_else(malformed)?;
        Ok(Self { uri, host, port, is_https })
    }

    /// Where a `Location` of an answer from here leads (RFC 3986, section 5.2).
    pub(super) fn join(&self, location: &str) -> Result<Self, Failure> {
        // Servers leave spaces in names of files, and browsers encode them (URL Standard, "percent-encode sets").
        let location = location.trim_matches(' ').replace(' ', "%20");
        let reference = location.split('#').next().unwrap_or_default();
        if has_scheme(reference) {
            return Self::parse(reference);
        }
        let scheme = if self.is_https { "https" } else { "http" };
        if reference.starts_with("//") {
            return Self::parse(&format!("{scheme}:{reference}"));
        }
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let path = match path {
            "" => self.uri.path().to_owned(),
            absolute if absolute.starts_with('/') => without_dots(absolute),
            relative => {
                let base = self.uri.path();
                let directory = base.rfind('/').map_or("/", |end| &base[..=end]);
                without_dots(&format!("{directory}{relative}"))
            }
        };
        let query = if reference.is_empty() { self.uri.query() } else { query };
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        Self::parse(&format!("{scheme}://{authority}{path}{query}"))
    }
}

/// Whether a reference starts with a scheme (RFC 3986, section 3.1).
fn has_scheme(reference: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_plain)
    })
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
        if is_last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn references_are_resolved_as_rfc_3986_does_it() {
        let base = Url::parse("https://pki.example:8443/b/c/d?q").unwrap();
        let joined = |reference: &str| base.join(reference).map(|url| url.uri.to_string()).ok();
        for (reference, expected) in [
            ("http://other.example/x", "http://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x", "https://pki.example:8443/x"),
            ("x", "https://pki.example:8443/b/c/x"),
            ("./x", "https://pki.example:8443/b/c/x"),
            ("../x", "https://pki.example:8443/b/x"),
            ("../../../../x", "https://pki.example:8443/x"),
            ("..", "https://pki.example:8443/b/"),
            ("x/./y/../z", "https://pki.example:8443/b/c/x/z"),
            ("?r", "https://pki.example:8443/b/c/d?r"),
            ("/x y", "https://pki.example:8443/x%20y"),
            ("#part", "https://pki.example:8443/b/c/d?q"),
            ("", "https://pki.example:8443/b/c/d?q"),
        ] {
            assert_eq!(joined(reference).as_deref(), Some(expected), "{reference}");
        }
        for wrong in [
            "ftp://other.example/",
            "file:///etc/passwd",
            "http://me@other.example/",
            "http://",
            "http://a b/",
        ] {
            assert_eq!(joined(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_url_has_a_scheme_that_is_spoken_and_a_host_that_is_one() {
        for wrong in [
            "",
            "pki.example",
            "/path",
            "ldap://pki.example/cn",
            "http:///x",
            "http://a:b@pki.example/",
            "http://x:0/",
            "http://x:/",
            "http://x:99999/",
            "http://x:+80/",
            "http://:80/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://127.1/",
            "http://[::1/",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
        let url = Url::parse("HTTP://PKI.example/x").unwrap();
        assert_eq!((url.host.to_string().as_str(), url.port, url.is_https), ("pki.example", 80, false));
        assert_eq!(Url::parse("https://[::1]:8443").unwrap().port, 8443);
    }
}
