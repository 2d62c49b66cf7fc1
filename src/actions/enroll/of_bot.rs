//! What is done for one bot: it and its tokens are read, decided about, applied, and read again.

use std::collections::BTreeSet;

use serde_json::json;

use super::apply;
use super::cluster::{Reader, State};
use super::decision::{Decision, decide};
use super::layout::Unit;
use super::marks::{self, Mark};
use super::parameters::Asked;
use super::report::Report;
use crate::actions::token::Fleet;
use crate::error::{Error, Kind, Result};
use crate::ordered;
use crate::protocol::{Answer, Request};
use crate::teleport::tctl::Tctl;

/// How often it is applied, where something else changes the tokens as well.
pub(super) const MOST_ATTEMPTS: u32 = 5;

impl Asked {
    /// Reads the cluster, so that what stands in the way is known before any host is touched.
    pub(super) fn only_read(&self) -> Result<Answer> {
        let answer = Answer::new(false).warnings(self.warnings.clone());
        let Some(tctl) = &self.tctl else { return Ok(answer.result("is_read", false)) };
        let reader = Reader {
            tctl,
            layout: &self.layout,
            bot_name: self.bot_name.as_ref(),
            scope: self.token.scope.as_ref(),
            hosts: &BTreeSet::new(),
        };
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
    pub(super) fn attempt(&mut self, request: &Request, attempt: u32, report: &mut Report) -> Result<bool> {
        let fleet = Fleet::read(request, self.hosts.clone(), &self.token.archived, &self.former)?;
        let hosts = fleet.host_names();
        if self.all_leave {
            self.leaves = hosts.iter().cloned().collect();
        }
        self.layout.refuse_others(&self.others, &hosts)?;
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
        let reader = Reader {
            tctl,
            layout: &self.layout,
            bot_name: self.bot_name.as_ref(),
            scope: self.token.scope.as_ref(),
            hosts,
        };
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
