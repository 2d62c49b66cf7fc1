//! Pins of a cluster's CAs.

use serde::{Deserialize, Serialize};

/// The pin of a cluster's CA, by which a bot knows it at its first join: `sha256:` and 64 hex digits. They are
/// kept in lower case, as `tctl status` prints them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaPin(String);

impl TryFrom<String> for CaPin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const DIGITS: usize = 64;
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == DIGITS);
        match digits {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(format!(
                "{text:?} is no CA pin: that is sha256: and {DIGITS} hex digits, as `tctl status` prints it"
            )),
        }
    }
}

impl From<CaPin> for String {
    fn from(pin: CaPin) -> Self {
        pin.0
    }
}

#[cfg(test)]
mod tests {
    use super::CaPin;

    #[test]
    fn a_pin_is_a_hash_with_its_algorithm() {
        let pin = |text: &str| CaPin::try_from(text.to_owned()).map(String::from);
        let digits = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";
        assert_eq!(pin(&format!("sha256:{digits}")), Ok(format!("sha256:{}", digits.to_lowercase())));
        for wrong in ["", "sha256:", digits, "sha256:abdc1245efgh5678", &format!("sha512:{digits}")] {
            assert!(pin(wrong).unwrap_err().contains("tctl status"), "{wrong}");
        }
        assert!(pin(&format!("sha256:{}g", &digits[1..])).is_err());
        assert!(pin(&format!("sha256:{digits}0")).is_err());
    }
}
