//! Ordered sets and maps that are filled item by item: `collect` would sort the items first, and the sort of each type is 5 KB of the
//! binary.

use std::collections::{BTreeMap, BTreeSet};

/// The items as a set.
pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    items.into_iter().for_each(|item| _ = set.insert(item));
    set
}

/// The pairs as a map, in which the last of a key counts.
pub fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    pairs.into_iter().for_each(|(key, value)| _ = map.insert(key, value));
    map
}
