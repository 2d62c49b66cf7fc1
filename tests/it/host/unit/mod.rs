//! `systemd`: the service unit.

mod drop_in;
mod hardening;
mod installed;
mod others;
mod packaged;
mod pid_file;
mod syntax;
mod updater;
