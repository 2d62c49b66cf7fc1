//! The public part of a key in the TPM: the EK template, and what a key's attributes allow.

use sha2::{Digest, Sha256, Sha384, Sha512};
use tpm2_protocol::basic::{TpmUint16, TpmUint32};
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bPublicKeyRsa, TpmAlgId, TpmEccCurve, TpmaObject, TpmsRsaParms, TpmtPublic,
    TpmtRsaScheme, TpmtSymDef, TpmuPublicId, TpmuPublicParms, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::{TpmMarshal, TpmResult, TpmUnmarshal, TpmWriter};

use crate::ekcert::PublicKey;

/// Bytes of `unique` in the RSA 2048 EK template (TCG EK Credential Profile 2.0, appendix B.3.3).
pub const UNIQUE_LENGTH: usize = 256;
/// The EK template's policy: `TPM2_PolicySecret` of the endorsement hierarchy (same appendix).
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD,
    0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
];
/// The exponent that a TPM means by 0 (TPM 2.0 Library, part 2, section 12.2.3.5).
const DEFAULT_EXPONENT: u32 = 65_537;
/// `TPM_RH_ENDORSEMENT` (part 2, section 7.4).
const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000B;
/// `TPM_ALG_SHA256` (part 2, section 6.3), which starts a name made with it.
const SHA256: [u8; 2] = [0x00, 0x0B];

/// A public area, as the TPM marshals it (`TPMT_PUBLIC`, part 2, section 12.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public(pub Vec<u8>);

/// A key in the TPM, as `TPM2_ReadPublic` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its public area.
    pub public: Public,
    /// Its name: the hash algorithm and the hash of the public area.
    pub name: Vec<u8>,
    /// Its qualified name, which depends on all of its parents up to the hierarchy.
    pub qualified_name: Vec<u8>,
}

impl Public {
    /// The default RSA 2048 EK template (TCG EK Credential Profile 2.0, template L-1) with this `unique`.
    pub fn ek_template(unique: &[u8; UNIQUE_LENGTH]) -> TpmResult<Self> {
        let template = TpmtPublic {
            object_type: TpmAlgId::Rsa,
            name_alg: TpmAlgId::Sha256,
            object_attributes: TpmaObject::FIXED_TPM
                | TpmaObject::FIXED_PARENT
                | TpmaObject::SENSITIVE_DATA_ORIGIN
                | TpmaObject::ADMIN_WITH_POLICY
                | TpmaObject::RESTRICTED
                | TpmaObject::DECRYPT,
            auth_policy: Tpm2bDigest::try_from(EK_POLICY.as_slice())?,
            parameters: TpmuPublicParms::Rsa(TpmsRsaParms {
                symmetric: TpmtSymDef {
                    algorithm: TpmAlgId::Aes,
                    key_bits: TpmuSymKeyBits::Aes(TpmUint16::new(128)),
                    mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
                },
                scheme: TpmtRsaScheme::default(),
                key_bits: TpmUint16::new(2048),
                exponent: TpmUint32::new(0),
            }),
            unique: TpmuPublicId::Rsa(Tpm2bPublicKeyRsa::try_from(unique.as_slice())?),
        };
        let mut buffer = [0; TPM_MAX_COMMAND_SIZE];
        let mut writer = TpmWriter::new(&mut buffer);
        template.marshal(&mut writer)?;
        Ok(Self(writer.as_bytes().to_vec()))
    }

    /// Whether this is a key of the EK template: the same in all but `unique`.
    #[must_use]
    pub fn is_of_ek_template(&self) -> bool {
        Self::ek_template(&[0; UNIQUE_LENGTH]).is_ok_and(|template| {
            let fixed = template.0.len() - UNIQUE_LENGTH;
            self.0.len() == template.0.len() && self.0[..fixed] == template.0[..fixed]
        })
    }

    /// The public key; none of a key that is not asymmetric, or of a curve that no certificate has.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        let public = self.parse()?;
        match (public.parameters, public.unique) {
            (TpmuPublicParms::Rsa(parameters), TpmuPublicId::Rsa(modulus)) => {
                let exponent = match parameters.exponent.value() {
                    0 => DEFAULT_EXPONENT,
                    other => other,
                };
                PublicKey::rsa(&modulus, &exponent.to_be_bytes()).ok()
            }
            (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) => {
                PublicKey::elliptic(curve_name(parameters.curve_id)?, &point.x, &point.y)
            }
            _ => None,
        }
    }

    /// Whether keys that never leave the TPM can be made under this one with nothing but a password: a
    /// restricted decryption key (part 1, "Protected Storage Hierarchy") that is itself fixed to the TPM, and
    /// whose user role takes a password.
    #[must_use]
    pub fn is_storage_parent(&self) -> bool {
        let Some(public) = self.parse() else { return false };
        let attributes = public.object_attributes;
        matches!(public.object_type, TpmAlgId::Rsa | TpmAlgId::Ecc | TpmAlgId::SymCipher)
            && attributes.contains(TpmaObject::FIXED_TPM | TpmaObject::USER_WITH_AUTH)
            && attributes.contains(TpmaObject::RESTRICTED | TpmaObject::DECRYPT)
            && !attributes.contains(TpmaObject::SIGN_ENCRYPT)
    }

    /// Whether the key can be used in dictionary-attack lockout (`noDA`, part 2, section 8.3).
    #[must_use]
    pub fn is_exempt_from_lockout(&self) -> bool {
        self.parse().is_some_and(|public| public.object_attributes.contains(TpmaObject::NO_DA))
    }

    /// Whether `name` is the name of an object with this public area; true where its name algorithm is
    /// not known here.
    #[must_use]
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.0.get(2..4).and_then(|algorithm| name_of(algorithm, &self.0)).is_none_or(|own| own == name)
    }

    fn parse(&self) -> Option<TpmtPublic> {
        TpmtPublic::unmarshal(&self.0).ok().filter(|(_, rest)| rest.is_empty()).map(|(public, _)| public)
    }
}

impl Key {
    /// Whether this is a primary key of the endorsement hierarchy: its qualified name is made from that
    /// hierarchy's handle and its own name alone (part 1, section 16, "Names").
    #[must_use]
    pub fn is_endorsement_primary(&self) -> bool {
        let parents = [&ENDORSEMENT_HIERARCHY.to_be_bytes()[..], &self.name].concat();
        name_of(&SHA256, &self.public.0).as_ref() == Some(&self.name)
            && name_of(&SHA256, &parents).as_ref() == Some(&self.qualified_name)
    }
}

/// The name of an entity: its name algorithm and the hash of its public area by it (part 1, section 16,
/// "Names"). None where the algorithm is not known here.
fn name_of(algorithm: &[u8], public_area: &[u8]) -> Option<Vec<u8>> {
    let hash = match algorithm {
        [0x00, 0x0B] => Sha256::digest(public_area).to_vec(),
        [0x00, 0x0C] => Sha384::digest(public_area).to_vec(),
        [0x00, 0x0D] => Sha512::digest(public_area).to_vec(),
        _ => return None,
    };
    Some([algorithm, &hash].concat())
}

/// The curve's name in FIPS 186, for those that certificates have.
fn curve_name(curve: TpmEccCurve) -> Option<&'static str> {
    Some(match curve {
        TpmEccCurve::NistP224 => "P-224",
        TpmEccCurve::NistP256 => "P-256",
        TpmEccCurve::NistP384 => "P-384",
        TpmEccCurve::NistP521 => "P-521",
        _ => return None,
    })
}
