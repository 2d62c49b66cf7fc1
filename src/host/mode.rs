//! File modes as Ansible's users write them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

const ALL_BITS: u32 = 0o7777;

/// The permission bits of a file. A text is octal (`"0700"`); a number is what it is, as in
/// Ansible's file module, where YAML has read an unquoted `0700` as 448.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// A mode from its bits; others are cut off.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits & ALL_BITS)
    }

    /// The bits, as `chmod(2)` takes them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModeVisitor)
    }
}

struct ModeVisitor;

impl Visitor<'_> for ModeVisitor {
    type Value = Mode;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an octal mode in quotes, such as \"0700\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mode, E> {
        match u32::try_from(number) {
            Ok(bits) if bits <= ALL_BITS => Ok(Mode(bits)),
            _ => Err(E::custom(format!("{number} is no mode; write it as an octal text, such as \"0700\""))),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
        let digits = text.trim().trim_start_matches("0o");
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= ALL_BITS && !digits.starts_with('+') => Ok(Mode(bits)),
            _ => Err(E::custom(format!("{text:?} is no mode; write it in octal, such as \"0700\""))),
        }
    }
}
