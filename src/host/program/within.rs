//! A program with limits of time and size, in the environment of this process.

use std::io::{self, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Said;
use super::group::{Group, State};
use super::interrupts::Interrupts;

/// How often it is looked whether the program has ended or a signal came, while it says nothing.
const TICK: Duration = Duration::from_millis(20);
/// The same once it has closed its outputs, which most programs do when they end.
const SHORT_TICK: Duration = Duration::from_millis(1);
/// How long is waited for more output after the program has ended: something that it left behind may keep its pipes open
/// for good, as ssh's master connection does.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Limits of a program.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// Bytes that it may print to standard output.
    pub output: usize,
    /// Bytes that it may print to standard error.
    pub errors: usize,
}

/// Why a program was not waited for to its end.
#[derive(Debug)]
pub enum Reason {
    /// It could not be started.
    NotStarted(io::Error),
    /// It took longer than it may.
    TooSlow,
    /// It printed more than it may.
    TooMuch {
        /// To what: `standard output`.
        stream: &'static str,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// It wanted to read from the terminal, or to write to it.
    WaitsForTerminal,
    /// This process got the signal of this name, and is to end.
    Interrupted(&'static str),
    /// The operating system failed at its pipes.
    Io(io::Error),
}

/// A program that was ended, or never started.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub reason: Reason,
    /// What it had printed to standard error.
    pub errors: String,
}

/// Runs a command with `input` on its standard input, which it need not read, and with this process's environment but for
/// what the command changes of it.
///
/// It gets a process group of its own. When the limits are passed, when this process gets SIGTERM, SIGINT or SIGHUP, and
/// when the program has ended, all that is left of the group is ended. What has left the group goes on, but is not waited for.
pub fn run_within(command: &mut Command, input: &[u8], limits: &Limits) -> Result<Said, Unfinished> {
    let early = |reason| Unfinished { reason, errors: String::new() };
    let interrupts = Interrupts::remember();
    if let Some(signal) = interrupts.received() {
        return Err(early(Reason::Interrupted(signal)));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::start(command).map_err(|error| early(Reason::NotStarted(error)))?;
    let mut pipes = Pipes::of(&mut group, input, limits).map_err(|error| early(Reason::Io(error)))?;
    let outcome = pipes.serve(&group, &interrupts, limits.time);
    // One that cannot be ended by a signal may end when its pipes do.
    drop(pipes.stdin);
    let (output, errors) = (pipes.output.into_text(), pipes.errors.into_text());
    let status = group.end();
    match (outcome, status) {
        (Ok(()), Some(status)) => Ok(Said { status, output, errors }),
        (Ok(()), None) => Err(Unfinished { reason: Reason::TooSlow, errors }),
        (Err(reason), _) => Err(Unfinished { reason, errors }),
    }
}

/// The ends of a program's pipes. None of them is waited for alone.
struct Pipes<'a> {
    /// None once all is written, or the program reads no more.
    stdin: Option<ChildStdin>,
    /// What is not written yet.
    input: &'a [u8],
    output: Output,
    errors: Output,
}

/// What a program prints to one pipe.
struct Output {
    name: &'static str,
    /// None once it has closed it.
    pipe: Option<Box<dyn Pipe>>,
    read: Vec<u8>,
    limit: usize,
}

trait Pipe: Read + std::os::fd::AsFd {}

impl<T: Read + std::os::fd::AsFd> Pipe for T {}

impl<'a> Pipes<'a> {
    fn of(group: &mut Group, input: &'a [u8], limits: &Limits) -> io::Result<Self> {
        let child = group.child();
        let stdin = child.stdin.take().filter(|_| !input.is_empty());
        if let Some(stdin) = &stdin {
            never_block(stdin)?;
        }
        let output = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        let errors = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        Ok(Self {
            stdin,
            input,
            output: Output::new("standard output", output, limits.output)?,
            errors: Output::new("standard error", errors, limits.errors)?,
        })
    }

    /// Writes and reads until the program has ended and its outputs are closed.
    fn serve(&mut self, group: &Group, interrupts: &Interrupts, time: Duration) -> Result<(), Reason> {
        let deadline = Instant::now() + time;
        let mut ended_at = None;
        loop {
            let is_closed = self.output.pipe.is_none() && self.errors.pipe.is_none();
            match group.state() {
                State::Ended => _ = ended_at.get_or_insert_with(Instant::now),
                State::WaitsForTerminal => return Err(Reason::WaitsForTerminal),
                State::Running => {}
            }
            if ended_at.is_some_and(|at| is_closed || at.elapsed() > LEFT_BEHIND) {
                return Ok(());
            }
            if let Some(signal) = interrupts.received() {
                return Err(Reason::Interrupted(signal));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // What is left behind is no reason to forget what the program itself has said.
                return if ended_at.is_some() { Ok(()) } else { Err(Reason::TooSlow) };
            }
            self.wait(left.min(if is_closed { SHORT_TICK } else { TICK }))?;
            self.write();
            self.output.read()?;
            self.errors.read()?;
        }
    }

    /// Waits until a pipe can be written to or read from, at most so long.
    fn wait(&self, most: Duration) -> Result<(), Reason> {
        let mut ready: Vec<PollFd<'_>> =
            self.stdin.iter().map(|pipe| PollFd::new(pipe, PollFlags::OUT)).collect();
        let outputs = [&self.output, &self.errors].into_iter().filter_map(|output| output.pipe.as_ref());
        ready.extend(outputs.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
        if ready.is_empty() {
            thread::sleep(most);
            return Ok(());
        }
        let timeout = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut ready, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Reason::Io(error.into())),
        }
    }

    fn write(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(self.input) {
            Ok(written) => self.input = &self.input[written..],
            Err(error) if is_for_later(&error) => return,
            // A program that ends without reading it says why.
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
    }
}

impl Output {
    fn new(name: &'static str, pipe: Option<Box<dyn Pipe>>, limit: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            never_block(pipe.as_ref())?;
        }
        Ok(Self { name, pipe, read: Vec::new(), limit })
    }

    /// Reads what is there.
    fn read(&mut self) -> Result<(), Reason> {
        let mut buffer = [0; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if is_for_later(&error) => break,
                Err(error) => return Err(Reason::Io(error)),
            }
            if self.read.len() > self.limit {
                return Err(Reason::TooMuch { stream: self.name, limit: self.limit });
            }
        }
        Ok(())
    }

    fn into_text(self) -> String {
        String::from_utf8(self.read)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn never_block(pipe: impl std::os::fd::AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}
