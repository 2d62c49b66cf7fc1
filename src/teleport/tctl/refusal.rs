//! Why `tctl` failed, from how it ended and what it said.

use std::os::unix::process::ExitStatusExt;

use super::super::Scope;
use super::{Resource, words};
use signal_hook::consts::SIGKILL;

use crate::error::{Error, Kind};
use crate::host::program::{Reason, Said, Unfinished};

/// What an automation needs to do without a person's second factor, and which rights.
const IDENTITY: &str = "give tctl the identity of a bot of its own: `identity_file` (an `identity` output of tbot on this host) and \
     `auth_server` (PROXY:443), or `-i FILE --auth-server PROXY:443` in `tctl` (`tbot_tctl_command`). That bot needs a role whose \
     rules for `token` and `bot` allow read, list, create, update and delete";
/// The shell's statuses for a command that it cannot run, and does not find.
const NO_COMMAND: [i32; 2] = [126, 127];

/// One way in which it fails.
struct Refusal {
    /// Texts in lower case, of which any gives it away. A `*` stands for anything between two parts in one line.
    signs: &'static [&'static str],
    kind: Kind,
    hint: &'static str,
    /// Whether an automation's identity helps, too.
    needs_identity: bool,
}

/// From the most specific to the most general. How most of this is worded is not documented, so the signs are few and short.
const REFUSALS: [Refusal; 10] = [
    Refusal {
        signs: &["requires mfa", "mfa verification", "mfa prompt", "security key"],
        kind: Kind::PermissionDenied,
        hint: "the cluster wants a second factor (MFA), and nobody can answer here: for automation",
        needs_identity: true,
    },
    Refusal {
        signs: &["password is required", "terminal is required", "askpass"],
        kind: Kind::PermissionDenied,
        hint: "sudo wants a password, and nobody answers here: allow this command with NOPASSWD in sudoers, or run as a user \
             who may run tctl without sudo",
        needs_identity: false,
    },
    Refusal {
        signs: &["host_uuid*permission denied"],
        kind: Kind::PermissionDenied,
        hint: "tctl takes this host for an Auth Service, by /etc/teleport.yaml or TELEPORT_CONFIG_FILE. If it is one, run tctl as \
             root (`[sudo, -n, tctl]`); else set `identity_file` and `auth_server`, or run it where there is no such file",
        needs_identity: false,
    },
    Refusal {
        signs: &["open *no such file", "identity*no such file", "identity file*not found"],
        kind: Kind::NotFound,
        hint: "`identity_file` is the file `identity` in the directory of an `identity` output of tbot; it must be on the host where \
             tctl runs, and that tbot must have run",
        needs_identity: false,
    },
    Refusal {
        signs: &["open *permission denied", "identity*permission denied"],
        kind: Kind::PermissionDenied,
        hint: "the user that runs tctl must be able to read that file, which `identity_file` may name",
        needs_identity: false,
    },
    Refusal {
        signs: &["expired", "not logged in", "tsh login", "re-login", "relogin", "no credentials"],
        kind: Kind::PermissionDenied,
        hint: "the login is missing or has expired: log in with `tsh login` for a run by hand; where `identity_file` is set, see \
             whether its tbot is running and renews it. For automation",
        needs_identity: true,
    },
    Refusal {
        signs: &["access denied", "not authorized", "unauthorized"],
        kind: Kind::PermissionDenied,
        hint: "the identity that tctl uses needs a role whose rules (spec.allow.rules) for `token` and `bot` allow read, list, \
             create, update and delete",
        needs_identity: false,
    },
    Refusal {
        signs: &["x509:", "certificate signed by", "certificate is"],
        kind: Kind::Network,
        hint: "tctl does not trust the certificate of `auth_server`: is the address the proxy's, and is its CA among those that \
             this host trusts?",
        needs_identity: false,
    },
    Refusal {
        signs: &[
            "connection refused",
            "connection reset",
            "no such host",
            "i/o timeout",
            "deadline exceeded",
            "unreachable",
            "dial tcp",
            "host not found",
            "no route to host",
            "tls:",
            ": eof",
        ],
        kind: Kind::Network,
        hint: "see whether this host reaches the cluster: the address in `auth_server` (PROXY:443), its name in DNS, firewalls, and \
             HTTPS_PROXY and NO_PROXY",
        needs_identity: false,
    },
    Refusal {
        signs: &["command not found", "executable file not found", "no such file or directory"],
        kind: Kind::NotFound,
        hint: NO_PROGRAM,
        needs_identity: false,
    },
];

const NO_PROGRAM: &str = "install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is";

/// Whether a failure says that this very resource is missing, and nothing else: many other things are "not found" too.
///
/// `tctl` ends with status 1 and one line for it, in which the first three quarters of a token's name are stars.
pub fn is_missing(said: &Said, resource: &Resource<'_>, scope: Option<&Scope>) -> bool {
    let errors = words::errors(&format!("{}\n{}", said.errors, said.output));
    said.status.code() == Some(1)
        && matches!(errors.as_slice(), [error] if missing(resource, scope).contains(error))
}

/// What `tctl` says of a resource that is not there. For scoped ones that is not verified.
fn missing(resource: &Resource<'_>, scope: Option<&Scope>) -> [String; 2] {
    match (resource, scope) {
        (Resource::Token(name), Some(scope)) => [
            format!("ERROR: scoped token \"{name}\" not found"),
            format!("ERROR: scoped token \"{}\" not found", scope.qualify(name.as_str())),
        ],
        (Resource::Bot(name), Some(scope)) => [
            format!("ERROR: bot \"{name}\" not found"),
            format!("ERROR: bot \"{}\" not found", scope.qualify(name.as_str())),
        ],
        (Resource::Token(name), None) => {
            let (hidden, shown) = name.as_str().split_at(name.as_str().len() * 3 / 4);
            [
                format!("ERROR: provisioning token({}{shown}) not found", "*".repeat(hidden.len())),
                format!("ERROR: provision token \"{name}\" not found"),
            ]
        }
        (Resource::Bot(name), None) => {
            [format!("ERROR: user \"bot-{name}\" not found"), format!("ERROR: bot \"{name}\" not found")]
        }
    }
}

/// The error for a command that ended without success. `command` is what to call it: "`tctl get token/web`".
pub fn failed(command: &str, said: &Said) -> Error {
    if let Some(signal) = said.status.signal() {
        let message = format!("{command} was ended by signal {signal}{}", behind_colon(&said.errors));
        return Error::new(Kind::Io, message).hint(match signal {
            SIGKILL => "see whether this host is short of memory (`journalctl -k`), then run this again",
            _ => "see what ended it, then run this again",
        });
    }
    let errors = words::errors(&said.errors);
    let said_in_all = [said.errors.trim(), said.output.trim()].join("\n");
    let reason = if errors.is_empty() { said_in_all.trim().to_owned() } else { errors.join("\n") };
    let message = match words::in_message(&reason) {
        words if words.is_empty() => format!("{command} failed ({}) and said nothing", said.status),
        words => format!("{command} failed: {words}"),
    };
    let code = said.status.code().unwrap_or_default();
    let (kind, hint) = match refusal(&reason) {
        _ if NO_COMMAND.contains(&code) => (Kind::NotFound, NO_PROGRAM.to_owned()),
        Some(refusal) => (refusal.kind, refusal.hint()),
        None => (Kind::Io, "run this command by hand where tctl runs, and see what it needs".to_owned()),
    };
    let error = Error::new(kind, message).hint(hint);
    let detail = words::in_detail(&said_in_all);
    if detail.is_empty() { error } else { error.detail(detail) }
}

/// The error for a command that did not end by itself.
pub fn unfinished(command: &str, program: &str, unfinished: &Unfinished, seconds: u64) -> Error {
    let said = behind_colon(&unfinished.errors);
    let io = |message: String| Error::new(Kind::Io, message);
    match &unfinished.reason {
        Reason::NotStarted(error) => not_started(program, error),
        Reason::TooSlow => {
            let message = format!("{command} did not end within {seconds} s, and was ended{said}");
            let waits_for_person = refusal(&unfinished.errors).filter(|it| it.kind == Kind::PermissionDenied);
            match waits_for_person {
                Some(refusal) => Error::new(refusal.kind, message).hint(refusal.hint()),
                None => Error::new(Kind::Network, message).hint(
                    "see whether this host reaches the cluster, and whether the command asks for something when it is run by \
                     hand; a longer `timeout` helps a cluster that is slow",
                ),
            }
        }
        Reason::TooMuch { stream, limit } => {
            io(format!("{command} printed more than {limit} bytes to {stream}, and was ended{said}"))
                .hint("run this command by hand, and see what it prints")
        }
        Reason::WaitsForTerminal => Error::new(
            Kind::PermissionDenied,
            format!("{command} asks for something on the terminal, and was ended{said}"),
        )
        .hint(format!("nobody answers here: use `sudo -n` where it is sudo's password; else {IDENTITY}")),
        Reason::Interrupted(signal) => {
            io(format!("{signal} ended this run while {command} was running; it may be done or not"))
                .hint("run this again: what is done already stays as it is")
        }
        Reason::Io(error) => io(format!("cannot talk to {command}: {error}{said}")).hint("run this again"),
    }
}

fn not_started(program: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            let hint = match program {
                it if it.contains('=') => "no shell is run: write `env NAME=VALUE tctl` to set a variable",
                it if it.starts_with('~') => "no shell is run: write the whole path in place of `~`",
                _ => NO_PROGRAM,
            };
            Error::new(
                Kind::NotFound,
                format!("cannot run tctl: there is no program `{program}` on this host"),
            )
            .hint(hint)
        }
        std::io::ErrorKind::PermissionDenied => {
            Error::new(Kind::PermissionDenied, format!("cannot run tctl by `{program}`: {error}"))
                .hint("see whether it is a program, its mode, and whether its file system is mounted noexec")
        }
        _ => Error::new(Kind::Io, format!("cannot run tctl by `{program}`: {error}"))
            .hint("see whether it is a program for this host's processor"),
    }
}

/// What it said, as the end of a sentence; nothing where it said nothing.
fn behind_colon(said: &str) -> String {
    match words::in_message(said) {
        words if words.is_empty() => words,
        words => format!(": {words}"),
    }
}

fn refusal(said: &str) -> Option<&'static Refusal> {
    let said = said.to_lowercase();
    REFUSALS.iter().find(|refusal| refusal.signs.iter().any(|sign| said.lines().any(|line| has(line, sign))))
}

/// Whether a line has the parts of a sign one after the other.
fn has(line: &str, sign: &str) -> bool {
    sign.split('*').try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..])).is_some()
}

impl Refusal {
    fn hint(&self) -> String {
        if self.needs_identity { format!("{}, {IDENTITY}", self.hint) } else { self.hint.to_owned() }
    }
}
