//! The binary as a whole, in one test binary with a module a subject, in folders that mirror `src/`.
//!
//! Modules whose names begin with `slow_` take more than a few seconds each: `--skip slow_` leaves them out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_pass_by_value)]

mod ekcert;
mod host;
mod net;
mod protocol;
mod support;
mod teleport;
mod tpm;
