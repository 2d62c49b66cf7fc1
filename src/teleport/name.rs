//! Names of tokens, bots and hosts, and descriptions of hosts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a token or a bot: ASCII letters, digits and signs that mean nothing to shells and
/// paths, since it becomes part of commands (`tctl get token/NAME`) and of the cluster's storage keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 255;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@+=".contains(c);
        let is_path = matches!(text.as_str(), "." | "..");
        if text.is_empty()
            || is_path
            || text.len() > LONGEST
            || text.starts_with('-')
            || !text.chars().all(plain)
        {
            return Err(format!(
                "{text:?} is no name: use letters, digits and any of - _ . : @ + = (at most {LONGEST}, not - first)"
            ));
        }
        Ok(Self(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name or value of a label: one line, in a length that every YAML reader takes as a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 255;
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(format!(
                "a label's name or value is one line of at most {LONGEST} bytes, not {text:?}"
            ));
        }
        Ok(Self(text))
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

/// What a rule says about its host, for people; it has no bearing on who may join. One line of text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

impl Description {
    /// The description as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Description {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 1024;
        if text.trim().is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(format!("a description is one line of at most {LONGEST} bytes, not {text:?}"));
        }
        Ok(Self(text))
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A host's name in the inventory, as it names a file of the registry: letters, digits, `.`, `_` and `-`, at most
/// 200, so that no name leads elsewhere or is hidden, and all have room for what the archive adds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 200;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.is_empty() || text.len() > LONGEST || text.starts_with('.') || !text.chars().all(plain) {
            let shown: String = text.chars().take(LONGEST).collect();
            return Err(format!(
                "{shown:?} cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most {LONGEST}, \
                 not '.' first), and put the address in `ansible_host`"
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
