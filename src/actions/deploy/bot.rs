//! One bot of a deployment: its parts, one after the other.

use serde_json::{Map, Value};

use super::parts::{Fields, Parts};
use crate::actions::access::Access;
use crate::actions::config::Config;
use crate::actions::storage::Storage;
use crate::actions::{Action, destinations, program, service, systemd};
use crate::error::{Error, Result};
use crate::host::{self, unit};
use crate::protocol::{Answer, Difference, Request, from_fields};

/// A bot whose parts are found to make sense.
pub(super) struct Bot {
    /// In the order in which they are done.
    parts: Vec<Part>,
    is_absent: bool,
}

type Run = dyn FnOnce(&Request) -> Result<Answer>;

struct Part {
    name: &'static str,
    run: Box<Run>,
}

impl Bot {
    pub fn checked(parts: Parts, is_absent: bool) -> Result<Self> {
        let Parts { program, access, storage, config, destinations, systemd, service } = parts;
        let mut parts: Vec<Part> = [
            part::<program::Parameters>("program", program)?,
            part::<Access>("access", access)?,
            part::<Storage>("storage", storage)?,
            part::<Config>("config", config)?,
            part::<destinations::Parameters>("destinations", destinations)?,
            part::<systemd::Parameters>("systemd", systemd)?,
            part::<service::Parameters>("service", service)?,
        ]
        .into_iter()
        .flatten()
        .collect();
        if is_absent {
            // What a bot that still runs would write goes last.
            parts.reverse();
        }
        Ok(Self { parts, is_absent })
    }

    /// Leaves out all that changes anything.
    pub fn only_compare(&mut self) {
        self.parts.retain(|part| part.name == "program");
    }

    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Does all of them, up to the first that fails. Once the program is known, `suits` says whether it may be that one.
    pub fn run(self, request: &Request, suits: impl Fn(&Request) -> Result<()>) -> Answer {
        let mut request = request.clone();
        let (mut all, mut diffs) = (Answer::new(false), Vec::new());
        for part in self.parts {
            let done = (part.run)(&request).and_then(|answer| {
                // A unit that is gone is forgotten at once, whatever fails later.
                if self.is_absent
                    && part.name == "systemd"
                    && !request.controls.check_mode
                    && is_to_forget(&all, &answer)
                {
                    unit::reload_systemd()?;
                }
                Ok(answer)
            });
            let answer = match done {
                Ok(answer) => answer,
                Err(error) => {
                    all.failure = Some(failed(part.name, &all, &request, error));
                    break;
                }
            };
            learn(&mut request, part.name, &answer);
            if part.name == "program"
                && let Err(error) = suits(&request)
            {
                all.failure = Some(error);
                break;
            }
            all.changed |= answer.changed;
            diffs
                .extend(answer.diff.filter(|_| answer.changed).map(Difference::into_all).unwrap_or_default());
            for warning in answer.warnings {
                if !all.warnings.contains(&warning) {
                    all.warnings.push(warning);
                }
            }
            let mut results = answer.results;
            results.insert("changed".to_owned(), Value::Bool(answer.changed));
            all.results.insert(part.name.to_owned(), Value::Object(results));
            // Nothing is started that would have to be replaced. Whoever asks installs it, and asks again.
            if is_to_install(&all) && !request.controls.check_mode {
                break;
            }
            all.changed |= is_to_install(&all);
        }
        all.diffs(diffs)
    }
}

/// Whether the program is first to be installed by whoever asks.
pub(super) fn is_to_install(answer: &Answer) -> bool {
    answer.results.get("program").is_some_and(|program| program["to_install"] == true)
}

fn part<A: Action + 'static>(name: &'static str, fields: Option<Fields>) -> Result<Option<Part>> {
    let Some(fields) = fields else { return Ok(None) };
    let action = A::checked(from_fields(name, fields)?)?;
    Ok(Some(Part { name, run: Box::new(move |request| action.run(request)) }))
}

/// What later parts have to know of one that is done, or would be.
fn learn(request: &mut Request, name: &str, answer: &Answer) {
    let is_foreseen = request.controls.check_mode && answer.changed;
    match name {
        "program" => {
            let program = &answer.results;
            let is_to_install = program.get("to_install") == Some(&Value::Bool(true));
            let version = program.get(if is_to_install { "wanted_version" } else { "found_version" });
            request.earlier.program_version = version.and_then(Value::as_str).map(str::to_owned);
        }
        "access" if is_foreseen => {
            // Those that have no number yet.
            let new = |name: &str, number: &str| {
                let name = answer.results.get(name).and_then(Value::as_str);
                name.filter(|_| answer.results.get(number) == Some(&Value::Null))
            };
            host::foresee_accounts(new("user", "uid"), new("group", "gid"));
        }
        "config" | "systemd" => {
            request.earlier.has_changed |= answer.changed;
            request.earlier.former_config =
                answer.former_config.clone().or(request.earlier.former_config.take());
            request.earlier.config = answer.config.clone().or(request.earlier.config.take());
            let needs_reload = answer.results.get("needs_daemon_reload").and_then(Value::as_bool);
            request.earlier.needs_daemon_reload |= needs_reload.unwrap_or_default();
        }
        _ => {}
    }
}

/// Whether systemd still knows a unit that is gone, of this run or of one that was interrupted.
fn is_to_forget(before: &Answer, answer: &Answer) -> bool {
    let needs_reload =
        |results: &Map<String, Value>| results.get("needs_daemon_reload") == Some(&Value::Bool(true));
    needs_reload(&answer.results)
        || before.results.get("service").and_then(Value::as_object).is_some_and(needs_reload)
}

/// The error of a part, and what was changed before it: a later run goes on from there.
fn failed(name: &str, before: &Answer, request: &Request, error: Error) -> Error {
    let is_changed = |part: &&String| before.results[part.as_str()]["changed"] == true;
    let changed: Vec<&str> = before.results.keys().filter(is_changed).map(String::as_str).collect();
    let message = if changed.is_empty() || request.controls.check_mode {
        format!("{name} failed: {}", error.message)
    } else {
        format!("{name} failed after {} had been done: {}", changed.join(", "), error.message)
    };
    Error { message, ..error }
}
