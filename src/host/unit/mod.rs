//! The systemd service that runs `tbot`: its unit, or the drop-in that adds to another's unit.

mod arguments;
mod author;
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

pub use arguments::Arguments;
pub use author::Author;
pub use files::{Found, Placement, Step, UnitFiles};
pub use foreign::ForeignService;
pub use hardening::{Hardening, Use, runtime_directories};
pub use journal::last_lines;
pub use meaning::{Form, same_but_for_pid_file, same_directives};
pub use name::UnitName;
pub use pid_file::PidFile;
pub use state::{ServiceState, is_booted, reload_systemd};

use super::{AbsolutePath, Account};
use crate::error::Result;
use syntax::Part;

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
    /// The directories below `/run` that systemd makes for it, as [`runtime_directories`] has it.
    pub runtime_directories: &'a [String],
    /// A pid file that root has to make for the service, since its user cannot.
    pub made_pid_file: Option<&'a PidFile>,
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
    /// Which pid file it writes.
    pub pid_file: PidFileChoice<'a>,
    /// The arguments of the command that a drop-in replaces.
    pub kept: Option<&'a Arguments>,
}

/// Who decides on the pid file.
#[derive(Debug, Clone, Copy)]
pub enum PidFileChoice<'a> {
    /// Whoever wrote the unit that a drop-in adds to: what the unit says stays.
    Unit,
    /// This program: the usual one. A unit of another's that says the rest may have another, or none. `tbot install
    /// systemd` wrote no `--pid-file` at first, and later `/run/NAME.pid` for any user.
    Usual(Option<&'a PidFile>),
    /// The request; none to run without.
    Given(Option<&'a PidFile>),
}

/// What a unit or drop-in should say.
#[derive(Debug)]
pub struct Wanted {
    /// Which of the two it is.
    pub form: Form,
    /// What is written.
    pub text: String,
    /// Whether a unit that another wrote may have another pid file.
    leaves_pid_file: bool,
}

impl Wanted {
    /// Whether a text says this to systemd.
    #[must_use]
    pub fn is_said_by(&self, text: &str) -> bool {
        let may_differ = self.leaves_pid_file && Author::of(text) != Author::TbotTpm;
        same_directives(text, &self.text, self.form)
            || (may_differ && same_but_for_pid_file(text, &self.text))
    }
}

impl ServiceUnit<'_> {
    /// The unit or drop-in (systemd.service(5), systemd.exec(5)). A path that systemd cannot be told is
    /// `invalid_request`.
    pub fn render(&self, form: Form) -> Result<Wanted> {
        let text = match form {
            Form::Unit => self.unit()?,
            Form::DropIn => self.drop_in()?,
        };
        let is_usual = matches!(self.command.pid_file, PidFileChoice::Usual(_));
        Ok(Wanted { form, text, leaves_pid_file: form == Form::Unit && is_usual && self.hardening.is_none() })
    }

    fn unit(&self) -> Result<String> {
        let mut service = vec!["Type=simple".to_owned()];
        service.extend(self.account());
        service.extend(["Restart=always".to_owned(), "RestartSec=5".to_owned(), self.environment()]);
        service.extend(self.make_pid_file()?);
        service.push(self.command.exec_start()?);
        service.push("ExecReload=/bin/kill -HUP $MAINPID".to_owned());
        service.extend(self.command.pid_file()?);
        service.push("LimitNOFILE=524288".to_owned());
        service.extend(self.restrictions());
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
        service.extend(self.make_pid_file()?);
        if self.drop_in_has_command {
            // A service of this type has one command, so that of the unit has to go first.
            service.extend(["ExecStart=".to_owned(), self.command.exec_start()?]);
            if !self.command.leaves_pid_file() {
                service.push(self.command.pid_file()?.unwrap_or_else(|| "PIDFile=".to_owned()));
            }
        }
        service.extend(self.restrictions());
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

    /// As root, which the prefix `+` stands for. In `/run`, nobody else can put something else in the place.
    fn make_pid_file(&self) -> Result<Option<String>> {
        let Some(file) = self.made_pid_file else { return Ok(None) };
        let path = syntax::writable(file.path(), "pid_file")?;
        let arguments =
            ["-m", "0644", "-o", self.user.as_str(), "-g", self.group.as_str(), "/dev/null", path];
        let command = syntax::command_line("+/usr/bin/install", &arguments.map(Part::Plain), false);
        Ok(Some(format!("ExecStartPre={command}")))
    }

    fn restrictions(&self) -> impl Iterator<Item = String> {
        let hardening = self.hardening.map(Hardening::directives).unwrap_or_default();
        self.runtime_directories.iter().chain(hardening).cloned()
    }

    fn environment(&self) -> String {
        format!("Environment=\"TELEPORT_ANONYMOUS_TELEMETRY={}\"", u8::from(self.anonymous_telemetry))
    }
}

impl Command<'_> {
    fn exec_start(&self) -> Result<String> {
        let program = syntax::program(self.tbot_path, "tbot_path")?;
        let config = [Part::Plain("-c"), Part::Plain(syntax::writable(self.config, "config")?)];
        let mut arguments = match self.kept {
            Some(kept) => kept.with(config, self.leaves_pid_file()),
            None => [Part::Plain("start")].into_iter().chain(config).collect(),
        };
        let flag = self.own_pid_file().map(|file| format!("--pid-file={}", file.path().as_str()));
        arguments.extend(flag.as_deref().map(Part::Plain));
        let is_verbatim = self.kept.is_some_and(|kept| kept.is_verbatim);
        Ok(format!("ExecStart={}", syntax::command_line(program, &arguments, is_verbatim)))
    }

    fn leaves_pid_file(&self) -> bool {
        matches!(self.pid_file, PidFileChoice::Unit)
    }

    /// The pid file where this program decides on it, and there is to be one.
    fn own_pid_file(&self) -> Option<&PidFile> {
        match self.pid_file {
            PidFileChoice::Unit => None,
            PidFileChoice::Usual(file) | PidFileChoice::Given(file) => file,
        }
    }

    fn pid_file(&self) -> Result<Option<String>> {
        let path =
            self.own_pid_file().map(|file| syntax::rest_of_line(file.path(), "pid_file")).transpose()?;
        Ok(path.map(|path| format!("PIDFile={path}")))
    }
}
