//! Fingerprints of certificates, as people copy them.

use serde::Deserialize;

/// SHA-256 of a certificate in DER. It may be written as openssl and browsers do: in upper or lower case, with colons or
/// blanks between the digits, and after `sha256:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_prefix("sha256:").unwrap_or(&lower);
        let digits: String = digits.chars().filter(|c| *c != ':' && !c.is_ascii_whitespace()).collect();
        if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(digits));
        }
        Err(format!(
            "a fingerprint is the SHA-256 of a certificate, 64 hexadecimal digits, as `openssl x509 -noout -fingerprint \
             -sha256` shows it; this has {} characters: {text:?}",
            text.chars().count()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn colons_blanks_and_case_do_not_matter_and_the_length_does() {
        let parse = |text: &str| Fingerprint::try_from(text.to_owned());
        let plain = "0a".repeat(32);
        let colons = ["0A"; 32].join(":");
        for text in [plain.clone(), colons.clone(), format!("sha256:{colons}"), format!(" {plain}\n")] {
            assert_eq!(parse(&text).unwrap().as_str(), plain);
        }
        for wrong in ["", "0a", &"0a".repeat(20), &"0g".repeat(32), &format!("sha1:{plain}")] {
            assert!(parse(wrong).unwrap_err().contains("SHA-256"), "{wrong}");
        }
    }
}
