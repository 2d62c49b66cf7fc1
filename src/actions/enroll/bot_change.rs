//! What becomes of the bot.

use serde_json::Value;

use super::cluster::State;
use super::parameters::Asked;
use crate::error::Result;
use crate::teleport::Bot;

/// What becomes of the bot.
pub(super) struct BotChange {
    /// As the cluster has it.
    pub before: Option<Value>,
    /// As it is to be; none where it is as it should be, or is not managed.
    pub after: Option<Value>,
    /// How answers call that; none where it is not known, or there is no bot.
    pub state: Option<&'static str>,
}

impl BotChange {
    pub(super) fn of(asked: &Asked, state: Option<&State>) -> Result<Self> {
        let current = state.and_then(|state| state.bot.as_ref());
        let after = match (&asked.bot, state) {
            (Some(terms), Some(_)) => terms.resource(current)?,
            _ => None,
        };
        let state = match (state, current, &after) {
            (None, ..) => None,
            (Some(_), None, None) => asked.bot_name.as_ref().map(|_| "missing"),
            (Some(_), None, Some(_)) => Some("made"),
            (Some(_), Some(_), None) => Some("unchanged"),
            (Some(_), Some(_), Some(_)) => Some("updated"),
        };
        Ok(Self { before: current.map(Bot::as_value), after, state })
    }

    /// That nobody makes it.
    pub(super) fn warning(&self, asked: &Asked) -> Option<String> {
        let name =
            asked.bot_name.as_ref().filter(|_| self.state == Some("missing") && !asked.is_for_nobody)?;
        Some(format!(
            "the cluster has no bot `{name}`, so that no host can join: give `bot.roles` to have it made, or make it by a resource of \
             kind bot"
        ))
    }
}
