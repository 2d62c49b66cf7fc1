//! ECDSA on P-224 (FIPS 186-5, section 6.4.2; SP 800-186, section 3.2.1.2), which aws-lc does not offer.

use p224::ecdsa::signature::hazmat::PrehashVerifier as _;
use p224::ecdsa::{DerSignature, VerifyingKey};

/// Whether the key with this uncompressed point signed the hash, whose first 28 bytes count. The signature is
/// an `ECDSA-Sig-Value` in strict DER (RFC 3279, section 2.2.3).
pub fn made(key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_sec1_bytes(key), DerSignature::from_bytes(signature))
    else {
        return false;
    };
    key.verify_prehash(hash, &signature).is_ok()
}
