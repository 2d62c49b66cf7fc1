//! `identify` on software TPMs.

#[cfg(feature = "tss")]
mod broker;
mod chain;
mod commands;
mod identity;
mod join;
mod nonce;
mod nv;
mod shortcut;
mod traces;
