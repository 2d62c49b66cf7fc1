//! Which of several tokens a host joins by.

use std::fmt::Write as _;

use super::Name;
use crate::error::{Error, Result};

/// The most tokens that one fleet is spread over.
pub const MOST_SHARDS: u64 = 10_000;

/// A token's place among those of one fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The one token `NAME`.
    Whole,
    /// The token `NAME-i`.
    Shard(u64),
}

/// The tokens that a fleet is spread over: `NAME` alone, or `NAME-0` to `NAME-(N-1)`.
#[derive(Debug, Clone)]
pub struct Shards {
    name: Name,
    count: u64,
}

impl Shards {
    /// That many tokens, from 1 to [`MOST_SHARDS`].
    pub fn new(name: Name, count: u64) -> Result<Self> {
        if !(1..=MOST_SHARDS).contains(&count) {
            return Err(Error::invalid(format!("`shards` is {count}, and may be 1 to {MOST_SHARDS}")));
        }
        let shards = Self { name, count };
        // The longest name must be one too.
        shards.name_of(Place::Shard(MOST_SHARDS))?;
        Ok(shards)
    }

    /// The same fleet in another number of tokens.
    #[must_use]
    pub fn with_count(&self, count: u64) -> Self {
        Self { name: self.name.clone(), count }
    }

    /// The name of the one token, with which the names of several begin.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The number of tokens.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where the TPM with this hash (lower-case hexadecimal) belongs: its first 64 bits, as a big-endian
    /// number, modulo the number of tokens, so that no other host has a bearing on it. None where there are
    /// several tokens and this is no hash.
    #[must_use]
    pub fn home(&self, ek_public_hash: &str) -> Option<Place> {
        if self.count == 1 {
            return Some(Place::Whole);
        }
        let first_64_bits = u64::from_str_radix(ek_public_hash.get(..16)?, 16).ok()?;
        Some(Place::Shard(first_64_bits % self.count))
    }

    /// The name of the token there.
    pub fn name_of(&self, place: Place) -> Result<Name> {
        let mut name = self.name.as_str().to_owned();
        if let Place::Shard(index) = place {
            // Writing to a text cannot fail.
            let _ = write!(name, "-{index}");
        }
        Name::try_from(name).map_err(|why| Error::invalid(format!("a shard's name is too long: {why}")))
    }

    /// Where the token of this name belongs, in whatever number of tokens; none where it is another fleet's.
    #[must_use]
    pub fn place_of(&self, name: &Name) -> Option<Place> {
        let rest = name.as_str().strip_prefix(self.name.as_str())?;
        if rest.is_empty() {
            return Some(Place::Whole);
        }
        let digits = rest.strip_prefix('-')?;
        let index: u64 = digits.parse().ok()?;
        (index.to_string() == digits).then_some(Place::Shard(index))
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, Place, Shards};

    fn shards(count: u64) -> Shards {
        Shards::new(Name::try_from("web".to_owned()).unwrap(), count).unwrap()
    }

    #[test]
    fn a_hosts_shard_is_the_first_64_bits_of_its_hash_modulo_their_number() {
        let hash = format!("0123456789abcdef{}", "f".repeat(48));
        assert_eq!(shards(1).home(&hash), Some(Place::Whole));
        assert_eq!(shards(7).home(&hash), Some(Place::Shard(0x0123_4567_89ab_cdef % 7)));
        assert_eq!(shards(1000).home(&"f".repeat(64)), Some(Place::Shard(615)), "2^64 - 1 is …551615");
        assert_eq!(shards(7).home(""), None);
    }

    #[test]
    fn only_the_fleets_own_tokens_have_a_place_in_it() {
        let place = |name: &str| shards(2).place_of(&Name::try_from(name.to_owned()).unwrap());
        assert_eq!(place("web"), Some(Place::Whole));
        assert_eq!(place("web-0"), Some(Place::Shard(0)));
        assert_eq!(place("web-12"), Some(Place::Shard(12)));
        for other in ["we", "web-", "web-01", "web-x", "web2", "web-1-2", "web-+1"] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn the_number_and_the_names_have_limits() {
        assert!(Shards::new(Name::try_from("web".to_owned()).unwrap(), 0).is_err());
        assert!(Shards::new(Name::try_from("web".to_owned()).unwrap(), 10_001).is_err());
        assert!(Shards::new(Name::try_from("x".repeat(255)).unwrap(), 2).is_err());
    }
}
