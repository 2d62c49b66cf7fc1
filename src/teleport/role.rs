//! The system roles that a join token can give.

use serde::{Deserialize, Serialize};

/// Every name that Teleport's documentation gives for a service that joins by a token.
const KNOWN: [&str; 11] =
    ["App", "Auth", "Bot", "Db", "Discovery", "Kube", "MDM", "Node", "Okta", "Proxy", "WindowsDesktop"];

/// A system role, written as Teleport writes it; the cluster takes any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(String);

impl Role {
    /// The role of `tbot`.
    #[must_use]
    pub fn bot() -> Self {
        Self("Bot".to_owned())
    }

    /// Whether this is the role of `tbot`.
    #[must_use]
    pub fn is_bot(&self) -> bool {
        self.0 == "Bot"
    }

    /// Whether this text names the role of `tbot`.
    #[must_use]
    pub fn names_bot(text: &str) -> bool {
        text.eq_ignore_ascii_case("bot")
    }

    /// A role that a token has, written as Teleport writes it; one that only newer clusters know as it is.
    #[must_use]
    pub fn in_its_own_case(text: String) -> String {
        Self::try_from(text.clone()).map_or(text, String::from)
    }
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let same = |known: &&&str| known.eq_ignore_ascii_case(&text.replace('_', ""));
        match KNOWN.iter().find(same) {
            Some(known) => Ok(Self((*known).to_owned())),
            None => Err(format!("a cluster refuses the role {text:?}; it knows {}", KNOWN.join(", "))),
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.0
    }
}
