//! `config`: `tbot`'s configuration.

mod as_people_have_them;
mod bad_input;
mod defaults;
mod file;
mod services;
mod settings;
