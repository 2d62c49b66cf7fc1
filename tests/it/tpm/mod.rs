//! TPMs: software ones, machines with a device, and ones that lie.

mod hostile;
mod identify;
#[cfg(not(feature = "tss"))]
mod native_build;
mod slow_device;
mod slow_differential;
