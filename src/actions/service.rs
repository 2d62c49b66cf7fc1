//! `service`: the state and the health of `tbot`'s service. It changes nothing.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::unit::{ServiceState, UnitName, is_booted, last_lines};
use crate::host::{self, AbsolutePath};
use crate::protocol::{Answer, Request};
use crate::secrets::Known;
use crate::teleport::config;
use crate::teleport::readyz::{DiagnosticsAddress, Health};

/// Seconds of the longest wait.
const LONGEST_WAIT: u16 = 3600;
/// Lines of the journal in an error at most.
const MOST_LINES: u16 = 1000;
const PAUSE: Duration = Duration::from_millis(500);
/// How old the process of a service without a diagnostics address has to be to count as one that stays.
const STEADY: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    name: UnitName,
    config: AbsolutePath,
    diag_addr: Option<DiagnosticsAddress>,
    wait: u16,
    lines: u16,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            name: UnitName::known("tbot"),
            config: AbsolutePath::known("/etc/tbot.yaml"),
            diag_addr: None,
            wait: 0,
            lines: 20,
        }
    }
}

/// The service at one moment.
struct Seen {
    state: ServiceState,
    health: Option<Health>,
    /// What a person should know of that.
    doubt: Option<String>,
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
        let address = self.diag_addr.clone().or_else(|| configured(&self.config, &mut warnings));
        // In check mode nobody has started what there would be to wait for.
        let wait = if request.controls.check_mode { 0 } else { self.wait };
        let seen = look(&self, address.as_ref(), wait)?;
        warnings.extend(seen.doubt.clone());
        Ok(answer(&self, &seen).warnings(warnings))
    }
}

/// The address that the configuration has, if there is one.
fn configured(file: &AbsolutePath, warnings: &mut Vec<String>) -> Option<DiagnosticsAddress> {
    let found = host::read(file.as_ref()).and_then(|bytes| {
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

/// Looks until the service is ready, or `wait` seconds are over. Where there is nothing to wait for, and without a
/// wait, it looks once.
fn look(parameters: &Parameters, address: Option<&DiagnosticsAddress>, wait: u16) -> Result<Seen> {
    let start = Instant::now();
    loop {
        let state = ServiceState::ask(&parameters.name)?;
        // Without systemd as the init system it is not known who runs `tbot`.
        let processes = is_booted().then(|| state.processes());
        let asked = address.map(|address| address.ask_service(processes.as_deref()));
        let (health, doubt) = asked.map_or((None, None), |(health, doubt)| (Some(health), doubt));
        let seen = Seen { state, health, doubt };
        if wait == 0 || seen.is_ready() || !seen.can_become_ready() {
            return Ok(seen);
        }
        let left = Duration::from_secs(wait.into()).saturating_sub(start.elapsed());
        if left.is_zero() || seen.state.has_failed() {
            return Err(not_ready(parameters, &seen, start.elapsed()));
        }
        thread::sleep(left.min(PAUSE));
    }
}

impl Seen {
    /// Whether what a wait is for has come. Where systemd is not the init system, others may run `tbot`.
    fn is_ready(&self) -> bool {
        let is_healthy = match &self.health {
            Some(health) => health.is_ready(),
            None => self.state.is_steady(STEADY),
        };
        is_healthy && (self.state.is_active() || !is_booted())
    }

    fn can_become_ready(&self) -> bool {
        if is_booted() { self.state.exists() } else { self.health.is_some() }
    }

    fn describe(&self) -> String {
        match &self.health {
            _ if is_booted() && !self.state.is_active() => self.state.describe(),
            Some(health) => health.describe(),
            None => format!("its process has not stayed for {} s", STEADY.as_secs()),
        }
    }
}

fn not_ready(parameters: &Parameters, seen: &Seen, after: Duration) -> Error {
    let message = format!(
        "{} is not ready after {} s: {}",
        parameters.name.file_name(),
        after.as_secs(),
        seen.describe()
    );
    let error = Error::new(Kind::NotReady, message);
    let said = last_lines(&parameters.name, &seen.state, parameters.lines);
    if said.is_empty() {
        return error.hint(format!("see `journalctl -u {}`", parameters.name));
    }
    error.detail(said).hint("see the last lines of its journal in `error.detail`")
}

fn answer(parameters: &Parameters, seen: &Seen) -> Answer {
    let Seen { state, health, .. } = seen;
    let program = state.program();
    let reasons = state.restart_reasons(&parameters.config);
    let ready = health.as_ref().map(Health::is_ready);
    let is_settled = !state.needs_daemon_reload() && reasons.is_empty() && ready != Some(false);
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
        .result("up_to_date", state.exists() && state.is_enabled() && state.is_active() && is_settled)
}
