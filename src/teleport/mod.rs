//! Teleport's resources and the rules by which a cluster takes them.

mod bot;
pub mod config;
mod decision;
mod identity;
mod merge;
mod name;
mod proxy;
mod readiness;
pub mod readyz;
pub mod registry;
mod role;
mod rule;
mod shards;
mod splice;
mod stored;
pub mod tctl;
mod timestamp;
mod token;
mod version;
pub mod yaml;

pub use bot::{Bot, BotTerms};
pub use decision::Decision;
pub use identity::{Identity, ONE_TPM_HINT, distinct, one_tpm, sharing_a_tpm};
pub use merge::{Changes, Match, Merged, Outcome, Untouched, Wanted, merge};
pub use name::{Description, HostName, Label, Name};
pub use proxy::{Cluster, Field};
pub use readiness::join_warnings;
pub use registry::Registry;
pub use role::Role;
pub use rule::Rule;
pub use shards::{Place, Shards};
pub use splice::splice;
pub use stored::{Source, parse as parse_tokens, read as read_tokens};
pub use timestamp::Timestamp;
pub use token::{Settings, Token};
pub use version::Version;
