//! `summary`: what a run did and saw of each host, as a table and sentences for a person; and in what a host differs from what it
//! should be.

mod differences;
mod row;
mod table;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Action, settle};
use crate::error::Result;
use crate::host::{AbsolutePath, Accounts, Change, Mode, TextFile, Trust};
use crate::protocol::{Answer, Request};
use row::Row;

/// Hosts that are shown at most, where there is nothing to say of the others.
const MOST_SHOWN: usize = 50;
const NO_TOKEN: &str = "Bots were set up, and no token was built in this run, so that the cluster may refuse them: run the playbook \
                        again from its beginning.";
const NEW_FILE_MODE: Mode = Mode::new(0o644);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    hosts: Vec<Seen>,
    /// What action `enroll` answered.
    #[serde(default)]
    enrolled: Map<String, Value>,
    /// Whether hosts are set up by a token that the same run builds.
    #[serde(default)]
    expects_token: bool,
    /// Why no host went on, where that is so.
    #[serde(default)]
    problems: Vec<String>,
    /// Whether hosts are to be as they should be already.
    #[serde(default)]
    verifies: bool,
    path: Option<AbsolutePath>,
}

/// What a run saw of one host: what the actions answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    host: String,
    /// Why it was left out.
    problem: Option<String>,
    /// Whether anything was changed of it, also where that shows in no cell.
    #[serde(default)]
    changed: bool,
    #[serde(default)]
    identified: Map<String, Value>,
    #[serde(default)]
    deployed: Map<String, Value>,
    /// What was found of the program by itself, after it was installed where it was.
    #[serde(default)]
    compared: Map<String, Value>,
    /// What became of the account by itself.
    #[serde(default)]
    accessed: Map<String, Value>,
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        Ok(parameters)
    }

    fn run(mut self, request: &Request) -> Result<Answer> {
        self.find_refused();
        if self.expects_token
            && self.enrolled.is_empty()
            && self.hosts.iter().any(|seen| !seen.deployed.is_empty())
        {
            self.problems.push(NO_TOKEN.to_owned());
        }
        if self.verifies && self.problems.is_empty() {
            self.find_differences();
        }
        let is_foreseen = self.verifies || request.controls.check_mode;
        let rows: Vec<Row> = self.hosts.iter().map(|seen| Row::of(seen, &self.enrolled)).collect();
        let problems = self.problems();
        let sentences = self.sentences(&rows, is_foreseen);
        let left_to_do: Vec<String> = self.left_to_do().map(str::to_owned).collect();
        let whole_table = |rows: &[&Row]| -> Vec<String> {
            let texts = sentences.iter().chain(&left_to_do).chain(&problems);
            table::lines(rows).into_iter().chain(texts.map(|text| table::on_one_line(text))).collect()
        };
        let of_interest = |row: &&Row| rows.len() <= MOST_SHOWN || row.is_marked() || row.is_left_out;
        let shown: Vec<&Row> = rows.iter().filter(of_interest).collect();
        let whole = whole_table(&rows.iter().collect::<Vec<_>>());
        let mut warnings = Vec::new();
        if let (Some(path), false) = (&self.path, self.verifies)
            && let Err(problem) = write(path, &whole, request)
        {
            // It is all on the screen.
            warnings.push(format!("the report was not written to {}: {}", path.as_str(), problem.message));
        }
        let left_out: Vec<&str> =
            self.hosts.iter().filter(|seen| self.is_left_out(seen)).map(|seen| seen.host.as_str()).collect();
        Ok(Answer::new(false)
            .result("summary", whole_table(&shown))
            .result("left_out", left_out)
            .warnings(warnings))
    }
}

impl Parameters {
    fn find_refused(&mut self) {
        let refused = self.enrolled.get("refused").and_then(Value::as_array).into_iter().flatten();
        for (host, reason) in
            refused.filter_map(|one| Some((one["description"].as_str()?, one["reason"].as_str()?)))
        {
            if let Some(seen) = self.hosts.iter_mut().find(|seen| seen.host == host && seen.problem.is_none())
            {
                seen.problem = Some(format!("The cluster would refuse it: {reason}"));
            }
        }
    }

    /// What is left to a person, whichever host it is about.
    fn left_to_do(&self) -> impl Iterator<Item = &str> {
        self.enrolled
            .get("left_to_do")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    fn find_differences(&mut self) {
        for seen in &mut self.hosts {
            if seen.problem.is_none() {
                let found = differences::of(seen, &self.enrolled);
                seen.problem = (!found.is_empty()).then(|| found.join("; "));
            }
        }
    }

    fn is_left_out(&self, seen: &Seen) -> bool {
        seen.problem.is_some() || !self.problems.is_empty()
    }

    /// Each reason once, with the hosts that it is about.
    fn problems(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for seen in &self.hosts {
            let Some(reason) = seen.problem.as_deref() else { continue };
            match reasons.iter_mut().find(|(said, _)| *said == reason) {
                Some((_, hosts)) => hosts.push(&seen.host),
                None => reasons.push((reason, vec![&seen.host])),
            }
        }
        let of_hosts = reasons.into_iter().map(|(reason, hosts)| format!("{}: {reason}", hosts.join(", ")));
        of_hosts.chain(self.problems.iter().map(|reason| format!("all hosts: {reason}"))).collect()
    }

    fn sentences(&self, rows: &[Row], is_foreseen: bool) -> Vec<String> {
        let count = rows.len();
        let left_out = self.hosts.iter().filter(|seen| self.is_left_out(seen)).count();
        let hosts = |count: usize| if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
        let result = match (left_out, self.verifies) {
            (0, true) => format!("{}: all are as they should be.", hosts(count)),
            (0, false) if self.left_to_do().next().is_some() => {
                format!("{}: something is left to do, as said below.", hosts(count))
            }
            (0, false) => format!("{}: nothing is left to do.", hosts(count)),
            (_, true) => format!("{}: {left_out} not as they should be.", hosts(count)),
            (_, false) => format!("{}: {left_out} left out.", hosts(count)),
        };
        let changed =
            rows.iter().zip(&self.hosts).filter(|(row, seen)| row.is_marked() || seen.changed).count();
        let is_token_changed = self.enrolled.get("changed") == Some(&Value::Bool(true));
        let would = if is_foreseen { "would be" } else { "was" };
        let change = match (changed, is_token_changed) {
            (0, false) => format!("Nothing {would} changed."),
            (0, true) => format!("The token {would} changed."),
            (1, _) => format!("1 host {would} changed."),
            (changed, _) if is_foreseen => format!("{changed} hosts would be changed."),
            (changed, _) => format!("{changed} hosts were changed."),
        };
        vec![result, change]
    }
}

/// Writes the whole of it, for those who were not there.
fn write(path: &AbsolutePath, lines: &[String], request: &Request) -> Result<()> {
    let text = lines.join("\n") + "\n";
    let file = TextFile::inspect(path.as_ref(), Trust::in_team())?;
    if file.text() == Some(&text) {
        return Ok(());
    }
    let mode = file.attributes().map_or(NEW_FILE_MODE, |found| found.mode);
    settle(request, &file, Change::Write(&text, file.wanted(Accounts::default(), mode)))
}
