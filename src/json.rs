//! JSON that is measured, not kept.

use std::io::{self, Write};

use serde::Serialize;

/// Bytes of a value as compact JSON.
#[must_use]
pub fn size(value: &impl Serialize) -> usize {
    size_within(value, usize::MAX).unwrap_or(usize::MAX)
}

/// The same for a value of so many bytes at most; none for a larger one, of which no more is looked at.
#[must_use]
pub fn size_within(value: &impl Serialize, most: usize) -> Option<usize> {
    let mut counter = Counter { left: most };
    // Nothing else can fail here.
    serde_json::to_writer(&mut counter, value).ok().map(|()| most - counter.left)
}

/// Bytes of a text as JSON.
#[must_use]
pub fn text_size(text: &str) -> usize {
    let is_itself = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_itself) { text.len() + "\"\"".len() } else { size(&text) }
}

struct Counter {
    left: usize,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{size, size_within, text_size};

    #[test]
    fn a_larger_value_has_no_size_within_a_limit() {
        let value = json!({ "a": [1, "b", null] });
        let bytes = value.to_string().len();
        assert_eq!(size_within(&value, bytes), Some(bytes));
        assert_eq!(size_within(&value, bytes - 1), None);
    }

    #[test]
    fn the_size_of_a_text_is_that_of_its_json() {
        for text in
            ["", "a", "\"", "\\", "\0", "\u{1f}", " ", "\u{7f}", "\u{80}", "é\u{2028}\u{1f600}", "a\nb\t"]
        {
            assert_eq!(text_size(text), serde_json::to_string(text).unwrap().len(), "{text:?}");
            assert_eq!(text_size(text), size(&text), "{text:?}");
        }
    }
}
