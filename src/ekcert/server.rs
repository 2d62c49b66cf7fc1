//! What a TLS server's certificate says of itself.

use super::authorities::Authority;
use super::description::{elements, general_name};
use super::oid;
use super::strict::{self, Validity};

/// What counts of a server's certificate where it is trusted by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    /// When it is valid.
    pub validity: Validity,
    /// Whether it may sign certificates (basicConstraints and keyUsage; RFC 5280, sections 4.2.1.9 and 4.2.1.3).
    pub is_ca: bool,
    /// The DNS names and IP addresses in its subjectAltName (RFC 5280, section 4.2.1.6), safe to show.
    pub hosts: Vec<String>,
}

impl ServerCertificate {
    /// From a certificate in DER, with nothing after it; none where it does not parse.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let reading = strict::read_whole(der).ok()?;
        let names = reading.certificate.extension(oid::SUBJECT_ALT_NAME).map_or(Vec::new(), elements);
        let host = |name: String| {
            let host = ["DNS:", "IP:"].into_iter().find_map(|kind| name.strip_prefix(kind))?;
            Some(host.to_owned())
        };
        Some(Self {
            validity: reading.certificate.validity,
            is_ca: Authority::of(&reading).is_ca(),
            hosts: names.iter().map(general_name).filter_map(host).collect(),
        })
    }
}
