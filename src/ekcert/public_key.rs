//! The EK's public key, and the hash by which Teleport knows it.

use std::fmt;

use der::Encode;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use pkcs1::RsaPublicKeyRef;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::error::{Error, Kind, Result};

/// RFC 8017, appendix C.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 5480, section 2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// P-224, P-256, P-384 and P-521 (RFC 5480, section 2.1.1.1): the curves that Go knows.
const NAMED_CURVES: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("1.3.132.0.33"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
];
/// The first byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A public key as a PKIX `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1.2.7), encoded anew in
/// the one way that Go's `x509.MarshalPKIXPublicKey` encodes it, whatever it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}

impl PublicKey {
    /// An RSA key from its modulus and public exponent, both big-endian.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let encoded = UintRef::new(modulus)
            .and_then(|modulus| {
                RsaPublicKeyRef { modulus, public_exponent: UintRef::new(exponent)? }.to_der()
            })
            .map_err(|e| unusable("an RSA key that cannot be encoded", &e.to_string()))?;
        Self::encode(RSA_ENCRYPTION, Some(AnyRef::NULL), &encoded)
    }

    /// A key on a named curve from the coordinates of its point, both as long as the curve's field.
    pub fn elliptic(curve: ObjectIdentifier, coordinates: &[u8]) -> Result<Self> {
        Self::encode(EC_PUBLIC_KEY, Some(AnyRef::from(&curve)), &[&[UNCOMPRESSED], coordinates].concat())
    }

    /// The key of a certificate. Types and curves that Go does not know cannot be hashed by `tbot`
    /// either: `ek_unsupported`.
    pub(super) fn from_certificate(info: &SubjectPublicKeyInfo<'_>) -> Result<Self> {
        let algorithm = info.algorithm.algorithm.to_id_string();
        match (info.parsed(), ObjectIdentifier::new(&algorithm)) {
            (Ok(ParsedKey::RSA(key)), Ok(RSA_ENCRYPTION)) => Self::rsa(key.modulus, key.exponent),
            (Ok(ParsedKey::EC(point)), Ok(EC_PUBLIC_KEY)) => {
                let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let curve = curve.and_then(|oid| ObjectIdentifier::new(&oid.to_id_string()).ok());
                match curve {
                    Some(curve)
                        if NAMED_CURVES.contains(&curve) && point.data().first() == Some(&UNCOMPRESSED) =>
                    {
                        Self::encode(EC_PUBLIC_KEY, Some(AnyRef::from(&curve)), point.data())
                    }
                    _ => Err(unusable("an elliptic curve key on an unknown curve", &algorithm)),
                }
            }
            (_, Ok(ED25519)) => Self::encode(ED25519, None, &info.subject_public_key.data),
            _ => Err(unusable("a key of a type that Teleport does not know", &algorithm)),
        }
    }

    fn encode(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Self> {
        let info = |subject_public_key| SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key,
        };
        BitStringRef::from_bytes(key)
            .and_then(|bits| info(bits).to_der())
            .map(|der| Self { der })
            .map_err(|e| unusable("a key that cannot be encoded", &e.to_string()))
    }

    /// Whether this is an RSA key of that many bits with that exponent.
    #[must_use]
    pub fn is_rsa(&self, bits: usize, exponent: u32) -> bool {
        let is_such = |key: RsaPublicKeyRef<'_>| {
            let modulus = key.modulus.as_bytes();
            let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
            modulus.len() * 8 == bits + unused
                && UintRef::new(&exponent.to_be_bytes()).is_ok_and(|exponent| key.public_exponent == exponent)
        };
        SubjectPublicKeyInfoRef::try_from(self.der.as_slice()).is_ok_and(|info| {
            info.algorithm.oid == RSA_ENCRYPTION
                && RsaPublicKeyRef::try_from(info.subject_public_key.raw_bytes()).is_ok_and(is_such)
        })
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

fn unusable(what: &str, detail: &str) -> Error {
    Error::new(Kind::EkUnsupported, format!("the EK is {what}, so tbot cannot join with this TPM"))
        .detail(detail.to_owned())
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// `ek_public_hash`: SHA-256 of the EK's public key as PKIX DER, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EkPublicHash(String);

impl TryFrom<String> for EkPublicHash {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
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
