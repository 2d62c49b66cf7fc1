//! Words for messages.

use std::borrow::Cow;
use std::path::Path;

/// Names that a message shows at most.
const NAMES_SHOWN: usize = 10;
/// Characters of one value, such as a path or a name, that a message shows at most.
const LONGEST_VALUE: usize = 300;
/// Characters of a sentence at most.
const LONGEST_SENTENCE: usize = 4000;

/// The first of many names, for a message.
#[must_use]
pub fn shown<T: AsRef<str>>(names: &[T]) -> String {
    let quoted = |name: &T| format!("`{}`", cut(name.as_ref(), LONGEST_VALUE));
    listed(&names.iter().take(NAMES_SHOWN).map(quoted).collect::<Vec<_>>(), names.len())
}

/// The first of many things that are in words already, for a message.
#[must_use]
pub fn first(things: &[String]) -> String {
    listed(&things[..things.len().min(NAMES_SHOWN)], things.len())
}

/// The first of so many things.
fn listed(first: &[String], count: usize) -> String {
    match count - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A path for a message: what could look like another line, or steer a terminal, is escaped.
#[must_use]
pub fn printable(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

/// At most 60 characters of a text, for a message.
#[must_use]
pub fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One sentence for a person, within the limits of [`bounded`]: at most some 4000 characters.
#[must_use]
pub fn sentence(text: &str) -> String {
    bounded(text, LONGEST_SENTENCE)
}

/// A message of at most about `most` characters, in which each value is shown with at most 300. What is longer
/// is cut in the middle, where its length stands then.
///
/// A value is what stands in quotes or backticks, or a word.
#[must_use]
pub fn bounded(text: &str, most: usize) -> String {
    let mut bounded = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (value, behind) = rest.split_at(value_end(rest));
        bounded.push_str(&cut(value, LONGEST_VALUE));
        rest = behind;
    }
    cut(&bounded, most).into_owned()
}

/// Where the value ends that a text begins with.
fn value_end(text: &str) -> usize {
    let quoted = match text.as_bytes() {
        [b'(', ..] => return 1,
        [b'"', ..] => quoted_end(text),
        [b'`', ..] => text[1..].find('`').map(|end| end + 2),
        _ => None,
    };
    let word = || text.split_inclusive(char::is_whitespace).next().map_or(0, str::len);
    quoted.unwrap_or_else(word)
}

/// Where a text in double quotes ends, in which a backslash stands before what would end it.
fn quoted_end(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// A text of at most about `most` characters: its start and its end, and its length between them.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    let length = if text.len() <= most { 0 } else { text.chars().count() };
    if length <= most {
        return Cow::Borrowed(text);
    }
    let place = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(place, _)| place);
    let (start, end) = (&text[..place(most / 4 * 3)], &text[place(length - most / 8)..]);
    Cow::Owned(format!("{start}… ({length} characters) …{end}"))
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn what_is_short_enough_stays_to_the_letter() {
        for text in ["", " ", "a \n b", "\"", "`", "(", "`a` is none of \"b\" (é)", &"word ".repeat(100)] {
            assert_eq!(bounded(text, 1000), text);
        }
    }

    #[test]
    fn a_value_is_cut_in_the_middle_and_says_its_length() {
        let long = "é".repeat(1000);
        let (start, end) = ("é".repeat(225), "é".repeat(37));
        assert_eq!(
            bounded(&format!("path {long} is"), 4000),
            format!("path {start}… (1001 characters) …{} is", &end[2..])
        );
        let spaced = "a \\\" b ".repeat(1000);
        for (quote, value) in [('"', spaced.as_str()), ('`', &"a b ".repeat(1000))] {
            let text = bounded(&format!("the path ({quote}{value}{quote}) is not absolute"), 4000);
            assert!(
                text.len() < 400 && text.starts_with("the path (") && text.ends_with(") is not absolute"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_message_of_many_values_is_cut_too() {
        for text in [
            "a b ".repeat(100_000),
            "` \" ( ".repeat(100_000),
            "\" ✓ ".repeat(100_000),
            "\u{200b}".repeat(100_000),
        ] {
            let bounded = bounded(&text, 1000);
            assert!(bounded.chars().count() < 1000 && bounded.contains("characters)"), "{bounded}");
        }
    }
}
