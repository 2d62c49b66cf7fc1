//! Waits until the service is ready.

use std::thread;
use std::time::{Duration, Instant};

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::unit::{ServiceState, is_booted, last_lines};
use crate::teleport::readyz::{DiagnosticsAddress, Health};

const PAUSE: Duration = Duration::from_millis(500);
/// How old the process of a service without a diagnostics address has to be to count as one that stays.
const STEADY: Duration = Duration::from_secs(3);

/// The service at one moment.
pub(super) struct Seen {
    pub state: ServiceState,
    pub health: Option<Health>,
    /// What a person should know of that.
    pub doubt: Option<String>,
}

/// Looks until the service is ready, or `wait` seconds are over. Where there is nothing to wait for, and without a
/// wait, it looks once.
pub(super) fn look(parameters: &Parameters, address: Option<&DiagnosticsAddress>, wait: u16) -> Result<Seen> {
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
