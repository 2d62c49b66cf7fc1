//! What the binary does to a host.

mod access;
mod directory;
mod file;
mod program;
mod unit;
