//! Which tokens besides the present one let hosts in that are to be archived: built from the same registry, they would lose the
//! hosts' rules in their next run, although nobody took the hosts away from these bots.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::super::{hosts, instances};
use super::{Parameters, token_files};
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::message::first;
use crate::protocol::Answer;
use crate::teleport::registry::Archive;
use crate::teleport::{self, Identity, Name, Registry, Scope, Shards, Source, Token};

const SOURCE: Source<'_> = Source { name: "`current`", malformed: Kind::InvalidRequest };
const HINT: &str = "nothing was changed; if the hosts leave these bots as well, set `allow_lockout: true` \
                    (`tbot_decommission_all_bots`), and if not, give each bot a registry of its own";

/// What is to be looked for.
pub(in crate::actions) struct Leaving {
    pub registry: AbsolutePath,
    /// The names of the hosts.
    pub only: Vec<String>,
    /// The tokens that they are to leave: of each name the one, or the several, and the bot.
    pub tokens: Vec<(Shards, Option<Name>)>,
    /// The scope of these tokens.
    pub scope: Option<Scope>,
    /// Where the tokens are: what the cluster says, and a directory of token files.
    pub current: Option<Value>,
    pub token_directory: Option<AbsolutePath>,
    pub allow_lockout: bool,
}

/// A rule that lets a leaving host in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    host: String,
    token: String,
    bot: Option<String>,
}

impl Leaving {
    pub(super) fn checked(parameters: Parameters) -> Result<Self> {
        if parameters.host.is_some() || parameters.identity.is_some() || parameters.hosts.is_some() {
            return Err(Error::invalid(
                "`state: leaving` takes the hosts as `only`: leave out `host`, `identity` and `hosts`",
            ));
        }
        let Parameters { registry, only, name, bot_name, scope, instances, current, token_directory, .. } =
            parameters;
        let (Some(only), Some(name)) = (only, name) else {
            return Err(Error::invalid("`state: leaving` needs `only` and `name`"));
        };
        let allow_lockout = parameters.allow_lockout;
        instances::check(&instances)?;
        let mut tokens = vec![(Shards::new(name, 1)?, bot_name)];
        for instance in &instances {
            tokens.push((Shards::new(instance.token_name()?, 1)?, Some(instance.bot_name()?)));
        }
        Ok(Self { registry, only, tokens, scope, current, token_directory, allow_lockout })
    }

    pub(super) fn run(&self) -> Result<Answer> {
        let directory = self.registry.as_ref();
        if !directory.exists() {
            return Ok(answer(&BTreeSet::new(), Vec::new()));
        }
        let (registry, archive) = (Registry::read(directory)?, Archive::read(directory)?);
        let names = registry.names(&archive);
        let (tokens, mut warnings) = self.tokens()?;
        warnings.extend(registry.unusable.iter().map(hosts::left_out));
        let leaving: HashMap<&str, &Identity> = registry
            .identities
            .iter()
            .filter(|host| host.name().is_some_and(|name| self.only.iter().any(|only| only == name)))
            .filter_map(|host| Some((host.hash()?, host)))
            .collect();
        let mut shared = BTreeSet::new();
        for token in tokens.iter().filter(|token| !self.is_own(token, &names)) {
            for rule in token.rules() {
                // A rule under a name that this registry does not know stays, whatever is archived.
                let is_built_from_it = rule.description.is_empty() || names.contains(&rule.description);
                let host = leaving.get(rule.ek_public_hash.to_ascii_lowercase().as_str());
                if let Some(host) = host.filter(|_| is_built_from_it) {
                    shared.insert(Shared::new(host, token));
                }
            }
        }
        if !shared.is_empty() {
            let all: Vec<String> = shared.iter().map(Shared::in_words).collect();
            if !self.allow_lockout {
                return Err(refusal(&all));
            }
            warnings.push(format!(
                "the next runs for these tokens take away the rules of hosts that are archived here, where the tokens are built \
                 from this registry: {}",
                first(&all)
            ));
        }
        Ok(answer(&shared, warnings))
    }

    /// Whether the token is what the hosts are to leave, of its present or a former layout.
    fn is_own(&self, token: &Token, names: &HashSet<String>) -> bool {
        let is_within = token.settings.scope == self.scope;
        is_within
            && self.tokens.iter().any(|(shards, bot)| {
                let is_shard = shards.place_of(&token.name).is_some();
                let suffix = token.name.as_str().strip_prefix(shards.name().as_str());
                let is_hosts = || {
                    suffix
                        .and_then(|suffix| suffix.strip_prefix('-'))
                        .is_some_and(|host| names.contains(host))
                };
                (is_shard || is_hosts())
                    && token.settings.bot_name.as_deref() == bot.as_ref().map(Name::as_str)
            })
    }

    /// All tokens that can be read, and warnings about others.
    fn tokens(&self) -> Result<(Vec<Token>, Vec<String>)> {
        let (mut tokens, mut warnings) = (Vec::new(), Vec::new());
        let mut take = |read: Result<Vec<Token>>| match read {
            Ok(read) => tokens.extend(read),
            Err(problem) => warnings.push(format!("not looked at: {}", hosts::warning(&problem))),
        };
        match self.current.clone() {
            Some(Value::Array(items)) => {
                for item in items {
                    take(teleport::read_tokens(item, SOURCE));
                }
            }
            Some(value) => take(teleport::read_tokens(value, SOURCE)),
            None => {}
        }
        let files = self.token_directory.as_ref().map(|path| token_files::all(path.as_ref())).transpose()?;
        for path in files.into_iter().flatten() {
            take(token_files::read(&path));
        }
        Ok((tokens, warnings))
    }
}

impl Shared {
    fn new(host: &Identity, token: &Token) -> Self {
        Self {
            host: host.name().unwrap_or_default().to_owned(),
            token: token.name.as_str().to_owned(),
            bot: token.settings.bot_name.clone(),
        }
    }

    fn in_words(&self) -> String {
        let bot = self.bot.as_ref().map_or("no bot".to_owned(), |bot| format!("bot `{bot}`"));
        format!("`{}` by token `{}` of {bot}", self.host, self.token)
    }
}

fn refusal(all: &[String]) -> Error {
    let message = format!(
        "hosts that are to be archived join by other tokens as well, which would lose their rules: {}",
        first(all)
    );
    Error::new(Kind::WouldLockOut, message).hint(HINT)
}

fn answer(shared: &BTreeSet<Shared>, warnings: Vec<String>) -> Answer {
    let shared: Vec<Value> = shared
        .iter()
        .map(|Shared { host, token, bot }| json!({ "host": host, "token": token, "bot_name": bot }))
        .collect();
    Answer::new(false).result("shared", shared).warnings(warnings)
}
