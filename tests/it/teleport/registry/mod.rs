//! `registry`: one file a host.

mod bad_input;
mod record;
