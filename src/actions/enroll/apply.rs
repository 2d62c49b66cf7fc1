//! What `enroll` does to a cluster once everything is decided.

use std::collections::BTreeSet;

use super::decision::Decision;
use super::marks::Mark;
use super::parameters::Asked;
use crate::error::Result;
use crate::protocol::Request;
use crate::teleport::tctl::{Resource, Tctl};
use crate::teleport::{Token, yaml};

/// Takes tokens that are about to be removed out of the marks that name them, whichever layout has made them. It comes first: a run that
/// ends in between is done again, while a token that is gone and still named would stop each later one.
pub(super) fn forget(
    request: &Request,
    asked: &Asked,
    decision: &Decision<'_>,
    hosts: &BTreeSet<String>,
) -> Result<()> {
    let removed: Vec<String> = decision.to_remove().iter().map(ToString::to_string).collect();
    if removed.is_empty() || !asked.write_files {
        return Ok(());
    }
    for unit in asked.layout.makers(&removed, hosts)? {
        if let Some(file) = &unit.file {
            Mark::beside(file)?.forget(request, &removed)?;
        }
    }
    Ok(())
}

/// The bot first, since a cluster refuses tokens of one that it does not have.
pub(super) fn all(tctl: &Tctl, decision: &Decision<'_>, tokens: &[&Token]) -> Result<()> {
    if let Some(bot) = &decision.bot.after {
        tctl.create(&yaml::write(bot))?;
    }
    if !tokens.is_empty() {
        let documents: Vec<String> = tokens.iter().map(|token| token.to_yaml()).collect();
        tctl.create(&documents.join("---\n"))?;
    }
    for name in decision.to_remove() {
        // Another run may have been quicker.
        tctl.remove(Resource::Token(name))?;
    }
    Ok(())
}
