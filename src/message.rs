//! Words for messages.

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
