//! The certificates above an EK certificate, as a TPM's NV memory and a registry's entry hold them.
//!
//! They are a host's own word: they prove nothing until they lead to something that the user trusts.

use super::der::{self, Reader};
use super::issuers::Contents;
use super::pem;
use crate::error::Result;

/// Certificates of an EK certificate's chain. From an Intel processor's own CA they are three or four.
const MOST: usize = 16;
/// Bytes of their PEM, at most: base64 takes four thirds, and each block has two lines around it.
const LARGEST_PEM: usize = CertificateChain::LARGEST as usize / 2 * 3;

/// The certificates above an EK certificate, in DER and in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateChain(Vec<Vec<u8>>);

impl CertificateChain {
    /// Bytes of NV memory that are read at most.
    pub const LARGEST: u16 = 16 * 1024;

    /// Those in what NV memory holds: DER certificates one after another (TCG EK Credential Profile, section 2.2.1.5.2), with or
    /// without padding after each. What is no certificate ends them: the second value says why.
    #[must_use]
    pub fn from_nv(content: &[u8]) -> (Self, Option<String>) {
        let Contents { mut certificates, damaged } = Contents::of_der(content);
        let too_many = format!("there are more than {MOST} certificates");
        let excess = (certificates.len() > MOST).then_some(too_many);
        certificates.truncate(MOST);
        (Self(certificates), damaged.into_iter().next().or(excess))
    }

    /// Those in a PEM text of [`Self::to_pem`]. An error says, in words that follow its name, why it cannot be one.
    pub fn from_pem(text: &str) -> std::result::Result<Self, String> {
        if text.len() > LARGEST_PEM {
            return Err(format!("has {} bytes, and may have {LARGEST_PEM}", text.len()));
        }
        let Contents { certificates, damaged } = Contents::of(text.as_bytes());
        match damaged.first() {
            Some(why) => Err(format!("has a damaged certificate: {why}")),
            None if certificates.is_empty() => Err("holds no certificate".to_owned()),
            None if certificates.len() > MOST => {
                Err(format!("holds {} certificates, and may hold {MOST}", certificates.len()))
            }
            None => Ok(Self(certificates)),
        }
    }

    /// The certificates as PEM blocks, one after another; none where there are none.
    pub fn to_pem(&self) -> Result<Option<String>> {
        let blocks: Vec<String> =
            self.0.iter().map(|der| pem::encode("CERTIFICATE", der)).collect::<Result<_>>()?;
        Ok((!blocks.is_empty()).then(|| blocks.concat()))
    }

    /// The certificates in DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// Bytes that fill up the place of a certificate, or end its line.
const PADDING: [u8; 6] = [0x00, 0xff, b'\r', b'\n', b' ', b'\t'];

/// The DER sequences in these bytes, which may have padding around them, and why they end before the bytes do.
pub(super) fn sequences(bytes: &[u8]) -> (Vec<&[u8]>, Option<String>) {
    let mut found = Vec::new();
    let mut rest = bytes;
    loop {
        let padding = rest.iter().take_while(|byte| PADDING.contains(byte)).count();
        rest = &rest[padding..];
        if rest.is_empty() {
            return (found, None);
        }
        let mut reader = Reader::new(rest);
        let Some(element) = reader.element().filter(|element| element.tag == der::SEQUENCE) else {
            let why = format!("other data follow certificate {}", found.len());
            return (found, Some(why));
        };
        found.push(element.whole);
        rest = reader.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::super::der::{SEQUENCE, encode};
    use super::{CertificateChain, LARGEST_PEM, sequences};

    #[test]
    fn sequences_stand_one_after_another_with_padding_between() {
        let (one, two) = (encode(SEQUENCE, &[b"one"]), encode(SEQUENCE, &[b"two"]));
        let all = [&one[..], &two[..]];
        for padding in [&b""[..], b"\0\0", b"\xff", b"\r\n"] {
            let bytes = [&one, padding, &two, padding].concat();
            assert_eq!(sequences(&bytes), (all.to_vec(), None), "{padding:?}");
        }
        for garbage in [&b"x"[..], b"\x31\x00", b"\x30\x05one", b"\x30\x80one\0\0"] {
            let bytes = [&one, garbage].concat();
            let why = "other data follow certificate 1".to_owned();
            assert_eq!(sequences(&bytes), (vec![&one[..]], Some(why)), "{garbage:?}");
        }
        assert_eq!(sequences(b"\0\xff"), (vec![], None));
    }

    #[test]
    fn a_text_that_no_tpm_has_room_for_is_refused() {
        let long = CertificateChain::from_pem(&" ".repeat(LARGEST_PEM + 1)).unwrap_err();
        assert_eq!(long, "has 24577 bytes, and may have 24576");
        assert_eq!(CertificateChain::from_pem("x"), Err("holds no certificate".to_owned()));
        assert_eq!(CertificateChain::from_nv(&[0xff; 9]), (CertificateChain::default(), None));
    }
}
