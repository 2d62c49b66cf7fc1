//! Reads one request, runs it, writes one response, exits.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use tbot_tpm::error::{Error, Result};
use tbot_tpm::protocol::{self, Request};
use tbot_tpm::{actions, tpm};

/// In place of musl's, which is slow, and keeps threads waiting for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (text, failed) = match arguments.as_slice() {
        [flag] if flag == "--help" => (include_str!("help.txt").to_owned(), false),
        [flag] if flag == "--version" => (format!("tbot_tpm {}\n", env!("CARGO_PKG_VERSION")), false),
        _ => answer(&arguments),
    };
    let written = io::stdout().write_all(text.as_bytes());
    if failed || written.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn answer(arguments: &[OsString]) -> (String, bool) {
    let request = protocol::guarded(|| Request::parse(&read(arguments)?));
    if !request.as_ref().is_ok_and(Request::is_debugging) {
        tpm::silence_libraries();
    }
    protocol::respond(request, actions::run)
}

fn read(arguments: &[OsString]) -> Result<Vec<u8>> {
    let (what, outcome) = match arguments {
        [] => ("standard input".into(), protocol::read(io::stdin(), 0)),
        [file] => (file.to_string_lossy(), read_file(file)),
        _ => return Err(Error::invalid("give one request, as a file or on standard input; see --help")),
    };
    outcome.map_err(|error| Error::io(&format!("read the request from {what}"), &error))
}

fn read_file(path: &OsString) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    protocol::read(file, size)
}
