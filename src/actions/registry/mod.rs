//! `registry`: identities in the registry, one host's or many hosts', recorded or archived; or which hosts it has.

mod change;
mod leaving;
mod listing;
mod many;
mod place;
mod recording;
mod session;
mod token_files;
mod unreadable;

use serde::Deserialize;
use serde_json::Value;

use super::Action;
use super::instances::Instance;
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Mode};
use crate::protocol::{Answer, Request};
use crate::teleport::registry::{Found, RuleText};
use crate::teleport::{HostName, Name, Scope};
use change::{Accepted, Change, Given};
use leaving::Leaving;
use many::Many;
pub(super) use recording::Recording;
use session::Session;

/// What a registry holds is no secret, and version control and other users may read it.
const NEW_DIRECTORY_MODE: Mode = Mode::new(0o755);
const NEW_FILE_MODE: Mode = Mode::new(0o644);

const NO_RULE_DESCRIPTION: &str = "`rule_description` is recorded with an identity: leave it out here";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    registry: AbsolutePath,
    host: Option<HostName>,
    identity: Option<Found>,
    rule_description: Option<RuleText>,
    hosts: Option<Vec<Given>>,
    #[serde(default)]
    accept_identity_change: Accepted,
    #[serde(default)]
    state: State,
    only: Option<Vec<String>>,
    name: Option<Name>,
    bot_name: Option<Name>,
    scope: Option<Scope>,
    #[serde(default)]
    instances: Vec<Instance>,
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
    Contents,
    Leaving,
}

/// What the parameters ask for.
pub(super) enum Asked {
    /// One host's entry of the registry at this directory changed.
    One(AbsolutePath, Change),
    /// Those of any number of hosts.
    Many(Many),
    /// Which hosts the registry at this directory has.
    Listing(AbsolutePath),
    /// What is recorded there, for a machine that does not have it.
    Contents(AbsolutePath),
    /// Whether hosts may be archived.
    Leaving(Leaving),
}

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        if parameters.rule_description.is_some() && !matches!(parameters.state, State::Present) {
            return Err(Error::invalid(NO_RULE_DESCRIPTION));
        }
        if matches!(parameters.state, State::Leaving) {
            return Leaving::checked(parameters).map(Self::Leaving);
        }
        let of_leaving = [
            ("only", parameters.only.is_some()),
            ("name", parameters.name.is_some()),
            ("bot_name", parameters.bot_name.is_some()),
            ("scope", parameters.scope.is_some()),
            ("instances", !parameters.instances.is_empty()),
            ("current", parameters.current.is_some()),
            ("token_directory", parameters.token_directory.is_some()),
            ("allow_lockout", parameters.allow_lockout),
        ];
        if let Some((name, _)) = of_leaving.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::invalid(format!("`{name}` goes with `state: leaving` of action `registry`")));
        }
        let Parameters {
            registry,
            host,
            identity,
            hosts,
            rule_description,
            accept_identity_change,
            state,
            ..
        } = parameters;
        let accepted = accept_identity_change;
        match (hosts, host, &state) {
            (None, None, State::Listed) => Ok(Self::Listing(registry)),
            (None, None, State::Contents) => Ok(Self::Contents(registry)),
            (_, _, State::Listed | State::Contents) => {
                let state = if matches!(state, State::Listed) { "listed" } else { "contents" };
                Err(Error::invalid(format!(
                    "`state: {state}` is about all hosts: leave out `host` and `hosts`"
                )))
            }
            (Some(hosts), None, _) if identity.is_none() && rule_description.is_none() => {
                Many::new(registry, hosts, &state, &accepted).map(Self::Many)
            }
            (Some(_), ..) => Err(Error::invalid(
                "`hosts` has everything about each host: leave out `host`, `identity` and `rule_description`",
            )),
            (None, None, _) => Err(Error::invalid("action `registry` needs parameter `host` or `hosts`")),
            (None, Some(host), _) => {
                let change = Change::new(&state, host, identity, rule_description, &accepted)?;
                Ok(Self::One(registry, change))
            }
        }
    }

    fn run(self, request: &Request) -> Result<Answer> {
        match self {
            Self::One(registry, change) => {
                Session::open(request, &registry, change.found.is_some())?.apply(&change)
            }
            Self::Many(many) => many.run(request),
            Self::Leaving(leaving) => leaving.run(),
            Self::Listing(directory) => listing::list(directory.as_ref(), request),
            Self::Contents(directory) => listing::contents(directory.as_ref(), request),
        }
    }
}

/// The archive's files of the host.
fn archived(session: &Session<'_>, host: &HostName) -> Result<Vec<String>> {
    let archived = session.index.archived_of(host)?;
    Ok(archived.iter().map(|path| path.display().to_string()).collect())
}
