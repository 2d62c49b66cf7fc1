//! The endorsement key (EK) as `tbot` reads it: the one identity that a cluster compares.

use serde::Serialize;

use super::Tpm;
use super::esapi::{NvAuthorization, NvIndex};
use crate::ekcert::{EkCertificate, PublicKey};
use crate::error::Result;

/// NV index of the RSA 2048 EK certificate (TCG EK Credential Profile 2.0, section 2.2.1.4).
const RSA_EK_CERTIFICATE: u32 = 0x01C0_0002;
/// NV index of the RSA 2048 EK nonce (same section).
const RSA_EK_NONCE: u32 = 0x01C0_0003;
/// Bytes of `unique` in the RSA 2048 EK template (same profile, appendix B.3.3).
const UNIQUE_LENGTH: usize = 256;

/// Where the EK's public key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EkSource {
    /// In the EK certificate in NV memory.
    NvCertificate,
    /// Made from the TPM's endorsement seed with the default template (`TPM2_CreatePrimary`).
    CreatePrimary,
}

/// The EK: its public key, and the certificate where the TPM has one.
#[derive(Debug, Clone)]
pub struct EndorsementKey {
    /// The public key: with a certificate, the certificate's.
    pub public_key: PublicKey,
    /// Where it was found.
    pub source: EkSource,
    /// The EK certificate, if `tbot` would see one.
    pub certificate: Option<EkCertificate>,
    /// What a person should know about what was found.
    pub warnings: Vec<String>,
}

impl EndorsementKey {
    /// Reads the EK in the order that `tbot` does, so that both see the same key: the certificate's,
    /// where the RSA EK certificate index can be read and parsed; otherwise the default RSA 2048 key.
    pub fn read(tpm: &mut Tpm) -> Result<Self> {
        let index = tpm.read_nv(RSA_EK_CERTIFICATE, NvAuthorization::Index)?;
        if let NvIndex::Content(content) = &index
            && let Some(certificate) = EkCertificate::from_nv(content)
        {
            let public_key = certificate.public_key()?;
            let certificate = Some(certificate);
            return Ok(Self {
                public_key,
                source: EkSource::NvCertificate,
                certificate,
                warnings: Vec::new(),
            });
        }
        let why_not = match index {
            NvIndex::Absent => None,
            NvIndex::Refused => Some("may not be read with an empty password of its own"),
            NvIndex::Content(_) => Some("holds no certificate that tbot could read"),
        };
        let warnings = why_not.map(|why| {
            format!("NV index {RSA_EK_CERTIFICATE:#010x}, for the EK certificate, {why}, so tbot will join without one")
        });
        let nonce = match tpm.read_nv(RSA_EK_NONCE, NvAuthorization::Owner)? {
            NvIndex::Content(nonce) => nonce,
            NvIndex::Absent | NvIndex::Refused => Vec::new(),
        };
        let public_key = tpm.create_primary_ek(&template_unique(&nonce))?;
        let warnings = warnings.into_iter().collect();
        Ok(Self { public_key, source: EkSource::CreatePrimary, certificate: None, warnings })
    }
}

/// `unique` of the template: zeros, overwritten from the start by the nonce.
fn template_unique(nonce: &[u8]) -> [u8; UNIQUE_LENGTH] {
    let mut unique = [0; UNIQUE_LENGTH];
    for (byte, given) in unique.iter_mut().zip(nonce) {
        *byte = *given;
    }
    unique
}
