//! `deploy`: all that the bots of a host need there in one request. The parts of each are other actions, with what these take.

mod bot;
mod clashes;
mod foresight;
mod instance;
mod parts;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Action;
use super::instances::{self, Instance};
use crate::error::{Error, Kind, Result};
use crate::protocol::{Answer, Difference, Request};
use crate::teleport::config;
use bot::Bot;
use clashes::Claims;
use foresight::{Intent, foresee};
use parts::{Fields, Parts};

/// Each part of the unnamed bot, by the name of its action, and the further bots.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    program: Option<Fields>,
    access: Option<Fields>,
    storage: Option<Fields>,
    config: Option<Fields>,
    destinations: Option<Fields>,
    systemd: Option<Fields>,
    service: Option<Fields>,
    #[serde(default)]
    instances: Vec<Instance>,
    /// What the token of each instance ends in, where there are several.
    #[serde(default)]
    token_suffix: String,
    #[serde(default)]
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Present,
    Absent,
    /// The program is compared, also with the configurations, and nothing is changed.
    Compared,
}

/// The bots, in the order in which they are seen to.
pub(super) struct Deploy {
    bots: Vec<Named>,
}

/// A bot with its name; the unnamed one has none.
struct Named {
    bot: Bot,
    is_absent: bool,
    claims: Claims,
    intent: Intent,
}

impl Action for Deploy {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        let is_absent = parameters.state == State::Absent;
        let Parameters { program, access, storage, config, destinations, systemd, service, .. } = parameters;
        let mut parts = Parts { program, access, storage, config, destinations, systemd, service };
        parts.share();
        parts.refuse_states()?;
        instances::check(&parameters.instances)?;
        let mut accounts = vec![account(&parts)];
        let (mut leaving, mut staying) = (Vec::new(), Vec::new());
        for instance in &parameters.instances {
            let name = instance.name.as_str();
            let goes = is_absent || instance.is_absent();
            let mut own = parts.of_instance(instance, &parameters.token_suffix)?;
            if goes {
                own.take_away();
            } else if accounts.contains(&account(&own)) {
                own.access = None;
            } else {
                accounts.push(account(&own));
            }
            let claims = Claims::of_instance(instance, goes)?;
            let named =
                Named::checked(Some(name), own, claims, goes).map_err(|error| of_instance(name, error))?;
            if goes { leaving.push(named) } else { staying.push(named) }
        }
        if is_absent {
            parts.take_away();
        }
        let claims = Claims::of_unnamed(&parts, is_absent);
        let unnamed = Named::checked(None, parts, claims, is_absent)?;
        // What goes makes room for what comes.
        let mut bots: Vec<Named> = leaving.into_iter().chain([unnamed]).chain(staying).collect();
        if bots.iter().all(|named| !named.bot.has_parts()) {
            return Err(Error::invalid("action `deploy` has nothing to do").hint(
                "give at least one of program, access, storage, config, destinations, systemd and service, each as an object",
            ));
        }
        clashes::check(bots.iter().map(|named| &named.claims))?;
        if parameters.state == State::Compared {
            for named in &mut bots {
                named.bot.only_compare();
            }
        }
        Ok(Self { bots })
    }

    fn run(mut self, request: &Request) -> Result<Answer> {
        if self.bots.len() > 1 {
            self.refuse_clashes(request)?;
        }
        // What no longer goes with the program is said before that is replaced.
        let intents = self.intents();
        let suits = |request: &Request| foresee(&intents, request).map(drop);
        let (mut all, mut diffs, mut instances) = (Answer::new(false), Vec::new(), Map::new());
        let in_use: Vec<Vec<String>> =
            self.bots.iter().map(|named| named.claims.directories().cloned().collect()).collect();
        for (index, named) in self.bots.into_iter().enumerate() {
            let mut request = request.clone();
            let others = in_use.iter().enumerate().filter(|(other, _)| *other != index);
            request.earlier.in_use = others.flat_map(|(_, paths)| paths.clone()).collect();
            let request = &request;
            let mut answer = named.bot.run(request, suits);
            let waits = bot::is_to_install(&answer) && !request.controls.check_mode;
            all.changed |= answer.changed;
            diffs.extend(answer.diff.map(Difference::into_all).unwrap_or_default());
            if let Some(name) = named.intent.name {
                let state = if named.is_absent { "absent" } else { "present" };
                answer.results.insert("state".to_owned(), state.into());
                answer.results.insert("changed".to_owned(), Value::Bool(answer.changed));
                instances.insert(name.clone(), Value::Object(answer.results));
                answer.warnings.iter_mut().for_each(|warning| *warning = of(&name, warning));
                all.failure = answer.failure.map(|error| of_instance(&name, error));
            } else {
                all.results = answer.results;
                all.failure = answer.failure;
            }
            all.warnings.extend(answer.warnings);
            if all.failure.is_some() || waits {
                break;
            }
        }
        if !instances.is_empty() {
            all.results.insert("instances".to_owned(), Value::Object(instances));
        }
        Ok(all.diffs(diffs))
    }
}

impl Deploy {
    /// Sees what all configurations would be before anything is done: what they have already, besides what is given, may not go with
    /// what another one has.
    fn refuse_clashes(&mut self, request: &Request) -> Result<()> {
        let foreseen = foresee(&self.intents(), request)?;
        for (named, config) in self.bots.iter_mut().zip(foreseen) {
            if let Some(config) = config {
                named.claims.add(&config);
            }
        }
        clashes::check(self.bots.iter().map(|named| &named.claims))
            .map_err(|error| Error { kind: Kind::Conflict, ..error })
    }

    fn intents(&self) -> Vec<Intent> {
        self.bots.iter().map(|named| named.intent.clone()).collect()
    }
}

impl Named {
    fn checked(name: Option<&str>, parts: Parts, mut claims: Claims, is_absent: bool) -> Result<Self> {
        let config = parts.config.clone().filter(|_| !is_absent);
        claims.add(&instance::described(config.as_ref()));
        let intent = Intent { name: name.map(str::to_owned), config };
        Ok(Self { bot: Bot::checked(parts, is_absent)?, is_absent, claims, intent })
    }
}

/// Whom the access is for.
fn account(parts: &Parts) -> (Option<Value>, Option<Value>) {
    let given = |name: &str| parts.given("access", name).cloned();
    (given("user"), given("group"))
}

fn of(name: &str, text: &str) -> String {
    format!("instance {name}: {text}")
}

fn of_instance(name: &str, error: Error) -> Error {
    Error { message: of(name, &error.message), ..error }
}
