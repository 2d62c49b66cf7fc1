//! The names of an action's parameters, as its type declares them.

use serde::de::{self, DeserializeOwned, Visitor};
use serde::forward_to_deserialize_any;

use super::problem::Problem;

/// The names of the parameters that an action's type takes.
#[must_use]
pub fn parameter_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It ends with the names, and so without a value.
    let _ = T::deserialize(Names(&mut names));
    names
}

/// Keeps the names of the fields that a type asks for, and gives it none.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> de::Deserializer<'de> for Names<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> std::result::Result<V::Value, Problem> {
        Err(Problem::wrong("only a struct has names"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> std::result::Result<V::Value, Problem> {
        *self.0 = names;
        Err(Problem::wrong("the names are enough"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
