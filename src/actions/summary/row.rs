//! One host's row of the table.

use serde_json::{Map, Value};

use super::Seen;

const HEADER: [&str; 7] = ["host", "TPM", "EK cert", "token", "tbot", "service", "bot"];
/// Characters of a cell at most.
const LONGEST: usize = 40;

pub(super) struct Row {
    cells: [Cell; 7],
    pub is_left_out: bool,
}

/// What a cell says, and what this run did about it.
struct Cell {
    text: String,
    mark: Option<&'static str>,
}

const NEW: Option<&str> = Some("new");
const CHANGED: Option<&str> = Some("changed");

impl Row {
    pub(super) fn of(seen: &Seen, enrolled: &Map<String, Value>) -> Self {
        let identified = &seen.identified;
        let mut cells = [
            Cell::of(Some(&seen.host)),
            tpm(identified),
            Cell::of(identified.get("ek_cert_present").map(|is| if is == true { "yes" } else { "none" })),
            token(&seen.host, enrolled),
            tbot(seen),
            service(&seen.deployed),
            bot(&seen.deployed),
        ];
        // What an earlier run may have left behind says nothing of this one.
        if identified.contains_key("problem") {
            for cell in &mut cells[2..] {
                *cell = Cell::of(None);
            }
        }
        Self { cells, is_left_out: seen.problem.is_some() }
    }

    /// Whether anything was changed, or would be.
    pub(super) fn is_marked(&self) -> bool {
        self.cells.iter().any(|cell| cell.mark.is_some())
    }
}

impl Cell {
    fn of(text: Option<&str>) -> Self {
        Self { text: text.unwrap_or("-").to_owned(), mark: None }
    }

    fn marked(self, mark: Option<&'static str>) -> Self {
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

fn tpm(identified: &Map<String, Value>) -> Cell {
    if identified.contains_key("problem") {
        return Cell::of(Some("failed"));
    }
    let manufacturer = identified.get("tpm").and_then(|tpm| tpm["manufacturer"].as_str());
    let Some(recorded) = identified.get("recorded") else { return Cell::of(manufacturer) };
    let is_changed = recorded["changed"] == true;
    let is_other = recorded["former_ek_public_hash"].is_string();
    let mark = if !is_changed {
        None
    } else if is_other {
        CHANGED
    } else {
        NEW
    };
    Cell::of(manufacturer.or(Some("yes"))).marked(mark)
}

fn token(host: &str, enrolled: &Map<String, Value>) -> Cell {
    let has = |list: &Value| list.as_array().is_some_and(|hosts| hosts.iter().any(|name| name == host));
    let refused = enrolled.get("refused").and_then(Value::as_array);
    if refused.is_some_and(|refused| refused.iter().any(|one| one["description"] == host)) {
        return Cell::of(Some("refused"));
    }
    let name = enrolled.get("host_tokens").and_then(|tokens| tokens[host].as_str());
    let rules = enrolled.get("rules").unwrap_or(&Value::Null);
    let mark = if has(&rules["added"]) {
        NEW
    } else if has(&rules["updated"]) {
        CHANGED
    } else {
        None
    };
    Cell::of(name).marked(mark)
}

fn tbot(seen: &Seen) -> Cell {
    let programs: Vec<&Value> = [&seen.identified, &seen.deployed, &seen.compared]
        .into_iter()
        .filter_map(|answer| answer.get("program"))
        .collect();
    let version = |program: &Value, name: &str| program[name].as_str().map(str::to_owned);
    let before = programs.first().and_then(|program| version(program, "found_version"));
    // What was installed in this run is found by the last that looked.
    let now = programs.iter().rev().find_map(|program| version(program, "found_version"));
    let is_to_install = programs.last().is_some_and(|program| program["to_install"] == true);
    let wanted = programs.last().and_then(|program| version(program, "wanted_version"));
    let then = if is_to_install { wanted.or_else(|| Some("newest".to_owned())) } else { now };
    let mark = match (&before, &then) {
        (before, then) if before == then => None,
        (None, _) => NEW,
        _ => CHANGED,
    };
    Cell::of(then.as_deref()).marked(mark)
}

fn service(deployed: &Map<String, Value>) -> Cell {
    let changed = |part: &str| deployed.get(part).is_some_and(|part| part["changed"] == true);
    let service = deployed.get("service");
    let state = service.and_then(|service| service["active_state"].as_str());
    let state = state.or_else(|| deployed.contains_key("systemd").then_some("not managed"));
    let parts = ["access", "storage", "config", "systemd", "service"];
    let is_new = changed("systemd") && changed("storage") && changed("config");
    let mark = if is_new {
        NEW
    } else if parts.into_iter().any(changed) {
        CHANGED
    } else {
        None
    };
    Cell::of(state).marked(mark)
}

fn bot(deployed: &Map<String, Value>) -> Cell {
    let ready = deployed.get("service").map(|service| &service["ready"]);
    Cell::of(match ready {
        Some(Value::Bool(true)) => Some("ready"),
        Some(Value::Bool(false)) => Some("not ready"),
        _ => None,
    })
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
pub(super) fn table(rows: &[&Row]) -> Vec<String> {
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
