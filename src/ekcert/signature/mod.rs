//! Signatures of certificates, as Go's `crypto/x509` checks them.
//!
//! aws-lc does the work. It has no P-224, and takes RSA keys of 2048 to 8192 bits: signatures of other keys cannot be
//! verified here, and Go verifies them. One more difference: Ed25519 keys in an encoding that RFC 8032,
//! section 5.1.3, forbids, which Go takes, have made no signature here. No CA can have made such a key honestly.

mod algorithm;
mod rsa;

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};

use super::PublicKey;
use super::strict::Curve;

pub use algorithm::{Algorithm, Hash, Scheme};

/// A public key that may have made signatures.
#[derive(Debug)]
pub enum Signer {
    /// RSA.
    Rsa(rsa::Key),
    /// ECDSA: the curve, and the uncompressed point.
    Elliptic(&'static Curve, Vec<u8>),
    /// Ed25519: the 32 bytes.
    Ed25519(Vec<u8>),
}

/// Why a signature is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSigned {
    /// The key did not make it, or cannot make one of this type.
    Mismatch,
    /// Go makes no use of RSA keys like this one, for this reason.
    WeakKey(&'static str),
    /// Nobody knows: Go verifies signatures of such keys, and this version cannot.
    UnsupportedKey,
}

impl Signer {
    /// The key, where it is of a type that Go checks signatures with in every release.
    pub fn of(key: &PublicKey) -> Option<Self> {
        if let Some((modulus, exponent)) = key.rsa_numbers() {
            return Some(Self::Rsa(rsa::Key::new(modulus, exponent)));
        }
        if let Some((curve, point)) = key.curve_and_point() {
            return Some(Self::Elliptic(curve, point));
        }
        key.ed25519_point().map(Self::Ed25519)
    }

    /// Whether this key made that signature of the message.
    pub fn check(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), NotSigned> {
        let is_made = match (self, scheme) {
            (Self::Rsa(key), Scheme::RsaPkcs1(_) | Scheme::RsaPss(_)) => {
                key.refuse_weak().map_err(NotSigned::WeakKey)?;
                key.made(scheme, message, signature).ok_or(NotSigned::UnsupportedKey)?
            }
            (Self::Elliptic(curve, point), Scheme::Ecdsa(hash)) => {
                let algorithm = ecdsa(curve.name, hash).ok_or(NotSigned::UnsupportedKey)?;
                is_made_with(algorithm, point, message, signature)
            }
            (Self::Ed25519(point), Scheme::Ed25519) => is_made_with(&aws::ED25519, point, message, signature),
            _ => false,
        };
        if is_made { Ok(()) } else { Err(NotSigned::Mismatch) }
    }
}

fn is_made_with(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

/// The algorithm of aws-lc for this curve and hash; none for P-224, which it does not offer.
fn ecdsa(curve: &str, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (curve, hash) {
        ("P-256", Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        ("P-256", Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        ("P-256", Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        ("P-384", Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        ("P-384", Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        ("P-384", Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        ("P-521", Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        ("P-521", Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        ("P-521", Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}
