//! `token`: the join tokens.

mod archive;
mod bad_input;
mod file;
mod lockout;
mod merge;
mod output;
mod properties;
mod registry;
mod rule_texts;
mod shards;
mod slow_bombs;
mod strangers;
mod without_cas;
