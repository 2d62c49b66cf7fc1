//! Names that people know object identifiers by.

use super::der::Oid;
use super::description::cut;
use super::oid::ML_DSA;

/// Characters of dotted numbers that are shown.
const DOTTED_LIMIT: usize = 64;

/// Content bytes of an object identifier, and its name.
type Names = [(&'static [u8], &'static str)];

/// Attribute types: the short names of RFC 4514, section 3, and openssl, and the TPM's (TCG EK Credential
/// Profile 2.0, section 3.1.2), which lose their `tcg-at-`.
const ATTRIBUTES: &Names = &[
    (b"\x55\x04\x03", "CN"),
    (b"\x55\x04\x04", "SN"),
    (b"\x55\x04\x05", "serialNumber"),
    (b"\x55\x04\x06", "C"),
    (b"\x55\x04\x07", "L"),
    (b"\x55\x04\x08", "ST"),
    (b"\x55\x04\x09", "street"),
    (b"\x55\x04\x0a", "O"),
    (b"\x55\x04\x0b", "OU"),
    (b"\x55\x04\x0c", "title"),
    (b"\x55\x04\x2a", "GN"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"),
    (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"),
    (b"\x67\x81\x05\x02\x01", "tpmManufacturer"),
    (b"\x67\x81\x05\x02\x02", "tpmModel"),
    (b"\x67\x81\x05\x02\x03", "tpmVersion"),
];

/// Signature algorithms, as RFC 4055, RFC 5758, RFC 8410 and RFC 9881 or openssl call them.
const SIGNATURES: &Names = &[
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "md5WithRSAEncryption"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "sha1WithRSAEncryption"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "rsassaPss"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", "sha256WithRSAEncryption"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", "sha384WithRSAEncryption"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", "sha512WithRSAEncryption"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", "sha224WithRSAEncryption"),
    (b"\x2a\x86\x48\xce\x3d\x04\x01", "ecdsa-with-SHA1"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", "ecdsa-with-SHA224"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", "ecdsa-with-SHA256"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", "ecdsa-with-SHA384"),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", "ecdsa-with-SHA512"),
    (b"\x2b\x65\x70", "Ed25519"),
    (b"\x2b\x65\x71", "Ed448"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", "ML-DSA-44"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", "ML-DSA-65"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", "ML-DSA-87"),
];

/// Types of keys that Go does not know (RFC 4055, RFC 8410), and those that only recent releases know.
const KEYS: &Names = &[
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07", "RSAES-OAEP"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSASSA-PSS"),
    (b"\x2b\x65\x6e", "X25519"),
    (b"\x2b\x65\x6f", "X448"),
    (b"\x2b\x65\x71", "Ed448"),
    (ML_DSA[0].0, "ML-DSA-44"),
    (ML_DSA[1].0, "ML-DSA-65"),
    (ML_DSA[2].0, "ML-DSA-87"),
];

/// The name of an attribute type, or dotted numbers.
pub fn attribute(oid: Oid<'_>) -> String {
    find(ATTRIBUTES, oid)
}

/// The name of a signature algorithm, or dotted numbers.
pub fn signature(oid: Oid<'_>) -> String {
    find(SIGNATURES, oid)
}

/// The name of a type of keys, or dotted numbers.
pub fn key(oid: Oid<'_>) -> String {
    find(KEYS, oid)
}

/// Dotted numbers, which may be as long as the certificate is large, so they are cut.
pub fn dotted(oid: Oid<'_>) -> String {
    cut(&oid.to_string(), DOTTED_LIMIT)
}

fn find(names: &Names, oid: Oid<'_>) -> String {
    let found = names.iter().find(|(bytes, _)| *bytes == oid.bytes());
    found.map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned())
}
