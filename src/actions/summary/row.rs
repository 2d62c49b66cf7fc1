//! One host's row of the table.

use serde_json::{Map, Value};

use super::Seen;
use super::table::{COLUMNS, Cell};

pub(super) struct Row {
    pub cells: [Cell; COLUMNS],
    pub is_left_out: bool,
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
    let rules: Vec<&Value> = bots(enrolled).filter_map(|(_, enrolled)| enrolled.get("rules")).collect();
    let mark = if rules.first().is_some_and(|rules| has(&rules["added"])) {
        NEW
    } else if rules.iter().any(|rules| ["added", "updated", "removed"].iter().any(|fate| has(&rules[*fate])))
    {
        CHANGED
    } else {
        None
    };
    Cell::of(name).marked(mark)
}

/// What is said of each bot: of the unnamed one, which has no name, and of the instances.
fn bots(answer: &Map<String, Value>) -> impl Iterator<Item = (Option<&str>, &Map<String, Value>)> {
    let instances = answer.get("instances").and_then(Value::as_object).into_iter().flatten();
    let instances = instances.filter_map(|(name, answer)| Some((Some(name.as_str()), answer.as_object()?)));
    std::iter::once((None, answer)).chain(instances)
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

/// Whether it is to be taken from the host.
pub(super) fn is_absent(deployed: &Map<String, Value>) -> bool {
    deployed.get("state").is_some_and(|state| state == "absent")
}

/// The state of the unnamed bot's service, or of the first that is not active.
fn service(deployed: &Map<String, Value>) -> Cell {
    let state =
        |deployed: &Map<String, Value>| deployed.get("service")?["active_state"].as_str().map(str::to_owned);
    let other =
        bots(deployed).skip(1).filter(|(_, deployed)| !is_absent(deployed)).find_map(|(name, deployed)| {
            let state = state(deployed).filter(|state| state != "active")?;
            Some(format!("{}: {state}", name.unwrap_or_default()))
        });
    let own = state(deployed).or_else(|| deployed.contains_key("systemd").then(|| "not managed".to_owned()));
    let shown = if own.as_deref() == Some("active") { other.or(own) } else { own };
    let changed = |deployed: &Map<String, Value>, part: &str| {
        deployed.get(part).is_some_and(|part| part["changed"] == true)
    };
    let parts = ["access", "storage", "config", "systemd", "service"];
    let is_new = ["systemd", "storage", "config"].iter().all(|part| changed(deployed, part));
    let mark = if is_new {
        NEW
    } else if bots(deployed).any(|(_, deployed)| parts.iter().any(|part| changed(deployed, part))) {
        CHANGED
    } else {
        None
    };
    Cell::of(shown.as_deref()).marked(mark)
}

/// Whether all are ready.
fn bot(deployed: &Map<String, Value>) -> Cell {
    let ready: Vec<bool> =
        bots(deployed).filter_map(|(_, deployed)| deployed.get("service")?["ready"].as_bool()).collect();
    Cell::of(match ready[..] {
        [] => None,
        _ if ready.contains(&false) => Some("not ready"),
        _ => Some("ready"),
    })
}
