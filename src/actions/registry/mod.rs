//! `registry`: one host's identity in the registry, recorded or archived; or which hosts it has.

mod leaving;
mod listing;
mod place;
mod unreadable;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::Action;
use crate::error::{Error, Result};
use crate::host::{self, AbsolutePath, Mode, TextFile, Trust};
use crate::protocol::{Answer, Request};
use crate::teleport::registry::{self, Found, RuleText};
use crate::teleport::{HostName, Name};
use leaving::Leaving;
use place::Place;

/// What a registry holds is no secret, and version control and other users may read it.
const NEW_DIRECTORY_MODE: Mode = Mode::new(0o755);
const NEW_FILE_MODE: Mode = Mode::new(0o644);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    registry: AbsolutePath,
    host: Option<HostName>,
    identity: Option<Found>,
    rule_description: Option<RuleText>,
    #[serde(default)]
    accept_identity_change: bool,
    #[serde(default)]
    state: State,
    only: Option<Vec<String>>,
    name: Option<Name>,
    bot_name: Option<Name>,
    current: Option<Value>,
    token_directory: Option<AbsolutePath>,
    #[serde(default)]
    allow_lockout: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Present,
    Archived,
    Listed,
    Leaving,
}

/// What the parameters ask for.
pub(super) enum Asked {
    Recording(Recording),
    /// Which hosts the registry at this directory has.
    Listing(AbsolutePath),
    /// Whether hosts may be archived.
    Leaving(Leaving),
}

pub(super) struct Recording {
    registry: AbsolutePath,
    host: HostName,
    /// None where the entry is to be archived.
    identity: Option<Found>,
    /// None where it stays.
    rule_description: Option<RuleText>,
    accept_identity_change: bool,
}

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        if parameters.rule_description.is_some() && !matches!(parameters.state, State::Present) {
            return Err(Error::invalid("`rule_description` is recorded with an identity: leave it out here"));
        }
        if matches!(parameters.state, State::Leaving) {
            return Leaving::checked(parameters).map(Self::Leaving);
        }
        let of_leaving = [
            ("only", parameters.only.is_some()),
            ("name", parameters.name.is_some()),
            ("bot_name", parameters.bot_name.is_some()),
            ("current", parameters.current.is_some()),
            ("token_directory", parameters.token_directory.is_some()),
            ("allow_lockout", parameters.allow_lockout),
        ];
        if let Some((name, _)) = of_leaving.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::invalid(format!("`{name}` goes with `state: leaving` of action `registry`")));
        }
        let Parameters { registry, host, identity, rule_description, accept_identity_change, state, .. } =
            parameters;
        let host = match (host, &state) {
            (None, State::Listed) => return Ok(Self::Listing(registry)),
            (Some(_), State::Listed) => {
                return Err(Error::invalid("`state: listed` lists all hosts: leave out `host`"));
            }
            (None, _) => return Err(Error::invalid("action `registry` needs parameter `host`")),
            (Some(host), _) => host,
        };
        let identity = match (state, identity) {
            (State::Present, Some(found)) => Some(found),
            (State::Present, None) => {
                return Err(Error::invalid("action `registry` needs parameter `identity`")
                    .hint("give what `identify` returned for the host, or `state: archived`"));
            }
            _ => None,
        };
        Ok(Self::Recording(Recording { registry, host, identity, rule_description, accept_identity_change }))
    }

    fn run(self, request: &Request) -> Result<Answer> {
        match self {
            Self::Recording(recording) => recording.run(request),
            Self::Leaving(leaving) => leaving.run(),
            Self::Listing(directory) => listing::list(directory.as_ref(), request),
        }
    }
}

impl Recording {
    fn run(self, request: &Request) -> Result<Answer> {
        let directory = self.registry.as_ref();
        let path = registry::entry_path(directory, &self.host);
        let mut is_there = match TextFile::inspect(&path, Trust::in_team()) {
            Err(problem) if self.identity.is_none() && unreadable::is_content(&problem, &path) => true,
            file => file?.has_directory(),
        };
        let writes = !request.controls.check_mode;
        if writes && !is_there && self.identity.is_some() {
            host::make_directory(directory, NEW_DIRECTORY_MODE, Trust::in_team())?;
            is_there = true;
        }
        // Two hosts with one TPM would not see each other, and two runs could archive one entry.
        let _lock = (writes && is_there).then(|| host::lock_directory(directory)).transpose()?;
        if is_there {
            registry::refuse_other_files(directory, &self.host)?;
        }
        let there = TextFile::inspect(&path, Trust::in_team()).and_then(|file| {
            let place = Place { request, directory, host: &self.host, file };
            let former = place.former()?;
            Ok((place, former))
        });
        match (there, &self.identity) {
            (Ok((place, former)), Some(found)) => place.record(
                found,
                former.as_ref(),
                self.rule_description.as_ref(),
                self.accept_identity_change,
            ),
            (Ok((place, former)), None) => place.archive(former.as_ref()),
            (Err(problem), None) if unreadable::is_content(&problem, &path) => {
                unreadable::archive(request, directory, &self.host, &path, &problem)
            }
            (Err(problem), _) => Err(problem),
        }
    }
}

/// The archive's files of the host, and the one that is about to be there.
fn archived(directory: &Path, host: &HostName, new: Option<PathBuf>) -> Result<Vec<String>> {
    let mut archived = registry::archived_files(directory, host)?;
    archived.extend(new);
    archived.sort();
    archived.dedup();
    Ok(archived.iter().map(|path| path.display().to_string()).collect())
}
