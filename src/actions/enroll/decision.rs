//! What becomes of a fleet's tokens and its bot, before anything is applied.

use std::collections::BTreeSet;

use super::bot_change::BotChange;
use super::cluster::State;
use super::former::{Former, former};
use super::layout::Unit;
use super::parameters::Asked;
use crate::actions::ekcert_ca::{self, Found};
use crate::actions::token::{Fleet, Outlook, Output, Plan, Terms};
use crate::error::{Kind, Result};
use crate::ordered;
use crate::protocol::Request;
use crate::teleport::{Name, Token};

/// All of it.
pub(super) struct Decision<'a> {
    pub built: Vec<Built<'a>>,
    /// Tokens of former layouts that TPMs leave which are out of use.
    pub former: Vec<Former>,
    /// The CAs that were looked for.
    pub cas: Option<Found>,
    pub bot: BotChange,
    /// Whether earlier tasks would have recorded hosts, so that it is not known.
    pub is_unknown: bool,
    pub warnings: Vec<String>,
}

/// The tokens of a unit.
pub(super) struct Built<'a> {
    pub unit: &'a Unit,
    pub output: Output<'a>,
    pub plan: Plan,
}

/// Decides about everything. Nothing is written or applied, so that it may fail at any place.
pub(super) fn decide<'a>(
    request: &Request,
    asked: &Asked,
    units: &'a [Unit],
    fleet: &Fleet,
    state: Option<&State>,
    known_cas: Option<Found>,
) -> Result<Decision<'a>> {
    let mut outputs = Vec::with_capacity(units.len());
    for unit in units {
        let current = state.map(|state| unit.own(&state.tokens).cloned().collect());
        outputs.push((unit, Output::inspect(unit.file.as_ref(), current)?));
    }
    let cas = match known_cas.filter(|found| has_all_cas(found, state)) {
        Some(found) => Some(found),
        // For the first time, or again where another run has put in CAs since: those of its hosts have to stay.
        None => find_cas(asked, fleet, state, &outputs)?,
    };
    let bot = BotChange::of(asked, state)?;
    let (mut built, mut warnings, mut is_unknown) = (Vec::new(), Vec::new(), false);
    // Where no token is left, none is made for hosts that have no CA.
    let has_tokens = state.map_or(outputs.iter().any(|(_, output)| !output.in_file().is_empty()), |state| {
        !state.tokens.is_empty()
    });
    let nothing =
        asked.takes_away && !has_tokens && cas.as_ref().is_some_and(|found| found.allowed.is_empty());
    for (unit, output) in if nothing { Vec::new() } else { outputs } {
        match outlook(request, asked, unit, &output, fleet, cas.as_ref())? {
            // One that is for some of the hosts only may be for nobody who is known.
            None => {}
            Some(Outlook::Unknown(why)) => {
                is_unknown = true;
                warnings.extend(why);
            }
            Some(Outlook::Planned(plan, of_plan)) => {
                warnings.extend(of_plan);
                built.push(Built { unit, output, plan: *plan });
            }
        }
    }
    warnings.extend(bot.warning(asked));
    let former =
        state.map(|state| former(request, asked, units, fleet, state)).transpose()?.unwrap_or_default();
    Ok(Decision { built, former, cas, bot, is_unknown, warnings })
}

/// What the tokens of one unit become.
fn outlook(
    request: &Request,
    asked: &Asked,
    unit: &Unit,
    output: &Output<'_>,
    fleet: &Fleet,
    cas: Option<&Found>,
) -> Result<Option<Outlook>> {
    let mut parameters = asked.token.clone();
    parameters.name = unit.name.clone();
    if let Some(host) = &unit.host {
        parameters.only = Some(vec![host.clone()]);
    }
    // Without any, the tokens keep those that they have.
    if let Some(found) = cas.filter(|found| !found.allowed.is_empty()) {
        parameters.ekcert_allowed_cas = Some(found.allowed.clone());
    }
    let only = parameters.only.clone();
    // A host's own token may have been a shard, which is called so where the host is called by a number.
    let terms = Terms {
        only: only.as_deref().filter(|only| asked.is_for_some || !only.is_empty()),
        leaves: &asked.leaves,
        all_archived: unit.host.is_some() || asked.is_for_some,
        withdraw: parameters.withdraw,
        prune: parameters.prune,
    };
    let known = fleet.known(&terms, output)?;
    if (asked.is_for_some || asked.is_for_nobody) && known.is_about_nobody(output.current()) {
        return Ok(None);
    }
    Outlook::of(parameters.without_hosts()?, known, output, request.controls.check_mode).map(Some)
}

/// Whether the cluster's tokens allow no other CAs than these.
fn has_all_cas(found: &Found, state: Option<&State>) -> bool {
    let known: Vec<&str> = found.allowed.iter().map(|ca| ca.trim()).collect();
    let mut there = state
        .into_iter()
        .flat_map(|state| &state.tokens)
        .flat_map(|token| &token.settings.ekcert_allowed_cas);
    there.all(|ca| known.contains(&ca.trim()))
}

/// Looks for the CAs, beside those that the tokens allow now. That there are none is no error where hosts are taken out of service
/// and no token is left.
fn find_cas(
    asked: &Asked,
    fleet: &Fleet,
    state: Option<&State>,
    outputs: &[(&Unit, Output<'_>)],
) -> Result<Option<Found>> {
    let Some(terms) = &asked.cas else { return Ok(None) };
    let current: Vec<Token> = match state {
        Some(state) => state.tokens.clone(),
        None => outputs.iter().flat_map(|(_, output)| output.in_file().to_vec()).collect(),
    };
    match ekcert_ca::search(terms.clone(), fleet.hosts(), fleet.problems(), &current) {
        Err(error)
            if asked.takes_away
                && current.is_empty()
                && matches!(error.kind, Kind::UntrustedCa | Kind::Network) =>
        {
            Ok(Some(Found::default()))
        }
        found => found.map(Some),
    }
}

impl Decision<'_> {
    /// The tokens to apply: those that differ from the cluster's.
    pub(super) fn to_apply(&self) -> Vec<&Token> {
        let built = self.built.iter().flat_map(|built| built.output.changed(&built.plan.merged.tokens));
        built.chain(self.former.iter().filter_map(|former| former.after.as_ref())).collect()
    }

    /// The cluster's tokens that are applied anew or removed, as they are now.
    pub(super) fn before(&self) -> Vec<&Token> {
        let names: Vec<&Name> =
            self.to_apply().iter().map(|token| &token.name).chain(self.to_remove()).collect();
        let built = self.built.iter().flat_map(|built| built.output.current());
        let all = built.chain(self.former.iter().map(|former| &former.before));
        all.filter(|token| names.contains(&&token.name)).collect()
    }

    /// The tokens that have no rule left.
    pub(super) fn to_remove(&self) -> Vec<&Name> {
        let built = self.built.iter().flat_map(|built| &built.plan.merged.delete);
        let former = self.former.iter().filter(|former| former.after.is_none());
        built.chain(former.map(|former| &former.before.name)).collect()
    }

    /// The names of a unit's tokens, as the cluster has them afterwards.
    pub(super) fn names<'t>(built: &'t Built<'_>) -> BTreeSet<&'t str> {
        ordered::set(built.plan.merged.tokens.iter().map(|token| token.name.as_str()))
    }
}
