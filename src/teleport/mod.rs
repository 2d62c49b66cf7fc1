//! Teleport's resources and the rules by which a cluster takes them.

mod expiry;
mod identity;
mod name;
mod readiness;
mod registry;
mod role;
mod stored;
mod token;
mod yaml;

pub use expiry::Expiry;
pub use identity::{Identity, distinct};
pub use name::{Description, Label, Name};
pub use readiness::join_warnings;
pub use registry::read as read_registry;
pub use role::Role;
pub use stored::{Losses, StoredToken};
pub use token::{Match, Token};
