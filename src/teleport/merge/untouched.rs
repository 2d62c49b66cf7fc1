//! Hosts of which too little is known: nobody is locked out because a file of the registry is damaged.

use std::collections::{BTreeSet, HashSet};

use super::rules::Union;
use crate::message::shown;
use crate::teleport::Rule;

/// Hosts whose TPM is not known, or not theirs alone. No rule that may be theirs goes unless it is named.
#[derive(Debug, Clone, Default)]
pub struct Untouched {
    /// The names of hosts whose entries cannot be used.
    pub names: BTreeSet<String>,
    /// Whether there are such hosts whose names are not known either.
    pub has_nameless: bool,
    /// The names of hosts that share a TPM, as two cloned machines do; one of their entries may be wrong.
    pub clones: BTreeSet<String>,
    /// The hashes of these TPMs.
    pub hashes: HashSet<String>,
}

impl Untouched {
    /// Whether the rule is one of these hosts'.
    #[must_use]
    pub fn covers(&self, rule: &Rule) -> bool {
        [&self.names, &self.clones].iter().any(|names| names.contains(&rule.description))
            || self.hashes.contains(&rule.ek_public_hash)
    }

    /// Why any rule may be one of these hosts', in words: there is a host under whose name there is none.
    pub fn may_have_any(&self, union: &Union) -> Option<String> {
        let described: HashSet<&str> =
            union.entries.iter().map(|entry| entry.rule.description.as_str()).collect();
        let hidden: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| !described.contains(name)).collect();
        if !hidden.is_empty() {
            return Some(format!(
                "these hosts' entries in the registry cannot be read, and no rule has their names: {}",
                shown(&hidden)
            ));
        }
        self.has_nameless
            .then(|| "the registry has files that cannot be read, under names that are not UTF-8".to_owned())
    }
}
