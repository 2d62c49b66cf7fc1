//! EK certificates: the public key in them, its hash, the serial number, what they say, and the PEM of
//! CAs.

mod authorities;
mod certificate;
mod der;
mod description;
mod names;
mod oid;
mod pem;
mod public_key;
mod serial;
mod strict;

pub use authorities::Authorities;
pub use certificate::EkCertificate;
pub use description::Description;
pub use pem::{certificates as pem_certificates, encode as pem_encode};
pub use public_key::{EkPublicHash, PublicKey};
pub use serial::Serial;
pub use strict::{NotACertificate, Validity};
