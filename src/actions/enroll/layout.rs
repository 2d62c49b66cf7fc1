//! Into which tokens a fleet's hosts go, and where the file of each is.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::teleport::{Name, Token};

/// How many tokens there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tokens {
    /// One for all hosts.
    Shared,
    /// Several, over which the hosts are spread by their hashes.
    Sharded,
    /// One for each host.
    PerHost,
}

/// The tokens of a fleet.
#[derive(Debug, Clone)]
pub(in crate::actions) struct Layout {
    pub(super) tokens: Tokens,
    /// What each token's name is or begins with.
    pub name: Name,
    pub(super) shards: u64,
    /// The file of the first token; where each host has one, their names go before its extension.
    pub file: Option<AbsolutePath>,
}

/// What is built at a time: the token of a host, or the tokens of all hosts.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub name: Name,
    pub file: Option<AbsolutePath>,
    /// Where the file is on the machine that the answer goes to, instead of here.
    pub elsewhere: Option<AbsolutePath>,
    /// The host that it is for; none where it is for all.
    pub host: Option<String>,
    /// How many tokens it is; none where their number has no meaning.
    shards: Option<u64>,
}

impl Layout {
    /// What is to be built for these hosts.
    pub(super) fn units(&self, hosts: &BTreeSet<String>) -> Result<Vec<Unit>> {
        if self.tokens != Tokens::PerHost {
            return Ok(vec![self.unit_of_all((self.tokens == Tokens::Sharded).then_some(self.shards))]);
        }
        hosts.iter().map(|host| self.unit_of(host)).collect()
    }

    /// Those that may have built tokens of these names, in any layout.
    pub(super) fn makers(&self, tokens: &[String], hosts: &BTreeSet<String>) -> Result<Vec<Unit>> {
        let mut makers = vec![self.unit_of_all(Some(0))];
        for end in tokens.iter().filter_map(|token| token.strip_prefix(self.name.as_str())?.strip_prefix('-'))
        {
            if hosts.contains(end) {
                makers.push(self.unit_of(end)?);
            }
        }
        Ok(makers)
    }

    fn unit_of_all(&self, shards: Option<u64>) -> Unit {
        Unit { name: self.name.clone(), file: self.file.clone(), elsewhere: None, host: None, shards }
    }

    fn unit_of(&self, host: &str) -> Result<Unit> {
        let name = self.name_of(host)?;
        let file = self.file.as_ref().map(|file| {
            let path = file.as_str();
            let (stem, extension) = match path.rsplit_once('.') {
                Some((stem, extension)) if !extension.contains('/') => (stem, extension),
                _ => (path, "yaml"),
            };
            AbsolutePath::try_from(format!("{stem}-{host}.{extension}"))
        });
        let file = file.transpose().map_err(Error::invalid)?;
        Ok(Unit { name, file, elsewhere: None, host: Some(host.to_owned()), shards: None })
    }

    /// The name of a host's own token.
    fn name_of(&self, host: &str) -> Result<Name> {
        Name::try_from(format!("{}-{host}", self.name)).map_err(|why| {
            Error::invalid(format!(
                "the token of host `{host}` cannot be called `{}-{host}`: {why}",
                self.name
            ))
        })
    }

    /// Whether more than the token of the layout's own name has to be read.
    pub(super) fn has_several(&self, retires: bool) -> bool {
        self.tokens != Tokens::Shared || retires
    }

    /// Whether one of these units builds a token of this name, or has built it with another number of them.
    pub(super) fn has_built(&self, token: &str, units: &[Unit]) -> bool {
        let is_of_all = self.tokens != Tokens::PerHost && self.is_fleets(token, &BTreeSet::new());
        is_of_all || units.iter().any(|unit| unit.is_own(token))
    }

    /// Refuses tokens of other bots that would be taken for those of a host.
    pub(super) fn refuse_others(&self, others: &[Name], hosts: &BTreeSet<String>) -> Result<()> {
        match others.iter().find(|other| self.is_fleets(other.as_str(), hosts)) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                Kind::Conflict,
                format!("the token {other} of another bot has the name that a host's own token {}-HOST would have", self.name),
            )
            .hint("set another `token_name`")),
        }
    }

    /// Whether a token may be of this fleet in any layout: by its name alone, or one of these hosts'.
    pub(super) fn is_fleets(&self, token: &str, hosts: &BTreeSet<String>) -> bool {
        let Some(rest) = token.strip_prefix(self.name.as_str()) else { return false };
        let Some(end) = rest.strip_prefix('-') else { return rest.is_empty() };
        is_number(end) || hosts.contains(end)
    }
}

impl Unit {
    /// Leaves its file to whoever gets the answer.
    pub(super) fn leave_file(&mut self) {
        self.elsewhere = self.file.take();
    }

    /// Whether a token is one of those that it builds, or has built with another number of them.
    pub(super) fn is_own(&self, token: &str) -> bool {
        let Some(rest) = token.strip_prefix(self.name.as_str()) else { return false };
        rest.is_empty() || (self.shards.is_some() && rest.strip_prefix('-').is_some_and(is_number))
    }

    /// Whether it builds a token of this name.
    pub(super) fn builds(&self, token: &str) -> bool {
        let Some(rest) = token.strip_prefix(self.name.as_str()) else { return false };
        let number = || rest.strip_prefix('-').filter(|end| is_number(end))?.parse::<u64>().ok();
        rest.is_empty() || self.shards.is_some_and(|shards| number().is_some_and(|number| number < shards))
    }

    /// The tokens among these that it builds.
    pub(super) fn own<'a>(&self, tokens: &'a [Token]) -> impl Iterator<Item = &'a Token> {
        tokens.iter().filter(|token| self.is_own(token.name.as_str()))
    }
}

/// Whether a name ends as those of shards do.
fn is_number(end: &str) -> bool {
    let is_digits = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    is_digits && (end == "0" || !end.starts_with('0'))
}
