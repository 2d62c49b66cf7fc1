//! The answer about all bots: that about the unnamed one, and beside it what there is to know of each instance.

use serde_json::{Map, Value};

use super::Named;
use super::report::Report;
use crate::protocol::{Answer, Difference, Request};

/// Lists that are about all bots together: what is left to a person, and to whoever gets the answer.
const JOINED: [&str; 5] = ["refused", "left_to_do", "commands", "contents", "files"];
/// What an instance has for itself.
const OWN: [&str; 8] =
    ["bot", "tokens", "rules", "deleted", "host_tokens", "refused", "tokens_differ", "former_tokens"];

/// Of each bot, what was asked for and what was done.
pub(super) fn answer(mut all: impl Iterator<Item = (Named, Report)>, request: &Request) -> Answer {
    let Some((unnamed, report)) = all.next() else { return Answer::default() };
    let mut answer = report.answer(&unnamed.asked, request);
    let mut all = all.peekable();
    if all.peek().is_none() {
        return answer;
    }
    let mut instances = Map::new();
    let mut diffs = answer.diff.take().map(Difference::into_all).unwrap_or_default();
    for (Named { name, asked }, report) in all {
        let Some(name) = name else { continue };
        let is_for_nobody = asked.is_for_nobody;
        let mut one = report.answer(&asked, request);
        answer.changed |= one.changed;
        diffs.extend(one.diff.take().map(Difference::into_all).unwrap_or_default());
        answer.warnings.extend(one.warnings.iter().map(|warning| format!("instance {name}: {warning}")));
        join(&mut answer.results, &one.results);
        one.results.retain(|result, _| OWN.contains(&result.as_str()));
        one.results.insert("state".to_owned(), if is_for_nobody { "absent" } else { "present" }.into());
        one.results.insert("changed".to_owned(), one.changed.into());
        instances.insert(name, Value::Object(one.results));
    }
    answer.result("instances", instances).diffs(diffs)
}

/// Adds what an instance answers to what is about all of them, each thing once.
fn join(all: &mut Map<String, Value>, one: &Map<String, Value>) {
    for name in JOINED {
        let (Some(Value::Array(all)), Some(Value::Array(one))) = (all.get_mut(name), one.get(name)) else {
            continue;
        };
        for item in one {
            if !all.contains(item) {
                all.push(item.clone());
            }
        }
    }
    let is = |results: &Map<String, Value>, name: &str| results.get(name) == Some(&Value::Bool(true));
    for (name, joined) in [
        ("applied", is(all, "applied") || is(one, "applied")),
        ("rules_are_known", is(all, "rules_are_known") && is(one, "rules_are_known")),
    ] {
        all.insert(name.to_owned(), joined.into());
    }
}
