//! The response: what an action found or did, rendered as one line of JSON.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Request;
use crate::error::Error;
use crate::host::AbsolutePath;
use crate::message::{bounded, sentence};

/// Characters of an error's detail at most, which may list hosts or lines of a journal.
const LONGEST_DETAIL: usize = 64 * 1024;
/// Warnings that are shown at most.
const MOST_WARNINGS: usize = 200;
use crate::secrets;

/// What an action answers when it did not fail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Whether something changed, or would in check mode.
    pub changed: bool,
    /// The action's results by name.
    pub results: Map<String, Value>,
    /// Sentences that the user should see although nothing failed.
    pub warnings: Vec<String>,
    /// Why it went no further, where something was done before that.
    pub failure: Option<Error>,
    /// The configuration that was written, or would be, with its secrets: for later parts of the same request.
    pub config: Option<(AbsolutePath, String)>,
    /// What it said before.
    pub former_config: Option<String>,
    /// Before and after; shown only where something changed and the user asked for it.
    pub diff: Option<Difference>,
}

/// What differs, as Ansible takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Difference {
    /// One thing, or several that are shown as one.
    One(Diff),
    /// One thing after the other.
    Each(Vec<Diff>),
}

/// Two texts to compare, each under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What is there now.
    pub before: String,
    /// What is there afterwards.
    pub after: String,
    /// The heading of `before`, usually a path.
    pub before_header: String,
    /// The heading of `after`.
    pub after_header: String,
}

impl Diff {
    /// A difference in one thing.
    pub fn of(header: impl Into<String>, before: impl Into<String>, after: impl Into<String>) -> Self {
        let header = header.into();
        Self {
            before: before.into(),
            after: after.into(),
            before_header: header.clone(),
            after_header: header,
        }
    }
}

impl Diff {
    /// The same without secrets.
    fn masked(self) -> Self {
        let (before, after) = secrets::mask_both(&self.before, &self.after);
        Self { before, after, ..self }
    }
}

impl Difference {
    /// The one difference, where it is one.
    #[must_use]
    pub fn into_one(self) -> Option<Diff> {
        if let Self::One(diff) = self { Some(diff) } else { None }
    }

    /// All of them.
    #[must_use]
    pub fn into_all(self) -> Vec<Diff> {
        match self {
            Self::One(diff) => vec![diff],
            Self::Each(diffs) => diffs,
        }
    }

    /// The same without secrets.
    fn masked(self) -> Self {
        match self {
            Self::One(diff) => Self::One(diff.masked()),
            Self::Each(diffs) => Self::Each(diffs.into_iter().map(Diff::masked).collect()),
        }
    }
}

impl Answer {
    /// An answer that so far says only whether something changed.
    #[must_use]
    pub fn new(changed: bool) -> Self {
        Self { changed, ..Self::default() }
    }

    /// Says whether something changed.
    #[must_use]
    pub fn changes(mut self, changed: bool) -> Self {
        self.changed = changed;
        self
    }

    /// Adds one result.
    #[must_use]
    pub fn result(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.results.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the difference.
    #[must_use]
    pub fn diff(mut self, diff: Option<Diff>) -> Self {
        self.diff = diff.map(Difference::One);
        self
    }

    /// Adds the differences in several things, each to be shown by itself; none where there are none.
    #[must_use]
    pub fn diffs(mut self, diffs: Vec<Diff>) -> Self {
        self.diff = (!diffs.is_empty()).then_some(Difference::Each(diffs));
        self
    }

    /// Adds warnings.
    #[must_use]
    pub fn warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

pub(super) fn render(request: &Request, answer: Answer) -> String {
    let mut response = Map::new();
    response.insert("changed".to_owned(), Value::Bool(answer.changed));
    response.extend(answer.results);
    response.insert("warnings".to_owned(), json!(warnings(request, &answer.warnings)));
    if let (true, true, Some(diff)) = (request.controls.diff, answer.changed, answer.diff) {
        response.insert("diff".to_owned(), json!(diff.masked()));
    }
    if let Some(error) = &answer.failure {
        response.extend(failure(&request.secrets().hide_in_error(error.clone())));
    }
    if request.is_repeated {
        response.insert("invocation".to_owned(), json!({ "module_args": request.module_args() }));
    }
    line(response)
}

pub(super) fn render_failure(error: &Error) -> String {
    line(failure(error))
}

/// What an answer that is about many things says of one that failed, as if it were the only one.
#[must_use]
pub fn failure_of_one(request: &Request, error: Error) -> Map<String, Value> {
    failure(&request.secrets().hide_in_error(error))
}

fn failure(error: &Error) -> Map<String, Value> {
    let hint = error.hint.as_deref().map(sentence);
    let mut description = Map::new();
    description.insert("kind".to_owned(), json!(error.kind));
    if let Some(detail) = &error.detail {
        description.insert("detail".to_owned(), json!(bounded(detail, LONGEST_DETAIL)));
    }
    if let Some(hint) = &hint {
        description.insert("hint".to_owned(), json!(hint));
    }
    let mut response = Map::new();
    response.insert("failed".to_owned(), Value::Bool(true));
    response.insert("msg".to_owned(), json!(with_hint(&error.message, hint.as_deref())));
    response.insert("error".to_owned(), Value::Object(description));
    response
}

/// The message with the hint, since `msg` is all that Ansible shows by default.
fn with_hint(message: &str, hint: Option<&str>) -> String {
    let message = sentence(message);
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// The first warnings, each without secrets and within its limit, and how many more there are.
fn warnings(request: &Request, all: &[String]) -> Vec<String> {
    let show = |warning: &String| sentence(&request.secrets().hide_in_message(warning));
    let mut shown: Vec<String> = all.iter().take(MOST_WARNINGS).map(show).collect();
    if let Some(more) = all.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        shown.push(format!("there are {more} more warnings, which are not shown"));
    }
    shown
}

fn line(response: Map<String, Value>) -> String {
    // The few long texts are the most of it, and are longer as JSON.
    let texts = response.values().filter_map(Value::as_str).map(str::len).sum::<usize>();
    let mut text = String::with_capacity(texts + texts / 4);
    // A `String` takes everything.
    _ = writeln!(text, "{}", Value::Object(response));
    text
}
