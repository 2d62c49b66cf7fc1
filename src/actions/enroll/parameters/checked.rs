//! What the parameters of `enroll` ask for, once it is known that they can go together.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::super::layout::{Layout, Tokens};
use super::Parameters;
use crate::actions::ekcert_ca;
use crate::actions::hosts::Hosts;
use crate::actions::token;
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::teleport::tctl::Tctl;
use crate::teleport::{BotTerms, Identity, Name, Scope};

/// What the parameters ask for, of one bot.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // the contract's parameters
pub(in crate::actions) struct Asked {
    /// None where nothing is read from a cluster or applied.
    pub tctl: Option<Tctl>,
    /// Whether the command was named, so that it has to be there.
    pub names_tctl: bool,
    pub settle: Duration,
    /// The bot that the hosts join as, and what it is to have where it is managed.
    pub bot_name: Option<Name>,
    pub bot: Option<BotTerms>,
    pub layout: Layout,
    pub recreate: bool,
    pub takes_away: bool,
    pub read_only: bool,
    pub all_tokens: bool,
    pub write_files: bool,
    pub applied_before: Vec<String>,
    pub hosts: Hosts,
    /// Hosts that are not to join as this bot any more, or whether these are all.
    pub leaves: Vec<String>,
    pub all_leave: bool,
    /// Whether it is for some of the registry's hosts, so that rules of others are left as they are.
    pub is_for_some: bool,
    /// Whether no host is to join as it.
    pub is_for_nobody: bool,
    /// The tokens of other bots of the same hosts.
    pub others: Vec<Name>,
    /// TPMs that are not to be let in any more, besides those of the registry's archive.
    pub former: Vec<Identity>,
    /// What all tokens are to say.
    pub token: token::Parameters,
    /// None where no CAs are looked for.
    pub cas: Option<ekcert_ca::Terms>,
    pub warnings: Vec<String>,
}

impl Parameters {
    pub(in super::super) fn checked(mut self) -> Result<Asked> {
        if self.all_tokens && !self.read_only {
            return Err(Error::invalid("`all_tokens` goes with `read_only`"));
        }
        let tctl = self.tctl()?.map(|tctl| tctl.within(self.scope.clone()));
        let (bot, mut warnings) = self.bot()?;
        let bot = bot.map(|bot| bot.within(self.scope.clone())).transpose()?;
        warnings.extend(self.scope.is_some().then(|| Scope::WARNING.to_owned()));
        let cas = self.cas()?;
        let layout = self.layout()?;
        let hosts = Hosts::checked("enroll", self.hosts.take(), self.registry.clone())?;
        if self.former.is_some() && self.registry.is_some() {
            return Err(Error::invalid(
                "`former` stands for the registry's archive: give either `registry` or `hosts` with `former`",
            ));
        }
        let token = self.token(cas.is_some())?;
        Ok(Asked {
            tctl,
            names_tctl: self.tctl.is_some(),
            settle: Duration::from_secs(self.settle_seconds),
            bot_name: self.bot_name,
            bot,
            layout,
            recreate: self.recreate,
            takes_away: self.takes_away,
            read_only: self.read_only,
            all_tokens: self.all_tokens,
            write_files: self.write_files,
            applied_before: self.applied_before,
            hosts,
            leaves: Vec::new(),
            all_leave: false,
            is_for_some: false,
            is_for_nobody: false,
            others: Vec::new(),
            former: self.former.unwrap_or_default(),
            token,
            cas,
            warnings,
        })
    }

    /// What all tokens are to say. What cannot be is refused before anything is read.
    fn token(&mut self, finds_cas: bool) -> Result<token::Parameters> {
        let token = token::Parameters {
            name: self.name.clone(),
            bot_name: self.bot_name.clone(),
            scope: self.scope.clone(),
            roles: self.roles.take(),
            hosts: None,
            registry: self.registry.take(),
            ekcert_allowed_cas: self.ekcert_allowed_cas.take(),
            allow_without_cas: if finds_cas { Some(false) } else { self.allow_without_cas },
            current: None,
            expires: self.expires.take(),
            labels: self.labels.take(),
            prune: self.prune,
            remove: std::mem::take(&mut self.remove),
            only: self.only.take(),
            archived: std::mem::take(&mut self.archived),
            withdraw: false,
            replace: self.replace,
            retire: self.retire,
            compare: self.compare,
            shards: self.shards,
            max_bytes: self.max_bytes,
            allow_lockout: self.allow_lockout,
            skip_refused: self.skip_refused,
            path: None,
        };
        token.clone().without_hosts()?;
        Ok(token)
    }

    fn tctl(&self) -> Result<Option<Tctl>> {
        if !self.apply {
            return Ok(None);
        }
        let tctl = match &self.tctl {
            None => Tctl::new(vec!["tctl".to_owned()]),
            Some(Value::String(text)) => Tctl::parse(text),
            Some(Value::Array(words)) => {
                let words: Option<Vec<String>> =
                    words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
                words.map_or_else(
                    || Err(Error::invalid("`tctl` has an element that is not a text")),
                    Tctl::new,
                )
            }
            Some(_) => Err(Error::invalid("`tctl` is neither a list of words nor a text")),
        }?;
        let identity = self.identity_file.as_ref().map(AbsolutePath::as_str);
        let tctl = tctl.with_identity(identity, self.auth_server.as_deref());
        Ok(Some(tctl.with_timeout(self.timeout.duration())))
    }

    /// What the bot is to have; none where it is not managed, which is so without roles.
    fn bot(&mut self) -> Result<(Option<BotTerms>, Vec<String>)> {
        let Some(bot) = self.bot.take() else { return Ok((None, Vec::new())) };
        let name = match (bot.name, &self.bot_name) {
            (Some(name), Some(other)) if name != *other => {
                return Err(Error::invalid(format!(
                    "`bot.name` is {name}, and `bot_name` is {other}: give one of them"
                )));
            }
            (Some(name), _) => name,
            (None, Some(name)) => name.clone(),
            (None, None) => return Err(Error::invalid("`bot` needs `name`, or `bot_name` beside it")),
        };
        self.bot_name = Some(name.clone());
        let Some(roles) = bot.roles else {
            if bot.traits.is_some() {
                return Err(Error::invalid("`bot.traits` needs `bot.roles`; an empty list means no roles"));
            }
            return Ok((None, Vec::new()));
        };
        let (terms, warnings) = BotTerms::new(name, &roles, bot.traits);
        Ok((Some(terms), warnings))
    }

    fn layout(&self) -> Result<Layout> {
        // To go back to one from several is to have several of which the others go.
        let tokens = match self.tokens {
            None | Some(Tokens::Shared) if self.shards == 1 && self.retire => Tokens::Sharded,
            None if self.shards == 1 => Tokens::Shared,
            None => Tokens::Sharded,
            Some(tokens) => tokens,
        };
        if tokens == Tokens::PerHost && (self.shards != 1 || self.retire) {
            return Err(Error::invalid(
                "one token a host (`per_host`) goes with neither `shards` nor `retire`: leave these out",
            ));
        }
        if tokens == Tokens::Shared && self.shards != 1 {
            return Err(Error::invalid(
                "`shards` says that there are several tokens: set `tokens` to `sharded` as well",
            ));
        }
        let file = match (&self.files, &self.path) {
            (Some(_), Some(_)) => return Err(Error::invalid("give either `files` or `path`, not both")),
            (Some(folder), None) => {
                Some(AbsolutePath::try_from(format!("{}/{}.yaml", folder.as_str(), self.name)))
            }
            (None, path) => path.clone().map(Ok),
        };
        let file = file.transpose().map_err(Error::invalid)?;
        Ok(Layout { tokens, name: self.name.clone(), shards: self.shards, file })
    }
}

impl Asked {
    /// What this bot and another cannot both have; none where there is nothing.
    pub(in super::super) fn clash(&self, other: &Self) -> Option<String> {
        if self.bot_name.is_some() && self.bot_name == other.bot_name {
            return self
                .bot_name
                .as_ref()
                .map(|name| format!("the bot {name} in the cluster: set another `bot_name`"));
        }
        let nobody = BTreeSet::new();
        let (one, two) = (&self.layout, &other.layout);
        if one.is_fleets(two.name.as_str(), &nobody) || two.is_fleets(one.name.as_str(), &nobody) {
            let (one, two) = (&two.name, &one.name);
            return Some(if one == two {
                format!("the token {one}: set another `token_name`")
            } else {
                format!("the token {one} or {two}, as one of several of the other: set another `token_name`")
            });
        }
        if one.file.is_some() && one.file == two.file {
            return one
                .file
                .as_ref()
                .map(|file| format!("the token file {}: set another `path`", file.as_str()));
        }
        None
    }
}
