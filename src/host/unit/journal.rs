//! What a service said last.

use super::{ServiceState, UnitName};
use crate::host::program::said_by;

/// Bytes that are kept, of the end.
const LONGEST: usize = 16 * 1024;

/// The last lines that the journal has of the service, systemd's own included. Empty where it has none, or they may
/// not be read. Control characters are escaped.
///
/// Of all its runs: the journal learns only later which run a line belongs to, and may never, of a program that ends at
/// once; and then its line is what there is to see.
#[must_use]
pub fn last_lines(name: &UnitName, state: &ServiceState, lines: u16) -> String {
    if lines == 0 || state.active_state().is_none() {
        return String::new();
    }
    // What a program said just before its end may still be under way to the journal (journalctl(1), --sync).
    let _ = said_by("journalctl", &["--sync"]);
    let count = format!("--lines={lines}");
    let options = ["--quiet", "--no-pager", "--output=cat", &count, "--unit", &name.file_name()];
    harmless(&said_by("journalctl", &options).unwrap_or_default())
}

fn harmless(said: &str) -> String {
    let mut start = said.len().saturating_sub(LONGEST);
    while !said.is_char_boundary(start) {
        start += 1;
    }
    let mut text = String::new();
    for c in said[start..].trim_end().chars() {
        if c.is_control() && c != '\n' { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, harmless};

    #[test]
    fn lines_are_escaped_and_bounded() {
        assert_eq!(harmless("one\u{1b}[2J\r\ntwo\u{9b}\n"), "one\\u{1b}[2J\\r\ntwo\\u{9b}");
        assert_eq!(harmless(&"é".repeat(LONGEST)).len(), LONGEST);
    }
}
