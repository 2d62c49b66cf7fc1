//! What a TPM says of itself: its maker, its firmware, and which passwords are set.

use std::ops::RangeInclusive;

use serde::Serialize;

/// `TPM_PT_FIXED` and the fixed properties that are read here (TPM 2.0 Library, part 2, section 6.13).
const TPM_PT_FIXED: u32 = 0x100;
const TPM_PT_REVISION: u32 = TPM_PT_FIXED + 2;
const TPM_PT_MANUFACTURER: u32 = TPM_PT_FIXED + 5;
const TPM_PT_VENDOR_STRINGS: RangeInclusive<u32> = TPM_PT_FIXED + 6..=TPM_PT_FIXED + 9;
const TPM_PT_FIRMWARE_VERSIONS: [u32; 2] = [TPM_PT_FIXED + 11, TPM_PT_FIXED + 12];
const TPM_PT_NV_BUFFER_MAX: u32 = TPM_PT_FIXED + 44;
/// The state of the hierarchies' passwords (`TPMA_PERMANENT`, section 8.6).
const TPM_PT_PERMANENT: u32 = 0x200;
const OWNER_AUTH_SET: u32 = 1 << 0;
const ENDORSEMENT_AUTH_SET: u32 = 1 << 1;
const LOCKOUT_AUTH_SET: u32 = 1 << 2;
const IN_LOCKOUT: u32 = 1 << 9;
/// Which hierarchies are enabled (`TPMA_STARTUP_CLEAR`, section 8.7).
const TPM_PT_STARTUP_CLEAR: u32 = 0x201;
const OWNER_ENABLED: u32 = 1 << 1;
const ENDORSEMENT_ENABLED: u32 = 1 << 2;

/// Everything that `Properties::from_list` looks for, as the ranges to ask the TPM for.
pub(super) const WANTED: [RangeInclusive<u32>; 2] =
    [TPM_PT_FIXED..=TPM_PT_NV_BUFFER_MAX, TPM_PT_PERMANENT..=TPM_PT_STARTUP_CLEAR];

/// Bytes that any TPM of the PC Client profile takes in one NV command, for one that does not say.
const SMALLEST_NV_BUFFER: u16 = 512;
/// Bytes that tpm2-protocol takes in one NV command.
const LARGEST_NV_BUFFER: u16 = 1024;

/// What a TPM says of itself. What it does not say is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Properties {
    /// The manufacturer's identifier in the TCG's registry: `IFX`, `STM`, `INTC`, ….
    pub manufacturer: Option<String>,
    /// The manufacturer's own words for the model, from `TPM_PT_VENDOR_STRING_1` to `_4`.
    pub vendor: Option<String>,
    /// The firmware's version: the four 16-bit numbers of `TPM_PT_FIRMWARE_VERSION_1` and `_2`, decimal,
    /// joined by dots.
    pub firmware_version: Option<String>,
    /// The revision of the TPM 2.0 Library specification: `1.38`.
    pub specification_revision: Option<String>,
    /// The owner hierarchy has a password.
    pub owner_auth_set: Option<bool>,
    /// The endorsement hierarchy has a password.
    pub endorsement_auth_set: Option<bool>,
    /// The lockout hierarchy has a password.
    pub lockout_auth_set: Option<bool>,
    /// The TPM is in dictionary-attack lockout: it refuses what a password protects, and what is not
    /// exempt from lockout.
    pub in_lockout: Option<bool>,
    /// The owner hierarchy can be used.
    #[serde(skip)]
    pub owner_enabled: Option<bool>,
    /// The endorsement hierarchy can be used.
    #[serde(skip)]
    pub endorsement_enabled: Option<bool>,
    /// Bytes to read from NV memory at once.
    #[serde(skip)]
    pub(super) nv_block: u16,
}

impl Properties {
    /// From numbers and values as the TPM gave them.
    pub(super) fn from_list(list: &[(u32, u32)]) -> Self {
        let value = |number: u32| list.iter().find(|found| found.0 == number).map(|found| found.1);
        let flag = |bit: u32| value(TPM_PT_PERMANENT).map(|flags| flags & bit != 0);
        let enabled = |bit: u32| value(TPM_PT_STARTUP_CLEAR).map(|flags| flags & bit != 0);
        let vendor: Vec<u8> = TPM_PT_VENDOR_STRINGS.filter_map(value).flat_map(u32::to_be_bytes).collect();
        let [first, second] = TPM_PT_FIRMWARE_VERSIONS.map(value);
        let nv_buffer = value(TPM_PT_NV_BUFFER_MAX).map(|bytes| u16::try_from(bytes).unwrap_or(u16::MAX));
        Self {
            manufacturer: value(TPM_PT_MANUFACTURER).and_then(|id| text(&id.to_be_bytes())),
            vendor: text(&vendor),
            firmware_version: first.zip(second).map(|(first, second)| {
                format!("{}.{}.{}.{}", first >> 16, first & 0xFFFF, second >> 16, second & 0xFFFF)
            }),
            specification_revision: value(TPM_PT_REVISION)
                .map(|revision| format!("{}.{:02}", revision / 100, revision % 100)),
            owner_auth_set: flag(OWNER_AUTH_SET),
            endorsement_auth_set: flag(ENDORSEMENT_AUTH_SET),
            lockout_auth_set: flag(LOCKOUT_AUTH_SET),
            in_lockout: flag(IN_LOCKOUT),
            owner_enabled: enabled(OWNER_ENABLED),
            endorsement_enabled: enabled(ENDORSEMENT_ENABLED),
            nv_block: nv_buffer
                .filter(|bytes| *bytes > 0)
                .unwrap_or(SMALLEST_NV_BUFFER)
                .min(LARGEST_NV_BUFFER),
        }
    }
}

/// Characters padded with zero bytes, as TPMs give them four at a time; other bytes than printable ASCII
/// are left out. None where nothing remains.
fn text(bytes: &[u8]) -> Option<String> {
    let printable: String =
        bytes.iter().filter(|byte| matches!(byte, b' '..=b'~')).map(|byte| char::from(*byte)).collect();
    Some(printable.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Properties;

    #[test]
    fn properties_are_shown_as_people_know_them() {
        let properties = Properties::from_list(&[
            (0x102, 138),
            (0x105, u32::from_be_bytes(*b"IFX\0")),
            (0x106, u32::from_be_bytes(*b"SLB9")),
            (0x107, u32::from_be_bytes(*b"670\0")),
            (0x108, 0),
            (0x109, 0),
            (0x10B, 0x0007_0055),
            (0x10C, 0x0011_CB00),
            (0x12C, 768),
            (0x200, 0b10_0000_0101),
            (0x201, 0b1011),
        ]);
        assert_eq!(properties.manufacturer.as_deref(), Some("IFX"));
        assert_eq!(properties.vendor.as_deref(), Some("SLB9670"));
        assert_eq!(properties.firmware_version.as_deref(), Some("7.85.17.51968"));
        assert_eq!(properties.specification_revision.as_deref(), Some("1.38"));
        assert_eq!(properties.owner_auth_set, Some(true));
        assert_eq!(properties.endorsement_auth_set, Some(false));
        assert_eq!(properties.lockout_auth_set, Some(true));
        assert_eq!(properties.in_lockout, Some(true));
        assert_eq!(properties.owner_enabled, Some(true));
        assert_eq!(properties.endorsement_enabled, Some(false));
        assert_eq!(properties.nv_block, 768);
    }

    #[test]
    fn what_a_tpm_does_not_say_is_none() {
        let properties = Properties::from_list(&[(0x105, 0x1b5b_0000), (0x12C, 0)]);
        assert_eq!(properties.manufacturer.as_deref(), Some("["));
        assert_eq!(
            (properties.vendor, properties.firmware_version, properties.in_lockout),
            (None, None, None)
        );
        assert_eq!(properties.nv_block, 512);
        assert_eq!(Properties::from_list(&[(0x12C, 70_000)]).nv_block, 1024);
    }
}
