//! The serial number of an EK certificate, as Teleport writes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::public_key::hexadecimal;

/// Octets of a serial number that is given, at most. RFC 5280, section 4.1.2.2, has CAs use 20 at most; what there is beyond
/// that is no TPM's, and would fill the tokens of all hosts.
const MOST_OCTETS: usize = 64;

/// A serial number: the integer in lower-case hexadecimal, padded to an even number of digits, in
/// pairs joined by `:` (`f5:a5`, `0f:ff`, `00`). The cluster compares this text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(String);

impl Serial {
    /// From the content bytes of a DER INTEGER; none for a negative one, which Go refuses.
    pub(super) fn from_der_integer(bytes: &[u8]) -> Option<Self> {
        if bytes.first().is_none_or(|first| first & 0x80 != 0) {
            return None;
        }
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = if leading == bytes.len() { &[0] } else { &bytes[leading..] };
        Some(Self(significant.iter().map(|byte| hexadecimal(&[*byte])).collect::<Vec<_>>().join(":")))
    }

    /// The serial number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Serial {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_in_place = |(index, byte): (usize, u8)| match index % "00:".len() {
            2 => byte == b':',
            _ => byte.is_ascii_hexdigit(),
        };
        let octets = text.len().div_ceil("00:".len());
        if octets > MOST_OCTETS {
            return Err(format!(
                "an EK certificate serial has at most {MOST_OCTETS} pairs of hexadecimal digits, this has {octets}"
            ));
        }
        let ends_with_a_pair = text.len() % "00:".len() == "00".len();
        if ends_with_a_pair && text.bytes().enumerate().all(is_in_place) {
            let mut significant = text;
            // openssl shows the leading zero byte of a number whose first bit is set; Teleport does not.
            while let Some(rest) = significant.strip_prefix("00:") {
                significant = rest.to_owned();
            }
            significant.make_ascii_lowercase();
            return Ok(Self(significant));
        }
        Err(format!(
            "an EK certificate serial is pairs of hexadecimal digits joined by colons (\"0f:ff\"), not {text:?}"
        ))
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Serial;

    fn written(bytes: &[u8]) -> Option<String> {
        Serial::from_der_integer(bytes).map(String::from)
    }

    #[test]
    fn a_serial_is_the_integer_in_pairs_of_hexadecimal_digits() {
        assert_eq!(written(&[0x0f, 0xff]).as_deref(), Some("0f:ff"));
        assert_eq!(written(&[0x00, 0xf5, 0xa5, 0xa5, 0xa5]).as_deref(), Some("f5:a5:a5:a5"));
        assert_eq!(written(&[0x00]).as_deref(), Some("00"));
        assert_eq!(written(&[0x01]).as_deref(), Some("01"));
    }

    #[test]
    fn a_negative_serial_is_none() {
        assert_eq!(written(&[0xff]), None);
        assert_eq!(written(&[]), None);
    }

    #[test]
    fn a_serial_given_as_text_must_be_in_that_form() {
        assert_eq!(Serial::try_from("0F:ff".to_owned()).map(String::from), Ok("0f:ff".to_owned()));
        assert_eq!(Serial::try_from("00:f5:a5".to_owned()).map(String::from), Ok("f5:a5".to_owned()));
        assert_eq!(Serial::try_from("00:00".to_owned()).map(String::from), Ok("00".to_owned()));
        assert!(Serial::try_from(["ff"; 64].join(":")).is_ok());
        for wrong in ["", "fff", "0f-ff", "0f:f", "0f:", "zz", &["ff"; 65].join(":")] {
            assert!(Serial::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
