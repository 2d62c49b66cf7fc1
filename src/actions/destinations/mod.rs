//! `destinations`: the directories that `tbot` needs for its services beside its storage, as its configuration names them.

mod unused;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Account, Accounts, Mode, OutputDirectory, is_shared_directory};
use crate::protocol::{Answer, Diff, Request};
use crate::secrets::Known;
use crate::teleport::config::{self, Paths};
use unused::Uses;

/// What is only for `tbot`, and for the readers that it lets in by ACLs.
const OUTPUT_MODE: Mode = Mode::new(0o700);
/// Whoever connects to a socket has to get there. The socket has a mode of its own.
const SOCKET_MODE: Mode = Mode::new(0o755);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    config: AbsolutePath,
    owner: Account,
    group: Account,
    /// Directories of former services that are to go.
    absent: Vec<AbsolutePath>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            config: AbsolutePath::known("/etc/tbot.yaml"),
            owner: Account::known("teleport"),
            group: Account::known("teleport"),
            absent: Vec::new(),
        }
    }
}

/// A directory by the configuration.
struct Wanted {
    path: AbsolutePath,
    kind: &'static str,
    mode: Mode,
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        parameters.absent.iter().try_for_each(host::refuse_of_the_system)?;
        Ok(parameters)
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let (accounts, missing) = super::find_accounts(request, Some(&self.owner), Some(&self.group))?;
        let mut warnings = missing;
        let paths = self.paths(request, &mut warnings)?;
        let wanted = wanted(&paths).map_err(|why| self.conflict(&why))?;
        let (by_systemd, wanted): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|wanted| wanted.path.below_run().is_some());
        let mut found = Vec::new();
        for wanted in &wanted {
            found.extend(look(wanted, accounts, &mut warnings)?.map(|directory| (wanted, directory)));
        }
        let uses = Uses::of(request, &paths);
        if !self.absent.is_empty() && !request.earlier.has(&self.config) {
            return Err(self
                .conflict("it is not there")
                .hint("leave out `absent` (tbot_destinations_absent)"));
        }
        let removals = uses.removals(&self.absent, accounts, &mut warnings)?;
        // Nothing is changed before everything is looked at.
        if !request.controls.check_mode {
            found.iter().try_for_each(|(_, directory)| directory.apply())?;
            removals.iter().try_for_each(unused::Removal::apply)?;
        }
        let mut left_over = uses.left_over();
        left_over.retain(|path| !self.absent.iter().any(|absent| absent.as_str() == path));
        warnings.extend(left_over.iter().map(|path| unused::warning(path)));
        let differences: Vec<Diff> = found
            .iter()
            .filter_map(|(_, directory)| difference(directory))
            .chain(removals.iter().map(unused::Removal::difference))
            .collect();
        let directories: Vec<Value> = found
            .iter()
            .filter(|(_, directory)| directory.difference().is_some())
            .map(|(wanted, directory)| {
                json!({ "path": directory.path(), "kind": wanted.kind, "created": directory.is_missing() })
            })
            .collect();
        let by_systemd: Vec<&str> = by_systemd.iter().map(|wanted| wanted.path.as_str()).collect();
        Ok(Answer::new(!differences.is_empty())
            .result("directories", directories)
            .result("made_by_systemd", by_systemd)
            .result("left_over", left_over)
            .warnings(warnings)
            .diffs(differences))
    }
}

impl Parameters {
    /// What the configuration names, as it is or would be.
    fn paths(&self, request: &Request, warnings: &mut Vec<String>) -> Result<Paths> {
        let file = &self.config;
        let bytes = match request.earlier.read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == Kind::NotFound => {
                warnings.push(format!(
                    "there is no {} yet, so no directory is made for its services",
                    file.as_str()
                ));
                return Ok(Paths::default());
            }
            Err(error) => return Err(error),
        };
        let text = String::from_utf8(bytes).map_err(|error| self.conflict(&error.to_string()))?;
        let values = config::parse(&text, file.as_str())?.unwrap_or_default();
        Paths::of(&values.into()).map_err(|why| Known::in_text(&text).hide_in_error(self.conflict(&why)))
    }

    fn conflict(&self, why: &str) -> Error {
        let message = format!("{} does not tell where tbot writes: {why}", self.config.as_str());
        Error::new(Kind::Conflict, message).hint("correct it, and run this again")
    }
}

/// The directories of outputs and of sockets. What is in the storage is made by tbot itself.
fn wanted(paths: &Paths) -> std::result::Result<Vec<Wanted>, String> {
    let is_stored =
        |path: &str| paths.storage.as_deref().is_some_and(|storage| Path::new(path).starts_with(storage));
    // Where it makes sockets only, the directory may be one of many programs', such as /tmp.
    let is_own = |path: &&String| !is_shared_directory(Path::new(path)) && !paths.outputs.contains(path);
    let outputs = paths.outputs.iter().map(|path| (path, "output", OUTPUT_MODE));
    let sockets = paths.sockets.iter().filter(is_own).map(|path| (path, "socket", SOCKET_MODE));
    let wanted = outputs.chain(sockets).filter(|(path, ..)| !is_stored(path));
    wanted
        .map(|(path, kind, mode)| Ok(Wanted { path: AbsolutePath::try_from(path.clone())?, kind, mode }))
        .collect()
}

/// A directory that something may be done with. What is wrong with one that is there is no error: the bot may work.
fn look<'a>(
    wanted: &'a Wanted,
    accounts: Accounts,
    warnings: &mut Vec<String>,
) -> Result<Option<OutputDirectory<'a>>> {
    let path = wanted.path.as_str();
    let user = accounts.user.map(host::user_name).unwrap_or_default();
    let directory = match OutputDirectory::inspect(&wanted.path, accounts, wanted.mode) {
        Ok(Some(directory)) => directory,
        Ok(None) => return Ok(None),
        Err(error) if Path::new(path).is_dir() => {
            let why = error.message.trim_end_matches("; nothing was changed");
            warnings.push(format!("tbot cannot write to {path} as {user}, and it was not changed: {why}"));
            return Ok(None);
        }
        Err(error) => return Err(error.hint(format!(
            "make it by hand for {user}, or name a directory below /opt, /srv or /var/lib in the service's `destination`"
        ))),
    };
    if let Some(reason) = directory.reason_to_leave() {
        warnings.push(format!(
            "tbot cannot write to {path} as {user}: it {reason}, and others may use it, so it was not changed. If it is for the bot \
             alone, run: chown -R {user} {path}"
        ));
        return Ok(None);
    }
    Ok(Some(directory))
}

fn difference(directory: &OutputDirectory<'_>) -> Option<Diff> {
    let (before, after) = directory.difference()?;
    Some(Diff::of(directory.path().display().to_string(), before, after))
}
