//! What the cluster has of a fleet.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use time::OffsetDateTime;

use super::layout::{Layout, Unit};
use crate::error::{Kind, Result};
use crate::teleport::tctl::{Resource, Tctl};
use crate::teleport::{self, Bot, Name, Scope, Source, Token};

const ANSWER: Source<'static> = Source { name: "the cluster", malformed: Kind::Conflict };

/// The bot and the tokens, as they were read.
pub(super) struct State {
    pub bot: Option<Bot>,
    /// The fleet's tokens, of its layout and of others that it may have had.
    pub tokens: Vec<Token>,
    /// The names of all tokens that were read, of whatever kind they are.
    pub names: HashSet<String>,
    /// Whether these are all that there are.
    pub is_whole: bool,
}

impl State {
    /// Warnings about locks by which nobody can join. That they cannot be read stands in nobody's way.
    pub(super) fn locks(&self, tctl: &Tctl, bot_name: Option<&Name>, tokens: &[&str]) -> Vec<String> {
        let Ok(Some(locks)) = tctl.locks() else { return Vec::new() };
        let user = match &self.bot {
            Some(bot) => Some(bot.user()),
            None => bot_name.map(Bot::user_of),
        };
        teleport::lock::warnings(&locks, user.as_deref(), tokens, OffsetDateTime::now_utc())
    }
}

/// How to read them.
pub(super) struct Reader<'a> {
    pub tctl: &'a Tctl,
    pub layout: &'a Layout,
    pub bot_name: Option<&'a Name>,
    pub scope: Option<&'a Scope>,
    /// The hosts that are or were in the registry.
    pub hosts: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// The bot, and the layout's token, or all tokens.
    pub(super) fn read(&self, units: &[Unit], all: bool) -> Result<State> {
        let bot = self.bot_name.map(|name| self.tctl.get(Resource::Bot(name))).transpose()?.flatten();
        let bot = bot.map(Bot::from_value).transpose()?;
        let values = if all {
            self.tctl.tokens()?
        } else {
            self.tctl.get(Resource::Token(&self.layout.name))?.into_iter().collect()
        };
        let names = values.iter().filter_map(name).map(str::to_owned).collect();
        let mut tokens = values;
        tokens.retain(|token| self.is_fleets(token, units));
        let tokens = teleport::read_tokens(Value::Array(tokens), ANSWER)?;
        Ok(State { bot, tokens, names, is_whole: all })
    }

    /// All tokens by TPM, of other fleets as well. Those of other join methods may be secrets.
    pub(super) fn tokens_by_tpm(&self) -> Result<Vec<Value>> {
        let mut tokens = self.tctl.tokens_of_all_scopes()?;
        tokens.retain(|token| token["spec"]["join_method"] == "tpm");
        Ok(tokens)
    }

    /// Whether a resource is one of the fleet's tokens. Tokens of another bot may have names like those of a former layout; one of the
    /// layout's own name is told of later.
    fn is_fleets(&self, resource: &Value, units: &[Unit]) -> bool {
        let Some(name) = name(resource) else { return false };
        if units.iter().any(|unit| unit.builds(name)) {
            return true;
        }
        let spec = &resource["spec"];
        let bot = match self.scope {
            Some(scope) => spec["bot"].as_str().and_then(|bot| scope.unqualified(bot)),
            None => spec["bot_name"].as_str().filter(|bot| !bot.is_empty()),
        };
        self.layout.is_fleets(name, self.hosts)
            && spec["join_method"] == "tpm"
            && bot == self.bot_name.map(Name::as_str)
    }
}

fn name(resource: &Value) -> Option<&str> {
    resource["metadata"]["name"].as_str()
}
