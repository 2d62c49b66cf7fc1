//! `service`: the state and the health of `tbot`'s service, and what `systemctl` is to do with it.

mod acting;
mod readers;
mod waiting;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::unit::{UnitName, is_booted};
use crate::host::{AbsolutePath, Account};
use crate::protocol::{Answer, Request};
use crate::secrets::Known;
use crate::teleport::config;
use crate::teleport::readyz::{DiagnosticsAddress, Health};
use acting::State;
use waiting::{Seen, look};

/// Seconds of the longest wait.
const LONGEST_WAIT: u16 = 3600;
/// Lines of the journal in an error at most.
const MOST_LINES: u16 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    name: UnitName,
    config: AbsolutePath,
    diag_addr: Option<DiagnosticsAddress>,
    state: Option<State>,
    enabled: Option<bool>,
    wait: u16,
    lines: u16,
    /// Users who are to read in every output.
    readers: Vec<Account>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            name: UnitName::known("tbot"),
            config: AbsolutePath::known("/etc/tbot.yaml"),
            diag_addr: None,
            state: None,
            enabled: None,
            wait: 0,
            lines: 20,
            readers: Vec::new(),
        }
    }
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        for (name, value, most) in
            [("wait", parameters.wait, LONGEST_WAIT), ("lines", parameters.lines, MOST_LINES)]
        {
            if value > most {
                return Err(Error::invalid(format!(
                    "parameter `{name}` of action `service`: {value} is more than {most}"
                )));
            }
        }
        Ok(parameters)
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let mut warnings = Vec::new();
        let steps = acting::bring_about(&self, request, &mut warnings)?;
        let address = self.diag_addr.clone().or_else(|| configured(&self.config, request, &mut warnings));
        // In check mode nobody has started what there would be to wait for, and nobody waits for one that is stopped.
        let is_awaited = !request.controls.check_mode && self.state != Some(State::Stopped);
        let mut seen = look(&self, address.as_ref(), 0)?;
        // Where nothing had to be done and all is well, there is nothing to wait for.
        let is_done = self.acts() && steps.is_empty() && is_up_to_date(&self, &seen);
        if is_awaited && !is_done {
            seen = look(&self, address.as_ref(), self.wait)?;
        }
        let can_become_others = rustix::process::geteuid().is_root();
        if self.acts()
            && self.state != Some(State::Stopped)
            && can_become_others
            && is_up_to_date(&self, &seen)
        {
            readers::check(&self, request)?;
        }
        warnings.extend(seen.doubt.clone());
        Ok(answer(&self, &seen)
            .changes(!steps.is_empty())
            .result("commands", steps.iter().map(|step| step.command(&self)).collect::<Vec<_>>())
            .diff(acting::difference(&steps, &self))
            .warnings(warnings))
    }
}

impl Parameters {
    /// Whether the service is to be brought into a state.
    fn acts(&self) -> bool {
        self.state.is_some() || self.enabled.is_some()
    }
}

/// The address that the configuration has, if there is one.
fn configured(
    file: &AbsolutePath,
    request: &Request,
    warnings: &mut Vec<String>,
) -> Option<DiagnosticsAddress> {
    let found = request.earlier.read(file).and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let values = config::parse(&text, file.as_str())?.unwrap_or_default();
        let wrong = |why| Error::new(Kind::Conflict, format!("`diag_addr`: {why}"));
        let address = values.get("diag_addr").and_then(Value::as_str).filter(|address| !address.is_empty());
        address
            .map(|address| DiagnosticsAddress::try_from(address.to_owned()))
            .transpose()
            .map_err(|why| Known::in_text(&text).hide_in_error(wrong(why)))
    });
    match found {
        Ok(address) => address,
        Err(error) if error.kind == Kind::NotFound => None,
        Err(error) => {
            warnings.push(format!(
                "{} does not tell where tbot says whether it is ready: {}",
                file.as_str(),
                error.message
            ));
            None
        }
    }
}

fn answer(parameters: &Parameters, seen: &Seen) -> Answer {
    let Seen { state, health, .. } = seen;
    let program = state.program();
    let reasons = state.restart_reasons(&parameters.config);
    let ready = health.as_ref().map(Health::is_ready);
    Answer::new(false)
        .result("systemd", is_booted())
        .result("exists", state.exists())
        .result("enabled", state.is_enabled())
        .result("active_state", state.active_state())
        .result("main_pid", state.main_pid())
        .result("program", program.as_ref().map(AbsolutePath::as_str))
        .result("program_exists", program.is_some_and(|program| Path::new(program.as_str()).exists()))
        .result("needs_daemon_reload", state.needs_daemon_reload())
        .result("needs_restart", !reasons.is_empty())
        .result("restart_reasons", reasons)
        .result("ready", ready)
        .result("health", health.as_ref().map(Health::describe))
        .result("status", json!(health.as_ref().and_then(Health::status)))
        .result("up_to_date", is_up_to_date(parameters, seen))
}

/// Whether the service runs, with its files as they are now, will run after a reboot, and is well as far as it tells.
fn is_up_to_date(parameters: &Parameters, seen: &Seen) -> bool {
    let state = &seen.state;
    let is_current = !state.needs_daemon_reload() && state.restart_reasons(&parameters.config).is_empty();
    let is_well = seen.health.as_ref().is_none_or(Health::is_ready);
    state.exists() && state.is_enabled() && state.is_active() && is_current && is_well
}
