//! Trying again, with growing pauses, until the time is up.

use std::thread;
use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The time that is left for something that did not work at once.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    /// Ends in that time from now.
    pub(super) fn of(limit: Duration) -> Self {
        Self { end: Instant::now() + limit, pause: FIRST_PAUSE }
    }

    /// Pauses before another try. False, at once, where there is no time left for one.
    pub(super) fn pause(&mut self) -> bool {
        if Instant::now() + self.pause >= self.end {
            return false;
        }
        thread::sleep(self.pause);
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        true
    }
}
