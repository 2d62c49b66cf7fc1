//! `storage`: the bot's private directory.

mod absent;
mod contents;
mod links;
mod mounts;
mod ownership;
mod paths;
mod slow_races;
mod slow_selinux;
