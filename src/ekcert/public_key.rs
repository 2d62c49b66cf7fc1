//! The EK's public key, and the hash by which Teleport knows it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::der::{self, Reader, encode, encode_unsigned};
use super::oid;
use super::strict::Curve;
use crate::error::{Error, Kind, Result};

/// The first byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A public key as a PKIX `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1.2.7), encoded anew in
/// the one way that Go's `x509.MarshalPKIXPublicKey` encodes it, whatever it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}

impl PublicKey {
    /// An RSA key from its modulus and public exponent, both big-endian. A TPM that gives out a zero
    /// for one of them is `ek_unsupported`.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        for number in [modulus, exponent] {
            if number.iter().all(|byte| *byte == 0) {
                return Err(Error::new(
                    Kind::EkUnsupported,
                    "the EK is an RSA key whose modulus or exponent is zero, so tbot cannot join with this TPM",
                ));
            }
        }
        Ok(Self::from_rsa_numbers(modulus, exponent))
    }

    /// An RSA key from numbers that are known not to be zero (RFC 8017, appendix A.1.1; RFC 3279,
    /// section 2.3.1).
    pub(super) fn from_rsa_numbers(modulus: &[u8], exponent: &[u8]) -> Self {
        let numbers = [encode_unsigned(modulus), encode_unsigned(exponent)].concat();
        Self::from_parts(oid::RSA_ENCRYPTION, &encode(der::NULL, &[]), &encode(der::SEQUENCE, &[&numbers]))
    }

    /// A key on a curve (`P-256`) from the coordinates of its point, big-endian; none where the curve is
    /// not one of those that certificates have, or a coordinate is too long for it (RFC 5480, section 2).
    #[must_use]
    pub fn elliptic(curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        let curve = Curve::called(curve)?;
        let mut point = vec![UNCOMPRESSED];
        for coordinate in [x, y] {
            // A TPM may leave leading zeros out.
            point.resize(point.len() + curve.size.checked_sub(coordinate.len())?, 0);
            point.extend(coordinate);
        }
        Some(Self::from_parts(oid::EC_PUBLIC_KEY, &encode(der::OBJECT_IDENTIFIER, &[curve.oid]), &point))
    }

    /// A key of this algorithm, with the parameters in DER (or none) and the bits of the key.
    pub(super) fn from_parts(algorithm: &[u8], parameters: &[u8], key: &[u8]) -> Self {
        let algorithm = encode(der::SEQUENCE, &[&encode(der::OBJECT_IDENTIFIER, &[algorithm]), parameters]);
        let bits = encode(der::BIT_STRING, &[&[0], key]);
        Self { der: encode(der::SEQUENCE, &[&algorithm, &bits]) }
    }

    /// Whether this is an RSA key of that many bits with that exponent.
    #[must_use]
    pub fn is_rsa(&self, bits: usize, exponent: u32) -> bool {
        self.rsa_numbers().is_some_and(|(modulus, found)| {
            let leading_zeros = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            8 * modulus.len() == bits + leading_zeros && exponent.to_be_bytes().ends_with(&found)
        })
    }

    /// Modulus and exponent of an RSA key, big-endian without leading zeros.
    pub(super) fn rsa_numbers(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (algorithm, _, key) = self.parts()?;
        let mut key = Reader::new(&key).enter(der::SEQUENCE).filter(|_| algorithm == oid::RSA_ENCRYPTION)?;
        Some((key.positive()?.to_vec(), key.positive()?.to_vec()))
    }

    /// The curve and the uncompressed point of a key on one.
    pub(super) fn curve_and_point(&self) -> Option<(&'static Curve, Vec<u8>)> {
        let (algorithm, parameters, point) = self.parts()?;
        let curve = Reader::new(parameters).oid().filter(|_| algorithm == oid::EC_PUBLIC_KEY)?;
        Some((Curve::named(curve)?, point))
    }

    /// The 32 bytes of an Ed25519 key.
    pub(super) fn ed25519_point(&self) -> Option<Vec<u8>> {
        self.parts().filter(|(algorithm, ..)| *algorithm == oid::ED25519).map(|(_, _, key)| key)
    }

    /// The algorithm, its parameters in DER, and the bits of the key.
    fn parts(&self) -> Option<(&[u8], &[u8], Vec<u8>)> {
        let mut info = Reader::new(&self.der).enter(der::SEQUENCE)?;
        let mut algorithm = info.enter(der::SEQUENCE)?;
        Some((algorithm.oid()?.bytes(), algorithm.rest(), info.bit_string()?.right_aligned()))
    }

    /// The key as PEM (`PUBLIC KEY`, RFC 7468).
    pub fn to_pem(&self) -> Result<String> {
        super::pem_encode("PUBLIC KEY", &self.der)
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub fn hash(&self) -> EkPublicHash {
        EkPublicHash(hexadecimal(&Sha256::digest(&self.der)))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

/// `ek_public_hash`: SHA-256 of the EK's public key as PKIX DER, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EkPublicHash(String);

impl EkPublicHash {
    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EkPublicHash {
    type Error = String;

    fn try_from(mut text: String) -> std::result::Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            text.make_ascii_lowercase();
            return Ok(Self(text));
        }
        Err(format!(
            "an EK public hash is 64 hexadecimal digits (SHA-256), this has {} characters: {text:?}",
            text.chars().count()
        ))
    }
}

impl From<EkPublicHash> for String {
    fn from(hash: EkPublicHash) -> Self {
        hash.0
    }
}

impl fmt::Display for EkPublicHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
