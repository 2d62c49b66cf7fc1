//! Which of a fleet a token is for.

use std::collections::HashSet;

/// Which of a fleet a token is for.
pub(in crate::actions) struct Terms<'a> {
    /// Hosts of the registry and its archive; all of them where nothing is given.
    pub only: Option<&'a [String]>,
    /// Hosts of the registry that the token is not for any more.
    pub leaves: &'a [String],
    /// Whether TPMs that are out of use leave the token, whoever had them.
    pub all_archived: bool,
    /// Whether rules of archived TPMs go, and nobody is added.
    pub withdraw: bool,
    /// Whether the rules of all others go.
    pub prune: bool,
}

impl Terms<'_> {
    /// Whether a token is for what has this name, or none.
    pub(super) fn is_asked(&self) -> impl Fn(Option<&str>) -> bool {
        let only: Option<HashSet<&str>> = self.only.map(|only| only.iter().map(String::as_str).collect());
        move |name| only.as_ref().is_none_or(|only| name.is_some_and(|name| only.contains(name)))
    }
}
