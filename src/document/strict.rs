//! The values of a text, none of which is lost, within a budget of memory.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::message::shortened;

/// Levels that values may go down.
pub const DEEPEST: usize = 100;
/// Bytes of memory that the values of a text may take for each byte of the text. Identities and rules take five.
const MEMORY_A_BYTE: usize = 6;
/// Bytes that they may take besides, for texts that are too short to count.
const SPARE_MEMORY: usize = 4 * 1024 * 1024;

/// Items of a list that gets room for all that there may be.
const LONG_LIST: usize = 32 * 1024;
/// Fields of a mapping that are looked through one by one.
const FEW_FIELDS: usize = 32;

/// The key by which a mapping takes over fields of others.
const MERGE: &str = "<<";

/// Bytes of memory that a value takes in the list or object that it is in.
const VALUE: usize = size_of::<Value>();
/// What a field takes besides its value: the key, and its hash.
const FIELD: usize = size_of::<String>() + size_of::<usize>();
/// What memory of its own takes besides what is in it, about.
const ALLOCATION: usize = 16;
/// What an object takes for finding fields by their keys, where it has a few.
const INDEX: usize = 64;

/// How much more memory the values may take.
pub struct Budget {
    memory: Cell<usize>,
    /// What to say where that is too little.
    exceeded: &'static str,
    /// Whether `<<` may take fields over from other mappings.
    pub takes_merges: bool,
}

impl Budget {
    /// The budget for the values of a text of this length.
    pub fn new(length: usize, exceeded: &'static str) -> Self {
        Self {
            memory: Cell::new(length.saturating_mul(MEMORY_A_BYTE).saturating_add(SPARE_MEMORY)),
            exceeded,
            takes_merges: false,
        }
    }

    /// Reads a value, with those in it.
    pub fn read<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Value, D::Error> {
        Strict { budget: self, depth: 0 }.deserialize(deserializer)
    }

    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.memory.get().checked_sub(bytes).ok_or_else(|| E::custom(self.exceeded))?;
        self.memory.set(left);
        Ok(())
    }

    fn take_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        self.take(if text.is_empty() { 0 } else { text.len() + ALLOCATION })
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Strict<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom(format!("it goes down more than {DEEPEST} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.budget.take(VALUE)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value that JSON has")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    // A hash of digits that nobody quoted is one of these.
    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        #[allow(clippy::cast_precision_loss)] // only to be called a number
        Ok((number as f64).into())
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        #[allow(clippy::cast_precision_loss)] // only to be called a number
        Ok((number as f64).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.budget.take_text(text)?;
        Ok(text.into())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.budget.take_text(&text)?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            if items.is_empty() {
                self.budget.take(ALLOCATION)?;
            }
            items.push(item);
            if items.len() == LONG_LIST {
                // To grow it bit by bit would take several times its memory; room that stays empty takes none.
                _ = items.try_reserve_exact(self.budget.memory.get() / VALUE);
            }
        }
        // Of many short lists, what is left over would be the most.
        if items.len() < LONG_LIST {
            items.shrink_to_fit();
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        // Of many small mappings, room for more fields would be the most.
        let (mut fields, mut merged) = (Vec::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            if key == MERGE {
                if !self.budget.takes_merges {
                    return Err(A::Error::custom("`<<` takes fields over from elsewhere: write them out"));
                }
                if merged.is_some() {
                    return Err(A::Error::custom("the key `<<` is there twice"));
                }
                merged = Some(map.next_value_seed(inner)?);
                continue;
            }
            // Of many, at the end: then the message has another place of the text.
            if fields.len() < FEW_FIELDS && fields.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(twice(&key)));
            }
            self.budget.take(FIELD + if fields.is_empty() { INDEX + 2 * ALLOCATION } else { 0 })?;
            self.budget.take_text(&key)?;
            let value = map.next_value_seed(inner)?;
            fields.push((key, value));
        }
        let mut fields = distinct(fields).map_err(A::Error::custom)?;
        match merged {
            None => {}
            Some(Value::Array(items)) => {
                items
                    .into_iter()
                    .try_for_each(|item| take_over(&mut fields, item))
                    .map_err(A::Error::custom)?;
            }
            Some(value) => take_over(&mut fields, value).map_err(A::Error::custom)?,
        }
        Ok(Value::Object(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _data: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("a tag (!name) has no meaning here: leave it out"))
    }
}

/// Adds the fields of another mapping that are not there yet.
fn take_over(fields: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    let Value::Object(others) = value else { return Err("`<<` takes over mappings alone") };
    for (name, value) in others {
        fields.entry(name).or_insert(value);
    }
    Ok(())
}

fn twice(key: &str) -> String {
    format!("the key `{}` is there twice", shortened(key))
}

/// The fields as a mapping, unless a key is there twice.
fn distinct(fields: Vec<(String, Value)>) -> Result<Map<String, Value>, String> {
    let mut distinct = Map::with_capacity(fields.len());
    for (key, value) in fields {
        match distinct.entry(key) {
            Entry::Occupied(entry) => {
                return Err(twice(entry.key()));
            }
            Entry::Vacant(entry) => _ = entry.insert(value),
        }
    }
    Ok(distinct)
}
