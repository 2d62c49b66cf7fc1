//! The host's files: paths, accounts, atomic replacement, directories,
//! units, the service's account and udev's rules.

mod accounts;
mod attributes;
mod directory;
mod file;
mod folder;
pub mod listener;
mod mode;
mod path;
pub mod program;
mod reader;
mod reopen;
mod service_account;
pub mod udev;
pub mod unit;
mod users;

pub use accounts::{Account, Accounts, foresee_accounts, group_name, user_name};
pub use attributes::Attributes;
pub use directory::{
    Directory, Inventory, OutputDirectory, Trust, is_shared_directory, refuse_of_the_system,
};
pub use file::{Change, TextFile, read, read_at_most};
pub use folder::{files_below, has_directory, lock_directory, make_directory, move_file, sweep_directory};
pub use mode::Mode;
pub use path::AbsolutePath;
pub use reader::Reader;
pub use service_account::{ServiceAccount, Standing, as_user};
pub use users::User;
