//! The endorsement key (EK) as `tbot` reads it: the one identity that a cluster compares.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::commands::NvAuthorization;
use super::connection::{NvIndex, Tpm};
use super::persistent::{PersistentKeys, Slot};
use super::properties::Properties;
use super::public::{Public, UNIQUE_LENGTH};
use super::response_code::ResponseCode;
use crate::ekcert::{CertificateChain, EkCertificate, EkPublicHash, PublicKey};
use crate::error::{Error, Kind, Result};

/// NV index of the RSA 2048 EK certificate (TCG EK Credential Profile 2.0, section 2.2.1.4).
const RSA_EK_CERTIFICATE: u32 = 0x01C0_0002;
/// NV index of the RSA 2048 EK nonce (same section).
const RSA_EK_NONCE: u32 = 0x01C0_0003;
/// NV indexes of the certificates above the EK certificate, which may span several of them (section 2.2.1.5.2).
const EK_CERTIFICATE_CHAIN: RangeInclusive<u32> = 0x01C0_0100..=0x01C0_01FF;

/// Where the EK's public key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EkSource {
    /// In the EK certificate in NV memory.
    NvCertificate,
    /// At the persistent handle `0x81010001`, which confirmed the expected identity.
    PersistentHandle,
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
    /// Why there is none although there is an NV index for it.
    pub no_certificate: Option<NoCertificate>,
}

/// Why `tbot` sees no EK certificate in the NV index that there is for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCertificate {
    /// The TPM is in lockout, and the index is not exempt from it.
    Lockout,
    /// The TPM does not let the index be read with an empty password of its own.
    Refused(ResponseCode),
    /// It holds something else than a certificate that `tbot` could read; with the reason.
    Unreadable(String),
}

impl EndorsementKey {
    /// Reads the EK in the order that `tbot` does, so that both see the same key: the certificate's,
    /// where the RSA EK certificate index can be read and parsed; otherwise the default RSA 2048 key.
    ///
    /// Making that key is slow. Where `expected` is known from an earlier time, and the persistent key is
    /// certainly the one that would be made, it is not made again: neither a certificate's index nor a
    /// nonce's is there, readable or not.
    pub fn read(
        tpm: &mut Tpm,
        properties: &Properties,
        persistent: &PersistentKeys,
        expected: Option<&EkPublicHash>,
    ) -> Result<Self> {
        let no_certificate = match read_certificate(tpm, properties)? {
            Ok(certificate) => {
                return Ok(Self {
                    public_key: certificate.public_key()?,
                    source: EkSource::NvCertificate,
                    certificate: Some(certificate),
                    no_certificate: None,
                });
            }
            Err(reason) => reason,
        };
        let nonce = tpm.read_nv(RSA_EK_NONCE, NvAuthorization::Owner, properties.nv_block)?;
        // An index that is there but not readable now may have been when the identity was taken down.
        let nothing_decides_but_the_template = no_certificate.is_none()
            && nonce == NvIndex::Absent
            && properties.endorsement_auth_set == Some(false);
        let confirmed = expected
            .filter(|_| nothing_decides_but_the_template)
            .and_then(|expected| confirmed_by(&persistent.endorsement, expected));
        let (public_key, source) = match (confirmed, nonce) {
            (Some(public_key), _) => (public_key, EkSource::PersistentHandle),
            (None, NvIndex::Content(nonce)) => (create(tpm, &nonce)?, EkSource::CreatePrimary),
            (None, NvIndex::Absent | NvIndex::Refused(_)) => (create(tpm, &[])?, EkSource::CreatePrimary),
        };
        Ok(Self { public_key, source, certificate: None, no_certificate })
    }
}

impl CertificateChain {
    /// Reads the chain that the manufacturer left in the TPM, and says why not all of it where that is so. Where there is
    /// none, that takes one command.
    pub fn read(tpm: &mut Tpm, properties: &Properties) -> (Self, Option<String>) {
        let (content, unread) = tpm.read_nv_run(&EK_CERTIFICATE_CHAIN, properties.nv_block, Self::LARGEST);
        let (chain, damaged) = Self::from_nv(&content);
        // What is cut off is no certificate either.
        let why = unread.or(damaged);
        (chain, why.map(|why| format!("the certificate chain in the TPM is not read to its end: {why}")))
    }
}

/// The EK certificate, or why there is none where the index exists.
fn read_certificate(
    tpm: &mut Tpm,
    properties: &Properties,
) -> Result<std::result::Result<EkCertificate, Option<NoCertificate>>> {
    Ok(match tpm.read_nv(RSA_EK_CERTIFICATE, NvAuthorization::Index, properties.nv_block)? {
        NvIndex::Content(content) => EkCertificate::from_nv(&content)
            .map_err(|reason| Some(NoCertificate::Unreadable(reason.to_string()))),
        NvIndex::Absent => Err(None),
        NvIndex::Refused(code) if code.is_lockout() => Err(Some(NoCertificate::Lockout)),
        NvIndex::Refused(code) => Err(Some(NoCertificate::Refused(code))),
    })
}

/// The key in the slot, where it is certainly the EK that was expected: of the EK template, a primary key
/// of the endorsement hierarchy, and of exactly that hash.
///
/// Nothing in the TPM tells with which `unique` a key was made, so only a hash that was once taken from
/// the key made anew can vouch for it.
fn confirmed_by(slot: &Slot, expected: &EkPublicHash) -> Option<PublicKey> {
    let Slot::Key(key) = slot else { return None };
    let public_key = key.public.key()?;
    let is_confirmed =
        key.public.is_of_ek_template() && key.is_endorsement_primary() && public_key.hash() == *expected;
    is_confirmed.then_some(public_key)
}

fn create(tpm: &mut Tpm, nonce: &[u8]) -> Result<PublicKey> {
    tpm.with_primary_ek(&template_unique(nonce), |public: &Public| {
        public.key().filter(|_| public.is_of_ek_template()).ok_or_else(|| {
            Error::new(Kind::TpmError, "the TPM made another key than the EK template describes")
                .hint("update its firmware")
        })
    })
}

/// `unique` of the template: zeros, overwritten from the start by the nonce.
fn template_unique(nonce: &[u8]) -> [u8; UNIQUE_LENGTH] {
    let mut unique = [0; UNIQUE_LENGTH];
    for (byte, given) in unique.iter_mut().zip(nonce) {
        *byte = *given;
    }
    unique
}
