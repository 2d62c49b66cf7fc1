//! Hosts into the tokens that a cluster has, without losing anyone who is not meant to go.
//!
//! A request's hosts are merged into the rules of all of a fleet's tokens together ([`rules`]), some rules
//! are dropped where that is asked for ([`removal`]), and what is left is put into tokens again
//! ([`placement`]). Nothing depends on the order of hosts, tokens or rules, and merging the result with the
//! same request again changes nothing, except that rules are retired only once their own token has them.

mod placement;
mod removal;
mod rules;
mod sizes;
mod untouched;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use super::shards::Place;
use super::{Identity, Label, Name, Role, Scope, Settings, Shards, Timestamp, Token};
use crate::error::{Error, Kind, Result};
pub use untouched::Untouched;

/// What a rule compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The EK's public key.
    #[default]
    Hash,
    /// The EK's public key and the EK certificate's serial number, where there is one.
    HashAndSerial,
}

/// What a fleet's tokens should become.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which tokens there should be.
    pub shards: Shards,
    /// What they should say besides their rules.
    pub changes: Changes,
    /// The hosts that should be let in, each with a TPM and a name of its own ([`super::distinct`]).
    pub hosts: Vec<Identity>,
    /// Hosts that get no rule, since the cluster would refuse them anyway. A rule that they have stays.
    pub skipped: Vec<Identity>,
    /// TPMs that are out of use: the rules of their hashes go. No host has one of them.
    pub archived: Vec<Identity>,
    /// The names of all hosts that are or were known, and what else their rules say or said. A rule that says something else
    /// is somebody else's: it stays so, and goes only where that is asked for by name, or where all others go.
    pub names: Arc<HashSet<String>>,
    /// Hosts of which too little is known to take rules away that may be theirs.
    pub untouched: Untouched,
    /// What the hosts' rules compare.
    pub compare: Match,
    /// Hashes, serial numbers or descriptions of rules to remove.
    pub remove: Vec<String>,
    /// Whether the rules of all other hosts go.
    pub prune: bool,
    /// Whether the rules of the hosts' former TPMs go.
    pub replace: bool,
    /// Whether rules leave the tokens that they no longer belong to, where their own token has them already.
    pub retire: bool,
    /// Bytes that a token may have as compact JSON.
    pub max_bytes: usize,
}

/// What should become of the tokens' settings; none where it should stay.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The roles. A new token has the role Bot without this.
    pub roles: Option<Vec<Role>>,
    /// The scope; tokens of another one, or of none, are a `conflict`.
    pub scope: Option<Scope>,
    /// The bot; tokens of another one are a `conflict`.
    pub bot_name: Option<Name>,
    /// The CAs, one PEM block each.
    pub ekcert_allowed_cas: Option<Vec<String>>,
    /// The end, or that there is none.
    pub expires: Option<Option<Timestamp>>,
    /// The labels, but for the cluster's own.
    pub labels: Option<BTreeMap<Label, Label>>,
}

/// What a fleet's tokens become.
#[derive(Debug)]
pub struct Merged {
    /// The tokens as they should be, each with a rule at least, `NAME` first, then by number.
    pub tokens: Vec<Token>,
    /// Tokens of which no rule is left.
    pub delete: Vec<Name>,
    /// What became of the rules.
    pub outcome: Outcome,
    /// Rules of hosts that are not given, and whose token checks EK certificates more strictly now; whether
    /// these hosts are still let in cannot be told.
    pub in_doubt: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Rules by what became of them, each by its host's name where that is given, or else its description, its hash or its serial
/// number; sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// New ones.
    pub added: Vec<String>,
    /// Those with another description, serial number or case of digits.
    pub updated: Vec<String>,
    /// Those that are no longer in any token.
    pub removed: Vec<String>,
    /// Those that are as they were.
    pub kept: Vec<String>,
    /// Those that stay although their host is given with another TPM.
    pub superseded: Vec<String>,
}

impl Outcome {
    /// The lists by their names in answers.
    #[must_use]
    pub fn by_fate(&self) -> [(&'static str, &[String]); 5] {
        [
            ("added", &self.added),
            ("updated", &self.updated),
            ("removed", &self.removed),
            ("kept", &self.kept),
            ("superseded", &self.superseded),
        ]
    }
}

/// Merges what is wanted into the tokens that there are.
///
/// Tokens of other names or another bot are a `conflict`, and so is what is ambiguous; something that
/// contradicts itself is `invalid_request`; a token that grows beyond `max_bytes` is `token_too_large`.
pub fn merge(current: &[Token], wanted: &Wanted) -> Result<Merged> {
    super::identity::refuse_same_rule_texts(wanted.given())?;
    let current = of_one_fleet(current, wanted)?;
    let mut union = rules::Union::of(&current);
    let mut warnings = union.oddities();
    let doubt = wanted.untouched.may_have_any(&union).filter(|_| wanted.prune || wanted.replace);
    let (prunes, replaces) = (wanted.prune && doubt.is_none(), wanted.replace && doubt.is_none());
    warnings.extend(doubt.map(|why| {
        format!("`prune` and `replace` remove no rule in this run, since any rule may be needed: {why}")
    }));
    warnings.extend(removal::remove(&mut union, wanted, prunes)?);
    warnings.extend(removal::drop_archived(&mut union, wanted));
    let superseded = rules::replace(&mut union, wanted, replaces)?;
    warnings.extend(superseded.iter().map(rules::Superseded::warning));
    warnings.extend(rules::add_hosts(&mut union, wanted, prunes)?);
    let mut outcome = union.outcome(wanted);
    outcome.superseded = superseded.into_iter().map(|old| old.label).collect();
    let placed = placement::place(union, &current, wanted)?;
    warnings.extend(placed.warnings);
    Ok(Merged { tokens: placed.tokens, delete: placed.delete, outcome, in_doubt: placed.in_doubt, warnings })
}

/// The tokens that there are, by their place.
type Current<'a> = BTreeMap<Place, &'a Token>;

impl Wanted {
    /// Leaves these hosts out, but for rules that they have.
    pub fn skip(&mut self, is_skipped: impl Fn(&Identity) -> bool) {
        self.skipped.extend(self.hosts.extract_if(.., |host| is_skipped(host)));
    }

    /// Whether the rule, which is of a TPM of this fleet, is one that the fleet may change: it says nothing, or what the rules of
    /// hosts that are or were known say. What rules of other TPMs say does not matter.
    fn owns(&self, rule: &super::Rule) -> bool {
        rule.description.is_empty() || self.names.contains(&rule.description)
    }

    /// The hosts that the request gives, skipped ones included.
    fn given(&self) -> impl Iterator<Item = &Identity> {
        self.hosts.iter().chain(&self.skipped)
    }

    /// Refuses tokens that are not this fleet's.
    pub fn check_own(&self, tokens: &[Token]) -> Result<()> {
        of_one_fleet(tokens, self).map(drop)
    }

    /// The place of the token that a host is to join by.
    #[must_use]
    pub fn place_of(&self, host: &Identity) -> Place {
        self.shards.home(host.hash().unwrap_or_default()).unwrap_or(Place::Whole)
    }
}

/// The tokens by their place, where each is this fleet's, of its bot, and there once.
fn of_one_fleet<'a>(current: &'a [Token], wanted: &Wanted) -> Result<Current<'a>> {
    let mut tokens = BTreeMap::new();
    for token in current {
        let conflict = |what: String| {
            Err(Error::new(Kind::Conflict, format!("token `{}` {what}; it was left as it is", token.name))
                .hint(
                    "give this fleet's token another name, or give only its own tokens as the current ones",
                ))
        };
        let Some(place) = wanted.shards.place_of(&token.name) else {
            return conflict(format!("is another than `{}`", wanted.shards.name_of(Place::Whole)?));
        };
        if token.settings.scope != wanted.changes.scope {
            let scope = token.settings.scope.as_ref();
            return conflict(
                scope.map_or("is in no scope".to_owned(), |scope| format!("is in the scope {scope}")),
            );
        }
        let bot = token.settings.bot_name.as_deref();
        let is_others = match (&wanted.changes.bot_name, &wanted.changes.roles) {
            (Some(name), _) => bot != Some(name.as_str()),
            (None, Some(roles)) => bot.is_some() && !roles.iter().any(Role::is_bot),
            (None, None) => false,
        };
        if is_others {
            let whose = bot.map_or("no bot".to_owned(), |name| format!("another bot, `{name}`"));
            return conflict(format!("belongs to {whose}"));
        }
        if tokens.contains_key(&place) {
            return conflict("is there twice".to_owned());
        }
        tokens.insert(place, token);
    }
    refuse_several_bots(&tokens)?;
    Ok(tokens)
}

/// Refuses tokens of several bots: their hosts would get each other's credentials.
fn refuse_several_bots(tokens: &Current<'_>) -> Result<()> {
    let bot = |token: &Token| token.settings.bot_name.clone();
    let whose = |token| bot(token).map_or("no bot".to_owned(), |name| format!("bot `{name}`"));
    let mut tokens = tokens.values();
    let Some(first) = tokens.next() else { return Ok(()) };
    match tokens.find(|token| bot(token) != bot(first)) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            Kind::Conflict,
            format!(
                "token `{}` belongs to {} and token `{}` to {}; they were left as they are",
                first.name,
                whose(first),
                other.name,
                whose(other)
            ),
        )
        .hint("give only the tokens of one bot as the current ones")),
    }
}

impl Changes {
    /// The settings with the changes.
    fn apply(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        if let Some(roles) = &self.roles {
            settings.roles.clear();
            for role in roles.iter().cloned().map(String::from) {
                if !settings.roles.contains(&role) {
                    settings.roles.push(role);
                }
            }
        }
        settings.scope.clone_from(&self.scope);
        if let Some(name) = &self.bot_name {
            settings.bot_name = Some(name.as_str().to_owned());
        }
        if let Some(cas) = &self.ekcert_allowed_cas {
            settings.ekcert_allowed_cas.clone_from(cas);
        }
        if let Some(expires) = &self.expires {
            settings.expires.clone_from(expires);
        }
        if let Some(labels) = &self.labels {
            settings.labels.retain(|name, _| super::token::is_clusters_own(name));
            let texts = labels.iter().map(|(name, value)| (name.clone().into(), value.clone().into()));
            settings.labels.extend(texts);
        }
        settings
    }

    /// The settings of a fleet's first token.
    fn fresh(&self) -> Settings {
        self.apply(&Settings { roles: vec![Role::bot().into()], ..Settings::default() })
    }
}
