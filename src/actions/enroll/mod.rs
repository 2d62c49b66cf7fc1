//! `enroll`: a fleet into its cluster. It reads bot and tokens by `tctl`, decides, applies, and reads again.

mod apply;
mod bot_change;
mod bot_file;
mod cluster;
mod decision;
mod former;
mod layout;
mod marks;
mod parameters;
mod report;

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use super::Action;
use super::token::Fleet;
use crate::error::{Error, Kind, Result};
use crate::ordered;
use crate::protocol::{Answer, Request};
use crate::teleport::tctl::Tctl;
use cluster::{Reader, State};
use decision::{Decision, decide};
use layout::Unit;
use marks::Mark;
pub(super) use parameters::Asked;
use parameters::Parameters;
use report::Report;

/// How often it applies, where something else changes the tokens as well.
const MOST_ATTEMPTS: u32 = 5;

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        parameters.checked()
    }

    fn run(mut self, request: &Request) -> Result<Answer> {
        if self.read_only {
            return self.only_read();
        }
        let mut report = Report::new(&mut self);
        // A cluster has no compare-and-swap for tokens: of two runs that change one at the same time, the second to apply undoes what
        // the first did. So each reads again after a while, and goes on until it sees what it wants.
        for attempt in 1..=MOST_ATTEMPTS + 1 {
            if attempt > 1 {
                thread::sleep(self.settle);
            }
            if !self.attempt(request, attempt, &mut report)? {
                return Ok(report.answer(&self, request));
            }
        }
        Err(Error::new(
            Kind::Conflict,
            format!(
                "the token {} was applied {MOST_ATTEMPTS} times, and each time it said something else when it was read again",
                self.layout.name
            ),
        )
        .hint("something else applies it too: stop that, then run this again"))
    }
}

impl Asked {
    /// Reads the cluster, so that what stands in the way is known before any host is touched.
    fn only_read(&self) -> Result<Answer> {
        let answer = Answer::new(false).warnings(self.warnings.clone());
        let Some(tctl) = &self.tctl else { return Ok(answer.result("is_read", false)) };
        let reader =
            Reader { tctl, layout: &self.layout, bot_name: self.bot_name.as_ref(), hosts: &BTreeSet::new() };
        let read = if self.all_tokens {
            reader.tokens_by_tpm().map(Some)
        } else {
            reader.read(&[], self.layout.has_several(self.token.retire)).map(|_| None)
        };
        match read {
            Err(error) if self.may_lack(&error) => Ok(answer.result("is_read", false)),
            read => read.map(|tokens| answer.result("is_read", true).result("current", json!(tokens))),
        }
    }

    /// Whether an error says only that there is no tctl where nobody said that there is. One that is there may miss other things.
    fn may_lack(&self, error: &Error) -> bool {
        let is_there = self.tctl.as_ref().is_some_and(Tctl::is_there);
        error.kind == Kind::NotFound && !self.names_tctl && !is_there
    }

    /// Reads, decides and applies, and says whether that has to be looked at again.
    fn attempt(&mut self, request: &Request, attempt: u32, report: &mut Report) -> Result<bool> {
        let fleet = Fleet::read(request, self.hosts.clone(), &self.token.archived, &self.former)?;
        let hosts = fleet.host_names();
        let mut units = self.layout.units(&self.of_run(&hosts))?;
        if !self.write_files {
            units.iter_mut().for_each(Unit::leave_file);
        }
        let marks = units.iter().map(|unit| unit.file.as_ref().map(Mark::beside).transpose());
        let marks: Vec<Option<Mark>> = marks.collect::<Result<_>>()?;
        let state = self.read(&units, &marks, &hosts, &fleet, attempt)?;
        let decision = decide(request, self, &units, &fleet, state.as_ref(), report.take_cas())?;
        let apply = (decision.to_apply(), decision.to_remove());
        let changes_tokens = !apply.0.is_empty() || !apply.1.is_empty();
        if attempt > MOST_ATTEMPTS && changes_tokens {
            return Ok(true);
        }
        // The files first: with one that cannot be written, nothing is applied.
        report.take(&decision, self, request, state.is_some(), attempt)?;
        if !request.controls.check_mode
            && let Some(tctl) = self.tctl.as_ref().filter(|_| state.is_some())
        {
            apply::forget(request, self, &decision, &hosts)?;
            apply::all(tctl, &decision, &apply.0)?;
        }
        report.rules_are_known = state.is_some() || !fleet.has_archived() || report.has_tokens();
        if state.is_some() {
            // What the next attempt is to find, whoever keeps the files.
            if !self.write_files {
                report.leave_marks(self, &hosts)?;
            }
            self.applied_before = vec![marks::text(decision.built.iter().flat_map(Decision::names))];
            for (built, mark) in decision.built.iter().zip(&marks) {
                if let Some(mark) = mark {
                    mark.keep(request, &Decision::names(built))?;
                }
            }
        }
        if let (Some(state), 1) = (&state, attempt) {
            let tokens: Vec<&str> = decision.built.iter().flat_map(Decision::names).collect();
            report.warn(
                self.tctl
                    .as_ref()
                    .map(|tctl| state.locks(tctl, self.bot_name.as_ref(), &tokens))
                    .unwrap_or_default(),
            );
        }
        report.cas = decision.cas;
        Ok(state.is_some() && changes_tokens && !request.controls.check_mode)
    }

    /// The hosts of this run that are or were in the registry: the tokens of others are left to runs of theirs.
    fn of_run(&self, hosts: &BTreeSet<String>) -> BTreeSet<String> {
        match &self.token.only {
            Some(only) => ordered::set(hosts.iter().filter(|host| only.contains(host)).cloned()),
            None => hosts.clone(),
        }
    }

    /// What the cluster has; none where there is no tctl to ask it by.
    fn read(
        &mut self,
        units: &[Unit],
        marks: &[Option<Mark>],
        hosts: &BTreeSet<String>,
        fleet: &Fleet,
        attempt: u32,
    ) -> Result<Option<State>> {
        let Some(tctl) = &self.tctl else { return Ok(None) };
        let reader = Reader { tctl, layout: &self.layout, bot_name: self.bot_name.as_ref(), hosts };
        let all = self.layout.has_several(self.token.retire) || fleet.has_archived();
        let mut state = match reader.read(units, all) {
            Err(error) if attempt == 1 && self.may_lack(&error) => {
                self.tctl = None;
                return Ok(None);
            }
            state => state?,
        };
        if self.recreate && attempt == 1 {
            return Ok(Some(state));
        }
        let before = self.applied_before.iter().flat_map(|text| marks::names(text));
        let mut marked = ordered::set(before.filter(|name| self.layout.has_built(name, units)));
        for mark in marks.iter().flatten() {
            marked.extend(mark.names()?);
        }
        let is_lost = |state: &State| marked.iter().any(|name| !state.names.contains(name));
        if is_lost(&state) && !state.is_whole {
            // Those of a former layout are among all of them.
            state = reader.read(units, true)?;
        }
        let lost: Vec<String> = marked.iter().filter(|name| !state.names.contains(*name)).cloned().collect();
        marks::refuse_lost(&lost)?;
        Ok(Some(state))
    }
}
