//! Programs, run within limits: those of the system with [`run`], any other, such as `tctl`, with [`run_within`].

mod group;
mod interrupts;
mod within;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

pub use within::{Limits, Reason, Unfinished, run_within};

/// Longer than udev takes for one device, and than another program holds the lock of the accounts.
const LIMIT: Duration = Duration::from_mins(1);
/// Bytes of each output that are read.
const LONGEST: u64 = 1024 * 1024;
/// Where programs of the system are.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// What a program said, and how it ended. What is not UTF-8 is replaced by U+FFFD.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// The path of a program of the system, whatever `PATH` says.
#[must_use]
pub fn find(name: &str) -> Option<String> {
    DIRECTORIES.iter().map(|place| format!("{place}/{name}")).find(|path| Path::new(path).exists())
}

/// Runs a program with `input` on its standard input, in the language C, and with nothing else of this process's
/// environment. It is an error of kind `io` where it takes more than a minute; it is ended then.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Result<Said> {
    run_for(LIMIT, program, arguments, input)
}

/// The same with another limit than a minute.
pub fn run_for(limit: Duration, program: &str, arguments: &[&str], input: &str) -> Result<Said> {
    let failed = |error: io::Error| Error::io(&format!("run {program}"), &error);
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let Some((output, errors)) = read_within(limit, &mut child) else {
        let _ = child.kill();
        let _ = child.wait();
        let message = format!("{program} did not end within {} s", limit.as_secs());
        return Err(Error::new(Kind::Io, message).hint("see what it waits for, then run this again"));
    };
    let status = child.wait().map_err(failed)?;
    Ok(Said { status, output, errors })
}

/// What a program prints. It is an error of kind `io` where it fails, and `not_found` where it is missing.
pub fn said_by(name: &str, arguments: &[&str]) -> Result<String> {
    let command = format!("{name} {}", arguments.first().unwrap_or(&""));
    let program = find(name)
        .ok_or_else(|| Error::new(Kind::NotFound, format!("cannot run `{command}`: there is no {name}")))?;
    let said = run(&program, arguments, "")?;
    if said.status.success() {
        return Ok(said.output);
    }
    Err(Error::new(Kind::Io, format!("`{command}` failed ({})", said.status)).detail(said.errors.trim()))
}

impl Said {
    /// Its own words, for a person.
    #[must_use]
    pub fn words(&self) -> String {
        let said = [self.errors.trim(), self.output.trim()].join("\n");
        match said.trim() {
            "" => format!("it said nothing ({})", self.status),
            said => said.to_owned(),
        }
    }
}

/// Both outputs, once the program has closed them; none where that takes too long.
fn read_within(limit: Duration, child: &mut Child) -> Option<(String, String)> {
    let (sender, receiver) = channel();
    let pipes = (child.stdout.take(), child.stderr.take());
    // What it says in error is a few lines, so that reading one after the other blocks neither.
    thread::spawn(move || sender.send((text(pipes.0), text(pipes.1))));
    receiver.recv_timeout(limit).ok()
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is what there is.
        let _ = pipe.take(LONGEST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
