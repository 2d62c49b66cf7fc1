//! RSA signatures (RFC 8017).

use aws_lc_rs::signature::{self as aws, RsaParameters, RsaPublicKeyComponents};
use num_bigint::BigUint;

use super::{Hash, Scheme};

/// Below this, Go (since 1.24) refuses a key.
const LEAST_BITS: usize = 1024;
/// Sizes that aws-lc takes for every hash and padding.
const USUAL_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Go takes no larger exponent.
const LARGEST_EXPONENT: u64 = (1 << 31) - 1;

/// What stands before a hash in PKCS #1 padding: a `DigestInfo` up to the hash (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [(Hash, &[u8]); 3] = [
    (Hash::Sha256, b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"),
    (Hash::Sha384, b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"),
    (Hash::Sha512, b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"),
];

/// A public key: modulus and exponent, big-endian without leading zeros.
#[derive(Debug)]
pub struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Key {
    pub fn new(modulus: Vec<u8>, exponent: Vec<u8>) -> Self {
        Self { modulus, exponent }
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

    /// Whether this key made the signature of that message, in one of the RSA schemes.
    pub fn made(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        let Some((parameters, padding, hash)) = Self::padding(scheme) else { return false };
        if USUAL_BITS.contains(&self.bits()) {
            let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
            return key.verify(parameters, message, signature).is_ok();
        }
        let digest = hash.digest(message);
        self.open(signature).is_some_and(|encoded| padding(&encoded, self.bits(), hash, &digest))
    }

    fn padding(scheme: Scheme) -> Option<(&'static RsaParameters, IsPadding, Hash)> {
        Some(match scheme {
            Scheme::RsaPkcs1(hash @ Hash::Sha256) => (&aws::RSA_PKCS1_2048_8192_SHA256, is_pkcs1, hash),
            Scheme::RsaPkcs1(hash @ Hash::Sha384) => (&aws::RSA_PKCS1_2048_8192_SHA384, is_pkcs1, hash),
            Scheme::RsaPkcs1(hash @ Hash::Sha512) => (&aws::RSA_PKCS1_2048_8192_SHA512, is_pkcs1, hash),
            Scheme::RsaPss(hash @ Hash::Sha256) => (&aws::RSA_PSS_2048_8192_SHA256, is_pss, hash),
            Scheme::RsaPss(hash @ Hash::Sha384) => (&aws::RSA_PSS_2048_8192_SHA384, is_pss, hash),
            Scheme::RsaPss(hash @ Hash::Sha512) => (&aws::RSA_PSS_2048_8192_SHA512, is_pss, hash),
            Scheme::Ecdsa(_) | Scheme::Ed25519 => return None,
        })
    }

    /// The encoded message in a signature, as long as the modulus (section 5.2.2).
    fn open(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let [modulus, exponent, number] =
            [&self.modulus[..], &self.exponent, signature].map(BigUint::from_bytes_be);
        if signature.len() != self.modulus.len() || number >= modulus {
            return None;
        }
        let opened = number.modpow(&exponent, &modulus).to_bytes_be();
        let mut encoded = vec![0; self.modulus.len().checked_sub(opened.len())?];
        encoded.extend(opened);
        Some(encoded)
    }
}

/// Whether an encoded message, of a modulus of so many bits, is the padding of this digest.
type IsPadding = fn(&[u8], usize, Hash, &[u8]) -> bool;

/// EMSA-PKCS1-v1_5 (section 9.2): made anew and compared as a whole, so that nothing in it is left unread.
fn is_pkcs1(encoded: &[u8], _bits: usize, hash: Hash, digest: &[u8]) -> bool {
    let info = DIGEST_INFO.iter().find(|(of, _)| *of == hash).map_or(&[][..], |(_, info)| info);
    let Some(filling) = encoded.len().checked_sub(3 + info.len() + digest.len()).filter(|size| *size >= 8)
    else {
        return false;
    };
    encoded == [&[0, 1][..], &vec![0xff; filling], &[0], info, digest].concat()
}

/// EMSA-PSS (section 9.1.2), with a salt as long as the hash.
fn is_pss(encoded: &[u8], bits: usize, hash: Hash, digest: &[u8]) -> bool {
    let opened = || {
        // One byte is too many where the modulus has a multiple of eight bits, plus one.
        let size = (bits - 1).div_ceil(8);
        let (before, encoded) = encoded.split_at_checked(encoded.len().checked_sub(size)?)?;
        let (masked, rest) = encoded.split_at_checked(size.checked_sub(digest.len() + 1)?)?;
        let (expected, trailer) = rest.split_at_checked(digest.len())?;
        let unused = u32::try_from(8 * size - (bits - 1)).ok()?;
        let allowed = 0xff_u8 >> unused;
        let is_formed = before.iter().all(|byte| *byte == 0)
            && trailer == [0xbc]
            && masked.first().is_some_and(|first| first & !allowed == 0);
        let mut block: Vec<u8> =
            masked.iter().zip(mgf1(hash, expected, masked.len())).map(|(byte, mask)| byte ^ mask).collect();
        *block.first_mut()? &= allowed;
        let (filling, salt) = block.split_at_checked(block.len().checked_sub(digest.len())?)?;
        let (one, zeros) = filling.split_last()?;
        let is_filled = *one == 1 && zeros.iter().all(|byte| *byte == 0);
        let made = hash.digest(&[&[0; 8][..], digest, salt].concat());
        Some(is_formed && is_filled && made == expected)
    };
    opened().unwrap_or(false)
}

/// MGF1 (appendix B.2.1).
fn mgf1(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|counter| hash.digest(&[seed, &counter.to_be_bytes()].concat()));
    blocks.take(length).collect()
}
