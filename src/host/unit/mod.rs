//! The systemd service that runs `tbot`: its unit, or the drop-in that adds to another's unit.

mod files;
mod foreign;
mod hardening;
mod installed;
mod journal;
mod meaning;
mod name;
mod pid_file;
mod process;
mod state;
mod syntax;

pub use files::{Found, Placement, Step, UnitFiles};
pub use foreign::ForeignService;
pub use hardening::{Hardening, Use};
pub use journal::last_lines;
pub use meaning::{Form, same_directives};
pub use name::UnitName;
pub use pid_file::PidFile;
pub use state::{ServiceState, is_booted};

use super::{AbsolutePath, Account};
use crate::error::Result;

/// The first line of every unit and drop-in written here, by which a later run knows its own.
pub const MARKER: &str = "# Written by tbot_tpm. Put changes of your own into a drop-in: systemctl edit";

/// What `tbot install systemd` writes, the groups that open the TPM's device to `tbot`, and what it is kept
/// from.
#[derive(Debug)]
pub struct ServiceUnit<'a> {
    /// The unit's name.
    pub name: &'a UnitName,
    /// `User=`.
    pub user: &'a Account,
    /// `Group=`.
    pub group: &'a Account,
    /// `SupplementaryGroups=`.
    pub supplementary_groups: &'a [Account],
    /// `TELEPORT_ANONYMOUS_TELEMETRY`.
    pub anonymous_telemetry: bool,
    /// What is started.
    pub command: Command<'a>,
    /// Whether a drop-in says what is started. If not, it follows the unit that it adds to, whose program
    /// may move with an update.
    pub drop_in_has_command: bool,
    /// What keeps the service from everything that it has no use for.
    pub hardening: Option<&'a Hardening>,
}

/// How `tbot` is started.
#[derive(Debug)]
pub struct Command<'a> {
    /// The configuration that `tbot` starts with.
    pub config: &'a AbsolutePath,
    /// The `tbot` executable.
    pub tbot_path: &'a AbsolutePath,
    /// Its pid file, or none to run without.
    pub pid_file: Option<&'a PidFile>,
}

/// Whether `tbot` is told its pid file by a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Given,
    LeftOut,
}

/// What a unit or drop-in should say.
#[derive(Debug)]
pub struct Wanted {
    /// Which of the two it is.
    pub form: Form,
    /// What is written.
    pub text: String,
    /// What is as good: `tbot install systemd` once wrote `PIDFile=`, but no `--pid-file` into the command.
    older: Option<String>,
}

impl Wanted {
    /// Whether a text says this to systemd.
    #[must_use]
    pub fn is_said_by(&self, text: &str) -> bool {
        [Some(&self.text), self.older.as_ref()]
            .into_iter()
            .flatten()
            .any(|wanted| same_directives(text, wanted, self.form))
    }
}

impl ServiceUnit<'_> {
    /// The unit or drop-in (systemd.service(5), systemd.exec(5)). A path that systemd cannot be told is
    /// `invalid_request`.
    pub fn render(&self, form: Form) -> Result<Wanted> {
        match form {
            Form::Unit => {
                let writes_pid_file = self.command.pid_file.is_some() && self.hardening.is_none();
                let older = writes_pid_file.then(|| self.unit(Flag::LeftOut)).transpose()?;
                Ok(Wanted { form, text: self.unit(Flag::Given)?, older })
            }
            Form::DropIn => Ok(Wanted { form, text: self.drop_in()?, older: None }),
        }
    }

    fn unit(&self, flag: Flag) -> Result<String> {
        let mut service = vec!["Type=simple".to_owned()];
        service.extend(self.account());
        service.extend(["Restart=always".to_owned(), "RestartSec=5".to_owned(), self.environment()]);
        service.push(self.command.exec_start(flag)?);
        service.push("ExecReload=/bin/kill -HUP $MAINPID".to_owned());
        service.extend(self.command.pid_file()?);
        service.push("LimitNOFILE=524288".to_owned());
        service.extend(self.hardening.iter().flat_map(|hardening| hardening.directives()).cloned());
        Ok(format!(
            "{MARKER} {name}\n[Unit]\nDescription=\"{name} - Teleport Machine & Workload Identity Service\"\n\
             After=network.target\n\n[Service]\n{service}\n\n[Install]\nWantedBy=multi-user.target\n",
            name = self.name,
            service = service.join("\n")
        ))
    }

    fn drop_in(&self) -> Result<String> {
        let mut service = self.account();
        service.push(self.environment());
        if self.drop_in_has_command {
            // A service of this type has one command, so that of the unit has to go first.
            service.extend(["ExecStart=".to_owned(), self.command.exec_start(Flag::Given)?]);
            service.push(self.command.pid_file()?.unwrap_or_else(|| "PIDFile=".to_owned()));
        }
        service.extend(self.hardening.iter().flat_map(|hardening| hardening.directives()).cloned());
        Ok(format!("{MARKER} {}\n[Service]\n{}\n", self.name, service.join("\n")))
    }

    fn account(&self) -> Vec<String> {
        let mut lines =
            vec![format!("User={}", self.user.as_str()), format!("Group={}", self.group.as_str())];
        if !self.supplementary_groups.is_empty() {
            let groups: Vec<&str> = self.supplementary_groups.iter().map(Account::as_str).collect();
            lines.push(format!("SupplementaryGroups={}", groups.join(" ")));
        }
        lines
    }

    fn environment(&self) -> String {
        format!("Environment=\"TELEPORT_ANONYMOUS_TELEMETRY={}\"", u8::from(self.anonymous_telemetry))
    }
}

impl Command<'_> {
    fn exec_start(&self, flag: Flag) -> Result<String> {
        let program = syntax::program(self.tbot_path, "tbot_path")?;
        let config = syntax::writable(self.config, "config")?;
        let mut arguments = vec!["start", "-c", config];
        let pid_file = self.pid_file.filter(|_| flag == Flag::Given);
        let pid_file = pid_file.map(|file| format!("--pid-file={}", file.path().as_str()));
        arguments.extend(pid_file.as_deref());
        Ok(format!("ExecStart={}", syntax::command_line(program, &arguments)))
    }

    fn pid_file(&self) -> Result<Option<String>> {
        let path = self.pid_file.map(|file| syntax::rest_of_line(file.path(), "pid_file")).transpose()?;
        Ok(path.map(|path| format!("PIDFile={path}")))
    }
}
