//! What another's unit says of its service, as far as a drop-in to it depends on that.

use std::iter::Peekable;

use super::PidFile;
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
    /// The directories below `/run` that systemd makes for it.
    pub runtime_directories: Vec<AbsolutePath>,
}

impl ForeignService {
    /// That of a unit's text.
    pub(super) fn of(unit: &str) -> Self {
        let lines: Vec<Assignment> =
            assignments(unit).into_iter().filter(|line| line.section == "Service").collect();
        let last = |name| lines.iter().rev().find(|line| line.name == name).map(|line| line.value.as_str());
        let mut service = Self::default();
        if let Some(words) = last("ExecStart").and_then(|value| words(value, Escapes::Decoded)) {
            service.take_command(words);
        }
        let directories = last("RuntimeDirectory").and_then(|value| words(value, Escapes::Kept));
        for Word { text, .. } in directories.unwrap_or_default() {
            // Behind a colon stands another name for it.
            let name = text.split(':').next().unwrap_or_default();
            service.runtime_directories.extend(path(&format!("/run/{name}")));
        }
        service
    }

    fn take_command(&mut self, words: Vec<Word>) {
        let mut words = words.into_iter().map(|word| word.text).peekable();
        let Some(program) = words.next() else { return };
        let bare = program.trim_start_matches(['@', '-', ':', '+', '!', '|']);
        self.program = path(bare);
        // systemd.service(5), "Command lines": the next word is the program's name for itself.
        if program[..program.len() - bare.len()].contains('@') {
            words.next();
        }
        while let Some(word) = words.next() {
            if let Some(value) = value(&word, &["-c", "--config"], &mut words) {
                self.config = path(&value);
            } else if let Some(value) = value(&word, &["--pid-file"], &mut words) {
                self.pid_file = path(&value).map(PidFile::at);
            }
        }
    }
}

/// The value of a flag of one of these names: `--flag=value`, or the next word.
fn value(word: &str, flags: &[&str], rest: &mut Peekable<impl Iterator<Item = String>>) -> Option<String> {
    let after = flags.iter().find_map(|flag| word.strip_prefix(flag))?;
    match after.strip_prefix('=') {
        Some(value) => Some(value.to_owned()),
        None if after.is_empty() => rest.next(),
        None => None,
    }
}

/// A path that depends neither on specifiers nor on variables.
fn path(text: &str) -> Option<AbsolutePath> {
    let text = text.replace("%%", "\0");
    if text.contains(['%', '$']) {
        return None;
    }
    AbsolutePath::try_from(text.replace('\0', "%")).ok()
}

#[cfg(test)]
mod tests {
    use super::{ForeignService, PidFile, path};

    #[test]
    fn a_command_is_taken_apart() {
        let of = |command: &str| {
            ForeignService::of(&format!("[Service]\nExecStart=/bin/false\nExecStart={command}\n"))
        };
        let expected = |program: &str, config: &str, pid_file: Option<&str>| ForeignService {
            program: path(program),
            config: path(&config.replace('%', "%%")),
            pid_file: pid_file.and_then(path).map(PidFile::at),
            runtime_directories: vec![],
        };
        for (command, program, config, pid_file) in [
            ("/a/tbot start -c /etc/t.yaml", "/a/tbot", "/etc/t.yaml", None),
            ("-@/a/tbot -c --config /etc/t.yaml", "/a/tbot", "/etc/t.yaml", None),
            (
                ":\"/a b/tbot\" start --config='/etc/%%t.yaml' --pid-file=/run/x",
                "/a b/tbot",
                "/etc/%t.yaml",
                Some("/run/x"),
            ),
            ("/a/tbot start --pid-file /run/x -c $CONFIG", "/a/tbot", "", Some("/run/x")),
            ("%h/tbot start -c /etc/%n.yaml --pid-file", "", "", None),
            ("tbot start -c t.yaml", "", "", None),
            ("\"/a", "", "", None),
            ("", "", "", None),
        ] {
            assert_eq!(of(command), expected(program, config, pid_file), "{command}");
        }
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
