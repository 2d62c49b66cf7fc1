//! Scopes: parts of a cluster with resources of their own. They are new in Teleport and unstable (`TELEPORT_UNSTABLE_SCOPES=yes`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands between a scope and the name of a resource in it.
const SEPARATOR: &str = "::";

/// A scope, such as `/prod/eu`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// What to tell people who use one.
    pub const WARNING: &'static str = "scopes are new in Teleport and may change: `scope` (tbot_scope) works with a cluster only where \
                                       TELEPORT_UNSTABLE_SCOPES=yes is set for it, for tctl and for tbot";

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a resource, with the scope that it is in.
    #[must_use]
    pub fn qualify(&self, name: &str) -> String {
        format!("{}{SEPARATOR}{name}", self.0)
    }

    /// The name alone; none where it is of another scope.
    #[must_use]
    pub fn unqualified<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix(self.as_str())?.strip_prefix(SEPARATOR)
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 255;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_plain);
        let is_scope =
            text.strip_prefix('/').is_some_and(|rest| rest.is_empty() || rest.split('/').all(is_part));
        if !is_scope || text.len() > LONGEST {
            return Err(format!(
                "invalid scope {text:?}: write it as a path such as /prod/eu, of letters, digits and any of - _ . (at most {LONGEST})"
            ));
        }
        Ok(Self(text))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_are_plain_absolute_paths() {
        for right in ["/", "/prod", "/prod/eu-1", "/a_b/c.d"] {
            assert!(Scope::try_from(right.to_owned()).is_ok(), "{right}");
        }
        for wrong in
            ["", "prod", "/prod/", "//", "/a//b", "/a/../b", "/.", "/a::b", "/a b", "/ä", &"/a".repeat(200)]
        {
            assert!(Scope::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        let scope = Scope::try_from("/prod".to_owned()).unwrap();
        assert_eq!(scope.qualify("web"), "/prod::web");
        assert_eq!(scope.unqualified("/prod::web"), Some("web"));
        assert_eq!((scope.unqualified("/prod/eu::web"), scope.unqualified("web")), (None, None));
    }
}
