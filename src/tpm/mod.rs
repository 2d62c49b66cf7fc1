//! The TPM: which device, and the endorsement key (EK) that `tbot` will present.

mod device;
mod ek;
mod esapi;

pub use device::{Device, default_tcti};
pub use ek::{EkSource, EndorsementKey};
pub use esapi::{Tpm, silence_libraries};
