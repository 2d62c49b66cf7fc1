//! Any number of hosts in one request: each is recorded or archived by itself, and one that fails stops no other.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::State;
use super::change::{Accepted, Change, Given};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::message::shown;
use crate::protocol::{self, Answer, Difference, Request};

/// Hosts in the order of the request, each with its change, or what is wrong with its part of the request.
pub(in crate::actions) struct Many {
    registry: AbsolutePath,
    hosts: Vec<(String, Result<Change>)>,
}

impl Many {
    pub(super) fn new(
        registry: AbsolutePath,
        hosts: Vec<Given>,
        state: &State,
        accepted: &Accepted,
    ) -> Result<Self> {
        if !matches!(state, State::Present) && hosts.iter().any(Given::has_rule_description) {
            return Err(Error::invalid(super::NO_RULE_DESCRIPTION));
        }
        let mut hosts: Vec<(String, Result<Change>)> =
            hosts.into_iter().map(|given| given.into_change(state, accepted)).collect();
        let mut named = HashSet::new();
        let is_repeated: Vec<bool> = hosts.iter().map(|(name, _)| !named.insert(name.as_str())).collect();
        for ((name, change), _) in hosts.iter_mut().zip(is_repeated).filter(|(_, is_repeated)| *is_repeated) {
            let message = format!("`{name}` is in `hosts` more than once, and only the first one counts");
            *change = Err(Error::new(Kind::Conflict, message).hint("give each host once"));
        }
        Ok(Self { registry, hosts })
    }

    pub(super) fn run(self, request: &Request) -> Result<Answer> {
        let records = |change: &Change| change.found.is_some();
        let records = self.hosts.iter().any(|(_, change)| change.as_ref().is_ok_and(records));
        let mut session = Session::open(request, &self.registry, records)?;
        let mut all = Answer::new(false);
        let (mut results, mut diffs, mut failed) =
            (Vec::with_capacity(self.hosts.len()), Vec::new(), Vec::new());
        for (name, change) in self.hosts {
            let answer = change.and_then(|change| session.apply(&change));
            let mut result = Map::new();
            result.insert("host".to_owned(), Value::String(name.clone()));
            result.insert(
                "changed".to_owned(),
                Value::Bool(answer.as_ref().is_ok_and(|answer| answer.changed)),
            );
            match answer {
                Ok(answer) => {
                    all.changed |= answer.changed;
                    all.warnings.extend(answer.warnings);
                    result.extend(answer.results);
                    let shown = answer.diff.filter(|_| answer.changed && request.controls.diff);
                    diffs.extend(shown.into_iter().filter_map(Difference::into_one));
                }
                Err(error) => {
                    failed.push(name);
                    result.extend(protocol::failure_of_one(request, error));
                }
            }
            results.push(Value::Object(result));
        }
        if !failed.is_empty() {
            let (failures, hosts) = (failed.len(), results.len());
            all.warnings.insert(
                0,
                format!(
                    "{failures} of {hosts} elements of `hosts` failed, and changed nothing; the result `entries` says why: {}",
                    shown(&failed)
                ),
            );
        }
        Ok(all.result("entries", results).diffs(diffs))
    }
}
