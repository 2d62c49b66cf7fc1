//! `config`: `tbot`'s configuration.

mod bad_input;
mod defaults;
mod file;
mod settings;
