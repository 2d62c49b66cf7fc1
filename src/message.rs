//! Words for messages.

use std::path::Path;

/// Names that a message shows at most.
const NAMES_SHOWN: usize = 10;

/// The first of many names, for a message.
#[must_use]
pub fn shown<T: AsRef<str>>(names: &[T]) -> String {
    let first: Vec<String> =
        names.iter().take(NAMES_SHOWN).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len().checked_sub(NAMES_SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", first.join(", ")),
        _ => first.join(", "),
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
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}
