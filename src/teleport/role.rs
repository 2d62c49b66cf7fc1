//! The system roles that a join token can give.

use serde::{Deserialize, Serialize};

use crate::message::shown;

/// Every name that Teleport's documentation gives for a service that joins by a token.
const KNOWN: [&str; 12] = [
    "App",
    "Auth",
    "Bot",
    "Db",
    "Discovery",
    "Kube",
    "MDM",
    "Node",
    "Okta",
    "Proxy",
    "Relay",
    "WindowsDesktop",
];

/// A system role, written as Teleport writes it; the cluster takes any case. One that is not known here may be of a newer cluster.
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

    /// What to say of the roles that a token is to give: of those that are not known here, and of repeated ones.
    #[must_use]
    pub fn warnings(roles: &[Self]) -> Vec<String> {
        let texts = |is_meant: &dyn Fn(usize, &Self) -> bool| {
            let meant = roles.iter().enumerate().filter(|(index, role)| is_meant(*index, role));
            let mut texts: Vec<&str> = meant.map(|(_, role)| role.0.as_str()).collect();
            texts.dedup();
            texts
        };
        let unknown =
            texts(&|index, role| !KNOWN.contains(&role.0.as_str()) && !roles[..index].contains(role));
        let repeated = texts(&|index, role| roles[..index].contains(role));
        let mut warnings = Vec::new();
        if !unknown.is_empty() {
            warnings.push(format!(
                "`roles` has {}, which this version does not know: the cluster refuses the token unless it knows that role. Known are {}",
                shown(&unknown),
                KNOWN.join(", ")
            ));
        }
        if !repeated.is_empty() {
            warnings.push(format!("`roles` names {} more than once; once is enough", shown(&repeated)));
        }
        warnings
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
        if let Some(known) = KNOWN.iter().find(same) {
            return Ok(Self((*known).to_owned()));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.chars().all(is_word) && !text.is_empty() {
            return Ok(Self(text));
        }
        Err(format!("{text:?} cannot be a role: a cluster knows {}", KNOWN.join(", ")))
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.0
    }
}
