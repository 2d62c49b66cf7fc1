//! Signature algorithms in certificates.

use super::super::der::{self, Oid, Reader};
use super::super::oid;

/// The hashes that signatures may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash (RFC 8017, section 8.1).
    RsaPss(Hash),
    /// ECDSA (FIPS 186-5, section 6), on whatever curve the key is.
    Ecdsa(Hash),
    /// Ed25519 (RFC 8032, section 5.1).
    Ed25519,
}

/// What Go makes of a signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// It checks such signatures.
    Checked(Scheme),
    /// It refuses them: MD5 and SHA-1 can be forged.
    Insecure,
    /// Only recent releases check them: ML-DSA.
    Disputed,
    /// It does not know the algorithm, or does not take these parameters of it.
    Unknown,
}

impl Algorithm {
    /// The algorithm with this identifier and these parameters, in DER with tag and length, or empty.
    ///
    /// Parameters play no part for PKCS #1 and ECDSA, as Go does not look at them; Ed25519 and ML-DSA
    /// must have none (RFC 8410, section 3; RFC 9881, section 2).
    pub fn of(identifier: Oid<'_>, parameters: &[u8]) -> Self {
        let of_hash = |scheme: fn(Hash) -> Scheme, hash| Self::Checked(scheme(hash));
        match identifier.bytes() {
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"
            | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
            | b"\x2b\x0e\x03\x02\x1d"
            | b"\x2a\x86\x48\xce\x38\x04\x03"
            | b"\x2a\x86\x48\xce\x3d\x04\x01" => Self::Insecure,
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" => of_hash(Scheme::RsaPkcs1, Hash::Sha256),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" => of_hash(Scheme::RsaPkcs1, Hash::Sha384),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" => of_hash(Scheme::RsaPkcs1, Hash::Sha512),
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" => {
                pss(parameters).map_or(Self::Unknown, |hash| Self::Checked(Scheme::RsaPss(hash)))
            }
            b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => of_hash(Scheme::Ecdsa, Hash::Sha256),
            b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => of_hash(Scheme::Ecdsa, Hash::Sha384),
            b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => of_hash(Scheme::Ecdsa, Hash::Sha512),
            oid::ED25519 if parameters.is_empty() => Self::Checked(Scheme::Ed25519),
            other if parameters.is_empty() && oid::ML_DSA.iter().any(|(oid, _)| *oid == other) => {
                Self::Disputed
            }
            _ => Self::Unknown,
        }
    }
}

/// The hash that RSASSA-PSS-params (RFC 4055, section 3.1) name, where Go takes them: the same hash for
/// MGF1, a salt as long as the hash, and the usual trailer.
///
/// Go's `encoding/asn1` reads them, which wants the first three fields to be there, does not look at the
/// lengths that the tags around the fields give, and ignores what follows the fields.
fn pss(parameters: &[u8]) -> Option<Hash> {
    let mut fields = Reader::new(parameters).enter(der::SEQUENCE)?;
    let (hash, hash_parameters) = algorithm_identifier(explicit(&mut fields, 0)?)?;
    let (mask, mask_parameters) = algorithm_identifier(explicit(&mut fields, 1)?)?;
    let (mask_hash, mask_hash_parameters) = algorithm_identifier(&mut Reader::new(mask_parameters))?;
    let salt = explicit(&mut fields, 2)?.small_integer(der::INTEGER)?;
    let trailer = trailer(&mut fields)?;
    let is_plain = |parameters: &[u8]| parameters.is_empty() || parameters == [der::NULL, 0];
    let is_usual = is_plain(hash_parameters)
        && mask.bytes() == oid::MGF1
        && mask_hash == hash
        && is_plain(mask_hash_parameters)
        && trailer == 1;
    match (hash.bytes(), salt) {
        (oid::SHA256, 32) if is_usual => Some(Hash::Sha256),
        (oid::SHA384, 48) if is_usual => Some(Hash::Sha384),
        (oid::SHA512, 64) if is_usual => Some(Hash::Sha512),
        _ => None,
    }
}

/// The trailer field, which is 1 where it is left out. Go takes anything that is not this field, or holds no
/// INTEGER, for its being left out, as long as something follows the header. (Only tags of several bytes,
/// which Go reads there too, are refused here.)
fn trailer(fields: &mut Reader<'_>) -> Option<i64> {
    if fields.is_empty() {
        return Some(1);
    }
    let (tag, length) = fields.header().filter(|_| !fields.is_empty())?;
    if ![der::constructed(3), der::context(3)].contains(&tag) || tag == der::context(3) && length > 0 {
        return Some(1);
    }
    if fields.peeks(der::INTEGER) {
        return fields.small_integer(der::INTEGER).filter(|_| length > 0);
    }
    fields.header().filter(|_| length > 0).map(|_| 1)
}

/// Goes into the explicit tag `[number]`, whose length must not be zero and plays no other part.
fn explicit<'a, 'b>(fields: &'b mut Reader<'a>, number: u8) -> Option<&'b mut Reader<'a>> {
    let (tag, length) = fields.header()?;
    (tag == der::constructed(number) && length > 0).then_some(fields)
}

/// An `AlgorithmIdentifier`, its parameters with tag and length, or empty. What follows them passes.
fn algorithm_identifier<'a>(reader: &mut Reader<'a>) -> Option<(Oid<'a>, &'a [u8])> {
    let mut content = reader.enter(der::SEQUENCE)?;
    let identifier = content.oid()?;
    let parameters = if content.is_empty() { &[][..] } else { content.element()?.whole };
    Some((identifier, parameters))
}
