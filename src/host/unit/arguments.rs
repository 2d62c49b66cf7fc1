//! The command line of another's unit, taken apart: what a drop-in that replaces the command has to keep of it.

use super::PidFile;
use super::syntax::{Part, Word, quoted};
use crate::host::AbsolutePath;

/// The flags whose values matter here. `teleport-update` watches the socket, and reverts an update where that stays
/// silent.
const FLAGS: [(&str, Flag); 4] = [
    ("--config", Flag::Config),
    ("--pid-file", Flag::PidFile),
    ("--diag-socket-for-updater", Flag::UpdaterSocket),
    ("-c", Flag::Config),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Config,
    PidFile,
    UpdaterSocket,
}

/// A unit's command. What it does not say, or not in plain words, is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub program: Option<AbsolutePath>,
    pub config: Option<AbsolutePath>,
    pub pid_file: Option<PidFile>,
    pub updater_socket: Option<AbsolutePath>,
    pub arguments: Option<Arguments>,
}

/// The arguments of a unit's `tbot start` besides the configuration, as a unit writes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    before_start: Vec<Argument>,
    after_start: Vec<Argument>,
    /// Whether the command has the prefix that keeps systemd from putting variables in.
    pub is_verbatim: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Argument {
    text: String,
    is_pid_file: bool,
}

impl Arguments {
    /// A command with these arguments, and with `config` after the word `start`; the pid file is among them only where
    /// that is kept.
    pub(super) fn with<'a>(&'a self, config: [Part<'a>; 2], keeps_pid_file: bool) -> Vec<Part<'a>> {
        let kept = |argument: &&Argument| keeps_pid_file || !argument.is_pid_file;
        let parts = |arguments: &'a [Argument]| {
            arguments.iter().filter(kept).map(|argument| Part::AsRead(&argument.text))
        };
        let start = [Part::Plain("start")].into_iter().chain(config);
        parts(&self.before_start).chain(start).chain(parts(&self.after_start)).collect()
    }
}

impl CommandLine {
    /// That of these words (systemd.service(5), "Command lines").
    pub(super) fn parse(words: &[Word]) -> Self {
        let mut command = Self::default();
        let Some((first, mut rest)) = words.split_first() else { return command };
        let bare = first.text.trim_start_matches(['@', '-', ':', '+', '!', '|']);
        let prefixes = &first.text[..first.text.len() - bare.len()];
        command.program = path(bare);
        // The next word is the program's name for itself.
        if prefixes.contains('@') {
            rest = rest.get(1..).unwrap_or_default();
        }
        let arguments = command.take_arguments(rest);
        let is_tbot = command.program.as_ref().is_some_and(|program| program.as_str().ends_with("/tbot"));
        let is_single = !words.iter().any(|word| word.is_bare && word.text == ";");
        command.arguments = arguments.filter(|_| is_tbot && is_single);
        if let Some(arguments) = &mut command.arguments {
            arguments.is_verbatim = prefixes.contains(':');
        }
        command
    }

    /// Takes the values of the known flags, and returns what is to be kept where the command is `start`.
    fn take_arguments(&mut self, words: &[Word]) -> Option<Arguments> {
        let mut arguments = Arguments::default();
        let mut is_started = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !is_started && word.text == "start" {
                is_started = true;
                continue;
            }
            let mut texts = vec![quoted(&word.text)];
            let known = flag(&word.text);
            if let Some((flag, inline)) = known {
                let next = if inline.is_none() { words.next() } else { None };
                texts.extend(next.map(|word| quoted(&word.text)));
                let value = inline.or(next.map(|word| word.text.as_str())).and_then(path);
                match flag {
                    Flag::Config => {
                        self.config = value;
                        continue;
                    }
                    Flag::PidFile => self.pid_file = value.map(PidFile::at),
                    Flag::UpdaterSocket => self.updater_socket = value,
                }
            }
            let is_pid_file = known.is_some_and(|(flag, _)| flag == Flag::PidFile);
            let place = if is_started { &mut arguments.after_start } else { &mut arguments.before_start };
            place.extend(texts.into_iter().map(|text| Argument { text, is_pid_file }));
        }
        is_started.then_some(arguments)
    }
}

/// The flag that a word is, and its value where that is in the same word: `--flag=value`, or `-fvalue`.
fn flag(word: &str) -> Option<(Flag, Option<&str>)> {
    FLAGS.iter().find_map(|(name, flag)| {
        let after = word.strip_prefix(name)?;
        let is_short = !name.starts_with("--");
        match after.strip_prefix('=') {
            Some(value) => Some((*flag, Some(value))),
            None if after.is_empty() => Some((*flag, None)),
            None => is_short.then_some((*flag, Some(after))),
        }
    })
}

/// A path that depends neither on specifiers nor on variables.
pub(super) fn path(text: &str) -> Option<AbsolutePath> {
    let text = text.replace("%%", "\0");
    if text.contains(['%', '$']) {
        return None;
    }
    AbsolutePath::try_from(text.replace('\0', "%")).ok()
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, Part, PidFile, path};
    use crate::host::unit::syntax::{Escapes, command_line, words};

    fn of(command: &str) -> CommandLine {
        words(command, Escapes::Decoded).map(|words| CommandLine::parse(&words)).unwrap_or_default()
    }

    #[test]
    fn a_command_is_taken_apart() {
        for (command, program, config, pid_file) in [
            ("/a/tbot start -c /etc/t.yaml", "/a/tbot", "/etc/t.yaml", None),
            ("/a/tbot start -c/etc/t.yaml", "/a/tbot", "/etc/t.yaml", None),
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
            let found = of(command);
            let expected = (path(program), path(&config.replace('%', "%%")), pid_file.and_then(path));
            assert_eq!((found.program, found.config, found.pid_file), {
                let (program, config, pid_file) = expected;
                (program, config, pid_file.map(PidFile::at))
            });
        }
    }

    #[test]
    fn what_is_not_known_of_a_command_is_kept() {
        let again = |command: &str, keeps_pid_file| {
            let arguments = of(command).arguments?;
            let config = [Part::Plain("-c"), Part::Plain("/new.yaml")];
            let parts = arguments.with(config, keeps_pid_file);
            Some(command_line("/a/tbot", &parts, arguments.is_verbatim))
        };
        for (command, kept) in [
            (
                "/a/tbot start -c /t.yaml --diag-socket-for-updater=/s --pid-file=/p",
                "/a/tbot start -c /new.yaml --diag-socket-for-updater=/s --pid-file=/p",
            ),
            (
                "/a/tbot -d --config=/t.yaml start --diag-socket-for-updater /s --pid-file /p --fips",
                "/a/tbot -d start -c /new.yaml --diag-socket-for-updater /s --pid-file /p --fips",
            ),
            ("/a/tbot start $OPTIONS '--x=%n b'", "/a/tbot start -c /new.yaml $OPTIONS \"--x=%n b\""),
            (":/a/tbot start '$x' \"\"", ":/a/tbot start -c /new.yaml $x \"\""),
            ("/a/tbot start", "/a/tbot start -c /new.yaml"),
        ] {
            assert_eq!(again(command, true).as_deref(), Some(kept), "{command}");
        }
        let pid_file = "/a/tbot start --pid-file /p --pid-file=/q --fips";
        assert_eq!(again(pid_file, false).as_deref(), Some("/a/tbot start -c /new.yaml --fips"));
        for other in
            ["/a/wrapper start", "/a/tbot", "/a/tbot version", "/a/tbot start ; /b", "tbot start", ""]
        {
            assert_eq!(again(other, true), None, "{other}");
        }
    }
}
