//! `config`: `tbot`'s configuration.

mod as_people_have_them;
mod bad_input;
mod defaults;
mod file;
mod proxies;
mod scope;
mod services;
mod settings;
