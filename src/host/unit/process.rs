//! When a service's process started, and whether what it was started with has changed since.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Units a second of the times in `proc_pid_stat(5)`: `USER_HZ`, which is 100 on every architecture of Linux now.
const TICKS: u64 = 100;

/// A process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    id: u32,
    /// How long it has been there, the time in which the host was suspended included.
    pub age: Duration,
    /// The time of day, since the epoch, by the clock as it goes now.
    now: Duration,
}

impl Process {
    /// The process of this id; none where it has ended.
    ///
    /// Its start is known in `CLOCK_BOOTTIME`, which nobody sets. Only its age is taken from that: a clock that was
    /// set since the start, as at the boot of hosts without one of their own, does not move it against the files that
    /// were written by the right time before.
    pub fn find(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field, the program's name, may have anything in it but ends at the last parenthesis; the start
        // is the 22nd.
        let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        let started = Duration::from_millis(ticks * (1000 / TICKS));
        let age = duration(clock_gettime(ClockId::Boottime)).saturating_sub(started);
        Some(Self { id, age, now: duration(clock_gettime(ClockId::Realtime)) })
    }

    /// Whether the file at `path`, or a link there, was written after the process started.
    ///
    /// A time in the future says nothing, so that a clock that was set back does not count at every look. A tie
    /// counts: the start that follows ends it, and a change that was taken for older would never be seen. So a time in
    /// whole seconds, as some file systems have, is taken for the end of that second.
    pub fn is_older_than(&self, path: &Path) -> bool {
        let written = [fs::metadata(path), fs::symlink_metadata(path)];
        written.into_iter().flatten().filter_map(|found| modified(&found)).any(|modified| {
            let until =
                if modified.subsec_nanos() == 0 { modified + Duration::from_secs(1) } else { modified };
            modified <= self.now && until + self.age >= self.now
        })
    }

    /// Whether the program that runs is no longer the file that it was (`proc_pid_exe(5)`). What may not be looked at
    /// counts as no.
    pub fn is_replaced(&self) -> bool {
        fs::read_link(format!("/proc/{}/exe", self.id))
            .is_ok_and(|program| program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
    }
}

fn modified(found: &Metadata) -> Option<Duration> {
    let nanoseconds = u32::try_from(found.mtime_nsec()).ok()?;
    Some(Duration::new(u64::try_from(found.mtime()).ok()?, nanoseconds))
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}
