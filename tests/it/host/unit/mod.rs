//! `systemd`: the service unit.

mod drop_in;
mod hardening;
mod installed;
mod packaged;
mod pid_file;
mod syntax;
