//! `identify` on software TPMs.

#[cfg(feature = "tss")]
mod broker;
mod commands;
mod identity;
mod join;
mod nonce;
mod nv;
mod shortcut;
mod traces;
