//! One host's entry in the registry: what it says, and what may take its place.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ekcert::{EkPublicHash, Serial};
use crate::error::{Error, Kind, Result};
use crate::teleport::{Description, HostName, Identity, document};

/// What a file of the registry says.
#[derive(Debug, Clone)]
pub struct Entry {
    /// All of it, also what a person added.
    fields: Map<String, Value>,
    identity: Identity,
    hash: EkPublicHash,
}

/// What `identify` found at a host, as far as it stays the same as long as the TPM does. Its other results are
/// ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FoundFields")]
pub struct Found(FoundFields);

#[derive(Debug, Clone, Deserialize)]
#[allow(clippy::struct_field_names)] // those of `identify`
struct FoundFields {
    ek_public_hash: EkPublicHash,
    ek_cert_present: bool,
    ek_cert_serial: Option<Serial>,
    ek_cert_sha256: Option<String>,
    ek_cert_pem: Option<String>,
}

impl TryFrom<FoundFields> for Found {
    type Error = String;

    /// An EK certificate is given with all that belongs to it, or not at all.
    fn try_from(fields: FoundFields) -> std::result::Result<Self, String> {
        let is_there = [
            ("ek_cert_serial", fields.ek_cert_serial.is_some()),
            ("ek_cert_sha256", fields.ek_cert_sha256.is_some()),
            ("ek_cert_pem", fields.ek_cert_pem.is_some()),
        ];
        match is_there.iter().find(|(_, is_there)| *is_there != fields.ek_cert_present) {
            Some((name, true)) => {
                Err(format!("it has `{name}`, and `ek_cert_present` says that there is none"))
            }
            Some((name, false)) => {
                Err(format!("it has no `{name}`, and `ek_cert_present` says that there is one"))
            }
            None => Ok(Self(fields)),
        }
    }
}

impl Found {
    /// The hash of the TPM's endorsement key.
    #[must_use]
    pub fn hash(&self) -> &EkPublicHash {
        &self.0.ek_public_hash
    }
}

impl Entry {
    /// The entry of the host `name` in the file at `path`. One that is malformed is `invalid_request`.
    pub fn parse(path: &Path, bytes: &[u8], name: &str) -> Result<Self> {
        let wrong = |what: String| {
            Error::new(Kind::InvalidRequest, format!("the registry's file {} {what}", path.display()))
                .hint("correct it, restore it from version control, or remove it and identify the host again")
        };
        let text = std::str::from_utf8(bytes).map_err(|e| wrong(format!("is no text: {e}")))?;
        let Value::Object(fields) =
            document::parse_json(text).map_err(|e| wrong(format!("is no JSON object: {e}")))?
        else {
            return Err(wrong("is JSON, but no JSON object".to_owned()));
        };
        let host =
            Description::try_from(name.to_owned()).map_err(|e| wrong(format!("has no usable name: {e}")))?;
        let mut named = fields.clone();
        named.insert("description".to_owned(), Value::String(host.into()));
        let identity: Identity = serde_json::from_value(Value::Object(named))
            .map_err(|e| wrong(format!("is no identity: {e}")))?;
        let Some(hash) = identity.ek_public_hash.clone() else {
            return Err(wrong("has no `ek_public_hash`".to_owned()));
        };
        Ok(Self { fields, identity, hash })
    }

    /// What the entry is to say that records what was found, with what a person added to the former one.
    pub fn recording(found: &Found, host: &HostName, former: Option<&Self>) -> Map<String, Value> {
        let mut fields = former.map_or_else(Map::new, |former| former.fields.clone());
        let FoundFields { ek_public_hash, ek_cert_present, ek_cert_serial, ek_cert_sha256, ek_cert_pem } =
            &found.0;
        let own = [
            ("description", json!(host.as_str())),
            ("ek_public_hash", json!(ek_public_hash)),
            ("ek_cert_present", json!(ek_cert_present)),
            ("ek_cert_serial", json!(ek_cert_serial)),
            ("ek_cert_sha256", json!(ek_cert_sha256)),
            ("ek_cert_pem", json!(ek_cert_pem)),
        ];
        for (name, value) in own {
            fields.insert(name.to_owned(), value);
        }
        fields
    }

    /// All that it says.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The hash of the TPM's endorsement key.
    #[must_use]
    pub fn hash(&self) -> &EkPublicHash {
        &self.hash
    }

    /// What a token needs to know of it.
    #[must_use]
    pub fn into_identity(self) -> Identity {
        self.identity
    }

    /// Refuses another TPM than the entry at `path` has, and one that no longer shows its EK certificate, as
    /// `identity_changed`.
    pub fn refuse_change(&self, found: &Found, host: &HostName, path: &Path) -> Result<()> {
        let accept = format!("--extra-vars '{{\"tbot_accept_identity_change\": [\"{host}\"]}}'");
        let path = path.display();
        let (message, hint) = if self.hash != *found.hash() {
            (
                format!(
                    "`{host}` has another TPM than the one that {path} records: the EK public hash was {}, and is {}",
                    self.hash,
                    found.hash()
                ),
                format!(
                    "if its mainboard or virtual TPM was replaced on purpose, run once with {accept} (parameter \
                     `accept_identity_change`); if not, find out why"
                ),
            )
        } else if self.identity.ek_cert_present == Some(true) && !found.0.ek_cert_present {
            (
                format!(
                    "the TPM of `{host}` showed an EK certificate before, which {path} records, and shows none now (EK \
                     public hash {}, as before)",
                    self.hash
                ),
                format!(
                    "a TPM in dictionary-attack lockout hides it: end that with `tpm2_dictionarylockout --clear-lockout`; \
                     if the certificate is gone for good, run once with {accept} (parameter `accept_identity_change`)"
                ),
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::IdentityChanged, message).hint(hint))
    }
}

/// An entry as its file holds it: sorted, in lines that version control can compare.
#[must_use]
pub fn text(fields: &Map<String, Value>) -> String {
    let mut fields = Value::Object(fields.clone());
    fields.sort_all_objects();
    format!("{fields:#}\n")
}
