//! What a service said last.

use super::{ServiceState, UnitName};
use crate::host::program::said_by;

/// Bytes that are kept, of the end.
const LONGEST: usize = 16 * 1024;

/// The last lines that the journal has of the service's last run, systemd's own included, or else of any run. Empty
/// where it has none, or they may not be read. Control characters are escaped.
#[must_use]
pub fn last_lines(name: &UnitName, state: &ServiceState, lines: u16) -> String {
    if lines == 0 || state.active_state().is_none() {
        return String::new();
    }
    let ask = |matches: &[&str]| {
        let count = format!("--lines={lines}");
        let options = ["--quiet", "--no-pager", "--output=cat", &count];
        said_by("journalctl", &[&options, matches].concat()).unwrap_or_default()
    };
    let run = state.invocation().map(|id| {
        // The first are the service's own lines, the others systemd's.
        ask(&[&format!("_SYSTEMD_INVOCATION_ID={id}"), "+", &format!("INVOCATION_ID={id}")])
    });
    let said = run.filter(|said| !said.is_empty());
    harmless(&said.unwrap_or_else(|| ask(&["--unit", &name.file_name()])))
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
