//! A host's TPM identity, as `identify` answers it and as the registry records it.

use std::collections::{HashMap, HashSet};

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
    /// Whether the TPM has an EK certificate; none where that is not known.
    pub ek_cert_present: Option<bool>,
}

impl Identity {
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
    let mut seen: HashSet<Identity> = HashSet::with_capacity(identities.len());
    let mut by_hash: HashMap<EkPublicHash, Option<Description>> = HashMap::with_capacity(identities.len());
    let mut descriptions: HashSet<Description> = HashSet::with_capacity(identities.len());
    let mut distinct = Vec::with_capacity(identities.len());
    for identity in identities {
        if !seen.insert(identity.clone()) {
            continue;
        }
        if let Some(hash) = &identity.ek_public_hash
            && let Some(other) = by_hash.insert(hash.clone(), identity.description.clone())
        {
            return Err(same_tpm(&identity, other.as_ref()));
        }
        if let Some(description) = &identity.description
            && !descriptions.insert(description.clone())
        {
            return Err(Error::new(
                Kind::Conflict,
                format!("there are two different identities called `{description}`"),
            )
            .hint("give each host one identity and a name of its own"));
        }
        distinct.push(identity);
    }
    Ok(distinct)
}

fn same_tpm(identity: &Identity, other: Option<&Description>) -> Error {
    let other = other.map_or_else(|| "a host without a description".to_owned(), |name| format!("`{name}`"));
    Error::new(
        Kind::Conflict,
        format!("{} and {other} have the same TPM (one EK public hash)", identity.label()),
    )
    .hint("a cloned virtual TPM must be replaced by a new one, since either host could join as the other")
}
