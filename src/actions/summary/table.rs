//! The table, for people: what a cell says, and the rows in columns.

use super::row::Row;

/// How many columns there are.
pub(super) const COLUMNS: usize = 7;
const HEADER: [&str; COLUMNS] = ["host", "TPM", "EK cert", "token", "tbot", "service", "bot"];
/// Characters of a cell at most.
const LONGEST: usize = 40;

/// What a cell says, and what this run did about it.
pub(super) struct Cell {
    text: String,
    pub mark: Option<&'static str>,
}

impl Cell {
    pub(super) fn of(text: Option<&str>) -> Self {
        Self { text: text.unwrap_or("-").to_owned(), mark: None }
    }

    pub(super) fn marked(self, mark: Option<&'static str>) -> Self {
        Self { mark, ..self }
    }

    /// The cell as it is shown. What a host says steers no terminal, and moves no column.
    fn shown(&self) -> String {
        let text: String = on_one_line(&self.text).chars().take(LONGEST).collect();
        match self.mark {
            Some(mark) => format!("{text} ({mark})"),
            None => text,
        }
    }
}

/// A text in which no character steers a terminal, turns a text around, or looks like another line.
pub(super) fn on_one_line(text: &str) -> String {
    let steers = |c: char| {
        // The format characters and separators of Unicode that do so (general categories Cf, Zl and Zp).
        let is_format = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        c.is_control() || is_format
    };
    let shown = |c| {
        if c == '\n' {
            ' '
        } else if steers(c) {
            '?'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

/// The rows under a header, in columns.
pub(super) fn lines(rows: &[&Row]) -> Vec<String> {
    let texts: Vec<Vec<String>> = std::iter::once(HEADER.map(str::to_owned).to_vec())
        .chain(rows.iter().map(|row| row.cells.iter().map(Cell::shown).collect()))
        .collect();
    let width = |column: usize| texts.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    texts.iter().map(line).collect()
}
