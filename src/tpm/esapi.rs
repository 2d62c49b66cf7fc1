//! The way to the TPM through tss-esapi and libtss2, which speaks every TCTI.

use std::fs::File;
use std::str::FromStr;

use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::PropertyTag;
use tss_esapi::constants::Tss2ResponseCodeKind;
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    Digest, Public, PublicBuilder, PublicKeyRsa, PublicRsaParametersBuilder, RsaExponent, RsaScheme,
    SymmetricDefinitionObject,
};
use tss_esapi::tcti_ldr::TctiNameConf;

use super::device;
use crate::ekcert::PublicKey;
use crate::error::{Error, Kind, Result};

/// The EK template's policy: `TPM2_PolicySecret` of the endorsement hierarchy (TCG EK Credential
/// Profile 2.0, appendix B.3.3).
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD,
    0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
];
/// The exponent that a TPM means by 0 (TPM 2.0 Library, part 2, section 12.2.3.5).
const DEFAULT_EXPONENT: u32 = 65_537;

/// Sends what libtss2 logs to standard error nowhere, for the rest of the process: over ssh Ansible
/// takes it for part of the answer.
pub fn silence_libraries() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(null);
    }
}

/// With whose (empty) password an NV index is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NvAuthorization {
    /// The index's own.
    Index,
    /// The owner hierarchy's.
    Owner,
}

/// What reading an NV index found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NvIndex {
    /// There is no such index.
    Absent,
    /// It is there, but locked, never written, or readable only with a password or by someone else.
    Refused,
    /// Its content.
    Content(Vec<u8>),
}

/// A connection to a TPM. Handles made through it are flushed when it is dropped, on a panic too.
#[derive(Debug)]
pub struct Tpm {
    context: Context,
}

impl Tpm {
    /// Connects to the TPM that a TCTI names: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`,
    /// `tabrmd`, ….
    pub fn connect(tcti: &str) -> Result<Self> {
        let configuration = Some(tcti)
            .filter(|tcti| device::is_understood(tcti))
            .and_then(|tcti| TctiNameConf::from_str(tcti).ok())
            .ok_or_else(|| {
                Error::invalid(format!("`{tcti}` is no TCTI that this version knows")).hint(
                    "write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, mssim:host=…,port=… or tabrmd",
                )
            })?;
        let context = Context::new(configuration).map_err(|e| device::explain(tcti, &e.to_string()))?;
        Ok(Self { context })
    }

    /// Reads an NV index, or finds that it is absent or that the TPM refuses to let it be read.
    pub fn read_nv(&mut self, index: u32, authorization: NvAuthorization) -> Result<NvIndex> {
        let handle = NvIndexTpmHandle::new(index).map_err(|e| tpm_error("name an NV index", e))?;
        match self.try_read_nv(handle, authorization) {
            Ok(content) => Ok(NvIndex::Content(content)),
            // TPM2_NV_ReadPublic's answer for an index that is not defined (part 3, section 31.6).
            Err(error) if kind(error) == Some(Tss2ResponseCodeKind::Handle) => Ok(NvIndex::Absent),
            Err(error) if is_refusal(error) => Ok(NvIndex::Refused),
            Err(error) => Err(tpm_error(&format!("read NV index {index:#010x}"), error)),
        }
    }

    fn try_read_nv(
        &mut self,
        handle: NvIndexTpmHandle,
        authorization: NvAuthorization,
    ) -> tss_esapi::Result<Vec<u8>> {
        let object = self.context.tr_from_tpm_public(TpmHandle::NvIndex(handle))?;
        let index = NvIndexHandle::from(object);
        let (public, _) = self.context.nv_read_public(index)?;
        let block = self.largest_nv_block()?;
        let authority = match authorization {
            NvAuthorization::Index => NvAuth::NvIndex(index),
            NvAuthorization::Owner => NvAuth::Owner,
        };
        let total = public.data_size();
        let mut content = Vec::with_capacity(total);
        while content.len() < total {
            let offset = content.len();
            let length = block.min(total - offset);
            let (length, offset) = (narrow(length)?, narrow(offset)?);
            let part = self.context.execute_with_session(Some(AuthSession::Password), |context| {
                context.nv_read(authority, index, length, offset)
            })?;
            if part.is_empty() {
                return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm));
            }
            content.extend_from_slice(&part);
        }
        Ok(content)
    }

    /// `TPM_PT_NV_BUFFER_MAX`: bytes that one `TPM2_NV_Read` returns at most.
    fn largest_nv_block(&mut self) -> tss_esapi::Result<usize> {
        /// What every TPM of the PC Client profile can do.
        const SMALLEST_MAXIMUM: u32 = 512;
        let found = self.context.get_tpm_property(PropertyTag::NvBufferMax)?;
        Ok(found.filter(|bytes| *bytes > 0).unwrap_or(SMALLEST_MAXIMUM) as usize)
    }

    /// The default RSA 2048 EK (TCG EK Credential Profile 2.0, template L-1), made anew in the
    /// endorsement hierarchy with this `unique`.
    pub fn create_primary_ek(&mut self, unique: &[u8]) -> Result<PublicKey> {
        self.with_primary_ek(unique, |public| match public {
            Public::Rsa { unique, parameters, .. } => {
                let exponent = match parameters.exponent().value() {
                    0 => DEFAULT_EXPONENT,
                    other => other,
                };
                PublicKey::rsa(unique, &exponent.to_be_bytes())
            }
            _ => {
                Err(Error::new(Kind::TpmError, "the TPM made an EK that is no RSA key, against the template"))
            }
        })
    }

    /// Makes the EK, shows its public part, and flushes it whatever comes of that: here, or in the
    /// context's own clean-up where `read` panics.
    pub fn with_primary_ek<T>(
        &mut self,
        unique: &[u8],
        read: impl FnOnce(&Public) -> Result<T>,
    ) -> Result<T> {
        let template = ek_template(unique).map_err(|e| tpm_error("build the EK template", e))?;
        let created = self
            .context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
            })
            .map_err(create_primary_error)?;
        let outcome = read(&created.out_public);
        self.context.flush_context(created.key_handle.into()).map_err(|e| tpm_error("flush the EK", e))?;
        outcome
    }
}

fn ek_template(unique: &[u8]) -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_admin_with_policy(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let parameters = PublicRsaParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
        .with_scheme(RsaScheme::Null)
        .with_key_bits(RsaKeyBits::Rsa2048)
        .with_exponent(RsaExponent::default())
        .with_is_signing_key(false)
        .with_is_decryption_key(true)
        .with_restricted(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Rsa)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(Digest::try_from(EK_POLICY.as_slice())?)
        .with_rsa_parameters(parameters)
        .with_rsa_unique_identifier(PublicKeyRsa::try_from(unique)?)
        .build()
}

fn narrow(length: usize) -> tss_esapi::Result<u16> {
    u16::try_from(length)
        .map_err(|_| tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm))
}

fn kind(error: tss_esapi::Error) -> Option<Tss2ResponseCodeKind> {
    match error {
        tss_esapi::Error::Tss2Error(code) => code.kind(),
        tss_esapi::Error::WrapperError(_) => None,
    }
}

/// Whether the TPM itself said no: the index is locked, never written or has a password.
fn is_refusal(error: tss_esapi::Error) -> bool {
    use Tss2ResponseCodeKind as Code;
    matches!(
        kind(error),
        Some(
            Code::Value
                | Code::AuthFail
                | Code::BadAuth
                | Code::AuthType
                | Code::AuthMissing
                | Code::AuthUnavailable
                | Code::PolicyFail
                | Code::PolicyCc
                | Code::Attributes
                | Code::Hierarchy
                | Code::Lockout
                | Code::NvAuthorization
                | Code::NvLocked
                | Code::NvRange
                | Code::NvUninitialized
        )
    )
}

fn create_primary_error(error: tss_esapi::Error) -> Error {
    use Tss2ResponseCodeKind as Code;
    match kind(error) {
        Some(Code::AuthFail | Code::BadAuth) => Error::new(
            Kind::TpmAuth,
            "the TPM's endorsement hierarchy has a password, so tbot cannot make its EK",
        )
        .hint("clear it with `tpm2_changeauth -c endorsement -p PASSWORD`")
        .detail(error.to_string()),
        Some(Code::ObjectMemory | Code::ObjectHandles) => Error::new(
            Kind::TpmBusy,
            "the TPM has no room for another key: other programs hold all of its slots",
        )
        .hint("use the resource manager's device (/dev/tpmrm0), or `tpm2_flushcontext -t`")
        .detail(error.to_string()),
        _ => tpm_error("make the EK", error),
    }
}

fn tpm_error(what: &str, error: tss_esapi::Error) -> Error {
    Error::new(Kind::TpmError, format!("the TPM could not {what}: {error}"))
}
