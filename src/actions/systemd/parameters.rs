//! What a request may say of the service.

use serde::Deserialize;

use crate::error::Result;
use crate::host::unit::{ForeignService, PidFile, Placement, UnitName};
use crate::host::{AbsolutePath, Account};

const CONFIG: &AbsolutePath = &AbsolutePath::known("/etc/tbot.yaml");
const TBOT: &AbsolutePath = &AbsolutePath::known("/usr/local/bin/tbot");

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::actions) struct Parameters {
    pub name: UnitName,
    pub user: Account,
    pub group: Account,
    config: Option<AbsolutePath>,
    tbot_path: Option<AbsolutePath>,
    pub anonymous_telemetry: bool,
    pid_file: Option<String>,
    pub supplementary_groups: Vec<Account>,
    pub directory: AbsolutePath,
    pub mode: Placement,
    /// None where it is for us to decide.
    pub hardening: Option<bool>,
    pub read_write_paths: Option<Vec<AbsolutePath>>,
    pub force: bool,
    pub state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::actions) enum State {
    Present,
    Absent,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            name: UnitName::known("tbot"),
            user: Account::known("teleport"),
            group: Account::known("teleport"),
            config: None,
            tbot_path: None,
            anonymous_telemetry: false,
            pid_file: None,
            supplementary_groups: Vec::new(),
            directory: AbsolutePath::known("/etc/systemd/system"),
            mode: Placement::Auto,
            hardening: None,
            read_write_paths: None,
            force: false,
            state: State::Present,
        }
    }
}

impl Parameters {
    /// The pid file that a command of ours writes, if it is to write one.
    pub fn pid_file(&self) -> Result<Option<PidFile>> {
        PidFile::choose(self.pid_file.as_deref(), &self.name, self.can_write_run())
    }

    /// Whether the request has a pid file, or an empty one for none.
    pub fn gives_pid_file(&self) -> bool {
        self.pid_file.is_some()
    }

    /// The same, hardened or not.
    pub fn with_hardening(&self, hardening: bool) -> Self {
        Self { hardening: Some(hardening), ..self.clone() }
    }

    /// Whether the service may do no more than what it has a use for.
    pub fn is_hardened(&self) -> bool {
        self.hardening == Some(true)
    }

    /// Whether the service may make files in `/run` itself.
    pub fn can_write_run(&self) -> bool {
        self.is_of_root() && !self.is_hardened()
    }

    /// Whether it runs as root.
    pub fn is_of_root(&self) -> bool {
        matches!(self.user.as_str(), "root" | "0")
    }

    /// The configuration: what is given, else what the unit has that a drop-in adds to.
    pub fn config<'a>(&'a self, unit: &'a ForeignService) -> &'a AbsolutePath {
        self.config.as_ref().or(unit.config.as_ref()).unwrap_or(CONFIG)
    }

    /// The program, likewise.
    pub fn tbot_path<'a>(&'a self, unit: &'a ForeignService) -> &'a AbsolutePath {
        let is_tbot = |program: &&AbsolutePath| program.as_str().ends_with("/tbot");
        self.tbot_path.as_ref().or(unit.program.as_ref().filter(is_tbot)).unwrap_or(TBOT)
    }

    /// Whether anything is given of what is started that the unit does not say itself. If not, a drop-in leaves that
    /// to the unit.
    pub fn names_command(&self, unit: &ForeignService) -> bool {
        let differs =
            |given: &Option<AbsolutePath>, has: &Option<AbsolutePath>| given.is_some() && given != has;
        differs(&self.config, &unit.config)
            || differs(&self.tbot_path, &unit.program)
            || self.pid_file.is_some()
    }
}
