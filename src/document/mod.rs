//! JSON and YAML texts from elsewhere into values, with nothing guessed, nothing lost, and within limits.
//!
//! A key that is given twice would be read as its last value by one reader and as its first by another;
//! an alias in YAML may stand for a billion values. Both are errors here. So are more than 100 levels, and values
//! that would take more than six times the memory of their text, and 4 MiB: millions of numbers, say.

mod scan;
mod strict;

use serde_json::Value;

use strict::Budget;

/// Values that a YAML text may hold although it is too short for so many.
const SPARE_VALUES: usize = 10_000;
/// Bytes that a value takes in a YAML text at least, on the average. Rules of a token take more than that.
const BYTES_A_VALUE: usize = 16;
/// Levels that a YAML text may go down. YAML's reader takes far too much time and memory for more.
const DEEPEST_YAML: usize = 1000;

/// What is wrong with a text that would take too much memory.
const TOO_MANY_VALUES: &str = "it holds too many values for its size";

/// The one value of a JSON text.
pub fn parse_json(text: &str) -> Result<Value, String> {
    read_json(text).map_err(|error| error.to_string())
}

/// The same, with an error of the category `Data` where the text is JSON, but none that is taken.
pub fn read_json(text: &str) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Budget::new(text.len(), TOO_MANY_VALUES).read(&mut json)?;
    json.end().map(|()| value)
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
    read_yaml(text, false)
}

/// The same, with the fields that `<<` takes over from other mappings: those of a mapping itself win, then those of
/// the first in a list (YAML's merge key, as Go's reader takes it).
pub fn parse_merged_yaml(text: &str) -> Result<Vec<Value>, String> {
    read_yaml(text, true)
}

fn read_yaml(text: &str, takes_merges: bool) -> Result<Vec<Value>, String> {
    if scan::depth(text) > DEEPEST_YAML {
        return Err(format!("it goes down more than {DEEPEST_YAML} levels"));
    }
    if scan::values(text) > text.len() / BYTES_A_VALUE + SPARE_VALUES {
        return Err(TOO_MANY_VALUES.to_owned());
    }
    let aliases = "aliases (*name) make it hold more than it has room for: write them out";
    let mut budget = Budget::new(text.len(), aliases);
    budget.takes_merges = takes_merges;
    let mut documents = Vec::new();
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(documents);
    }
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = budget.read(document).map_err(|error| error.to_string())?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{parse, parse_merged_yaml};

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
    fn a_merge_key_gives_what_a_mapping_does_not_say_itself() {
        let base = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3, z: 4}\n";
        let merged = |text: &str| {
            let mut documents = parse_merged_yaml(&format!("{base}c: {text}\n"))?;
            Ok::<_, String>(documents.remove(0)["c"].take())
        };
        assert_eq!(merged("{<<: *a}"), Ok(json!({ "x": 1, "y": 2 })));
        assert_eq!(merged("{y: ~, <<: *a}"), Ok(json!({ "x": 1, "y": null })));
        assert_eq!(merged("{<<: [*a, *b]}"), Ok(json!({ "x": 1, "y": 2, "z": 4 })));
        assert_eq!(merged("{<<: [*b, {q: 5}]}"), Ok(json!({ "x": 1, "y": 3, "z": 4, "q": 5 })));
        for wrong in ["{<<: 1}", "{<<: }", "{<<: [*a, 1]}", "{<<: *a, <<: *b}"] {
            assert!(merged(wrong).unwrap_err().contains("`<<`"), "{wrong}");
        }
        let mut text = "l0: &l0 {a: x}\n".to_owned();
        for level in 1..40 {
            text = format!("{text}l{level}: &l{level} {{<<: *l{0}, b: *l{0}}}\n", level - 1);
        }
        assert!(parse_merged_yaml(&text).is_err(), "merges fill the memory");
    }

    #[test]
    fn a_text_has_few_levels_and_no_more_values_than_fit_its_size() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for levels in [101, 200, 100_000] {
            for text in [nested(levels), format!("a: {}", nested(levels))] {
                assert!(parse(&text).unwrap_err().contains("levels"), "{levels}");
            }
        }
        assert!(parse(&nested(100)).is_ok());
        for value in ["1", "[]", "{}", "\"\"", r#"{"a":{}}"#] {
            let list = |count: usize| format!("[{}]", vec![value; count].join(","));
            assert!(parse(&list(5_000)).is_ok(), "{value}");
            assert!(parse(&list(1_000_000)).unwrap_err().contains("too many values"), "{value}");
        }
        for line in ["- 1\n", "- - 1\n", "? 1\n", "- {}\n", "- [1,\n 2]\n"] {
            assert!(parse(&line.repeat(100_000)).unwrap_err().contains("too many values"), "{line}");
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
