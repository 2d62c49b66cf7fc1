//! A time limit on what may never come back: a device, socket or library that does not answer.

use std::panic;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::commands::{Commands, Failure, Outcome};
use crate::error::{Error, Kind, Result};

/// Runs commands in a thread of their own, and leaves it behind where one does not come back in time.
/// The process can then answer and end, whatever the thread is stuck in.
#[derive(Debug)]
pub(super) struct Watched {
    /// What the TPM is called in errors.
    name: String,
    jobs: Sender<Job>,
    thread: Thread,
}

type Job = Box<dyn FnOnce(&mut dyn Commands) + Send>;

#[derive(Debug)]
enum Thread {
    /// It ends, having dropped the connection, when `ended` has no sender any more.
    Running { handle: JoinHandle<()>, ended: Receiver<()> },
    /// It does not answer, or has been waited for.
    Gone,
}

/// How long dropping a connection may take: what it made is flushed then.
const FAREWELL: Duration = Duration::from_secs(5);

impl Watched {
    /// Opens a connection within `limit`.
    pub(super) fn open(
        name: String,
        limit: Duration,
        open: impl FnOnce() -> Result<Box<dyn Commands>> + Send + 'static,
    ) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, is_open) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        let handle = thread::spawn(move || {
            // Dropped last, when the connection is closed.
            let _ending: Sender<()> = ending;
            match open() {
                Ok(mut connection) => {
                    let _ = opened.send(Ok(()));
                    while let Ok(job) = queue.recv() {
                        job(connection.as_mut());
                    }
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        });
        let mut watched = Self { name, jobs, thread: Thread::Running { handle, ended } };
        watched.wait_for(&is_open, limit)??;
        Ok(watched)
    }

    /// Runs `job`, which sends commands, within `limit`.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        limit: Duration,
        job: impl FnOnce(&mut dyn Commands) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        if matches!(self.thread, Thread::Gone) {
            return Err(Failure::Broken(self.too_late(limit)));
        }
        let (done, result) = mpsc::channel();
        // A thread that has ended shows below: nothing will come.
        let _ = self.jobs.send(Box::new(move |connection| drop(done.send(job(connection)))));
        self.wait_for(&result, limit).unwrap_or_else(|error| Err(Failure::Broken(error)))
    }

    /// Waits for one result. A panic in the thread goes on in this one.
    fn wait_for<T>(&mut self, result: &Receiver<T>, limit: Duration) -> Result<T> {
        match result.recv_timeout(limit) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                self.thread = Thread::Gone;
                Err(self.too_late(limit))
            }
            Err(RecvTimeoutError::Disconnected) => {
                match std::mem::replace(&mut self.thread, Thread::Gone) {
                    Thread::Running { handle, .. } => {
                        if let Err(payload) = handle.join() {
                            panic::resume_unwind(payload);
                        }
                    }
                    Thread::Gone => {}
                }
                Err(Error::new(Kind::Internal, "the connection to the TPM ended by itself"))
            }
        }
    }

    fn too_late(&self, limit: Duration) -> Error {
        let message = match limit.as_secs() {
            0 => format!("the TPM at `{}` takes too long altogether", self.name),
            seconds => format!("the TPM at `{}` did not answer within {seconds} s", self.name),
        };
        Error::new(Kind::TpmError, message).hint(
            "see whether another program is using it, give it longer with `timeout`, or restart the machine",
        )
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.jobs, closed));
        if let Thread::Running { handle, ended } = std::mem::replace(&mut self.thread, Thread::Gone)
            && ended.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Disconnected)
        {
            // What libraries keep for each thread goes now: they crash where the process ends meanwhile.
            let _ = handle.join();
        }
    }
}
