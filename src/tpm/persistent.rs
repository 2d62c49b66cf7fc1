//! The persistent keys that a join will use, besides the EK's identity itself.

use super::connection::Tpm;
use super::public::Key;
use crate::error::Result;

/// Where the storage root key of the RSA 2048 profile is kept (TCG TPM v2.0 Provisioning Guidance,
/// reserved handles).
pub const STORAGE_KEY: u32 = 0x8100_0001;
/// Where the RSA 2048 EK is kept (same place).
pub const ENDORSEMENT_KEY: u32 = 0x8101_0001;

/// What is at a persistent handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A key.
    Key(Key),
    /// A key of a kind that is not known here, or that the TPM does not show.
    Unknown,
}

/// The persistent keys that a join will use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistentKeys {
    /// At `0x81000001`: the storage key, under which a join makes its attestation key.
    pub storage: Slot,
    /// At `0x81010001`: the EK, to which a join lets the cluster encrypt its challenge.
    pub endorsement: Slot,
}

impl PersistentKeys {
    /// Reads both public areas.
    pub fn read(tpm: &mut Tpm) -> Result<Self> {
        Ok(Self { storage: tpm.read_slot(STORAGE_KEY)?, endorsement: tpm.read_slot(ENDORSEMENT_KEY)? })
    }
}
