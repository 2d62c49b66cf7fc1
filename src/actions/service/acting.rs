//! What `systemctl` has to do so that the service is as it should be, and no more.

use std::path::Path;
use std::time::Duration;

use rustix::process::geteuid;
use serde::Deserialize;

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::program;
use crate::host::unit::{ServiceState, is_booted, last_lines};
use crate::protocol::{Diff, Request};

/// How long systemctl may take: as long as systemd waits for a service that does not stop, and as long again for its start
/// (systemd-system.conf(5)), and a little more.
const LIMIT: Duration = Duration::from_secs(200);

/// What becomes of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It runs, with its files and program as they are now.
    Started,
    /// It is started anew in any case.
    Restarted,
    /// It reads its configuration again; one that does not run is started.
    Reloaded,
    /// It does not run.
    Stopped,
}

/// One command of systemctl (systemctl(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    DaemonReload,
    Enable,
    Disable,
    Start,
    Restart,
    Reload,
    Stop,
}

/// The commands that are needed, in their order. What they need and the host lacks is an error, in check mode a warning: earlier
/// tasks may be about to bring it.
pub(super) fn decide(
    parameters: &Parameters,
    request: &Request,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>> {
    if parameters.state.is_none() && parameters.enabled.is_none() {
        return Ok(Vec::new());
    }
    let state = ServiceState::ask(&parameters.name)?;
    let is_wanted =
        parameters.enabled == Some(true) || !matches!(parameters.state, None | Some(State::Stopped));
    match obstacle(parameters, &state) {
        // Nothing runs, and nothing is to.
        Some(_) if !is_wanted => return Ok(Vec::new()),
        Some(error) if request.controls.check_mode => warnings.push(error.message),
        Some(error) => return Err(error),
        None => {}
    }
    let mut steps = Vec::new();
    match parameters.enabled {
        // It reloads as well, and each reload takes a host with many units long.
        Some(true) if !state.is_enabled() => steps.push(Step::Enable),
        Some(false) if state.is_enabled_by_link() => steps.push(Step::Disable),
        _ if state.needs_daemon_reload() || request.earlier.needs_daemon_reload => {
            steps.push(Step::DaemonReload);
        }
        _ => {}
    }
    let is_up = state.is_active() || state.is_starting();
    let is_stale = request.earlier.has_changed || !state.restart_reasons(&parameters.config).is_empty();
    steps.extend(match parameters.state {
        Some(State::Started) if is_up && is_stale => Some(Step::Restart),
        Some(State::Started | State::Reloaded) if !is_up => Some(Step::Start),
        Some(State::Restarted) => Some(Step::Restart),
        Some(State::Reloaded) => Some(Step::Reload),
        Some(State::Stopped) if is_up => Some(Step::Stop),
        _ => None,
    });
    Ok(steps)
}

/// Why the service cannot be brought up.
fn obstacle(parameters: &Parameters, state: &ServiceState) -> Option<Error> {
    let name = parameters.name.file_name();
    let lacks = |what: &str, hint: &str| {
        Error::new(Kind::NotFound, format!("{name} is not started: {what}")).hint(hint)
    };
    if !is_booted() {
        return Some(lacks("this host does not run systemd", "run this again on one that does"));
    }
    if !state.exists() {
        return Some(match state.load_state() {
            "masked" => lacks("it is masked", &format!("run `systemctl unmask {name}` first")),
            "" | "not-found" => lacks("there is no such unit", "write it first, with action `systemd`"),
            other => {
                lacks(&format!("systemd cannot load it ({other})"), &format!("see `systemctl status {name}`"))
            }
        });
    }
    let program = state.program().filter(|program| !Path::new(program.as_str()).exists())?;
    Some(lacks(&format!("there is no {}", program.as_str()), "install it first"))
}

impl Step {
    const fn verb(self) -> &'static str {
        match self {
            Self::DaemonReload => "daemon-reload",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Stop => "stop",
        }
    }

    fn arguments(self, parameters: &Parameters) -> Vec<String> {
        let name = (self != Self::DaemonReload).then(|| parameters.name.file_name());
        [self.verb().to_owned()].into_iter().chain(name).collect()
    }

    /// The command as a person would type it.
    pub fn command(self, parameters: &Parameters) -> String {
        format!("systemctl {}", self.arguments(parameters).join(" "))
    }

    /// Has systemctl do it.
    pub fn take(self, parameters: &Parameters) -> Result<()> {
        let arguments = self.arguments(parameters);
        let command = self.command(parameters);
        let program = program::find("systemctl").ok_or_else(|| {
            Error::new(Kind::NotFound, format!("cannot run `{command}`: there is no systemctl"))
        })?;
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = program::run_for(LIMIT, &program, &words, "")?;
        if said.status.success() {
            return Ok(());
        }
        let message = format!("`{command}` failed: {}", said.words());
        if !geteuid().is_root() {
            return Err(Error::new(Kind::PermissionDenied, message).hint("run as root (become: true)"));
        }
        let state = ServiceState::ask(&parameters.name)?;
        let lines = last_lines(&parameters.name, &state, parameters.lines);
        Err(Error::new(Kind::NotReady, message)
            .detail(lines)
            .hint(format!("see `systemctl status {0}` and `journalctl -u {0}`", parameters.name.file_name())))
    }
}

/// How the service differs, where anything is done.
pub(super) fn difference(steps: &[Step], parameters: &Parameters) -> Option<Diff> {
    let commands = steps.iter().map(|step| step.command(parameters) + "\n").collect::<String>();
    (!steps.is_empty()).then(|| Diff::of(parameters.name.file_name(), "", commands))
}
