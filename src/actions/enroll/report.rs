//! What `enroll` answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bot_file;
use super::decision::{Built, Decision};
use super::parameters::Asked;
use crate::actions::ekcert_ca::Found;
use crate::actions::token::{self, Refused};
use crate::error::Result;
use crate::message::sentence;
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::{Token, yaml};

/// What was done, over all attempts. What is told of the rules is of the first one: the others see to what other runs undo.
#[derive(Default)]
pub(super) struct Report {
    changed: bool,
    applied: bool,
    /// Whether the cluster was asked.
    is_read: bool,
    bot: Option<&'static str>,
    rules: BTreeMap<&'static str, Vec<String>>,
    tokens: Vec<Value>,
    deleted: Vec<String>,
    host_tokens: Map<String, Value>,
    refused: Vec<Value>,
    files: Vec<String>,
    content: String,
    before: String,
    after: String,
    /// The CAs that were found, for the next attempt.
    pub cas: Option<Found>,
    without_certificate: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn new(warnings: Vec<String>) -> Self {
        Self { warnings, ..Self::default() }
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
        if let Some((file, changed)) = bot_file::write(asked, request)? {
            self.changed |= changed;
            if attempt == 1 {
                self.files.push(file.as_str().to_owned());
            }
        }
        let mut content = Vec::new();
        for built in &decision.built {
            self.warnings.extend(built.output.foresee(request));
            let written = built.output.write(&built.plan.merged, request)?;
            self.changed |= written.changed;
            content.push(written.content);
        }
        self.changed |= decision.is_unknown
            || (is_read && (decision.bot.after.is_some() || !decision.to_apply().is_empty() || !decision.to_remove().is_empty()));
        self.deleted.extend(decision.to_remove().iter().map(ToString::to_string));
        if attempt > 1 {
            return Ok(());
        }
        self.applied = is_read && !request.controls.check_mode;
        self.is_read = is_read;
        self.bot = decision.bot.state;
        if is_read {
            self.take_difference(decision);
        }
        self.content = content.join("---\n");
        self.warnings.extend(decision.warnings.iter().cloned());
        if let Some(found) = &decision.cas {
            self.warnings.extend(found.warnings.iter().cloned());
            self.without_certificate.clone_from(&found.without_certificate);
        }
        for built in &decision.built {
            self.take_built(built, decision.cas.as_ref())?;
        }
        Ok(())
    }

    fn take_built(&mut self, built: &Built<'_>, cas: Option<&Found>) -> Result<()> {
        self.files.extend(built.unit.file.as_ref().map(|file| file.as_str().to_owned()));
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
            bot.into_iter().chain(tokens).map(|text| format!("---\n{text}")).collect::<String>()
        };
        let bot = &decision.bot;
        let before = bot.before.as_ref().filter(|_| bot.after.is_some());
        self.before = texts(before, &decision.before());
        self.after = texts(bot.after.as_ref(), &decision.to_apply());
    }

    /// The commands by which a person applies what was not applied.
    fn commands(&self) -> Vec<String> {
        if self.is_read {
            return Vec::new();
        }
        let quoted = |words: &[&str]| shlex::try_join(words.iter().copied()).unwrap_or_default();
        let create = self.files.iter().map(|file| quoted(&["tctl", "create", "-f", file]));
        let remove = self.deleted.iter().map(|name| quoted(&["tctl", "rm", &format!("token/{name}")]));
        create.chain(remove).collect()
    }

    pub(super) fn answer(self, asked: &Asked, request: &Request) -> Result<Answer> {
        let commands = self.commands();
        let diff = (request.controls.diff && self.before != self.after)
            .then(|| Diff::of(format!("token/{}", asked.layout.name), self.before, self.after));
        let rules: Map<String, Value> =
            self.rules.into_iter().map(|(fate, labels)| (fate.to_owned(), labels.into())).collect();
        Ok(Answer::new(self.changed)
            .result("applied", self.applied)
            .result("bot", json!({ "name": asked.bot_name, "state": self.bot }))
            .result("tokens", self.tokens)
            .result("rules", rules)
            .result("deleted", self.deleted)
            .result("host_tokens", self.host_tokens)
            .result("refused", self.refused)
            .result("without_certificate", self.without_certificate)
            .result("files", self.files)
            .result("commands", commands)
            .result("content", self.content)
            .warnings(self.warnings)
            .diff(diff))
    }
}
