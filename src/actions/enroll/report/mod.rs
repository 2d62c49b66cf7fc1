//! What `enroll` answers.

mod answer;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::bot_file::BotFile;
use super::decision::{Built, Decision};
use super::marks;
use super::parameters::Asked;
use crate::actions::ekcert_ca::Found;
use crate::actions::token::{self, Refused};
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::message::sentence;
use crate::ordered;
use crate::protocol::{Diff, Request};
use crate::teleport::{Token, yaml};

/// What was done, over all attempts. What is told of the rules is of the first one: the others see to what other runs undo.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // the contract's results
pub(super) struct Report {
    changed: bool,
    applied: bool,
    /// Whether the cluster was asked.
    is_read: bool,
    bot: Option<&'static str>,
    /// Whether the bot is there, and no token lets anybody join as it any more.
    is_bot_unused: bool,
    rules: BTreeMap<&'static str, Vec<String>>,
    tokens: Vec<Value>,
    deleted: Vec<String>,
    host_tokens: Map<String, Value>,
    refused: Vec<Value>,
    /// What is left to a person: why hosts would be refused.
    left: Vec<String>,
    /// Whether tokens differ in something else than rules that are added or brought up to date.
    tokens_differ: bool,
    /// Tokens of a former layout that were changed.
    former: Vec<String>,
    /// Whether it is known which rules there are.
    pub rules_are_known: bool,
    files: Vec<String>,
    /// What marks of another machine named before.
    marked: BTreeSet<String>,
    /// Files of another machine.
    contents: Vec<Value>,
    content: String,
    before: String,
    after: String,
    /// How files differ, which is only told where the cluster has what it should.
    of_files: Vec<Diff>,
    /// The CAs that were found, for the next attempt.
    pub cas: Option<Found>,
    without_certificate: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(asked: &mut Asked) -> Self {
        let marked = ordered::set(asked.applied_before.iter().flat_map(|text| marks::names(text)));
        Self { marked, warnings: std::mem::take(&mut asked.warnings), ..Self::default() }
    }

    /// Adds warnings.
    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    pub(super) fn take_cas(&mut self) -> Option<Found> {
        self.cas.take()
    }

    /// Takes up what was decided, and writes the files.
    pub(super) fn take(
        &mut self,
        decision: &Decision<'_>,
        asked: &Asked,
        request: &Request,
        is_read: bool,
        attempt: u32,
    ) -> Result<()> {
        self.contents.clear();
        if let Some(file) = BotFile::of(asked)? {
            if asked.write_files {
                self.changed |= file.write(request)?;
            } else {
                self.leave(&file.path, &file.text);
            }
            if attempt == 1 {
                self.files.push(file.path.as_str().to_owned());
            }
        }
        let mut content = Vec::new();
        for built in &decision.built {
            self.warnings.extend(built.output.foresee(request));
            let written = built.output.write(&built.plan.merged, request)?;
            self.changed |= written.changed;
            let rules = &built.plan.merged.outcome;
            let are_brought =
                rules.removed.is_empty() && !(rules.added.is_empty() && rules.updated.is_empty());
            self.tokens_differ |= attempt == 1 && written.changed && !are_brought;
            if let Some(path) = &built.unit.elsewhere {
                self.leave(path, &written.content);
                // Without an answer, what the cluster had is still to be there.
                if is_read {
                    let mark = marks::text_or_none(Decision::names(built).into_iter());
                    self.leave(&marks::beside(path)?, &mark);
                }
            }
            self.of_files.extend(written.diff.filter(|_| attempt == 1));
            content.push(written.content);
        }
        self.changed |= decision.is_unknown
            || (is_read
                && (decision.bot.after.is_some()
                    || !decision.to_apply().is_empty()
                    || !decision.to_remove().is_empty()));
        self.deleted.extend(decision.to_remove().iter().map(ToString::to_string));
        if attempt > 1 {
            return Ok(());
        }
        self.applied = is_read && !request.controls.check_mode;
        self.is_read = is_read;
        self.bot = decision.bot.state;
        let has_tokens = decision.built.iter().any(|built| !built.plan.merged.tokens.is_empty());
        self.is_bot_unused = asked.is_for_nobody && !has_tokens && decision.bot.before.is_some();
        if is_read {
            self.take_difference(decision);
        }
        self.content = content.join("---\n");
        self.warnings.extend(decision.warnings.iter().cloned());
        if let Some(found) = &decision.cas {
            self.warnings.extend(found.warnings.iter().cloned());
            self.without_certificate.clone_from(&found.without_certificate);
        }
        self.former = decision.former.iter().map(|former| former.before.name.to_string()).collect();
        for built in &decision.built {
            self.take_built(built, decision.cas.as_ref())?;
        }
        Ok(())
    }

    /// Leaves marks that other layouts have of removed tokens, as they are without those.
    pub(super) fn leave_marks(&mut self, asked: &Asked, hosts: &BTreeSet<String>) -> Result<()> {
        for unit in asked.layout.makers(&self.deleted, hosts)? {
            let Some(path) = unit.file.as_ref().map(marks::beside).transpose()? else { continue };
            let (gone, kept): (Vec<&String>, Vec<&String>) = self
                .marked
                .iter()
                .filter(|name| unit.is_own(name))
                .partition(|name| self.deleted.contains(name));
            let is_left = self.contents.iter().any(|file| file["path"] == path.as_str());
            if !gone.is_empty() && !is_left {
                self.leave(&path, &marks::text_or_none(kept.into_iter().map(String::as_str)));
            }
        }
        Ok(())
    }

    /// Leaves a file to whoever gets the answer. One without content is to go.
    fn leave(&mut self, path: &AbsolutePath, content: &str) {
        self.contents.push(json!({ "path": path.as_str(), "content": content }));
    }

    /// Whether any token is left or goes, so that what it lets in is known.
    pub(super) fn has_tokens(&self) -> bool {
        !self.content.is_empty() || !self.deleted.is_empty()
    }

    fn take_built(&mut self, built: &Built<'_>, cas: Option<&Found>) -> Result<()> {
        let file = built.unit.file.as_ref().or(built.unit.elsewhere.as_ref());
        self.files.extend(file.map(|file| file.as_str().to_owned()));
        let plan = &built.plan;
        self.tokens.extend(plan.merged.tokens.iter().map(token::summary));
        for (fate, labels) in plan.merged.outcome.by_fate() {
            self.rules.entry(fate).or_default().extend(labels.iter().cloned());
        }
        self.host_tokens.extend(plan.host_tokens()?);
        let reasons = cas.map(Found::reasons).unwrap_or_default();
        for Refused { host, reason } in &plan.refused {
            // Why there is no CA for it says more than that there is none.
            let reason = host.name().and_then(|name| reasons.get(name).copied()).unwrap_or(reason);
            self.left.extend(host.name().map(|name| format!("{name}: {}", sentence(reason))));
            self.refused.push(json!({
                "description": host.description, "ek_public_hash": host.ek_public_hash, "reason": sentence(reason),
            }));
        }
        Ok(())
    }

    /// Takes up how the cluster's resources differ.
    fn take_difference(&mut self, decision: &Decision<'_>) {
        let texts = |bot: Option<&Value>, tokens: &[&Token]| {
            let bot = bot.map(yaml::write);
            let tokens = tokens.iter().map(|token| token.to_bare_yaml());
            bot.into_iter().chain(tokens).flat_map(|text| ["---\n".to_owned(), text]).collect::<String>()
        };
        let bot = &decision.bot;
        let before = bot.before.as_ref().filter(|_| bot.after.is_some());
        self.before = texts(before, &decision.before());
        self.after = texts(bot.after.as_ref(), &decision.to_apply());
    }
}
