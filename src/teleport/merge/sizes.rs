//! How large tokens are, and how many would be small enough.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use super::placement::places;
use super::rules::Entry;
use super::{Current, Error, Kind, Place, Result, Wanted};
use crate::ordered;
use crate::teleport::shards::MOST_SHARDS;
use crate::teleport::{Shards, Token};

/// Characters by which the name of a shard may be longer than that of another token.
const LONGEST_SUFFIX: usize = "-9999".len();

/// Refuses tokens that are larger than wanted, with the number of shards that would do. One that the
/// cluster has as large already may stay so.
pub fn check(entries: &[Entry], current: &Current<'_>, tokens: &[Token], wanted: &Wanted) -> Result<()> {
    let stored = ordered::map(current.iter().map(|(place, token)| (*place, token.size())));
    let was =
        |token: &Token| wanted.shards.place_of(&token.name).and_then(|place| stored.get(&place).copied());
    let is_large = |token: &&Token| token.size() > wanted.max_bytes.max(was(token).unwrap_or(0));
    let Some(large) = tokens.iter().find(is_large) else { return Ok(()) };
    let stored = ordered::map(current.iter().map(|(place, token)| (*place, Stored::of(token, wanted))));
    // A new token has the settings of one of these.
    let settings = tokens.iter().map(Token::size_without_rules).chain(stored.values().map(|it| it.empty));
    let empty = settings.max().unwrap_or(0) + LONGEST_SUFFIX;
    let rules = entries.iter().map(|entry| (entry, entry.rule.size())).collect();
    let plan = Plan { rules, stored, empty, wanted };
    let advice = match plan.enough() {
        Some(count) => {
            format!("`shards: {count}` would do; see first how the hosts' configurations get their token")
        }
        None => format!(
            "no number of shards would do: a token has up to {empty} bytes without rules, and the largest rule {}; a rule \
             without `ek_public_hash` has no shard",
            plan.rules.iter().map(|(_, bytes)| bytes).max().unwrap_or(&0)
        ),
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
    stored: BTreeMap<Place, Stored>,
    /// Bytes of a new token without rules, at most.
    empty: usize,
    wanted: &'a Wanted,
}

/// Bytes of a token that the cluster has.
struct Stored {
    size: usize,
    /// Without rules, and with the settings as they should be.
    empty: usize,
}

impl Stored {
    fn of(token: &Token, wanted: &Wanted) -> Self {
        let settings = wanted.changes.apply(&token.settings);
        let empty = Token::new(token.name.clone(), settings, Vec::new()).size();
        Self { size: token.size(), empty }
    }
}

impl Plan<'_> {
    /// A number of shards, more than there are, whose tokens are small enough: the least but for tokens that are
    /// too large already.
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
                let stored = self.stored.get(&place);
                let most = self.wanted.max_bytes.max(stored.map_or(0, |stored| stored.size));
                let size = match sizes.entry(place) {
                    Occupied(size) => {
                        let size = size.into_mut();
                        *size += ",".len();
                        size
                    }
                    Vacant(size) => size.insert(stored.map_or(self.empty, |stored| stored.empty)),
                };
                *size += bytes;
                if *size > most {
                    return false;
                }
            }
        }
        true
    }
}
