//! Tokens of former layouts.

use super::cluster::State;
use super::layout::Unit;
use super::parameters::Asked;
use crate::actions::token::{Fleet, Outlook, Output, Terms};
use crate::error::{Error, Result};
use crate::protocol::Request;
use crate::teleport::Token;

/// A token of a former layout.
pub(super) struct Former {
    pub before: Token,
    /// None where it has no rule left.
    pub after: Option<Token>,
}

/// Takes TPMs that are out of use out of the tokens that the fleet had before it came to another number of them, or to one a host:
/// until they are retired they let in whom they list.
pub(super) fn former(
    request: &Request,
    asked: &Asked,
    units: &[Unit],
    fleet: &Fleet,
    state: &State,
) -> Result<Vec<Former>> {
    let is_former = |token: &&Token| !units.iter().any(|unit| unit.is_own(token.name.as_str()));
    let mut former = Vec::new();
    for before in state.tokens.iter().filter(is_former) {
        let after = withdrawn(request, asked, fleet, before)?;
        let is_same = after.as_ref().is_some_and(|after| after.means_the_same(before));
        if !is_same {
            former.push(Former { before: before.clone(), after });
        }
    }
    Ok(former)
}

fn withdrawn(request: &Request, asked: &Asked, fleet: &Fleet, before: &Token) -> Result<Option<Token>> {
    let output = Output::inspect(None, Some(vec![before.clone()]))?;
    let terms = Terms { only: None, leaves: &[], all_archived: true, withdraw: true, prune: false };
    let known = fleet.known(&terms, &output)?;
    let parameters = asked.token.to_withdraw(before.name.clone()).without_hosts()?;
    match Outlook::of(parameters, known, &output, request.controls.check_mode)? {
        Outlook::Planned(plan, _) => Ok(plan.merged.tokens.into_iter().next()),
        Outlook::Unknown(_) => Err(Error::invalid("the hosts are not known")),
    }
}
