//! JSON and YAML texts from elsewhere into values, with nothing guessed and nothing lost.
//!
//! A key that is given twice would be read as its last value by one reader and as its first by another;
//! an alias in YAML may stand for a billion values. Both are errors here.

use std::cell::Cell;
use std::fmt;
use std::iter::Peekable;
use std::str::Bytes;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Values that a text may hold although it is too short for so many.
const SPARE_VALUES: usize = 10_000;
/// Bytes that a value takes in a text at least. Rules of a token take several times that.
const BYTES_A_VALUE: usize = 8;
/// Levels that a text may go down. YAML's reader takes far too much time and memory for more.
const DEEPEST: usize = 1000;

/// The one value of a JSON text.
pub fn parse_json(text: &str) -> Result<Value, String> {
    // Nothing in it can stand for more than itself.
    let budget = Budget { values: Cell::new(usize::MAX), bytes: Cell::new(usize::MAX) };
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Strict(&budget).deserialize(&mut json);
    value.and_then(|value| json.end().map(|()| value)).map_err(|error| error.to_string())
}

/// The documents of a text: one in JSON, or any number in YAML, empty ones left out.
pub fn parse(text: &str) -> Result<Vec<Value>, String> {
    // YAML's own reader would take most JSON too, but not as fast, and not all of it.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = parse_json(text)
    {
        return Ok(vec![value]);
    }
    parse_yaml(text)
}

/// The documents of a text that YAML's readers take, empty ones left out. JSON is such a text, mostly.
pub fn parse_yaml(text: &str) -> Result<Vec<Value>, String> {
    if depth(text) > DEEPEST {
        return Err(format!("it goes down more than {DEEPEST} levels"));
    }
    let budget = Budget {
        values: Cell::new(text.len() / BYTES_A_VALUE + SPARE_VALUES),
        // An escaped character can be longer than its escape, by half.
        bytes: Cell::new(2 * text.len()),
    };
    let mut documents = Vec::new();
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(documents);
    }
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Strict(&budget).deserialize(document).map_err(|error| error.to_string())?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    Ok(documents)
}

/// About how many levels a text goes down: the most brackets that are open at a time, or the most lists or
/// keys that begin in one line (`- - a`). Over several lines, each level takes more room than the one before.
fn depth(text: &str) -> usize {
    let begins = |word: &&str| ["-", "?"].contains(word) || word.starts_with(['&', '!']);
    let in_line = |line: &str| line.split_ascii_whitespace().take_while(begins).count();
    brackets(text).max(text.lines().map(in_line).max().unwrap_or(0))
}

/// The most brackets that are open at a time, without those in quotes, comments and the midst of a text.
fn brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    // The last byte, and the last that is no space, which tells whether a value may begin after it.
    let (mut last, mut solid) = (b'\n', b'\n');
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let may_begin = b"\n:,-?[{".contains(&solid);
        match byte {
            b'"' | b'\'' if may_begin => skip_quoted(byte, &mut bytes),
            b'#' if last.is_ascii_whitespace() => {
                bytes.find(|byte| *byte == b'\n');
                (last, solid) = (b'\n', b'\n');
                continue;
            }
            b'[' | b'{' if may_begin => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
        last = byte;
        if !matches!(byte, b' ' | b'\t' | b'\r') {
            solid = byte;
        }
    }
    most
}

/// Goes behind the closing quote. A backslash in double quotes, and a quote before another in single ones, let
/// a quote stand for itself.
fn skip_quoted(quote: u8, bytes: &mut Peekable<Bytes<'_>>) {
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && quote == b'"' {
            bytes.next();
        } else if byte == quote && (quote == b'"' || bytes.next_if_eq(&quote).is_none()) {
            return;
        }
    }
}

/// How many more values, and bytes of texts, there may be.
struct Budget {
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    fn take_value<E: serde::de::Error>(&self) -> Result<(), E> {
        take(&self.values, 1)
    }

    fn take_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        take(&self.bytes, text.len())
    }
}

fn take<E: serde::de::Error>(left: &Cell<usize>, amount: usize) -> Result<(), E> {
    let rest = left
        .get()
        .checked_sub(amount)
        .ok_or_else(|| E::custom("aliases (*name) make it hold more than it has room for: write them out"))?;
    left.set(rest);
    Ok(())
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.take_value()?;
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
        self.0.take_text(text)?;
        Ok(text.into())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.0.take_text(&text)?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "<<" {
                return Err(A::Error::custom("`<<` takes fields over from elsewhere: write them out"));
            }
            if fields.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            let value = map.next_value_seed(self)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _data: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("a tag (!name) has no meaning here: leave it out"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn json_and_yaml_say_the_same() {
        let expected = Ok(vec![json!({ "a": ["12:34", 1, true, null], "no": { "b": "yes" } })]);
        assert_eq!(parse(r#"{"a": ["12:34", 1, true, null], "no": {"b": "yes"}}"#), expected);
        assert_eq!(parse("# x\na: ['12:34', 1, true, ~]\nno:\n  b: yes\n"), expected);
        assert_eq!(parse("---\na: 1\n---\n---\nb: 2\n"), Ok(vec![json!({ "a": 1 }), json!({ "b": 2 })]));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("# nothing\n"), Ok(vec![]));
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        for (text, why) in [
            ("a: 1\na: 2\n", "twice"),
            (r#"{"x": {"a": 1, "a": 2}}"#, "twice"),
            ("a: &x {b: 1}\nc:\n  <<: *x\n", "take"),
            ("a: !thing 1\n", "tag"),
            ("a: [", ""),
            ("{\"a\": 1} {", ""),
            ("[a]: b\n", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn brackets_in_texts_are_no_levels() {
        for item in ["- \"rack [7\"\n", "- 'rack [7'\n", "- rack [7 it's {\n", "- a # [\n"] {
            let items = parse(&item.repeat(2000)).unwrap();
            assert_eq!(items[0].as_array().unwrap().len(), 2000, "{item}");
        }
    }

    #[test]
    fn aliases_cannot_fill_the_memory() {
        let mut text = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*l{}", level - 1); 10].join(", ");
            text = format!("{text}l{level}: &l{level} [{aliases}]\n");
        }
        assert!(parse(&text).unwrap_err().contains("alias"));
        assert!(parse("a: &a [*a]\n").is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), vec!["*a"; 1000].join(", "));
        assert!(parse(&long).unwrap_err().contains("alias"));
        assert!(parse(&"[".repeat(5_000_000)).unwrap_err().contains("levels"));
        assert!(parse(&r#"[ "]", "#.repeat(100_000)).unwrap_err().contains("levels"));
        assert!(parse(&"[ 'a'']', # ]\n".repeat(100_000)).unwrap_err().contains("levels"));
        assert!(parse(&"# : \"\n[".repeat(100_000)).unwrap_err().contains("levels"));
        assert!(parse(&"- ".repeat(1_000_000)).unwrap_err().contains("levels"));
        assert_eq!(parse("a: &a x\nb: *a\n").unwrap().len(), 1);
    }
}
