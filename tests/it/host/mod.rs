//! What the binary does to a host.

mod access;
mod deploy;
mod deploy_instances;
mod destinations;
mod directory;
mod file;
mod program;
mod tbot_version;
mod unit;
