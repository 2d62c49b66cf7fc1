//! TPMs: software ones, machines with a device, and ones that lie.

mod device;
mod differential;
mod hostile;
mod identify;
#[cfg(not(feature = "tss"))]
mod native_build;
