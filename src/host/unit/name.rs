//! Names of units.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// Characters of the longest name: a file's has at most 255, and `.service.d` is one.
const LONGEST: usize = 200;

/// The name of a service unit without its `.service` (systemd.unit(5)).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitName(Cow<'static, str>);

impl UnitName {
    /// A name that is known to be one when this is compiled: a default.
    #[must_use]
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name of the unit's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.service", self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix(".service").unwrap_or(&text);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(format!("{text:?} is no unit name: use letters, digits, and any of : - _ ."));
        }
        if name.len() > LONGEST {
            return Err(format!(
                "a unit name has at most {LONGEST} characters here, and this one {}",
                name.len()
            ));
        }
        // Drop-ins to it would be drop-ins to all units that begin so (systemd.unit(5)).
        if name.ends_with('-') {
            return Err(format!("{text:?} ends with a dash: that stands for every unit that begins so"));
        }
        Ok(Self(Cow::Owned(name.to_owned())))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::UnitName;

    #[test]
    fn a_unit_name_stays_inside_its_directory() {
        assert_eq!(UnitName::try_from("tbot.service".to_owned()).unwrap().file_name(), "tbot.service");
        for wrong in ["", "../tbot", "a/b", "a b", ".hidden", "a\nb", "tbot@", "tbot-", &"a".repeat(201)] {
            assert!(UnitName::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
