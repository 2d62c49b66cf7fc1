//! Teleport's resources and the rules by which a cluster takes them.

mod identity;
mod name;
mod registry;
mod role;
mod stored;
mod token;
mod yaml;

pub use identity::{Identity, distinct};
pub use name::{Description, Name};
pub use registry::read as read_registry;
pub use role::Role;
pub use stored::{Losses, StoredToken};
pub use token::{Match, Token};
