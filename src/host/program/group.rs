//! A program in a process group of its own, so that all that it started ends with it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a program that is to end has to tidy up, and then how long it may take to die.
const TO_END: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(5);

/// A program and its process group, which end with this value.
pub struct Group {
    child: Child,
    is_over: bool,
}

/// Where a program stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    /// It wants something from the terminal, which it does not have in the background, and sleeps until it gets it.
    WaitsForTerminal,
    Ended,
}

impl Group {
    /// Starts a command in a new process group.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self { child: command.process_group(0).spawn()?, is_over: false })
    }

    /// The program itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Where the program stands. One that has ended is not reaped yet, so that its group's number stays its own.
    pub fn state(&self) -> State {
        let options =
            WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let terminal = [Signal::TTIN, Signal::TTOU].map(Signal::as_raw);
        match waitid(WaitId::Pid(Pid::from_child(&self.child)), options) {
            Ok(Some(status)) if status.stopped() => match status.stopping_signal() {
                Some(signal) if terminal.contains(&signal) => State::WaitsForTerminal,
                _ => State::Running,
            },
            Ok(None) => State::Running,
            // An error says that there is nothing left to wait for.
            Ok(Some(_)) | Err(_) => State::Ended,
        }
    }

    /// Ends what is left of the group, and says how the program ended. None where it cannot be ended: `sudo` belongs to root,
    /// who alone may do so. It loses its pipes then.
    pub fn end(mut self) -> Option<ExitStatus> {
        self.end_group()
    }

    fn end_group(&mut self) -> Option<ExitStatus> {
        self.is_over = true;
        for signal in [Signal::TERM, Signal::KILL] {
            // It fails where nothing is left, or may be ended.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
            let deadline = Instant::now() + TO_END;
            while self.state() != State::Ended && Instant::now() < deadline {
                thread::sleep(TICK);
            }
        }
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            self.end_group();
        }
    }
}
