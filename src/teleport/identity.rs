//! A host's TPM identity, as `identify` answers it and as the registry records it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::Description;
use crate::ekcert::{EkPublicHash, Serial};
use crate::error::{Error, Kind, Result};

/// What a token needs to know of a host. Other fields of `identify`'s answer are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Identity {
    /// The host's name, for people.
    pub description: Option<Description>,
    /// SHA-256 of the EK's public key.
    pub ek_public_hash: Option<EkPublicHash>,
    /// The serial number of the EK certificate.
    pub ek_cert_serial: Option<Serial>,
    /// The EK certificate in PEM.
    pub ek_cert_pem: Option<String>,
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
pub fn distinct(identities: Vec<Identity>) -> Result<Vec<Identity>> {
    let is_first: Vec<bool> = {
        let mut seen: HashSet<&Identity> = HashSet::with_capacity(identities.len());
        identities.iter().map(|identity| seen.insert(identity)).collect()
    };
    let mut is_first = is_first.into_iter();
    let mut distinct = identities;
    distinct.retain(|_| is_first.next().unwrap_or_default());
    if let Some(hosts) = sharing_a_tpm(&distinct).first() {
        return Err(Error::new(Kind::Conflict, one_tpm(hosts)).hint(ONE_TPM_HINT));
    }
    let mut descriptions: HashSet<&Description> = HashSet::with_capacity(distinct.len());
    for identity in &distinct {
        if let Some(description) = &identity.description
            && !descriptions.insert(description)
        {
            return Err(Error::new(
                Kind::Conflict,
                format!("there are two different identities called `{description}`"),
            )
            .hint("give each host one identity and a name of its own"));
        }
    }
    Ok(distinct)
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
