//! One file for each action: parameters in, domain call, result out.

mod access;
mod cluster;
mod config;
mod deploy;
mod destinations;
mod ekcert_ca;
mod enroll;
mod hosts;
mod identify;
mod instances;
mod preflight;
mod program;
mod registry;
mod seconds;
mod service;
mod storage;
mod summary;
mod systemd;
mod token;

use serde::de::DeserializeOwned;

use crate::error::{Error, Kind, Result};
use crate::host::{Account, Accounts, Change, TextFile};
use crate::message::shortened;
use crate::protocol::{Answer, Request, nearest, parameter_names};

/// What a request asks for, once its parameters are found to make sense.
trait Action: Sized {
    /// The parameters as the request has them.
    type Parameters: DeserializeOwned;

    /// Checks all that the parameters tell by themselves. It looks at no file, account, TPM or server: those that they name
    /// are the target's, and this may run on the controller.
    fn checked(parameters: Self::Parameters) -> Result<Self>;

    /// Does the work.
    fn run(self, request: &Request) -> Result<Answer>;
}

fn perform<A: Action>(request: &mut Request) -> Result<Answer> {
    request.leave_out_defaults(parameter_names::<A::Parameters>(), is_parameter);
    let action = A::checked(request.parameters()?)?;
    if request.controls.validate_only { Ok(Answer::new(false)) } else { action.run(request) }
}

/// An action as the request names it.
struct Entry {
    name: &'static str,
    perform: fn(&mut Request) -> Result<Answer>,
    parameters: fn() -> &'static [&'static str],
}

const fn entry<A: Action>(name: &'static str) -> Entry {
    Entry { name, perform: perform::<A>, parameters: parameter_names::<A::Parameters> }
}

/// Every action.
const ACTIONS: [Entry; 16] = [
    entry::<access::Access>("access"),
    entry::<cluster::Parameters>("cluster"),
    entry::<config::Config>("config"),
    entry::<deploy::Deploy>("deploy"),
    entry::<destinations::Parameters>("destinations"),
    entry::<ekcert_ca::Asked>("ekcert_ca"),
    entry::<enroll::Enroll>("enroll"),
    entry::<identify::Identify>("identify"),
    entry::<preflight::Preflight>("preflight"),
    entry::<program::Parameters>("program"),
    entry::<registry::Asked>("registry"),
    entry::<service::Parameters>("service"),
    entry::<storage::Storage>("storage"),
    entry::<summary::Parameters>("summary"),
    entry::<systemd::Parameters>("systemd"),
    entry::<token::Asked>("token"),
];

/// Whether an action, or any where none is named, has a parameter of this name.
fn is_parameter(action: Option<&str>, name: &str) -> bool {
    let mut named = ACTIONS.iter().filter(|entry| action.is_none_or(|action| entry.name == action));
    named.any(|entry| (entry.parameters)().contains(&name))
}

/// Runs the action that the request names.
pub fn run(request: &mut Request) -> Result<Answer> {
    match ACTIONS.iter().find(|action| action.name == request.action) {
        Some(action) => (action.perform)(request),
        None => Err(Error::invalid(format!(
            "there is no action `{}`; did you mean (nearest first): {}",
            shortened(&request.action),
            nearest(&request.action, &ACTIONS.map(|action| action.name))
        ))),
    }
}

/// Looks up an owner and group. In check mode an earlier task may be about to create a missing one,
/// so there it is only a warning.
fn find_accounts(
    request: &Request,
    user: Option<&Account>,
    group: Option<&Account>,
) -> Result<(Accounts, Vec<String>)> {
    let (accounts, missing) = Accounts::find(user, group)?;
    match missing.first() {
        Some(first) if !request.controls.check_mode => {
            Err(Error::new(Kind::NotFound, first.clone()).hint(
                "create it first, or name another; where a name service should know it, see whether that answers (getent passwd NAME)",
            ))
        }
        _ => Ok((accounts, missing)),
    }
}

/// What check mode says where the directory of a file that would be written does not exist.
fn foresee_directory(request: &Request, file: &TextFile<'_>) -> Vec<String> {
    if !request.controls.check_mode || file.has_directory() {
        return Vec::new();
    }
    let directory = file.directory().display();
    vec![format!("there is no directory {directory}; the run fails unless an earlier task makes it")]
}

/// Changes a file, but in check mode.
fn settle(request: &Request, file: &TextFile<'_>, change: Change<'_>) -> Result<()> {
    if request.controls.check_mode { Ok(()) } else { file.settle(change) }
}
