//! RSA signatures (RFC 8017).

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use aws_lc_rs::signature::{self as aws, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use super::{Hash, Scheme};

/// Below this, Go (since 1.24) refuses a key. It has no upper limit.
const LEAST_BITS: usize = 1024;
/// The keys by which aws-lc verifies. Of those from 1024 bits up, and of larger ones, Go does.
const SUPPORTED_BITS: RangeInclusive<usize> = 2048..=8192;
/// Go takes no larger exponent.
const LARGEST_EXPONENT: u64 = (1 << 31) - 1;

/// A public key: modulus and exponent, big-endian without leading zeros.
#[derive(Debug)]
pub struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    /// As aws-lc takes it, for the scheme that was asked for first: a CA signs by one mostly.
    prepared: OnceLock<(Scheme, Option<ParsedPublicKey>)>,
}

impl Key {
    pub fn new(modulus: Vec<u8>, exponent: Vec<u8>) -> Self {
        Self { modulus, exponent, prepared: OnceLock::new() }
    }

    fn bits(&self) -> usize {
        8 * self.modulus.len() - self.modulus.first().map_or(0, |first| first.leading_zeros() as usize)
    }

    /// Says why, where Go checks no signature with this key.
    pub fn refuse_weak(&self) -> Result<(), &'static str> {
        let is_even = |number: &[u8]| number.last().is_none_or(|last| last & 1 == 0);
        let exponent = self.exponent.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        if self.bits() < LEAST_BITS {
            Err("an RSA key of fewer than 1024 bits")
        } else if is_even(&self.modulus) {
            Err("an RSA key with an even modulus")
        } else if exponent < 2 || is_even(&self.exponent) {
            Err("an RSA key whose exponent is 1 or even")
        } else if exponent > LARGEST_EXPONENT {
            Err("an RSA key whose exponent has more than 31 bits")
        } else {
            Ok(())
        }
    }

    /// Whether this key, which is not weak, made the signature of that message, in one of the RSA schemes. A
    /// salt is as long as the hash. None where aws-lc does not take a key of this size.
    pub fn made(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Option<bool> {
        if !SUPPORTED_BITS.contains(&self.bits()) {
            return None;
        }
        let (first, key) = self.prepared.get_or_init(|| (scheme, self.prepare(scheme)));
        let prepared = if *first == scheme { None } else { self.prepare(scheme) };
        let key = if *first == scheme { key.as_ref() } else { prepared.as_ref() };
        key.map(|key| key.verify_sig(message, signature).is_ok())
    }

    fn prepare(&self, scheme: Scheme) -> Option<ParsedPublicKey> {
        let components = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        components.to_parsed_public_key(aws_algorithm(scheme)?).ok()
    }
}

fn aws_algorithm(scheme: Scheme) -> Option<&'static RsaParameters> {
    Some(match scheme {
        Scheme::RsaPkcs1(Hash::Sha256) => &aws::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1(Hash::Sha384) => &aws::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1(Hash::Sha512) => &aws::RSA_PKCS1_2048_8192_SHA512,
        Scheme::RsaPss(Hash::Sha256) => &aws::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPss(Hash::Sha384) => &aws::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPss(Hash::Sha512) => &aws::RSA_PSS_2048_8192_SHA512,
        Scheme::Ecdsa(_) | Scheme::Ed25519 => return None,
    })
}
