//! How large tokens are, and how many would be small enough.

use std::collections::BTreeMap;

use super::placement::places;
use super::rules::Entry;
use super::{Current, Error, Kind, Place, Result, Wanted};
use crate::json;
use crate::teleport::shards::MOST_SHARDS;
use crate::teleport::{Shards, Token};

/// Characters by which the name of a shard may be longer than that of another token.
const LONGEST_SUFFIX: usize = "-9999".len();

/// Refuses tokens that are larger than wanted, with the number of shards that would do. One that the
/// cluster has as large already may stay so.
pub fn check(entries: &[Entry], current: &Current<'_>, tokens: &[Token], wanted: &Wanted) -> Result<()> {
    let stored: BTreeMap<Place, usize> =
        current.iter().map(|(place, token)| (*place, token.size())).collect();
    let was =
        |token: &Token| wanted.shards.place_of(&token.name).and_then(|place| stored.get(&place).copied());
    let is_large = |token: &&Token| token.size() > wanted.max_bytes.max(was(token).unwrap_or(0));
    let Some(large) = tokens.iter().find(is_large) else { return Ok(()) };
    let empty = tokens.iter().map(Token::size_without_rules).max().unwrap_or(0) + LONGEST_SUFFIX;
    let plan = Plan {
        rules: entries.iter().map(|entry| (entry, json::size(&entry.rule) + ",".len())).collect(),
        stored,
        empty,
        wanted,
    };
    let advice = match plan.enough() {
        Some(count) => {
            format!("`shards: {count}` would do; see first how the hosts' configurations get their token")
        }
        None => {
            format!("no number of shards would do, since a token without rules has {empty} bytes already")
        }
    };
    Err(Error::new(
        Kind::TokenTooLarge,
        format!(
            "token `{}` would have {} bytes with {} rules, and `max_bytes` is {}",
            large.name,
            large.size(),
            large.rules().len(),
            wanted.max_bytes
        ),
    )
    .hint(advice))
}

struct Plan<'a> {
    rules: Vec<(&'a Entry, usize)>,
    stored: BTreeMap<Place, usize>,
    /// Bytes of a token without rules, at most.
    empty: usize,
    wanted: &'a Wanted,
}

impl Plan<'_> {
    /// The least number of shards, more than there are, whose tokens are small enough.
    fn enough(&self) -> Option<u64> {
        let room = self.wanted.max_bytes.checked_sub(self.empty).filter(|room| *room > 0)?;
        let all: usize = self.rules.iter().map(|(_, bytes)| bytes).sum();
        let least = u64::try_from(all.div_ceil(room)).ok()?.max(self.wanted.shards.count() + 1);
        (least..=MOST_SHARDS).find(|count| self.fits(&self.wanted.shards.with_count(*count)))
    }

    fn fits(&self, shards: &Shards) -> bool {
        let mut sizes: BTreeMap<Place, usize> = BTreeMap::new();
        for (entry, bytes) in &self.rules {
            for place in places(entry, shards, self.wanted.retire).0 {
                *sizes.entry(place).or_insert(self.empty) += bytes;
            }
        }
        let most =
            |place| self.wanted.max_bytes.max(self.stored.get(place).map_or(0, |size| size + LONGEST_SUFFIX));
        sizes.iter().all(|(place, size)| *size <= most(place))
    }
}
