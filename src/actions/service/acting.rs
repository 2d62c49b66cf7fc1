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
    DisableRuntime,
    Start,
    Restart,
    Reload,
    Stop,
}

/// Has systemctl do what is needed, and nothing in check mode. What that needs and the host lacks is an error, in check mode a warning:
/// earlier tasks may be about to bring it.
pub(super) fn bring_about(
    parameters: &Parameters,
    request: &Request,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>> {
    if !parameters.acts() {
        return Ok(Vec::new());
    }
    let is_wanted =
        parameters.enabled == Some(true) || !matches!(parameters.state, None | Some(State::Stopped));
    let (earlier, foresees) = (&request.earlier, request.controls.check_mode);
    let mut state = ServiceState::ask(&parameters.name)?;
    // One that is about to run has its files from before, too.
    let is_stale = earlier.has_changed
        || state.needs_daemon_reload()
        || !state.restart_reasons(&parameters.config).is_empty();
    let mut steps = Vec::new();
    // To enable a service reloads systemd as well, and each reload takes a host with many units long.
    let is_unread = earlier.needs_daemon_reload && (!state.exists() || state.is_enabled());
    if is_booted() && (state.needs_daemon_reload() || is_unread) {
        steps.push(Step::DaemonReload);
        if !foresees {
            Step::DaemonReload.take(parameters)?;
            // What is enabled, and which program is started, is by the files as they are now.
            state = ServiceState::ask(&parameters.name)?;
        }
    }
    if is_wanted {
        match obstacle(parameters, &state) {
            // The unit is one of these files.
            Some(_) if foresees && is_booted() && !state.exists() && earlier.has_changed => {}
            Some(error) if foresees => {
                warnings
                    .push(format!("{}; the run fails unless an earlier task changes that", error.message));
            }
            Some(error) => return Err(error),
            None => {}
        }
    }
    let more = needed(parameters, &state, is_stale);
    if !foresees {
        more.iter().try_for_each(|step| step.take(parameters))?;
    }
    steps.extend(more);
    Ok(steps)
}

/// The commands that are needed once systemd knows the unit as it is.
fn needed(parameters: &Parameters, state: &ServiceState, is_stale: bool) -> Vec<Step> {
    let enabling = match parameters.enabled {
        Some(true) if !state.is_enabled() => Some(Step::Enable),
        Some(false) => match state.unit_file_state() {
            "enabled" => Some(Step::Disable),
            "enabled-runtime" => Some(Step::DisableRuntime),
            _ => None,
        },
        _ => None,
    };
    let is_starting = state.active_state() == Some("activating");
    let is_up = state.is_active() || is_starting;
    let running = match parameters.state {
        Some(State::Started) if is_up => is_stale.then_some(Step::Restart),
        Some(State::Reloaded) if state.is_active() => Some(Step::Reload),
        Some(State::Started) => Some(Step::Start),
        Some(State::Reloaded) if !is_up => Some(Step::Start),
        Some(State::Restarted | State::Reloaded) => Some(Step::Restart),
        // One that is about to stop is waited for.
        Some(State::Stopped) => (is_up || state.active_state() == Some("deactivating")).then_some(Step::Stop),
        None => None,
    };
    enabling.into_iter().chain(running).collect()
}

/// Why the service cannot be brought up.
fn obstacle(parameters: &Parameters, state: &ServiceState) -> Option<Error> {
    let name = parameters.name.file_name();
    let lacks = |what: &str, hint: &str| {
        Error::new(Kind::NotFound, format!("{name} is not started: {what}"))
            .hint(format!("{hint}, or leave the service alone (`tbot_manage_service: false`)"))
    };
    if !is_booted() {
        return Some(lacks("this host does not run systemd", "run this again when it does"));
    }
    if !state.exists() {
        return Some(match state.load_state() {
            "masked" => lacks("it is masked", &format!("run `systemctl unmask {name}` first")),
            "" | "not-found" => lacks("there is no such unit", "write it first, by action `systemd`"),
            other => {
                lacks(&format!("systemd cannot load it ({other})"), &format!("see `systemctl status {name}`"))
            }
        });
    }
    let program = state.program().filter(|program| !Path::new(program.as_str()).exists())?;
    Some(lacks(&format!("there is no {}", program.as_str()), "install it first"))
}

impl Step {
    const fn verb(self) -> &'static [&'static str] {
        match self {
            Self::DaemonReload => &["daemon-reload"],
            Self::Enable => &["enable"],
            Self::Disable => &["disable"],
            // Without it the link of this kind stays.
            Self::DisableRuntime => &["disable", "--runtime"],
            Self::Start => &["start"],
            Self::Restart => &["restart"],
            Self::Reload => &["reload"],
            Self::Stop => &["stop"],
        }
    }

    fn arguments(self, parameters: &Parameters) -> Vec<String> {
        let name = (self != Self::DaemonReload).then(|| parameters.name.file_name());
        self.verb().iter().map(ToString::to_string).chain(name).collect()
    }

    /// The command as a person would type it.
    pub fn command(self, parameters: &Parameters) -> String {
        format!("systemctl {}", self.arguments(parameters).join(" "))
    }

    /// Has systemctl do it.
    fn take(self, parameters: &Parameters) -> Result<()> {
        let arguments = self.arguments(parameters);
        let command = self.command(parameters);
        let program = program::find("systemctl").ok_or_else(|| {
            Error::new(Kind::NotFound, format!("cannot run `{command}`: there is no systemctl"))
        })?;
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = program::run_for(LIMIT, &program, &words, "")
            .map_err(|error| Error { message: format!("`{command}`: {}", error.message), ..error })?;
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
