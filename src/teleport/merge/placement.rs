//! The rules into tokens again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::rules::{Entry, Fate, Union, given_hashes};
use super::{Current, Place, Wanted, sizes};
use crate::error::{Error, Kind, Result};
use crate::ordered;
use crate::teleport::{Identity, Name, Settings, Shards, Token};

/// The tokens as they should be.
pub struct Placed {
    pub tokens: Vec<Token>,
    pub delete: Vec<Name>,
    pub in_doubt: Vec<String>,
    pub warnings: Vec<String>,
}

/// Puts each rule into the token that it belongs to, and leaves it in those that have it, unless they are to
/// be retired: hosts join by what their configuration names, which moves after the tokens do.
pub fn place(union: Union, current: &Current<'_>, wanted: &Wanted) -> Result<Placed> {
    let mut entries = union.entries;
    entries.retain(|entry| entry.fate != Fate::Removed);
    let mut rules: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    let mut agree = false;
    let mut unready = 0;
    for (index, entry) in entries.iter().enumerate() {
        let (places, is_unready) = places(entry, &wanted.shards, wanted.retire);
        unready += usize::from(is_unready);
        let moves = !entry.places.is_empty() && !places.iter().eq(&entry.places);
        if moves && !agree {
            refuse_disagreement(current, wanted)?;
            agree = true;
        }
        for place in places {
            rules.entry(place).or_default().push(index);
        }
    }
    let delete = current.iter().filter(|(place, _)| !rules.contains_key(place));
    let delete = delete.map(|(_, token)| token.name.clone()).collect();
    let settings = settings(current, rules.keys().copied(), wanted)?;
    let in_doubt = in_doubt(&entries, current, &settings, wanted);
    let mut tokens = Vec::with_capacity(rules.len());
    for ((place, indexes), settings) in rules.into_iter().zip(settings.into_values()) {
        let rules = indexes.into_iter().map(|index| entries[index].rule.clone()).collect();
        tokens.push(Token::new(wanted.shards.name_of(place)?, settings, rules));
    }
    sizes::check(&entries, current, &tokens, wanted)?;
    let warnings = (unready > 0).then(|| {
        format!(
            "`retire` leaves {unready} rules where they are, since the cluster's tokens do not have them yet where they \
             belong: apply these tokens, move the hosts' configurations, and retire then"
        )
    });
    Ok(Placed { tokens, delete, in_doubt, warnings: warnings.into_iter().collect() })
}

/// The tokens that a rule is to be in, and whether it should have left some but may not yet.
pub fn places(entry: &Entry, shards: &Shards, retire: bool) -> (BTreeSet<Place>, bool) {
    let mut places = ordered::set(entry.places.iter().copied());
    let Some(home) = shards.home(&entry.rule.ek_public_hash) else {
        // A rule without a hash belongs nowhere in particular.
        return (places, false);
    };
    let is_ready = entry.matching.contains(&home);
    if retire && is_ready {
        return (BTreeSet::from([home]), false);
    }
    let is_unready = retire && !places.is_empty();
    places.insert(home);
    (places, is_unready)
}

/// The settings of each token: its own, or for a new one those of the others, with what the request changes.
fn settings(
    current: &Current<'_>,
    places: impl Iterator<Item = Place>,
    wanted: &Wanted,
) -> Result<BTreeMap<Place, Settings>> {
    let mut settings = BTreeMap::new();
    for place in places {
        let own = current.get(&place);
        if own.is_none() {
            refuse_disagreement(current, wanted)?;
        }
        let base = own.or_else(|| current.values().next());
        let of_token =
            base.map_or_else(|| wanted.changes.fresh(), |token| wanted.changes.apply(&token.settings));
        of_token.check_roles()?;
        settings.insert(place, of_token);
    }
    Ok(settings)
}

/// Where a host gets another token, that must let it in on the terms of its old one: refuses tokens that
/// differ in them.
fn refuse_disagreement(current: &Current<'_>, wanted: &Wanted) -> Result<()> {
    let Some(first) = current.values().next() else { return Ok(()) };
    let settings = wanted.changes.apply(&first.settings);
    for token in current.values() {
        let other = wanted.changes.apply(&token.settings);
        let difference = if other.distinct_cas() != settings.distinct_cas() {
            "ekcert_allowed_cas"
        } else if other.roles != settings.roles {
            "roles"
        } else if other.expires != settings.expires {
            "expires"
        } else {
            continue;
        };
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "tokens `{}` and `{}` differ in `{difference}`, and hosts would move from one to the other, or to a new one",
                first.name, token.name
            ),
        )
        .hint(format!("give `{difference}` for all of them")));
    }
    Ok(())
}

/// The rules of hosts that are not given, in tokens that allow other CAs now, or CAs at all: nobody knows
/// which CA issued these hosts' EK certificates.
fn in_doubt(
    entries: &[Entry],
    current: &Current<'_>,
    settings: &BTreeMap<Place, Settings>,
    wanted: &Wanted,
) -> Vec<String> {
    let is_stricter = |(place, new): (&Place, &Settings)| {
        let (old, new) = (current.get(place)?.settings.distinct_cas(), new.distinct_cas());
        let is_stricter = !new.is_empty() && (old.is_empty() || !old.is_subset(&new));
        is_stricter.then_some(*place)
    };
    let stricter = ordered::set(settings.iter().filter_map(is_stricter));
    if stricter.is_empty() {
        return Vec::new();
    }
    let hashes = given_hashes(wanted);
    let serials: HashSet<&str> = wanted.given().filter_map(Identity::serial).collect();
    let is_given = |entry: &Entry| match entry.rule.ek_public_hash.as_str() {
        "" => serials.contains(entry.rule.ek_certificate_serial.as_str()),
        hash => hashes.contains(hash),
    };
    let doubtful =
        |entry: &&Entry| !is_given(entry) && entry.places.iter().any(|place| stricter.contains(place));
    let mut labels: Vec<String> =
        entries.iter().filter(doubtful).map(|entry| entry.rule.label().to_owned()).collect();
    labels.sort();
    labels
}
