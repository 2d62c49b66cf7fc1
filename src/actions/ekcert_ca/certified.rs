//! The hosts of `ekcert_ca` and their EK certificates.

use std::collections::BTreeMap;

use crate::ekcert::{CertificateChain, EkCertificate};
use crate::parallel;
use crate::teleport::Identity;

/// The hosts by what is known of their certificates.
#[derive(Default)]
pub(super) struct Certified {
    /// Hosts with a certificate that could be theirs, and these certificates.
    pub names: Vec<String>,
    pub certificates: Vec<EkCertificate>,
    /// What their TPMs hold above these, where they hold anything, by the places of the hosts.
    pub chains: BTreeMap<usize, CertificateChain>,
    /// Warnings about what cannot be that.
    pub damaged_chains: Vec<String>,
    /// Hosts whose TPM has none.
    pub without_certificate: Vec<String>,
    /// Hosts of whose certificates too little is known, and why.
    pub unusable: Vec<(String, String)>,
}

impl Certified {
    pub(super) fn of(identities: &[Identity]) -> Self {
        let mut hosts = Self::default();
        let certificates = parallel::map(identities, Identity::certificate);
        for (identity, certificate) in identities.iter().zip(certificates) {
            let name = identity.name().or(identity.hash()).unwrap_or("the given certificate").to_owned();
            match certificate {
                Ok(Some(certificate)) => {
                    match identity.chain() {
                        Ok(chain) if chain.certificates().is_empty() => {}
                        Ok(chain) => drop(hosts.chains.insert(hosts.names.len(), chain)),
                        Err(why) => hosts.damaged_chains.push(format!("left out of `{name}`: {why}")),
                    }
                    hosts.names.push(name);
                    hosts.certificates.push(certificate);
                }
                Ok(None) if identity.ek_cert_present == Some(false) => hosts.without_certificate.push(name),
                Ok(None) => hosts.unusable.push((
                    name,
                    "its EK certificate is not given (`ek_cert_pem`): identify the host again".to_owned(),
                )),
                Err(why) => hosts.unusable.push((name, why)),
            }
        }
        hosts
    }
}
