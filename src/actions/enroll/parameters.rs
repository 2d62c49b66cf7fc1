//! The parameters of `enroll`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::layout::{Layout, Tokens};
use crate::actions::ekcert_ca::{self, Source};
use crate::actions::hosts::Hosts;
use crate::actions::seconds::Seconds;
use crate::actions::token;
use crate::ekcert::Fingerprint;
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::net::HostPattern;
use crate::teleport::tctl::Tctl;
use crate::teleport::{BotTerms, Identity, Label, Match, Name, Role};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // the contract's parameters
pub(in crate::actions) struct Parameters {
    /// The command, as a list of words or as a text that is split into words.
    tctl: Option<Value>,
    identity_file: Option<AbsolutePath>,
    auth_server: Option<String>,
    #[serde(default = "yes")]
    apply: bool,
    #[serde(default = "Seconds::for_all_servers")]
    timeout: Seconds,
    #[serde(default = "default_settle_seconds")]
    settle_seconds: u64,
    bot: Option<WantedBot>,
    #[serde(default)]
    tokens: Tokens,
    /// The folder of the files, or the file of the first token.
    files: Option<AbsolutePath>,
    path: Option<AbsolutePath>,
    /// Whether a token that the cluster has lost is made anew.
    #[serde(default)]
    recreate: bool,
    /// Whether hosts are taken out of service, so that no token need be left.
    #[serde(default)]
    takes_away: bool,

    // What `token` takes.
    name: Name,
    bot_name: Option<Name>,
    roles: Option<Vec<Role>>,
    hosts: Option<Vec<Identity>>,
    registry: Option<AbsolutePath>,
    ekcert_allowed_cas: Option<Vec<String>>,
    allow_without_cas: Option<bool>,
    expires: Option<token::End>,
    labels: Option<BTreeMap<Label, Label>>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    remove: Vec<String>,
    only: Option<Vec<String>>,
    #[serde(default)]
    archived: Vec<String>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    retire: bool,
    #[serde(default, rename = "match")]
    compare: Match,
    #[serde(default = "token::default_shards")]
    shards: u64,
    #[serde(default = "token::default_max_bytes")]
    max_bytes: u64,
    #[serde(default)]
    allow_lockout: bool,
    #[serde(default = "yes")]
    skip_refused: bool,

    // What `ekcert_ca` takes.
    ca_bundle: Option<Vec<Source>>,
    trusted_roots: Option<Vec<Source>>,
    trusted_sha256: Option<Vec<Fingerprint>>,
    #[serde(default = "yes")]
    fetch: bool,
    allowed_urls: Option<Vec<HostPattern>>,
    ca_file: Option<AbsolutePath>,
    #[serde(default = "Seconds::for_a_server")]
    fetch_timeout: Seconds,
    #[serde(default = "Seconds::for_all_servers")]
    total_timeout: Seconds,
}

/// A bot that is made, or brought to these terms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBot {
    name: Option<Name>,
    roles: Option<Vec<String>>,
    traits: Option<BTreeMap<String, Vec<String>>>,
}

fn yes() -> bool {
    true
}

/// Longer than it takes a run from reading to applying: then of two runs at the same time, at least one reads after both have applied.
fn default_settle_seconds() -> u64 {
    20
}

/// What the parameters ask for.
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
    pub hosts: Hosts,
    /// What all tokens are to say.
    pub token: token::Parameters,
    /// None where no CAs are looked for.
    pub cas: Option<ekcert_ca::Terms>,
    pub warnings: Vec<String>,
}

impl Parameters {
    pub(super) fn checked(mut self) -> Result<Asked> {
        let tctl = self.tctl()?;
        let (bot, warnings) = self.bot()?;
        let cas = self.cas()?;
        let layout = self.layout()?;
        let hosts = Hosts::checked("enroll", self.hosts.take(), self.registry.clone())?;
        let may_lack_cas = if cas.is_some() { Some(false) } else { self.allow_without_cas };
        Ok(Asked {
            tctl,
            names_tctl: self.tctl.is_some(),
            settle: Duration::from_secs(self.settle_seconds),
            bot_name: self.bot_name.clone(),
            bot,
            layout,
            recreate: self.recreate,
            takes_away: self.takes_away,
            hosts,
            cas,
            warnings,
            token: token::Parameters {
                name: self.name,
                bot_name: self.bot_name,
                roles: self.roles,
                hosts: None,
                registry: self.registry,
                ekcert_allowed_cas: self.ekcert_allowed_cas,
                allow_without_cas: may_lack_cas,
                current: None,
                expires: self.expires,
                labels: self.labels,
                prune: self.prune,
                remove: self.remove,
                only: self.only,
                archived: self.archived,
                withdraw: false,
                replace: self.replace,
                retire: self.retire,
                compare: self.compare,
                shards: self.shards,
                max_bytes: self.max_bytes,
                allow_lockout: self.allow_lockout,
                skip_refused: self.skip_refused,
                path: None,
            },
        })
    }

    fn tctl(&self) -> Result<Option<Tctl>> {
        if !self.apply {
            return Ok(None);
        }
        let tctl = match &self.tctl {
            None => Tctl::new(vec!["tctl".to_owned()]),
            Some(Value::String(text)) => Tctl::parse(text),
            Some(Value::Array(words)) => {
                let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
                words.map_or_else(|| Err(Error::invalid("`tctl` has an element that is no text")), Tctl::new)
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
                return Err(Error::invalid("`bot.traits` needs `bot.roles`; an empty list is no role"));
            }
            return Ok((None, Vec::new()));
        };
        let (terms, warnings) = BotTerms::new(name, &roles, bot.traits);
        Ok((Some(terms), warnings))
    }

    /// By what CAs are looked for. None are without something that is trusted.
    fn cas(&mut self) -> Result<Option<ekcert_ca::Terms>> {
        let (bundle, roots, pins) = (self.ca_bundle.take(), self.trusted_roots.take(), self.trusted_sha256.take());
        let is_asked = [bundle.as_ref().map(Vec::len), roots.as_ref().map(Vec::len), pins.as_ref().map(Vec::len)];
        if is_asked.iter().flatten().sum::<usize>() == 0 {
            // Empty lists ask for CAs as well, and must not end with a token without any.
            let is_about_cas = is_asked.iter().any(Option::is_some) && self.allow_without_cas.is_none();
            self.allow_without_cas = if is_about_cas { Some(false) } else { self.allow_without_cas };
            return Ok(None);
        }
        if self.ekcert_allowed_cas.is_some() {
            return Err(Error::invalid(
                "`ekcert_allowed_cas` says which CAs the token allows, and `ca_bundle`, `trusted_roots` and `trusted_sha256` \
                 have them found: give either the one or some of the others",
            ));
        }
        let (trusted_roots, trusted_sha256) = (roots.unwrap_or_default(), pins.unwrap_or_default());
        if trusted_roots.is_empty() && trusted_sha256.is_empty() {
            return Err(Error::invalid("to be in `ca_bundle` makes no CA trusted").hint(
                "give the roots of the TPMs' manufacturers in `trusted_roots`, or the fingerprints of the CAs that may have issued \
                 EK certificates in `trusted_sha256`",
            ));
        }
        let terms = ekcert_ca::Terms {
            ca_bundle: bundle.unwrap_or_default(),
            trusted_roots,
            trusted_sha256,
            fetch: self.fetch,
            allowed_urls: self.allowed_urls.take(),
            ca_file: self.ca_file.take(),
            timeout: self.fetch_timeout,
            total_timeout: self.total_timeout,
            skip_untrusted: true,
        };
        terms.check()?;
        Ok(Some(terms))
    }

    fn layout(&self) -> Result<Layout> {
        if self.tokens == Tokens::PerHost && (self.shards != 1 || self.retire) {
            return Err(Error::invalid("one token a host (`per_host`) goes with neither `shards` nor `retire`: leave these out"));
        }
        if self.tokens == Tokens::Shared && self.shards != 1 {
            return Err(Error::invalid("`shards` says that there are several tokens: set `tokens` to `sharded` as well"));
        }
        let file = match (&self.files, &self.path) {
            (Some(_), Some(_)) => return Err(Error::invalid("give either `files` or `path`, not both")),
            (Some(folder), None) => Some(AbsolutePath::try_from(format!("{}/{}.yaml", folder.as_str(), self.name))),
            (None, path) => path.clone().map(Ok),
        };
        let file = file.transpose().map_err(Error::invalid)?;
        Ok(Layout { tokens: self.tokens, name: self.name.clone(), shards: self.shards, file })
    }
}
