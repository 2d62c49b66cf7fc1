//! What another's unit says of its service, as far as a drop-in to it depends on that.

use super::PidFile;
use super::arguments::{Arguments, CommandLine, path};
use super::syntax::{Assignment, Escapes, Word, assignments, words};
use crate::host::AbsolutePath;

/// The service of another's unit. What the unit does not say, or not in plain words, is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ForeignService {
    /// The program that it starts.
    pub program: Option<AbsolutePath>,
    /// The configuration that it starts with (`-c`, `--config`).
    pub config: Option<AbsolutePath>,
    /// The pid file that it writes (`--pid-file`).
    pub pid_file: Option<PidFile>,
    /// The socket by which `teleport-update` sees how it is (`--diag-socket-for-updater`).
    pub updater_socket: Option<AbsolutePath>,
    /// What a drop-in that replaces the command keeps; none where the command is not `tbot start`.
    pub arguments: Option<Arguments>,
    /// The directories below `/run` that systemd makes for it.
    pub runtime_directories: Vec<AbsolutePath>,
}

impl ForeignService {
    /// That of a unit's text.
    pub(super) fn of(unit: &str) -> Self {
        let lines: Vec<Assignment> =
            assignments(unit).into_iter().filter(|line| line.section == "Service").collect();
        let last = |name| lines.iter().rev().find(|line| line.name == name).map(|line| line.value.as_str());
        let command = last("ExecStart").and_then(|value| words(value, Escapes::Decoded));
        let CommandLine { program, config, pid_file, updater_socket, arguments } =
            command.map(|words| CommandLine::parse(&words)).unwrap_or_default();
        let mut runtime_directories = Vec::new();
        let directories = last("RuntimeDirectory").and_then(|value| words(value, Escapes::Kept));
        for Word { text, .. } in directories.unwrap_or_default() {
            // Behind a colon stands another name for it.
            let name = text.split(':').next().unwrap_or_default();
            runtime_directories.extend(path(&format!("/run/{name}")));
        }
        Self { program, config, pid_file, updater_socket, arguments, runtime_directories }
    }
}

#[cfg(test)]
mod tests {
    use super::{ForeignService, path};

    #[test]
    fn the_last_command_counts() {
        let unit = "[Service]\nExecStart=/bin/false\nExecStart=/a/tbot start\n[Install]\nExecStart=/b\n";
        assert_eq!(ForeignService::of(unit).program, path("/a/tbot"));
    }

    #[test]
    fn directories_that_systemd_makes_are_below_run() {
        let of = |text: &str| ForeignService::of(text).runtime_directories;
        assert_eq!(
            of("[Service]\nRuntimeDirectory=a b/c:d %n\n"),
            ["/run/a", "/run/b/c"].map(|p| path(p).unwrap())
        );
        assert_eq!(of("[Unit]\nRuntimeDirectory=a\n"), []);
    }
}
