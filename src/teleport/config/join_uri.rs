//! `join_uri`, which says in one where and how to join.

use crate::secrets::MASK;

/// A URI such as `tbot+proxy+tpm://TOKEN@example.teleport.sh:443`, in the place of `proxy_server` and `onboarding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JoinUri {
    /// The key for the address: `proxy_server` or `auth_server`.
    pub server: &'static str,
    /// A host with its port, as it is written.
    pub address: String,
    /// The join method as `onboarding` has it: `bound_keypair` for `bound-keypair`.
    pub method: String,
    /// The name of a token of method `tpm`. Of other methods it is a secret, or stands beside one.
    pub token: Option<String>,
}

impl JoinUri {
    /// The URI in a text; none where it is not plainly one. Nothing of that can be shown: a part of it may be a secret.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (server, method) = scheme.strip_prefix("tbot+")?.split_once('+')?;
        let server = match server {
            "proxy" => "proxy_server",
            "auth" => "auth_server",
            _ => return None,
        };
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if method.is_empty() || !method.chars().all(is_word) {
            return None;
        }
        // Where the authority ends (RFC 3986, section 3.2).
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (user, address) = authority.rsplit_once('@').filter(|(user, address)| {
            let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
            !user.is_empty() && !address.is_empty() && address.chars().all(is_host)
        })?;
        let is_name = method == "tpm" && !user.contains([':', '%', '@']);
        Some(Self {
            server,
            address: address.to_owned(),
            method: method.replace('-', "_"),
            token: is_name.then(|| user.to_owned()),
        })
    }

    /// The URI without its secrets, and without a path or the like.
    pub fn shown(&self) -> String {
        let server = self.server.trim_end_matches("_server");
        let user = self.token.as_deref().unwrap_or(MASK);
        format!("tbot+{server}+{}://{user}@{}", self.method.replace('_', "-"), self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::JoinUri;

    #[test]
    fn a_uri_says_where_and_how_to_join_and_shows_no_secret() {
        for (text, server, method, token, shown) in [
            (
                "tbot+proxy+tpm://web@a.example:443",
                "proxy_server",
                "tpm",
                Some("web"),
                "tbot+proxy+tpm://web@a.example:443",
            ),
            (
                "TBOT+auth+tpm://web@[2001:db8::1]:3025/",
                "auth_server",
                "tpm",
                Some("web"),
                "tbot+auth+tpm://web@[2001:db8::1]:3025",
            ),
            (
                "tbot+proxy+tpm://web:s3cret@a.example?x=s3cret",
                "proxy_server",
                "tpm",
                None,
                "tbot+proxy+tpm://********@a.example",
            ),
            (
                "tbot+proxy+bound-keypair://name:s3cret@a.example:443#s3cret",
                "proxy_server",
                "bound_keypair",
                None,
                "tbot+proxy+bound-keypair://********@a.example:443",
            ),
            (
                "tbot+proxy+token://s3c@ret@a:1",
                "proxy_server",
                "token",
                None,
                "tbot+proxy+token://********@a:1",
            ),
        ] {
            let uri = JoinUri::parse(text).unwrap();
            assert_eq!(
                (uri.server, uri.method.as_str(), uri.token.as_deref()),
                (server, method, token),
                "{text}"
            );
            assert_eq!(uri.shown(), shown);
        }
    }

    #[test]
    fn what_is_not_plainly_a_uri_is_none() {
        for text in [
            "",
            "s3cret",
            "https://a@b",
            "tbot+proxy://a@b",
            "tbot+proxy+://a@b",
            "tbot+web+tpm://a@b",
            "tbot+proxy+tpm:a@b",
            "tbot+proxy+token://s3cret",
            "tbot+proxy+token://s3/cret@b",
            "tbot+proxy+tpm://@b",
            "tbot+proxy+tpm://a@",
            "tbot+proxy+s3cret=://a@b",
            "tbot+proxy+tpm://a@b c",
        ] {
            assert_eq!(JoinUri::parse(text), None, "{text}");
        }
    }
}
