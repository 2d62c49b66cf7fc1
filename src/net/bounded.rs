//! A connection that ends in time, whatever each step of it was promised.

use std::time::Instant;

use ureq::Timeout;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// A connection on which nothing waits past a moment.
#[derive(Debug)]
pub(super) struct Bounded {
    pub(super) inner: Box<dyn Transport>,
    pub(super) end: Instant,
}

impl Bounded {
    fn limit(&self, timeout: NextTimeout) -> Result<NextTimeout, ureq::Error> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ureq::Error::Timeout(Timeout::Global));
        }
        let after = if *timeout.after < left { timeout.after } else { Duration::Exact(left) };
        Ok(NextTimeout { after, ..timeout })
    }
}

impl Transport for Bounded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = self.limit(timeout)?;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = self.limit(timeout)?;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
