//! Object identifiers that certificates use, as the content bytes of their DER encoding.

/// 1.2.840.113549.1.1.1, rsaEncryption (RFC 8017, appendix C).
pub const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// 1.2.840.10040.4.1, id-dsa (RFC 3279, section 2.3.2).
pub const DSA: &[u8] = b"\x2a\x86\x48\xce\x38\x04\x01";
/// 1.2.840.10045.2.1, id-ecPublicKey (RFC 5480, section 2.1.1).
pub const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// 1.3.101.112, id-Ed25519 (RFC 8410, section 3).
pub const ED25519: &[u8] = b"\x2b\x65\x70";
/// 2.16.840.1.101.3.4.3.17 to .19, ML-DSA-44, -65 and -87, with the bytes of a public key (RFC 9881,
/// section 2; FIPS 204, section 4).
pub const ML_DSA: [(&[u8], usize); 3] = [
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", 1312),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", 1952),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", 2592),
];
/// 1.2.840.113549.1.1.8, id-mgf1 (RFC 8017, appendix A.2.1).
pub const MGF1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
/// 2.16.840.1.101.3.4.2.1, id-sha256 (RFC 4055, section 2.1).
pub const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
/// 2.16.840.1.101.3.4.2.2, id-sha384 (same section).
pub const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
/// 2.16.840.1.101.3.4.2.3, id-sha512 (same section).
pub const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
/// 1.3.6.1.5.5.7.1.1, authorityInfoAccess (RFC 5280, section 4.2.2.1).
pub const AUTHORITY_INFO_ACCESS: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x01\x01";
/// 1.3.6.1.5.5.7.48.2, caIssuers (same section).
pub const CA_ISSUERS: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x30\x02";
/// 2.5.29.17, subjectAltName (RFC 5280, section 4.2.1.6).
pub const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
/// 2.23.133.2.1, tcg-at-tpmManufacturer (TCG EK Credential Profile 2.0, section 3.1.2).
pub const TPM_MANUFACTURER: &[u8] = b"\x67\x81\x05\x02\x01";
/// 2.23.133.2.2, tcg-at-tpmModel (same section).
pub const TPM_MODEL: &[u8] = b"\x67\x81\x05\x02\x02";
/// 2.23.133.2.3, tcg-at-tpmVersion (same section).
pub const TPM_VERSION: &[u8] = b"\x67\x81\x05\x02\x03";
/// 2.5.29.14, subjectKeyIdentifier (RFC 5280, section 4.2.1.2).
pub const SUBJECT_KEY_IDENTIFIER: &[u8] = b"\x55\x1d\x0e";
/// 2.5.29.15, keyUsage (RFC 5280, section 4.2.1.3).
pub const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
/// 2.5.29.19, basicConstraints (RFC 5280, section 4.2.1.9).
pub const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
/// 2.5.29.30, nameConstraints (RFC 5280, section 4.2.1.10).
pub const NAME_CONSTRAINTS: &[u8] = b"\x55\x1d\x1e";
/// 2.5.29.31, cRLDistributionPoints (RFC 5280, section 4.2.1.13).
pub const CRL_DISTRIBUTION_POINTS: &[u8] = b"\x55\x1d\x1f";
/// 2.5.29.32, certificatePolicies (RFC 5280, section 4.2.1.4).
pub const CERTIFICATE_POLICIES: &[u8] = b"\x55\x1d\x20";
/// 2.5.29.33, policyMappings (RFC 5280, section 4.2.1.5).
pub const POLICY_MAPPINGS: &[u8] = b"\x55\x1d\x21";
/// 2.5.29.35, authorityKeyIdentifier (RFC 5280, section 4.2.1.1).
pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = b"\x55\x1d\x23";
/// 2.5.29.36, policyConstraints (RFC 5280, section 4.2.1.11).
pub const POLICY_CONSTRAINTS: &[u8] = b"\x55\x1d\x24";
/// 2.5.29.37, extKeyUsage (RFC 5280, section 4.2.1.12).
pub const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
/// 2.5.29.54, inhibitAnyPolicy (RFC 5280, section 4.2.1.14).
pub const INHIBIT_ANY_POLICY: &[u8] = b"\x55\x1d\x36";
