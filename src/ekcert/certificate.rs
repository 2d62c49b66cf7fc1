//! One EK certificate, as it lies in the TPM's NV memory.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::public_key::hexadecimal;
use super::{PublicKey, Serial};
use crate::error::Result;

/// The header that some manufacturers put before the certificate: the tag
/// `TCG_TAG_PCCLIENT_STORED_CERT` (0x1001) and the type `TCG_FULL_CERT` (0x00); a 16-bit big-endian
/// length follows (TCG PC Client Specific Implementation Specification, section 7.3.2).
const TCG_HEADER: [u8; 3] = [0x10, 0x01, 0x00];
const TCG_HEADER_LENGTH: usize = 5;

/// Why bytes are no certificate for `tbot`: a few words ("the serial number is negative").
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotACertificate(&'static str);

/// An EK certificate and what Teleport takes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkCertificate {
    /// The certificate in DER, without header and padding.
    der: Vec<u8>,
    /// Its serial number.
    pub serial: Serial,
}

impl EkCertificate {
    /// Parses what an NV index holds: an optional TCG header, one certificate in DER, padding.
    ///
    /// An error where `tbot` would see no certificate either: no DER certificate, a header whose length
    /// reaches beyond the data, a negative serial number.
    pub fn from_nv(content: &[u8]) -> std::result::Result<Self, NotACertificate> {
        let der = without_tcg_header(content)
            .ok_or(NotACertificate("the TCG header's length reaches beyond the data"))?;
        let (padding, certificate) =
            X509Certificate::from_der(der).map_err(|_| NotACertificate("it does not parse"))?;
        let serial = Serial::from_der_integer(certificate.tbs_certificate.raw_serial())
            .ok_or(NotACertificate("the serial number is negative"))?;
        Ok(Self { der: der[..der.len() - padding.len()].to_vec(), serial })
    }

    /// The certificate's public key.
    pub fn public_key(&self) -> Result<PublicKey> {
        let (_, certificate) =
            X509Certificate::from_der(&self.der).map_err(|e| super::pem::malformed(&e.to_string()))?;
        PublicKey::from_certificate(certificate.public_key())
    }

    /// The first moment of its validity.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.validity(|validity| validity.not_before)
    }

    /// The last moment of its validity.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.validity(|validity| validity.not_after)
    }

    fn validity(&self, end: impl Fn(&Validity) -> ASN1Time) -> OffsetDateTime {
        X509Certificate::from_der(&self.der)
            .map_or(OffsetDateTime::UNIX_EPOCH, |(_, certificate)| end(certificate.validity()).to_datetime())
    }

    /// SHA-256 of the certificate in DER, lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hexadecimal(&Sha256::digest(&self.der))
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> Result<String> {
        super::pem_encode("CERTIFICATE", &self.der)
    }
}

/// The content after the header, cut to the length that the header gives; the content itself where
/// there is no header.
fn without_tcg_header(content: &[u8]) -> Option<&[u8]> {
    if !content.starts_with(&TCG_HEADER) || content.len() <= TCG_HEADER_LENGTH {
        return Some(content);
    }
    let length = usize::from(u16::from_be_bytes([content[3], content[4]]));
    content[TCG_HEADER_LENGTH..].get(..length)
}

#[cfg(test)]
mod tests {
    use super::without_tcg_header;

    #[test]
    fn a_tcg_header_is_cut_off_with_what_lies_beyond_its_length() {
        assert_eq!(without_tcg_header(&[0x10, 1, 0, 0, 2, 7, 8, 9]), Some(&[7, 8][..]));
        assert_eq!(without_tcg_header(&[0x30, 1, 0]), Some(&[0x30, 1, 0][..]));
        assert_eq!(without_tcg_header(&[0x10, 1, 0, 0, 9, 7, 8]), None);
        assert_eq!(without_tcg_header(&[0x10, 1, 0, 0, 0]), Some(&[0x10, 1, 0, 0, 0][..]));
    }
}
