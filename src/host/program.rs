//! Programs of the host, run with a time limit.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// Longer than udev takes for one device, and than another program holds the lock of the accounts.
const LIMIT: Duration = Duration::from_mins(1);

/// Where programs of the system are.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The path of a program of the system, whatever `PATH` says.
pub fn find(name: &str) -> Option<String> {
    DIRECTORIES.iter().map(|place| format!("{place}/{name}")).find(|path| Path::new(path).exists())
}

/// Runs a program with `input` on its standard input, and ends it after a minute. It sees nothing of this
/// process's environment.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Result<Output> {
    let failed = |error: io::Error| Error::io(&format!("run {program}"), &error);
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
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
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().map_err(failed)?.is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            let message = format!("{program} did not end within {} s", LIMIT.as_secs());
            return Err(Error::new(Kind::Io, message).hint("see what it waits for, then run this again"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().map_err(failed)
}

/// What a program said, for a person.
pub fn words(output: &Output) -> String {
    let said = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if said.is_empty() { format!("it said nothing ({})", output.status) } else { said }
}
