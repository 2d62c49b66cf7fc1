//! EK certificates: the public key in them, its hash, the serial number, and the PEM of CAs.

mod certificate;
mod pem;
mod public_key;
mod serial;

pub use certificate::{EkCertificate, NotACertificate};
pub use pem::{certificates as pem_certificates, encode as pem_encode};
pub use public_key::{EkPublicHash, PublicKey};
pub use serial::Serial;
