//! Why an EK certificate has no CA to allow, in words.

use super::report::{Report, SHOWN};
use crate::ekcert::EkCertificate;
use crate::ekcert::issuers::{Candidate, Chain, Link};

/// What follows where Intel made the TPM, and no chain of it is known.
const ON_DIE: &str = "Intel's processors since Tiger Lake certify their TPM themselves: identify the host again to record that chain. \
     A token would need one CA a machine, so give such hosts a token without `ekcert_allowed_cas`";
/// What follows an issuer that only this host's TPM shows.
const OF_ONE_MACHINE: &str = ". A CA in the TPM may be this machine's own, as with Intel's processors since Tiger Lake. A token would need \
     one CA a machine, so give such hosts a token without `ekcert_allowed_cas`";
/// `TPM_PT_MANUFACTURER` of Intel, as EK certificates have it (TCG TPM Vendor ID Registry).
const INTEL: &str = "id:494E5443";

fn is_intels(certificate: &EkCertificate) -> bool {
    let description = certificate.description();
    let manufacturer = description.tpm_manufacturer.unwrap_or_default();
    manufacturer.eq_ignore_ascii_case(INTEL) || description.issuer.unwrap_or_default().contains("Intel")
}

impl Report<'_> {
    /// What was found of an issuer that is not trusted, and why it is not.
    pub(super) fn untrusted(&self, place: usize, chain: &Chain) -> String {
        let issuer = self.search.candidate(place);
        let last = chain.places.last().map_or(issuer, |last| self.search.candidate(*last));
        let why = chain.broken.as_ref().map(ToString::to_string).unwrap_or_default();
        let subject = if chain.places.len() > 1 { identified(last) } else { "it".to_owned() };
        let dead: Vec<String> = self.search.dead_links_of(last).collect();
        let dead = if dead.is_empty() { String::new() } else { format!(" ({})", dead.join("; ")) };
        let of_one = if self.search.came_beside(place) { OF_ONE_MACHINE } else { "" };
        format!("{}, which is not trusted: {subject} {why}{dead}{of_one}", identified(issuer))
    }

    pub(super) fn in_other_bytes(&self, place: usize) -> String {
        format!(
            "issued by {}, which is trusted, but writes its name in other bytes than the EK certificate does (another string \
             type, or other letter case). The cluster compares bytes: give this host a token without \
             `ekcert_allowed_cas`",
            self.identified(place)
        )
    }

    /// Why there is no certificate of an issuer. `has_chain` says whether its TPM holds any above it.
    pub(super) fn not_found(
        &self,
        certificate: &EkCertificate,
        has_chain: bool,
        links: &[(String, Link)],
    ) -> String {
        let why = if links.is_empty() {
            "the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it. The \
             recorded chain of its TPM (NV 0x01C00100 to 0x01C001FF) does not have it either: get it from the manufacturer, and \
             give it in `ca_bundle`"
                .to_owned()
        } else if self.may_fetch {
            let outcomes: Vec<String> =
                links.iter().map(|(link, outcome)| format!("{link}: {}", self.words(outcome))).collect();
            format!(
                "the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: {}",
                outcomes.join("; ")
            )
        } else {
            let links: Vec<&str> = links.iter().map(|(link, _)| link.as_str()).collect();
            format!(
                "the certificate of its issuer is not in `ca_bundle`, and links are not followed (`fetch`): {}",
                links.join("; ")
            )
        };
        if has_chain || !is_intels(certificate) { why } else { format!("{why}; {ON_DIE}") }
    }

    fn words(&self, outcome: &Link) -> String {
        match outcome {
            Link::Untried => "it was not followed".to_owned(),
            Link::Leads(places) => {
                let mut names: Vec<String> =
                    places.iter().take(SHOWN).map(|place| self.search.candidate(*place).subject()).collect();
                if places.len() > SHOWN {
                    names.push(format!("{} more", places.len() - SHOWN));
                }
                format!("it leads to {}, which did not issue it", names.join(" and "))
            }
            Link::Dead(why) => why.clone(),
        }
    }

    pub(super) fn identified(&self, place: usize) -> String {
        identified(self.search.candidate(place))
    }
}

/// A certificate's name and fingerprint, and where it came from.
fn identified(certificate: &Candidate) -> String {
    format!("{} (SHA-256 {}, from {})", certificate.subject(), certificate.sha256(), certificate.source)
}
