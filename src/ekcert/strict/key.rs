//! The public key of a certificate (RFC 5280, section 4.1.2.7).

use super::super::der::{self, BitString, Oid, Reader};
use super::super::{PublicKey, names, oid};
use super::curve::Curve;
use super::{Checked, Edition, NotACertificate, OrBecause, Release, algorithm_identifier};

/// A certificate's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What kind of key it is, for people: `RSA 2048`, `ECDSA P-384`, `Ed25519`.
    pub name: String,
    /// The key, where Go can encode (and so hash) it.
    pub public: Option<PublicKey>,
}

impl Key {
    /// Reads a `SubjectPublicKeyInfo`. Types that Go does not know pass whatever is in them; the types
    /// that it knows must be well-formed.
    pub(super) fn parse(body: &mut Reader<'_>, edition: &Edition) -> Checked<Self> {
        const MALFORMED: &str = "the public key is malformed";
        let mut info = body.enter(der::SEQUENCE).or_because(MALFORMED)?;
        let algorithm = info.read(der::SEQUENCE).or_because(MALFORMED)?;
        let (algorithm, parameters) = algorithm_identifier(algorithm).or_because(MALFORMED)?;
        let bits = info.bit_string().or_because(MALFORMED)?;
        match algorithm.bytes() {
            oid::RSA_ENCRYPTION => rsa(parameters, &bits),
            oid::EC_PUBLIC_KEY => ec(parameters, &bits),
            oid::ED25519 => ed25519(parameters, &bits),
            oid::DSA => dsa(parameters, &bits).or_because("the DSA key is malformed"),
            other => match oid::ML_DSA.iter().find(|(oid, _)| *oid == other) {
                Some((_, size)) if edition.is(Release::Go1_27) => ml_dsa(algorithm, *size, parameters, &bits),
                _ => Ok(Self { name: names::key(algorithm), public: None }),
            },
        }
    }
}

/// RFC 3279, section 2.3.1. Modulus and exponent are any positive numbers, the exponent of at most 63
/// bits; what follows them, and what follows their sequence, passes.
fn rsa(parameters: &[u8], bits: &BitString<'_>) -> Checked<Key> {
    const MALFORMED: &str = "the RSA key is malformed";
    if parameters != [der::NULL, 0] {
        return Err(NotACertificate("the RSA key's algorithm lacks the NULL parameters"));
    }
    let bits = bits.right_aligned();
    let mut key = Reader::new(&bits).enter(der::SEQUENCE).or_because(MALFORMED)?;
    let modulus = key.positive().or_because("the RSA key's modulus is not positive")?;
    let exponent = key.positive().or_because("the RSA key's exponent is not positive")?;
    let exponent_is_small = exponent.len() < 8 || exponent.len() == 8 && exponent.first() < Some(&0x80);
    exponent_is_small.then_some(()).or_because("the RSA key's exponent is too large")?;
    let leading_zeros = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let name = format!("RSA {}", 8 * modulus.len() - leading_zeros);
    Ok(Key { name, public: Some(PublicKey::from_rsa_numbers(modulus, exponent)) })
}

/// RFC 5480, section 2: a named curve and an uncompressed point on it.
fn ec(parameters: &[u8], bits: &BitString<'_>) -> Checked<Key> {
    let named = Reader::new(parameters).oid().or_because("the EC key does not name its curve")?;
    let curve = Curve::named(named).or_because("the EC key is on a curve that tbot does not know")?;
    let point = bits.right_aligned();
    if !curve.has_point(&point) {
        return Err(NotACertificate("the EC key is not an uncompressed point on its curve"));
    }
    let public = Some(PublicKey::from_parts(oid::EC_PUBLIC_KEY, &parameter(named), &point));
    Ok(Key { name: format!("ECDSA {}", curve.name), public })
}

fn parameter(oid: Oid<'_>) -> Vec<u8> {
    der::encode(der::OBJECT_IDENTIFIER, &[oid.bytes()])
}

/// RFC 8410: no parameters, 32 bytes, which may be no point at all.
fn ed25519(parameters: &[u8], bits: &BitString<'_>) -> Checked<Key> {
    let point = bits.right_aligned();
    if !parameters.is_empty() || point.len() != 32 {
        return Err(NotACertificate("the Ed25519 key is malformed"));
    }
    Ok(Key { name: "Ed25519".to_owned(), public: Some(PublicKey::from_parts(oid::ED25519, &[], &point)) })
}

/// RFC 9881, section 4: no parameters, and as many bytes as the type has.
fn ml_dsa(algorithm: Oid<'_>, size: usize, parameters: &[u8], bits: &BitString<'_>) -> Checked<Key> {
    let bytes = bits.right_aligned();
    if !parameters.is_empty() || bytes.len() != size {
        return Err(NotACertificate("the ML-DSA key is malformed"));
    }
    Ok(Key {
        name: names::key(algorithm),
        public: Some(PublicKey::from_parts(algorithm.bytes(), &[], &bytes)),
    })
}

/// RFC 3279, section 2.3.2: y, and p, q and g, all positive. Go parses such a key and cannot encode it.
fn dsa(parameters: &[u8], bits: &BitString<'_>) -> Option<Key> {
    let bits = bits.right_aligned();
    Reader::new(&bits).positive()?;
    let mut numbers = Reader::new(parameters).enter(der::SEQUENCE)?;
    for _ in 0..3 {
        numbers.positive()?;
    }
    Some(Key { name: "DSA".to_owned(), public: None })
}
