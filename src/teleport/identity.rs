//! A host's TPM identity, as `identify` answers it and as the registry records it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Description;
use crate::ekcert::{CertificateChain, EkCertificate, EkPublicHash, Serial};
use crate::error::{Error, Kind, Result};

/// What a token needs to know of a host. Other fields of `identify`'s answer are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The host's name, for people.
    pub description: Option<Description>,
    /// What the host's rule says, where that is not the host's name.
    pub rule_description: Option<Description>,
    /// What its rule said before: rules of its TPM with these are the host's own.
    #[serde(default)]
    pub former_rule_descriptions: Vec<Description>,
    /// SHA-256 of the EK's public key.
    pub ek_public_hash: Option<EkPublicHash>,
    /// The serial number of the EK certificate.
    pub ek_cert_serial: Option<Serial>,
    /// The EK certificate in PEM.
    pub ek_cert_pem: Option<String>,
    /// The certificates above it that its TPM holds, in PEM.
    pub ek_cert_chain_pem: Option<String>,
    /// Whether the TPM has an EK certificate; none where that is not known.
    pub ek_cert_present: Option<bool>,
}

impl Identity {
    /// The hash as text.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        self.ek_public_hash.as_ref().map(EkPublicHash::as_str)
    }

    /// The serial number as text.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.ek_cert_serial.as_ref().map(Serial::as_str)
    }

    /// The description as text.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.description.as_ref().map(Description::as_str)
    }

    /// What the host's rule is to say about it.
    #[must_use]
    pub fn rule_text(&self) -> Option<&Description> {
        self.rule_description.as_ref().or(self.description.as_ref())
    }

    /// The EK certificate, where it is given. An error says why it cannot be the host's: it is none that a cluster
    /// could read, or it does not go with the hash or the serial number beside it.
    pub fn certificate(&self) -> std::result::Result<Option<EkCertificate>, String> {
        let Some(pem) = &self.ek_cert_pem else { return Ok(None) };
        let certificate = EkCertificate::from_pem(pem).map_err(|why| {
            format!("its `ek_cert_pem` is no EK certificate that the cluster could read ({why}): identify the host again")
        })?;
        if let (Ok(key), Some(hash)) = (certificate.public_key(), &self.ek_public_hash)
            && key.hash() != *hash
        {
            return Err(format!(
                "its EK certificate is for another key, with the hash {}, than `ek_public_hash` says: identify the host \
                 again",
                key.hash()
            ));
        }
        if let Some(given) = self.ek_cert_serial.as_ref().filter(|given| **given != certificate.serial) {
            return Err(format!(
                "its EK certificate has the serial number {}, and `ek_cert_serial` says {given}: identify the host again",
                certificate.serial
            ));
        }
        Ok(Some(certificate))
    }

    /// The certificates above the EK certificate, as far as its TPM holds them; none where it does not. An error says
    /// why what is given cannot be these.
    pub fn chain(&self) -> std::result::Result<CertificateChain, String> {
        let chain = self.ek_cert_chain_pem.as_deref().map(CertificateChain::from_pem);
        let chain = chain.unwrap_or_else(|| Ok(CertificateChain::default()));
        chain.map_err(|why| format!("its `ek_cert_chain_pem` {why}: identify the host again"))
    }

    /// How to call the host in a message.
    #[must_use]
    pub fn label(&self) -> String {
        match (&self.description, &self.ek_public_hash) {
            (Some(description), _) => format!("`{description}`"),
            (None, Some(hash)) => format!("the host with the hash {hash}"),
            (None, None) => "a host without a description".to_owned(),
        }
    }
}

/// The identities without exact repetitions. Two hosts with one TPM (a cloned virtual machine), two
/// TPMs under one description, and two entries of one host that differ are a `conflict`.
pub fn distinct(mut identities: Vec<Identity>) -> Result<Vec<Identity>> {
    let is_repeated = repeated(&identities)?;
    let mut is_repeated = is_repeated.into_iter();
    identities.retain(|_| !is_repeated.next().unwrap_or_default());
    match sharing_a_tpm(&identities).first() {
        Some(hosts) => Err(Error::new(Kind::Conflict, one_tpm(hosts)).hint(ONE_TPM_HINT)),
        None => Ok(identities),
    }
}

/// Which identities are there already, to the letter. Two that differ may not have one description.
fn repeated(identities: &[Identity]) -> Result<Vec<bool>> {
    let mut known: HashMap<(bool, Option<&str>), &Identity> = HashMap::with_capacity(identities.len());
    let mut is_repeated = Vec::with_capacity(identities.len());
    for identity in identities {
        let label = identity.name().or(identity.hash()).or(identity.serial());
        let first = *known.entry((identity.name().is_some(), label)).or_insert(identity);
        let is_known = !std::ptr::eq(first, identity) && first == identity;
        if let (false, Some(name)) = (is_known || std::ptr::eq(first, identity), identity.name()) {
            return Err(Error::new(
                Kind::Conflict,
                format!("there are two different identities called `{name}`"),
            )
            .hint("give each host one identity and a name of its own"));
        }
        is_repeated.push(is_known);
    }
    Ok(is_repeated)
}

/// Refuses hosts whose rules would say the same, as `conflict`: people could not tell them apart.
pub fn refuse_same_rule_texts<'a>(identities: impl Iterator<Item = &'a Identity>) -> Result<()> {
    let mut known: HashMap<&Description, &Identity> = HashMap::with_capacity(identities.size_hint().0);
    for identity in identities {
        let Some(text) = identity.rule_text() else { continue };
        if let Some(other) = known.insert(text, identity) {
            return Err(same_rule_text(text, &other.label(), &identity.label()));
        }
    }
    Ok(())
}

/// That the rules of these hosts would say the same.
#[must_use]
pub fn same_rule_text(text: &Description, one: &str, other: &str) -> Error {
    let message = format!("the rules of {one} and {other} would have the same description `{text}`");
    Error::new(Kind::Conflict, message).hint(
        "give each host a text of its own (`tbot_description`) that differs from all hosts' names; if a text moves to another \
         host, change or archive the former host first",
    )
}

/// What to do about two hosts with one TPM.
pub const ONE_TPM_HINT: &str =
    "a cloned virtual TPM must be replaced by a new one, since either host could join as the other";

/// That these hosts have one TPM, in words.
#[must_use]
pub fn one_tpm(hosts: &[&Identity]) -> String {
    let labels: Vec<String> = hosts.iter().map(|host| host.label()).collect();
    format!("{} have the same TPM (one EK public hash)", labels.join(" and "))
}

/// The hosts that have one TPM, a list for each such TPM, in the order of their first hosts.
#[must_use]
pub fn sharing_a_tpm(identities: &[Identity]) -> Vec<Vec<&Identity>> {
    let mut by_hash: HashMap<&EkPublicHash, usize> = HashMap::with_capacity(identities.len());
    let mut shared: BTreeMap<usize, Vec<&Identity>> = BTreeMap::new();
    for (index, identity) in identities.iter().enumerate() {
        let Some(hash) = &identity.ek_public_hash else { continue };
        let first = *by_hash.entry(hash).or_insert(index);
        if first != index {
            shared.entry(first).or_insert_with(|| vec![&identities[first]]).push(identity);
        }
    }
    shared.into_values().collect()
}
