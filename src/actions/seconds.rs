//! The time limits that a request gives.

use std::time::Duration;

use serde::Deserialize;

use crate::tpm::TimeLimit;

/// How long to wait for a TPM command or a server: 1 to 3600 seconds. For a TPM command, 30 where the request does not
/// say.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Seconds(u64);

impl Seconds {
    /// What a server gets for one answer where the request does not say.
    pub(super) const fn for_a_server() -> Self {
        Self(10)
    }

    /// What all servers together get where the request does not say.
    pub(super) const fn for_all_servers() -> Self {
        Self(60)
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    pub(super) fn limit(self) -> TimeLimit {
        TimeLimit::of(self.duration())
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<u64> for Seconds {
    type Error = String;

    fn try_from(seconds: u64) -> std::result::Result<Self, String> {
        const LONGEST: u64 = 3600;
        match seconds {
            1..=LONGEST => Ok(Self(seconds)),
            _ => Err(format!("a time limit is 1 to {LONGEST} seconds, not {seconds}")),
        }
    }
}
