//! What systemd says of a service.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::UnitName;
use super::process::Process;
use super::syntax::{Escapes, words};
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::host::program::said_by;

/// systemd's own sign that it is the init system (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// What is asked; all of it is known to systemd 239.
const PROPERTIES: &str = "--property=LoadState,UnitFileState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,\
    MainPID,ControlGroup,FragmentPath,DropInPaths,NeedDaemonReload,ExecStart";
/// States of unit files that `systemctl enable` has nothing to add to (systemctl(1), `is-enabled`). Those in `/run`
/// are gone at the next boot.
const ENABLED: [&str; 5] = ["alias", "enabled", "generated", "indirect", "static"];

/// Whether systemd is the init system.
#[must_use]
pub fn is_booted() -> bool {
    Path::new(BOOTED).is_dir()
}

/// Has systemd, where it is the init system, read its units again.
pub fn reload_systemd() -> Result<()> {
    if is_booted() { said_by("systemctl", &["daemon-reload"]).map(|_| ()) } else { Ok(()) }
}

/// The state of a service at one moment. Without systemd, and for a unit that it does not know, that of none.
#[derive(Debug, Default)]
pub struct ServiceState {
    properties: HashMap<String, String>,
    process: Option<Process>,
}

impl ServiceState {
    /// Asks systemd, where it is the init system.
    pub fn ask(name: &UnitName) -> Result<Self> {
        if !is_booted() {
            return Ok(Self::default());
        }
        Ok(Self::of(&said_by("systemctl", &["show", &name.file_name(), PROPERTIES])?))
    }

    fn of(said: &str) -> Self {
        let pairs = said.lines().filter_map(|line| line.split_once('='));
        let mut state =
            Self { properties: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(), process: None };
        state.process = state.main_pid().and_then(Process::find);
        state
    }

    /// A property as `systemctl show` prints it; empty where there is none.
    fn get(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// Whether systemd has the unit, and can run it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.load_state() == "loaded"
    }

    /// `loaded`, `not-found`, `masked`, `bad-setting` and the like; empty without systemd.
    #[must_use]
    pub fn load_state(&self) -> &str {
        self.get("LoadState")
    }

    /// `enabled`, `disabled`, `static` and the like (systemctl(1), `is-enabled`).
    #[must_use]
    pub fn unit_file_state(&self) -> &str {
        self.get("UnitFileState")
    }

    /// Whether it starts at boot, or another way than by being enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.exists() && ENABLED.contains(&self.get("UnitFileState"))
    }

    /// `active`, `inactive`, `failed`, `activating` and the like; none without systemd.
    #[must_use]
    pub fn active_state(&self) -> Option<&str> {
        Some(self.get("ActiveState")).filter(|state| !state.is_empty())
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.get("ActiveState"), "active" | "reloading" | "refreshing")
    }

    /// Whether systemd has given it up.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.get("ActiveState") == "failed"
    }

    /// The id of its main process, while it has one.
    #[must_use]
    pub fn main_pid(&self) -> Option<u32> {
        self.get("MainPID").parse().ok().filter(|id| *id != 0)
    }

    /// The ids of all its processes: its main process may be a wrapper around another.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let group = self.get("ControlGroup").trim_start_matches('/');
        let mut processes: Vec<u32> = self.main_pid().into_iter().collect();
        if !group.is_empty() {
            // With the second version of control groups, with the first, and with both.
            for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
                add_processes(&Path::new(root).join(group), &mut processes);
            }
        }
        processes
    }

    /// Whether it runs with a main process that has been there so long. One that ended while systemd was asked has not.
    #[must_use]
    pub fn is_steady(&self, least: Duration) -> bool {
        self.is_active() && self.process.is_some_and(|process| process.age >= least)
    }

    /// The program that it starts.
    #[must_use]
    pub fn program(&self) -> Option<AbsolutePath> {
        let (_, rest) = self.get("ExecStart").split_once("path=")?;
        let (program, _) = rest.split_once(" ; ")?;
        AbsolutePath::try_from(program.to_owned()).ok()
    }

    /// Whether files of the unit have changed since systemd read them.
    #[must_use]
    pub fn needs_daemon_reload(&self) -> bool {
        self.get("NeedDaemonReload") == "yes"
    }

    /// Why the service does not run as its files say now, one sentence each; none unless it runs.
    #[must_use]
    pub fn restart_reasons(&self, config: &AbsolutePath) -> Vec<String> {
        if !self.is_active() {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        if self.needs_daemon_reload() {
            reasons.push("systemd has not read yet what changed in the unit".to_owned());
        }
        let Some(process) = &self.process else { return reasons };
        let newer = [config.as_ref().to_owned()].into_iter().chain(self.unit_files());
        reasons.extend(
            newer
                .filter(|path| process.is_older_than(path))
                .map(|path| format!("{} was written after the service started", path.display())),
        );
        if process.is_replaced() {
            reasons.push("the program was replaced after the service started".to_owned());
        }
        reasons
    }

    /// The unit's file and its drop-ins. One whose name systemctl shows in quotes that are not systemd's own is
    /// missed here; systemd itself tells whether it has read it.
    fn unit_files(&self) -> Vec<PathBuf> {
        let drop_ins = words(self.get("DropInPaths"), Escapes::Decoded).unwrap_or_default();
        let fragment = Some(self.get("FragmentPath")).filter(|path| !path.is_empty());
        fragment
            .map(PathBuf::from)
            .into_iter()
            .chain(drop_ins.into_iter().map(|word| word.text.into()))
            .collect()
    }

    /// The state in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = match (self.get("ActiveState"), self.get("SubState")) {
            ("", _) => return "systemd does not run it".to_owned(),
            ("activating", "auto-restart" | "auto-restart-queued") => "it ends and is started again",
            ("failed", _) => "it failed",
            (state, _) => return format!("it is {state}{}", self.outcome()),
        };
        format!("{state}{}", self.outcome())
    }

    /// How its last process ended, where that was no success.
    fn outcome(&self) -> String {
        match (self.get("Result"), self.get("ExecMainCode"), self.get("ExecMainStatus")) {
            ("" | "success", _, _) => String::new(),
            (result, "1", status) => format!(" (result {result}, exit status {status})"),
            // CLD_KILLED and CLD_DUMPED of waitid(2).
            (result, "2" | "3", status) => format!(" (result {result}, signal {status})"),
            (result, _, _) => format!(" (result {result})"),
        }
    }
}

/// The processes of a control group and of those in it (cgroups(7)).
fn add_processes(group: &Path, processes: &mut Vec<u32>) {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    processes.extend(members.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|id| *id != 0));
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_processes(&entry.path(), processes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceState;

    #[test]
    fn what_systemctl_shows_is_read() {
        let state = ServiceState::of(
            "MainPID=0\nResult=exit-code\nExecMainCode=1\nExecMainStatus=203\nLoadState=loaded\nActiveState=activating\n\
             SubState=auto-restart\nUnitFileState=enabled-runtime\nDropInPaths=/etc/a.conf \"/etc/b c.conf\"\n\
             FragmentPath=/etc/tbot.service\n\
             ExecStart={ path=/opt/a b/tbot ; argv[]=/opt/a b/tbot start ; ignore_errors=no ; pid=0 }\n",
        );
        assert!(state.exists() && !state.is_enabled() && !state.is_active() && !state.needs_daemon_reload());
        assert_eq!((state.main_pid(), state.program().unwrap().as_str()), (None, "/opt/a b/tbot"));
        let files: Vec<String> = state.unit_files().iter().map(|path| path.display().to_string()).collect();
        assert_eq!(files, ["/etc/tbot.service", "/etc/a.conf", "/etc/b c.conf"]);
        assert_eq!(state.describe(), "it ends and is started again (result exit-code, exit status 203)");
    }
}
