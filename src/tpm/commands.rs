//! The TPM commands that identities need, and what comes of them: the seam between what is done with a
//! TPM and the two ways to reach one.

use super::public::{Key, Public};
use super::response_code::ResponseCode;
use crate::error::{Error, Kind};

/// A connection to one TPM that can send these commands (TPM 2.0 Library, part 3).
///
/// What its primary keys occupy in the TPM is flushed when it is dropped, on a panic too.
pub trait Commands {
    /// `TPM2_GetCapability` of `TPM_CAP_TPM_PROPERTIES`: up to `count` properties from `first` on.
    fn properties(&mut self, first: u32, count: u32) -> Outcome<PropertyList>;

    /// `TPM2_GetCapability` of `TPM_CAP_HANDLES`: up to `count` NV indexes from `first` on.
    fn nv_indexes(&mut self, first: u32, count: u32) -> Outcome<HandleList>;

    /// `TPM2_NV_ReadPublic`.
    fn nv_public(&mut self, index: u32) -> Outcome<NvPublic>;

    /// `TPM2_NV_Read`, authorised with an empty password; as many bytes as asked for.
    fn nv_read(&mut self, index: u32, by: NvAuthorization, size: u16, offset: u16) -> Outcome<Vec<u8>>;

    /// `TPM2_ReadPublic` of a persistent key. None where it has a public area that the way to the TPM
    /// does not know.
    fn read_public(&mut self, handle: u32) -> Outcome<Option<Key>>;

    /// `TPM2_CreatePrimary` in the endorsement hierarchy, authorised with an empty password.
    fn create_primary(&mut self, template: &Public) -> Outcome<Primary>;

    /// `TPM2_FlushContext`.
    fn flush(&mut self, primary: u32) -> Outcome<()>;
}

/// What is public of an NV index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NvPublic {
    /// Bytes that it holds.
    pub size: u16,
    /// Whether it may be read with its own password, and a wrong one is counted nowhere (part 2, section 13.4:
    /// `TPMA_NV_AUTHREAD`, `TPMA_NV_NO_DA`, and `TPM_NT_ORDINARY`, since a PIN counts by itself).
    pub is_safe_to_try: bool,
}

/// Bits of `TPMA_NV`.
const AUTHREAD: u32 = 1 << 18;
const NO_DA: u32 = 1 << 25;
const TPM_NT: u32 = 0xF0;

impl NvPublic {
    /// By the attributes as the TPM sends them.
    pub fn new(size: u16, attributes: u32) -> Self {
        Self { size, is_safe_to_try: attributes & (AUTHREAD | NO_DA | TPM_NT) == AUTHREAD | NO_DA }
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

/// Properties by number, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyList {
    /// Numbers (`TPM_PT`, part 2, section 6.13) and values.
    pub list: Vec<(u32, u32)>,
    /// Whether the TPM has more after these.
    pub more: bool,
}

/// Handles in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleList {
    /// The handles.
    pub list: Vec<u32>,
    /// Whether the TPM has more after these.
    pub more: bool,
}

/// A primary key that was just made, and occupies a slot until it is flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// What `flush` takes.
    pub handle: u32,
    /// Its public area.
    pub public: Public,
}

/// What comes of a command.
pub type Outcome<T> = Result<T, Failure>;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The TPM's own answer, which may mean something.
    Code(ResponseCode),
    /// The TPM cannot be reached, is too late, or answers nonsense.
    Broken(Error),
}

impl Failure {
    /// An answer that no TPM gives: `detail` says what is wrong with it.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::Broken(
            Error::new(Kind::TpmError, "the TPM's answer is malformed")
                .hint("check that `tcti` names a TPM 2.0, and update its firmware")
                .detail(detail),
        )
    }

    /// An answer that only a TPM 1.2 gives.
    pub fn tpm_1_2() -> Self {
        Self::Broken(
            Error::new(Kind::TpmNotFound, "this is a TPM 1.2, and tbot needs a TPM 2.0")
                .hint("look in the firmware settings whether the TPM can be switched to 2.0"),
        )
    }

    /// As an error: the TPM could not do `what`.
    #[must_use]
    pub fn while_doing(self, what: &str) -> Error {
        match self {
            Self::Code(code) => code.error(what),
            Self::Broken(error) => error,
        }
    }
}
