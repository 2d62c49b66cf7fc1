//! Parameters into types, coerced the way Ansible's own argument specs coerce them.
//!
//! In ad hoc use (`ansible -a 'action=token roles=Node,App'`) and from templates before ansible-core
//! 2.19 every value arrives as text. At the top level a boolean may be any of Ansible's words for it,
//! a number may be its digits, a text may be an integer, a list may be comma-separated text or JSON,
//! and an object may be `key=value` pairs or JSON. Inside lists and objects a number is no text: YAML
//! has read an unquoted `12:34` as 754 by then, and that must not become a serial number.
//! `null` means "not given".

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Number, Value};

use super::pairs;
use super::problem::Problem;
use crate::document;
use crate::error::{Error, Result};
use crate::message::shortened;

/// The parameters of an action as the type that declares them.
pub fn from_fields<T: DeserializeOwned>(action: &str, parameters: Map<String, Value>) -> Result<T> {
    let input = Coerced { value: Value::Object(parameters), depth: Depth::Request };
    T::deserialize(input).map_err(|problem| Error::invalid(problem.describe(action)))
}

/// A value of one element of a list as the type that declares it, coerced as the parameter `name` of the action would be: so
/// that what is wrong with one element need not be wrong with the request.
pub fn from_value<T: DeserializeOwned>(action: &str, name: &str, value: Value) -> Result<T> {
    T::deserialize(Coerced { value, depth: Depth::Parameter })
        .map_err(|problem| Error::invalid(problem.inside(name).describe(action)))
}

/// Ansible's words for true and false.
#[must_use]
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Where a value stands, which decides how far it is coerced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// The request itself.
    Request,
    /// A parameter's value.
    Parameter,
    /// An element or field of a parameter's value: data, which is taken as it is.
    Inner,
}

impl Depth {
    fn inner(self) -> Self {
        if self == Self::Request { Self::Parameter } else { Self::Inner }
    }
}

struct Coerced {
    value: Value,
    depth: Depth,
}

impl Coerced {
    fn mismatch(&self, expected: &str) -> Problem {
        let found = match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => format!("the boolean {truth}"),
            Value::Number(number) => format!("the number {number}"),
            Value::String(text) => format!("the text {}", Value::from(shortened(text))),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        Problem::wrong(format!("expected {expected}, found {found}"))
    }

    fn number(&self) -> Option<Number> {
        match &self.value {
            Value::Number(number) => Some(integral(number)),
            Value::String(text) if self.depth == Depth::Parameter => {
                let text = text.trim();
                text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
            }
            _ => None,
        }
    }

    fn list(self) -> std::result::Result<Vec<Value>, Problem> {
        match &self.value {
            Value::Array(_) => {}
            Value::String(text) if self.depth == Depth::Parameter => {
                let text = text.trim();
                if text.starts_with('[')
                    && let Value::Array(items) = json(text, "a JSON list")?
                {
                    return Ok(items);
                }
                // Certificates, between which people write what they are, with commas.
                if text.contains("-----BEGIN ") {
                    return Ok(vec![text.into()]);
                }
                refuse_long(text)?;
                return Ok(text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(Value::from)
                    .collect());
            }
            Value::Number(_) if self.depth == Depth::Parameter => return Ok(vec![self.value]),
            _ => return Err(self.mismatch("a list, or comma-separated text")),
        }
        if let Value::Array(items) = self.value { Ok(items) } else { Ok(Vec::new()) }
    }

    fn object(self) -> std::result::Result<Map<String, Value>, Problem> {
        match self.value {
            Value::Object(fields) => Ok(fields),
            Value::String(ref text) if self.depth == Depth::Parameter => {
                let text = text.trim();
                if text.starts_with('{')
                    && let Value::Object(fields) = json(text, "a JSON object")?
                {
                    return Ok(fields);
                }
                refuse_long(text)?;
                match pairs::parse(text) {
                    Some(pairs) => {
                        Ok(pairs.into_iter().map(|(key, value)| (key, Value::from(value))).collect())
                    }
                    None => Err(self.mismatch("an object, as JSON or as key=value pairs")),
                }
            }
            _ => Err(self.mismatch("an object")),
        }
    }
}

fn integral(number: &Number) -> Number {
    match number.as_f64() {
        #[allow(clippy::cast_possible_truncation)] // inside 2^53, where every whole number is exact
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// Refuses a text that people did not write, whose parts would take many times its memory.
fn refuse_long(text: &str) -> std::result::Result<(), Problem> {
    const LONGEST: usize = 1024 * 1024;
    let too_long =
        |length| format!("a text of {length} bytes is too long to split: give a list or an object");
    if text.len() <= LONGEST { Ok(()) } else { Err(Problem::wrong(too_long(text.len()))) }
}

/// The value of a JSON text, as strictly as a request is read.
fn json(text: &str, expected: &str) -> std::result::Result<Value, Problem> {
    document::parse_json(text).map_err(|error| Problem::wrong(format!("expected {expected}: {error}")))
}

macro_rules! coerce_integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
            let number = self.number().ok_or_else(|| self.mismatch("a whole number"))?;
            number.$method(visitor).map_err(|_| self.mismatch("a whole number in range"))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Coerced {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Number(ref number) => {
                let number = number.clone();
                number.deserialize_any(visitor).map_err(|error| Problem::wrong(error.to_string()))
            }
            Value::String(text) => visitor.visit_string(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        match boolean(&self.value) {
            Some(truth) => visitor.visit_bool(truth),
            None => Err(self.mismatch("a boolean (yes or no, true or false)")),
        }
    }

    coerce_integers! { deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i64 }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        match self.value {
            Value::String(text) => visitor.visit_string(text),
            Value::Number(ref number) if self.depth == Depth::Parameter && !number.is_f64() => {
                visitor.visit_string(number.to_string())
            }
            Value::Number(_) | Value::Bool(_) => Err(self.mismatch("a text (quote it, as in \"12:34\")")),
            _ => Err(self.mismatch("a text")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        let depth = self.depth.inner();
        visitor.visit_seq(Elements { items: self.list()?.into_iter().enumerate(), depth })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Problem> {
        let depth = self.depth.inner();
        visitor.visit_map(Fields { remaining: self.object()?.into_iter(), depth, current: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Problem> {
        // Here and not at the key, since a key whose value is null is not visited.
        if let (Depth::Request, Value::Object(fields)) = (self.depth, &self.value)
            && let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str()))
        {
            return Err(de::Error::unknown_field(name, known));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Problem> {
        match &self.value {
            Value::String(text) => {
                let variant: StrDeserializer<'_, Problem> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            _ => Err(self.mismatch("a text")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The elements of a list; a problem in one says which.
struct Elements {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    depth: Depth,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<Option<S::Value>, Problem> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        // An index alone would send people counting.
        let name = value.get("description").or_else(|| value.get("host"));
        let name = name.and_then(Value::as_str).map(str::to_owned);
        let element = Coerced { value, depth: self.depth };
        seed.deserialize(element).map(Some).map_err(|problem| {
            let name = name.map(|name| format!(" ({})", shortened(&name))).unwrap_or_default();
            problem.inside(&format!("[{index}]{name}"))
        })
    }
}

/// The fields of an object, without those that are null; a problem in one says which.
struct Fields {
    remaining: serde_json::map::IntoIter,
    depth: Depth,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Problem;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<Option<S::Value>, Problem> {
        self.current = self.remaining.find(|(_, value)| !value.is_null());
        let Some((name, _)) = &self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Problem> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<S::Value, Problem> {
        let (name, value) = self.current.take().unwrap_or_default();
        let field = Coerced { value, depth: self.depth };
        seed.deserialize(field).map_err(|problem| problem.inside(&name))
    }
}
