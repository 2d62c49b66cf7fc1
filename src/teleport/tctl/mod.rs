//! The cluster by way of `tctl`, as people run it: resources in, resources out.

mod answer;
mod refusal;
mod words;

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Name, Scope};
use crate::error::{Error, Kind, Result};
use crate::host::program::{Limits, Said, run_within};
use answer::Answer;

/// Bytes of standard output: more than the resources of any cluster.
const LARGEST_OUTPUT: usize = 64 * 1024 * 1024;
/// Bytes of standard error, which is for people.
const LARGEST_ERRORS: usize = 1024 * 1024;
/// Programs that pass their standard input on to a container only where `-i` says so.
const INTO_CONTAINERS: [&str; 4] = ["kubectl", "oc", "docker", "podman"];

/// How `tctl` is run.
#[derive(Debug, Clone)]
pub struct Tctl {
    /// The program, and what comes before its own arguments: `sudo -n tctl`.
    command: Vec<String>,
    /// `-i` and `--auth-server`.
    identity: Vec<String>,
    timeout: Duration,
    /// The scope of the token and the bot.
    scope: Option<Scope>,
}

/// A resource of the cluster.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// A join token.
    Token(&'a Name),
    /// A bot.
    Bot(&'a Name),
}

impl Tctl {
    /// How long one command of `tctl` may take by default.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// A command in words, such as `[sudo, -n, tctl]`. It is `invalid_request` where there is none, or it cannot be one.
    pub fn new(command: Vec<String>) -> Result<Self> {
        if command.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(Error::invalid("the command for tctl is empty")
                .hint("give a list such as [tctl] or [sudo, -n, tctl]"));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(Error::invalid("the command for tctl has a NUL character"));
        }
        Ok(Self { command: with_stdin(command), identity: Vec::new(), timeout: Self::TIMEOUT, scope: None })
    }

    /// A command as a text: words that are split and quoted as in a POSIX shell. No shell is run, so that `$`, `~`, `|` and `;`
    /// mean nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let words = shlex::split(text).ok_or_else(|| {
            Error::invalid("the command for tctl cannot be split into words: a quote is not closed, or it ends with a backslash")
                .hint("give it as a list, a word an item")
        })?;
        Self::new(words)
    }

    /// The same with an identity file (`-i`), and the address of the cluster (`--auth-server`).
    #[must_use]
    pub fn with_identity(mut self, identity_file: Option<&str>, auth_server: Option<&str>) -> Self {
        let flag = |name: &str, value: Option<&str>| value.map(|value| [name.to_owned(), value.to_owned()]);
        let flags = [flag("-i", identity_file), flag("--auth-server", auth_server)];
        self.identity = flags.into_iter().flatten().flatten().collect();
        self
    }

    /// The same with another limit for how long one command may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same for tokens and bots of a scope.
    #[must_use]
    pub fn within(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// How a resource is named to `tctl`: `token/NAME`. That a scoped token is `scoped_token/NAME` is not verified.
    #[must_use]
    pub fn address(scope: Option<&Scope>, resource: Resource<'_>) -> String {
        match (resource, scope) {
            (Resource::Token(name), None) => format!("token/{name}"),
            (Resource::Token(name), Some(_)) => format!("scoped_token/{name}"),
            (Resource::Bot(name), None) => format!("bot/{name}"),
            (Resource::Bot(name), Some(scope)) => format!("bot/{}", scope.qualify(name.as_str())),
        }
    }

    /// Whether its program is there: where its path says, or in a folder of `PATH`.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let program = Path::new(&self.command[0]);
        if program.components().count() > 1 {
            return program.exists();
        }
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(program).is_file())
    }

    /// A resource as the cluster has it; none where it does not.
    pub fn get(&self, resource: Resource<'_>) -> Result<Option<Value>> {
        let arguments = ["get", &Self::address(self.scope.as_ref(), resource), "--format=json"];
        let said = self.run(&arguments, "")?;
        if !said.status.success() {
            let is_missing = refusal::is_missing(&said, &resource, self.scope.as_ref());
            return if is_missing { Ok(None) } else { Err(refusal::failed(&named(&arguments), &said)) };
        }
        let mut list = match answer::read(&said.output) {
            Ok(Answer::List(list)) => list,
            Ok(Answer::Null) => return Err(self.no_answer(&arguments, &said, "it printed null")),
            Err(why) => return Err(self.no_answer(&arguments, &said, &why)),
        };
        match (list.pop(), list.is_empty()) {
            (Some(one), true) if answer::name_of(&one) == Some(resource.name().as_str()) => Ok(Some(one)),
            // The name of another token may be a secret.
            (Some(_), true) => {
                Err(self.no_answer(&arguments, &said, "it printed a resource of another name"))
            }
            (Some(_), false) => Err(self.no_answer(&arguments, &said, "it printed more than one resource")),
            (None, _) => Err(self.no_answer(&arguments, &said, "it printed an empty list")),
        }
    }

    /// All tokens that the cluster has, those of other join methods too, whose names may be secrets.
    pub fn tokens(&self) -> Result<Vec<Value>> {
        self.all(if self.scope.is_some() { "scoped_tokens" } else { "tokens" })
    }

    /// The same, and with a scope those that are in none as well.
    pub fn tokens_of_all_scopes(&self) -> Result<Vec<Value>> {
        let mut tokens = self.tokens()?;
        if self.scope.is_some() {
            tokens.extend(self.all("tokens")?);
        }
        Ok(tokens)
    }

    /// All locks; none where the identity has no right to read them.
    pub fn locks(&self) -> Result<Option<Vec<Value>>> {
        match self.all("locks") {
            Ok(locks) => Ok(Some(locks)),
            Err(error) if error.kind == Kind::PermissionDenied => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn all(&self, kind: &str) -> Result<Vec<Value>> {
        let arguments = ["get", kind, "--format=json"];
        let said = self.run(&arguments, "")?;
        if !said.status.success() {
            return Err(refusal::failed(&named(&arguments), &said));
        }
        match answer::read(&said.output) {
            Ok(Answer::List(list)) => Ok(list),
            Ok(Answer::Null) => Ok(Vec::new()),
            Err(why) => Err(self.no_answer(&arguments, &said, &why)),
        }
    }

    /// Creates the resources of a YAML text, or replaces them.
    pub fn create(&self, yaml: &str) -> Result<()> {
        let arguments = ["create", "-f", "/dev/stdin"];
        let said = self.run(&arguments, yaml)?;
        if said.status.success() { Ok(()) } else { Err(refusal::failed(&named(&arguments), &said)) }
    }

    /// Removes a resource, and says whether it was there.
    pub fn remove(&self, resource: Resource<'_>) -> Result<bool> {
        let arguments = ["rm", &Self::address(self.scope.as_ref(), resource)];
        let said = self.run(&arguments, "")?;
        match said.status.success() {
            true => Ok(true),
            false if refusal::is_missing(&said, &resource, self.scope.as_ref()) => Ok(false),
            false => Err(refusal::failed(&named(&arguments), &said)),
        }
    }

    /// A command line for a person to run, with these arguments.
    #[must_use]
    pub fn command_line(&self, arguments: &[&str]) -> String {
        let words = self.words().chain(arguments.iter().copied());
        // Only a NUL character cannot be quoted, and there is none.
        shlex::try_join(words.clone()).unwrap_or_else(|_| words.collect::<Vec<_>>().join(" "))
    }

    fn words(&self) -> impl Iterator<Item = &str> + Clone {
        self.command.iter().chain(&self.identity).map(String::as_str)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<Said> {
        let program = &self.command[0];
        let mut command = Command::new(program);
        // Else it may update itself first.
        command.args(self.words().skip(1)).args(arguments).env("TELEPORT_TOOLS_VERSION", "off");
        let limits = Limits { time: self.timeout, output: LARGEST_OUTPUT, errors: LARGEST_ERRORS };
        run_within(&mut command, input.as_bytes(), &limits).map_err(|unfinished| {
            refusal::unfinished(&named(arguments), program, &unfinished, self.timeout.as_secs())
        })
    }

    /// The error for an output that is not what was asked for.
    fn no_answer(&self, arguments: &[&str], said: &Said, why: &str) -> Error {
        let quoted = match words::in_message(&said.output) {
            words if words.is_empty() => words::in_message(&said.errors),
            words => words,
        };
        let quoted = if quoted.is_empty() { quoted } else { format!(". It said: {quoted}") };
        let message = format!("{} gave no usable answer: {why}{quoted}", named(arguments));
        Error::new(Kind::Io, message).hint(format!(
            "run `{}` by hand where tctl runs: it must print a JSON list to standard output",
            self.command_line(arguments)
        ))
    }
}

impl Resource<'_> {
    fn name(&self) -> &Name {
        match self {
            Self::Token(name) | Self::Bot(name) => name,
        }
    }
}

/// What a command is called in messages.
fn named(arguments: &[&str]) -> String {
    format!("`tctl {}`", arguments.join(" "))
}

/// The command with `-i`, where it runs `tctl` in a container and would pass no standard input on.
fn with_stdin(mut command: Vec<String>) -> Vec<String> {
    let program = command[0].rsplit('/').next().unwrap_or_default();
    let exec = command.iter().position(|word| word == "exec");
    if let Some(exec) =
        exec.filter(|_| INTO_CONTAINERS.contains(&program) && !command.iter().any(|it| it == "compose"))
    {
        let passes = |word: &String| {
            let is_short = word.starts_with('-') && !word.starts_with("--") && word.contains('i');
            is_short || word == "--stdin" || word == "--interactive"
        };
        if !command[exec..].iter().take_while(|word| *word != "--").any(passes) {
            command.insert(exec + 1, "-i".to_owned());
        }
    }
    command
}
