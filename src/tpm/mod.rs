//! The TPM: which device, and the endorsement key (EK) that `tbot` will present.
//!
//! [`Tpm`] is a connection; [`EndorsementKey`] and [`Properties`] are what is read through it. There are
//! two ways in behind the trait `Commands`: `native` (the device or a software TPM's socket, no C
//! library) and, with the feature `tss`, `esapi` (libtss2, any TCTI).

mod commands;
mod connection;
mod device;
mod ek;
#[cfg(feature = "tss")]
mod esapi;
mod native;
mod node;
mod patience;
mod persistent;
mod properties;
mod public;
mod response_code;
mod tcti;
mod watch;

pub use connection::{TimeLimit, Tpm};
pub use device::Device;
pub use ek::{EkSource, EndorsementKey, NoCertificate};
#[cfg(feature = "tss")]
pub use esapi::silence_libraries;
pub use node::Node;
pub use persistent::{PersistentKeys, Slot};
pub use properties::Properties;
pub use public::{Key, Public};
pub use response_code::ResponseCode;
pub use tcti::{Backend, Tcti, TpmChoice};

/// Nothing to silence: no library that logs is built in.
#[cfg(not(feature = "tss"))]
pub fn silence_libraries() {}
