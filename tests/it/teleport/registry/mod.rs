//! `registry`: one file a host.

mod bad_input;
mod comes_back;
mod leaving;
mod listing;
mod record;
mod rule_texts;
mod unreadable;
