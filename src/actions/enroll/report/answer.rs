//! The answer, and what it leaves to a person.

use serde_json::{Map, Value, json};

use super::super::parameters::Asked;
use super::Report;
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::tctl::{Resource, Tctl};

impl Report {
    /// The commands by which a person applies what was not applied.
    fn commands(&self, asked: &Asked) -> Vec<String> {
        if self.is_read {
            return Vec::new();
        }
        let quoted = |words: &[&str]| shlex::try_join(words.iter().copied()).unwrap_or_default();
        let create = self.files.iter().map(|file| quoted(&["tctl", "create", "-f", file]));
        let kind = kind(asked);
        let remove = self.deleted.iter().map(|name| quoted(&["tctl", "rm", &format!("{kind}/{name}")]));
        create.chain(remove).collect()
    }

    /// What is left to a person, in sentences.
    fn left_to_do(&mut self, asked: &Asked, commands: &[String]) -> Vec<String> {
        let mut left = std::mem::take(&mut self.left);
        if !commands.is_empty() {
            left.push(format!(
                "Nothing was applied from here. Where tctl is installed, run: {}. This overwrites what has these names: compare with tctl get \
                 {}/{} first.",
                commands.join("; "),
                kind(asked),
                asked.layout.name
            ));
        }
        if let (true, Some(name)) = (self.is_bot_unused, &asked.bot_name) {
            left.push(format!(
                "No host joins as the bot {name} any more. If nothing else uses it, run: tctl rm {}.",
                Tctl::address(asked.token.scope.as_ref(), Resource::Bot(name))
            ));
        }
        if let (false, None, Some(name), false) =
            (self.is_read, &asked.bot, &asked.bot_name, asked.is_for_nobody)
        {
            left.push(format!(
                "The cluster must have the bot {name}: make it by a resource of kind bot, or give its roles (tbot_bot_roles) where tctl \
                 is installed."
            ));
        }
        left
    }

    pub(in super::super) fn answer(mut self, asked: &Asked, request: &Request) -> Answer {
        let commands = self.commands(asked);
        let left_to_do = self.left_to_do(asked, &commands);
        let answer = if self.before == self.after {
            Answer::new(self.changed).diffs(self.of_files)
        } else {
            let diff = Diff::of(format!("{}/{}", kind(asked), asked.layout.name), self.before, self.after);
            Answer::new(self.changed).diff(request.controls.diff.then_some(diff))
        };
        let rules: Map<String, Value> =
            self.rules.into_iter().map(|(fate, labels)| (fate.to_owned(), labels.into())).collect();
        answer
            .result("applied", self.applied)
            .result("bot", json!({ "name": asked.bot_name, "state": self.bot }))
            .result("tokens", self.tokens)
            .result("rules", rules)
            .result("deleted", self.deleted)
            .result("host_tokens", self.host_tokens)
            .result("refused", self.refused)
            .result("tokens_differ", self.tokens_differ)
            .result("former_tokens", self.former)
            .result("rules_are_known", self.rules_are_known)
            .result("without_certificate", self.without_certificate)
            .result("files", self.files)
            .result("commands", commands)
            .result("left_to_do", left_to_do)
            .result("contents", self.contents)
            .result("content", self.content)
            .warnings(self.warnings)
    }
}

/// The kind of the tokens.
fn kind(asked: &Asked) -> &'static str {
    if asked.token.scope.is_some() { "scoped_token" } else { "token" }
}
