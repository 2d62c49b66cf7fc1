//! `tbot`'s configuration, `/etc/tbot.yaml` in its version v2.

mod paths;

pub use paths::Paths;
