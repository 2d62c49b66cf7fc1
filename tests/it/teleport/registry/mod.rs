//! `registry`: one file a host.

mod bad_input;
mod comes_back;
mod leaving;
mod listing;
mod many;
mod record;
mod recording;
mod rule_texts;
mod slow_many;
mod unreadable;
