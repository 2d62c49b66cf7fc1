//! What `tctl get --format=json` prints: a JSON list among whatever else is printed.
//!
//! Updates of `tctl`, banners and warnings come before the list or behind it, even in the same line. A list that is cut off
//! must never be taken for a shorter one, nor a part of it for the whole.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::document;

/// What an output has.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Resources, each with a `metadata.name`. None is what `[]` says.
    List(Vec<Value>),
    /// `null`.
    Null,
}

/// The answer in an output, or what is wrong with it: "its output is cut off".
pub fn read(output: &str) -> Result<Answer, String> {
    if output.trim().is_empty() {
        return Err("it printed nothing".to_owned());
    }
    let (mut found, mut at) = (None, 0);
    while let Some(next) = output[at..].find('[') {
        at += next;
        let inside = output[at + 1..].trim_start();
        if !inside.starts_with('{') {
            at += 1;
            continue;
        }
        let length = list_length(&output[at..])?;
        let list = resources(&output[at..at + length])?;
        if found.replace(list).is_some() {
            return Err("it printed more than one list".to_owned());
        }
        at += length;
    }
    match found {
        Some(list) => Ok(Answer::List(list)),
        None if is_alone(output, "[]") => Ok(Answer::List(Vec::new())),
        None if is_alone(output, "null") => Ok(Answer::Null),
        None => Err("it printed no JSON list".to_owned()),
    }
}

/// The name of a resource.
pub fn name_of(resource: &Value) -> Option<&str> {
    resource["metadata"]["name"].as_str().filter(|name| !name.is_empty())
}

/// Bytes of the list of objects that a text begins with.
fn list_length(text: &str) -> Result<usize, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(values.byte_offset()),
        Some(Err(error)) if error.is_eof() => Err("its output is cut off".to_owned()),
        // The error itself may quote a part of the text.
        _ => Err("its list is not valid JSON".to_owned()),
    }
}

fn resources(text: &str) -> Result<Vec<Value>, String> {
    match document::parse_json(text)? {
        Value::Array(list) if list.iter().all(|item| name_of(item).is_some()) => Ok(list),
        _ => Err("its list has something without `metadata.name`".to_owned()),
    }
}

/// Whether a text has this word in a line of its own, or right behind the progress of an update, which ends with a bracket.
/// In the middle of a line it may be a part of something else, such as a bar of progress.
fn is_alone(text: &str, word: &str) -> bool {
    let before = |line: &str| line.trim_end().strip_suffix(word).map(|before| before.trim_end().to_owned());
    text.split(['\n', '\r'])
        .filter_map(before)
        .any(|before| before.is_empty() || before.ends_with("(Ctrl-C to cancel update)"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Answer, read};

    const LIST: &str =
        "[\n  {\"metadata\": {\"name\": \"a\"}, \"spec\": {\"roles\": [], \"tpm\": [{\"x\": []}]}}\n]\n";
    const PROGRESS: &str = "\rUpdate progress: [   ] (Ctrl-C to cancel update)";

    fn wrong(output: &str) -> String {
        read(output).unwrap_err()
    }

    #[test]
    fn the_list_is_found_wherever_it_stands() {
        let expected =
            json!([{ "metadata": { "name": "a" }, "spec": { "roles": [], "tpm": [{ "x": [] }] } }]);
        for output in [
            LIST.to_owned(),
            format!("{PROGRESS}\rUpdate progress: [▒▒▒] (Ctrl-C to cancel update){LIST}"),
            format!("{PROGRESS}\n{LIST}"),
            format!("WARNING: old [update it]\n[1/3] []\n{LIST}Bye [x]\n"),
            format!("\u{1b}[31mred\u{1b}[0m\r\n{}", LIST.replace('\n', "\r\n")),
            format!("[]\n{LIST}null\n"),
        ] {
            assert_eq!(read(&output), Ok(Answer::List(expected.as_array().unwrap().clone())), "{output}");
        }
    }

    #[test]
    fn nothing_is_only_what_says_so() {
        for output in
            ["[]\n", "[]", "banner\n[]\r\n", &format!("{PROGRESS}[]\n"), &format!("{PROGRESS}\n[]\n")]
        {
            assert_eq!(read(output), Ok(Answer::List(Vec::new())), "{output}");
        }
        assert_eq!(read("null\n"), Ok(Answer::Null));
        assert_eq!(read(&format!("{PROGRESS}null\n")), Ok(Answer::Null));
        for output in
            [PROGRESS, "[ ]", "loading []\n", "[] (done)", "{\"a\": null}", "it is null", "{}", "0", "["]
        {
            assert_eq!(wrong(output), "it printed no JSON list", "{output}");
        }
        assert_eq!(wrong(" \n"), "it printed nothing");
    }

    #[test]
    fn no_part_of_a_list_is_taken_for_it() {
        for length in LIST.find('{').unwrap() + 1..LIST.trim_end().len() {
            assert_eq!(wrong(&LIST[..length]), "its output is cut off", "{length}");
        }
        assert_eq!(wrong(&LIST.replacen("\"x\"", "WARN\n\"x\"", 1)), "its list is not valid JSON");
        assert_eq!(wrong(&format!("{LIST}{LIST}")), "it printed more than one list");
        for other in
            ["[{}]", "[{\"metadata\": {}}]", "[{\"metadata\": {\"name\": \"\"}}]", "[{\"metadata\": 1}]"]
        {
            assert_eq!(wrong(other), "its list has something without `metadata.name`", "{other}");
        }
        assert!(wrong(&LIST.replace("\"roles\"", "\"tpm\"")).contains("twice"));
    }
}
