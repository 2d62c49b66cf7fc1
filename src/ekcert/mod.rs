//! EK certificates: the public key in them, its hash, the serial number, what they say; the PEM of CAs, whether a
//! cluster accepts a certificate because of them, and which CA issued one and is to be trusted.

mod authorities;
mod certificate;
mod chain;
mod der;
mod description;
mod fingerprint;
pub mod issuers;
mod names;
mod oid;
mod pem;
mod public_key;
mod serial;
mod server;
mod signature;
mod strict;

pub use authorities::{Authorities, Authority, Flaw, NotVerified};
pub use certificate::EkCertificate;
pub use chain::CertificateChain;
pub use description::{Description, is_malformed as is_malformed_link};
pub use fingerprint::Fingerprint;
pub use pem::{certificates as pem_certificates, check_first_block, encode as pem_encode};
pub use public_key::{EkPublicHash, PublicKey};
pub use serial::Serial;
pub use server::ServerCertificate;
pub use strict::{NotACertificate, Validity};
