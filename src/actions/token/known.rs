//! What a token has to know of a fleet.

use std::collections::HashSet;
use std::sync::Arc;

use crate::teleport::{Identity, Token, Untouched};

/// Who is to be let in, and who no longer.
#[derive(Default)]
pub(in crate::actions) struct Known {
    /// The hosts that are to be let in.
    pub hosts: Vec<Identity>,
    /// TPMs that are not to be let in any more, none of which a host has.
    pub archived: Vec<Identity>,
    /// What hosts are or were called, whatever else is known of them, and what their rules say or said.
    pub names: Arc<HashSet<String>>,
    /// Hosts whose rules stay, since too little is known of them.
    pub untouched: Untouched,
    pub warnings: Vec<String>,
}

impl Known {
    /// Whether a token of these rules neither lets anybody in nor is to.
    pub(in crate::actions) fn is_about_nobody(&self, current: &[Token]) -> bool {
        self.hosts.is_empty() && self.archived.is_empty() && current.is_empty()
    }

    /// Whether `prune` would take others' rules away, and not only those of archived TPMs.
    pub(super) fn would_prune_all(&self, current: &[Token]) -> bool {
        let archived: HashSet<&str> = self.archived.iter().filter_map(Identity::hash).collect();
        let is_others = |hash: &str| !hash.is_empty() && !archived.contains(&*hash.to_ascii_lowercase());
        let mut rules = current.iter().flat_map(Token::rules);
        self.hosts.is_empty() && (archived.is_empty() || rules.any(|rule| is_others(&rule.ek_public_hash)))
    }
}
