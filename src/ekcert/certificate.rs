//! One EK certificate, as it lies in the TPM's NV memory.

use sha2::{Digest, Sha256};

use super::authorities::Issued;
use super::pem;
use super::public_key::hexadecimal;
use super::strict::{self, NotACertificate, Reading, Validity};
use super::{Description, PublicKey, Serial, description};
use crate::error::{Error, Kind, Result};

/// The header that some manufacturers put before the certificate: the tag
/// `TCG_TAG_PCCLIENT_STORED_CERT` (0x1001) and the type `TCG_FULL_CERT` (0x00); a 16-bit big-endian
/// length follows (TCG PC Client Specific Implementation Specification, section 7.3.2).
const TCG_HEADER: [u8; 3] = [0x10, 0x01, 0x00];
const TCG_HEADER_LENGTH: usize = 5;

/// An EK certificate and what Teleport takes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkCertificate {
    /// The certificate in DER, without header and padding.
    der: Vec<u8>,
    /// Its serial number.
    pub serial: Serial,
    /// When it is valid. `tbot` does not look at that.
    pub validity: Validity,
    key: std::result::Result<PublicKey, Unusable>,
    /// What kind of key it is, for people.
    key_name: String,
    /// Where its issuer's certificate can be had, it says.
    pub(super) links: Vec<String>,
    issued: Issued,
}

/// Why a certificate that parses gives no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unusable {
    /// Go does not know how to hash the key.
    KeyType,
    /// Whether it is a certificate, or its key can be hashed, depends on the Go release that `tbot`
    /// was built with.
    Disputed,
}

impl EkCertificate {
    /// Parses what an NV index holds: an optional TCG header, one certificate in DER, and anything
    /// after it (padding of 00 or FF).
    ///
    /// An error where `tbot` would see no certificate either. A certificate that some releases of `tbot`
    /// see and others do not is a certificate without a usable key.
    pub fn from_nv(content: &[u8]) -> std::result::Result<Self, NotACertificate> {
        let bytes = without_tcg_header(content)
            .ok_or(NotACertificate("the TCG header's length reaches beyond the data"))?;
        Ok(Self::of(strict::read(bytes)?))
    }

    /// Parses the `ek_cert_pem` that `identify` answers: one PEM block of type `CERTIFICATE`, without headers, and
    /// nothing after the certificate in it.
    pub fn from_pem(text: &str) -> std::result::Result<Self, NotACertificate> {
        let content = pem::only_certificate(text)
            .ok_or(NotACertificate("it is not one PEM block of type CERTIFICATE"))?;
        Ok(Self::of(strict::read_whole(&content)?))
    }

    pub(super) fn of(reading: Reading<'_>) -> Self {
        let Reading { certificate, is_disputed } = reading;
        let issued = Issued::of(&certificate, is_disputed);
        let links = description::links(&certificate);
        let usable = certificate.key.public.ok_or(Unusable::KeyType);
        let key = if is_disputed { Err(Unusable::Disputed) } else { usable };
        Self {
            der: certificate.der.to_vec(),
            serial: certificate.serial,
            validity: certificate.validity,
            key,
            key_name: certificate.key.name,
            links,
            issued,
        }
    }

    /// The certificate in DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What counts of it when its issuer is looked for.
    pub(super) fn issued(&self) -> &Issued {
        &self.issued
    }

    /// The certificate's public key, by which Teleport knows the TPM.
    ///
    /// `ek_unsupported` where `tbot` could not hash it, and where releases of `tbot` disagree about
    /// the certificate: there is no one identity to report then.
    pub fn public_key(&self) -> Result<PublicKey> {
        let kind = &self.key_name;
        self.key.clone().map_err(|why| match why {
            Unusable::KeyType => Error::new(
                Kind::EkUnsupported,
                format!("the EK certificate holds a key of a type that Teleport cannot hash ({kind}), so tbot cannot join with this TPM"),
            ),
            Unusable::Disputed => Error::new(
                Kind::EkUnsupported,
                format!("versions of tbot disagree about the EK certificate ({kind}), so no one identity is certain to match"),
            )
            .hint("run `tbot tpm identify` on the host, with the tbot that will join"),
        })
    }

    /// The issuer's name, for people.
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        description::name_text(&self.issued.issuer)
    }

    /// What the certificate says, for people.
    #[must_use]
    pub fn description(&self) -> Description {
        // Most certificates are not described, so it is read for that once more, and reads as before.
        strict::read(&self.der).map(|reading| Description::of(&reading.certificate)).unwrap_or_default()
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
