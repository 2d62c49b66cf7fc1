//! TPM response codes: which of them decide something, and which only say "not now".

use std::fmt;

use tpm2_protocol::data::TpmRc;

use crate::error::{Error, Kind};

/// A response code other than success, as the TPM or the resource manager in front of it gave it (TPM
/// 2.0 Library, part 2, section 6.6). The two high bytes name the layer that it comes from; 0 is the TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(pub u32);

/// Set in a format-one code, which tells which handle, parameter or session is wrong.
const FORMAT_ONE: u32 = 0x080;
/// The error number of a format-one code.
const FORMAT_ONE_ERROR: u32 = 0x0BF;
/// Set, in a format-zero code, in warnings: conditions that pass.
const WARNING: u32 = 0x800;
/// Set in codes that a manufacturer defines.
const VENDOR: u32 = 0x400;
/// The layer that a code comes from.
const LAYER: u32 = 0xFFFF_0000;

const TPM_RC_INITIALIZE: u32 = 0x100;
const TPM_RC_FAILURE: u32 = 0x101;
const TPM_RC_HANDLE: u32 = 0x08B;
const TPM_RC_AUTH_FAIL: u32 = 0x08E;
const TPM_RC_BAD_AUTH: u32 = 0x0A2;
const TPM_RC_OBJECT_MEMORY: u32 = 0x902;
const TPM_RC_OBJECT_HANDLES: u32 = 0x906;
const TPM_RC_YIELDED: u32 = 0x908;
const TPM_RC_TESTING: u32 = 0x90A;
const TPM_RC_LOCKOUT: u32 = 0x921;
const TPM_RC_RETRY: u32 = 0x922;

impl ResponseCode {
    /// The code without the number of the handle, parameter or session that it is about.
    fn base(self) -> u32 {
        if self.0 & LAYER == 0 && self.0 & FORMAT_ONE != 0 { self.0 & FORMAT_ONE_ERROR } else { self.0 }
    }

    /// There is no object or NV index of that handle (part 3: `TPM2_ReadPublic`, `TPM2_NV_ReadPublic`).
    #[must_use]
    pub fn is_absent(self) -> bool {
        self.base() == TPM_RC_HANDLE
    }

    /// The password is wrong.
    #[must_use]
    pub fn is_wrong_password(self) -> bool {
        matches!(self.base(), TPM_RC_AUTH_FAIL | TPM_RC_BAD_AUTH)
    }

    /// The password is wrong, and the TPM counts that towards dictionary-attack lockout (part 1,
    /// "Dictionary Attack Protection").
    #[must_use]
    pub fn is_counted_against_password(self) -> bool {
        self.base() == TPM_RC_AUTH_FAIL
    }

    /// The TPM is in dictionary-attack lockout.
    #[must_use]
    pub fn is_lockout(self) -> bool {
        self.base() == TPM_RC_LOCKOUT
    }

    /// All of the TPM's slots for keys are taken.
    #[must_use]
    pub fn is_no_room(self) -> bool {
        matches!(self.base(), TPM_RC_OBJECT_MEMORY | TPM_RC_OBJECT_HANDLES)
    }

    /// The same command is to be sent again.
    #[must_use]
    pub fn asks_to_retry(self) -> bool {
        matches!(self.base(), TPM_RC_RETRY | TPM_RC_YIELDED | TPM_RC_TESTING)
    }

    /// The code is about the moment or the connection, not about what was asked for: what it was asked
    /// about may be different a minute later, so nothing may be concluded from it.
    #[must_use]
    pub fn is_passing(self) -> bool {
        let is_warning = self.0 & (FORMAT_ONE | VENDOR) == 0 && self.0 & WARNING != 0;
        self.0 & LAYER != 0
            || matches!(self.0, TPM_RC_INITIALIZE | TPM_RC_FAILURE)
            || (is_warning && !self.is_lockout())
    }

    /// The code as an error: the TPM could not do `what` ("make the EK").
    #[must_use]
    pub fn error(self, what: &str) -> Error {
        let error = match self.base() {
            TPM_RC_INITIALIZE => {
                Error::new(Kind::TpmError, format!("the TPM cannot {what}: it was not started"))
                    .hint("its firmware sends TPM2_Startup; for a software TPM, run `tpm2_startup -c`")
            }
            _ if self.asks_to_retry() => {
                Error::new(Kind::TpmBusy, format!("the TPM was too busy to {what}")).hint("try again later")
            }
            _ if self.is_no_room() => Error::new(
                Kind::TpmBusy,
                format!("the TPM has no room to {what}: other programs hold all of its slots"),
            )
            .hint("use the resource manager's device (/dev/tpmrm0), or `tpm2_flushcontext -t`"),
            _ => Error::new(Kind::TpmError, format!("the TPM could not {what}: {self}")),
        };
        error.detail(self.to_string())
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TpmRc::try_from(self.0) {
            Ok(name) => write!(formatter, "{name} ({:#x})", self.0),
            Err(_) => write!(formatter, "response code {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseCode;

    #[test]
    fn an_absent_handle_is_told_from_other_handle_errors() {
        assert!(ResponseCode(0x18B).is_absent() && ResponseCode(0x28B).is_absent());
        assert!(!ResponseCode(0x000B_018B).is_absent());
        assert!(!ResponseCode(0x184).is_absent());
    }

    #[test]
    fn conditions_that_pass_are_told_from_answers() {
        for passing in [0x100, 0x101, 0x902, 0x922, 0x923, 0x920, 0x8028_0400, 0x000A_000A, 0x0007_0005] {
            assert!(ResponseCode(passing).is_passing(), "{passing:#x}");
        }
        for answer in [0x921, 0x149, 0x14A, 0x148, 0x98E, 0x9A2, 0x12F, 0x500, 0xD00, 0x143] {
            assert!(!ResponseCode(answer).is_passing(), "{answer:#x}");
        }
    }

    #[test]
    fn a_code_is_shown_with_its_name_where_it_has_one() {
        assert_eq!(ResponseCode(0x921).to_string(), "TPM_RC_LOCKOUT (0x921)");
        assert_eq!(ResponseCode(0x500).to_string(), "response code 0x500");
        assert_eq!(ResponseCode(0x8028_0400).to_string(), "response code 0x80280400");
    }
}
