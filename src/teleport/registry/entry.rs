//! One host's entry in the registry: what it says, and what may take its place.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::document;
use crate::ekcert::{EkPublicHash, Serial};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::teleport::{Description, HostName, Identity};

/// Bytes of an entry's file at most. What is recorded takes a tenth of it; the rest is for what people add.
const LARGEST_ENTRY: u64 = 1024 * 1024;
/// Bytes of the PEM of an EK certificate that is recorded, at most. An NV index of a TPM has room for some 2 KiB.
const LARGEST_PEM: usize = 64 * 1024;

/// The key of the certificates above the EK certificate. Few TPMs hold any, so an entry has it only where there are some.
const CHAIN: &str = "ek_cert_chain_pem";
/// Former texts of a host's rule that are kept, at most. Those of a rule that no run has written anew meanwhile are needed.
const MOST_FORMER_TEXTS: usize = 16;
const RULE_DESCRIPTION: &str = "rule_description";
const FORMER_RULE_DESCRIPTIONS: &str = "former_rule_descriptions";

/// What to do about a file that cannot be used.
const MALFORMED_HINT: &str =
    "correct it, restore it from version control, or remove it and identify the host again";

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
///
/// The host said it, so that it is held against itself before it is recorded: an EK certificate is there with all that
/// belongs to it, parses as the cluster parses it, and says what stands beside it; or there is none at all.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FoundFields")]
pub struct Found {
    hash: EkPublicHash,
    certificate: Option<FoundCertificate>,
}

#[derive(Debug, Clone)]
struct FoundCertificate {
    serial: Serial,
    sha256: String,
    pem: String,
    /// As [`CertificateChain::to_pem`] writes it; none where the TPM holds none.
    chain: Option<String>,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names)] // those of `identify`
struct FoundFields {
    ek_public_hash: EkPublicHash,
    ek_cert_present: bool,
    ek_cert_serial: Option<Serial>,
    ek_cert_sha256: Option<String>,
    ek_cert_pem: Option<String>,
    ek_cert_chain_pem: Option<String>,
}

impl TryFrom<FoundFields> for Found {
    type Error = String;

    fn try_from(fields: FoundFields) -> std::result::Result<Self, String> {
        let FoundFields {
            ek_public_hash: hash,
            ek_cert_present,
            ek_cert_serial,
            ek_cert_sha256,
            ek_cert_pem,
            ek_cert_chain_pem,
        } = fields;
        let is_there = [
            ("ek_cert_serial", ek_cert_serial.is_some()),
            ("ek_cert_sha256", ek_cert_sha256.is_some()),
            ("ek_cert_pem", ek_cert_pem.is_some()),
        ];
        match is_there.iter().find(|(_, is_there)| *is_there != ek_cert_present) {
            Some((name, true)) => {
                return Err(format!("it has `{name}`, and `ek_cert_present` says that there is none"));
            }
            Some((name, false)) => {
                return Err(format!("it has no `{name}`, and `ek_cert_present` says that there is one"));
            }
            None => {}
        }
        if ek_cert_chain_pem.is_some() && !ek_cert_present {
            return Err(
                "it has `ek_cert_chain_pem`, and no EK certificate that this could be above".to_owned()
            );
        }
        let above = Identity { ek_cert_chain_pem, ..Identity::default() };
        let chain = above.chain()?.to_pem().map_err(|error| error.message)?;
        let given = ek_cert_serial.zip(ek_cert_sha256).zip(ek_cert_pem);
        let certificate =
            given.map(|((serial, sha256), pem)| FoundCertificate { serial, sha256, pem, chain });
        if let Some(certificate) = &certificate {
            certificate.check(&hash)?;
        }
        Ok(Self { hash, certificate })
    }
}

impl FoundCertificate {
    fn check(&self, hash: &EkPublicHash) -> std::result::Result<(), String> {
        if self.pem.len() > LARGEST_PEM {
            return Err(format!(
                "its `ek_cert_pem` has {} bytes, and at most {LARGEST_PEM} are recorded: no TPM has room for such a \
                 certificate",
                self.pem.len()
            ));
        }
        let identity = Identity {
            ek_public_hash: Some(hash.clone()),
            ek_cert_serial: Some(self.serial.clone()),
            ek_cert_pem: Some(self.pem.clone()),
            ..Identity::default()
        };
        let Some(certificate) = identity.certificate()? else { return Ok(()) };
        certificate.public_key().map_err(|error| error.message)?;
        if self.sha256 == certificate.sha256() {
            return Ok(());
        }
        Err(format!(
            "its EK certificate has the SHA-256 {}, and `ek_cert_sha256` says another: identify the host again",
            certificate.sha256()
        ))
    }
}

impl Found {
    /// The hash of the TPM's endorsement key.
    #[must_use]
    pub fn hash(&self) -> &EkPublicHash {
        &self.hash
    }
}

/// The content of an entry's file, through symbolic links.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    host::read_at_most(path, LARGEST_ENTRY).map_err(|error| match error.kind {
        Kind::Io => error.hint(MALFORMED_HINT),
        _ => error,
    })
}

/// What the file at `path` says of the TPM of the host `name`, and the hash of its endorsement key. Where that is all that
/// counts, the rest is not kept.
pub fn read_identity(path: &Path, name: &str) -> Result<(Identity, EkPublicHash)> {
    let identity = identity(path, fields(path, &read(path)?)?, name)?;
    let hash = hash(path, &identity)?.clone();
    Ok((identity, hash))
}

fn malformed(path: &Path, what: &str) -> Error {
    Error::new(Kind::InvalidRequest, format!("the registry's file {} {what}", path.display()))
        .hint(MALFORMED_HINT)
}

/// All that an entry's file says.
fn fields(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let wrong = |what: String| malformed(path, &what);
    if bytes.len() as u64 > LARGEST_ENTRY {
        return Err(wrong(format!("is larger than {LARGEST_ENTRY} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| wrong(format!("is no text: {e}")))?;
    match document::parse_json(text).map_err(|e| wrong(format!("is no JSON object: {e}")))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(wrong("is JSON, but no JSON object".to_owned())),
    }
}

/// The identity that these fields are, under the name of the file.
fn identity(path: &Path, mut fields: Map<String, Value>, name: &str) -> Result<Identity> {
    let wrong = |what: String| malformed(path, &what);
    let host =
        Description::try_from(name.to_owned()).map_err(|e| wrong(format!("has no usable name: {e}")))?;
    fields.insert("description".to_owned(), Value::String(host.into()));
    serde_json::from_value(Value::Object(fields)).map_err(|e| wrong(format!("is no identity: {e}")))
}

fn hash<'a>(path: &Path, identity: &'a Identity) -> Result<&'a EkPublicHash> {
    identity.ek_public_hash.as_ref().ok_or_else(|| malformed(path, "has no `ek_public_hash`"))
}

impl Entry {
    /// The entry of the host `name` in the file at `path`. One that is malformed is `invalid_request`.
    pub fn parse(path: &Path, bytes: &[u8], name: &str) -> Result<Self> {
        let fields = fields(path, bytes)?;
        let identity = identity(path, fields.clone(), name)?;
        let hash = hash(path, &identity)?.clone();
        Ok(Self { fields, identity, hash })
    }

    /// What the entry is to say that records what was found, with what a person added to the former one. The text of the
    /// host's rule stays where none is given.
    pub fn recording(
        found: &Found,
        host: &HostName,
        former: Option<&Self>,
        text: Option<&RuleText>,
    ) -> Map<String, Value> {
        let mut fields = former.map_or_else(Map::new, |former| former.fields.clone());
        let certificate = found.certificate.as_ref();
        let own = [
            ("description", json!(host.as_str())),
            ("ek_public_hash", json!(found.hash)),
            ("ek_cert_present", json!(certificate.is_some())),
            ("ek_cert_serial", json!(certificate.map(|it| &it.serial))),
            ("ek_cert_sha256", json!(certificate.map(|it| &it.sha256))),
            ("ek_cert_pem", json!(certificate.map(|it| &it.pem))),
        ];
        let is_same_certificate =
            certificate.is_some_and(|it| fields.get("ek_cert_sha256") == Some(&json!(it.sha256)));
        for (name, value) in own {
            fields.insert(name.to_owned(), value);
        }
        match certificate.and_then(|it| it.chain.as_ref()) {
            Some(chain) => drop(fields.insert(CHAIN.to_owned(), json!(chain))),
            // What was read once is not forgotten because it could not be read today.
            None if is_same_certificate => {}
            None => drop(fields.remove(CHAIN)),
        }
        if let Some(RuleText(text)) = text {
            let text = text.as_ref().filter(|text| text.as_str() != host.as_str());
            record_text(&mut fields, text, former.map(|former| &former.identity));
        }
        fields
    }

    /// The host's identity by what the entry is to say.
    pub fn identity_of(fields: &Map<String, Value>) -> Result<Identity> {
        serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|e| Error::new(Kind::Internal, format!("a new entry cannot be used: {e}")))
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
        let accept = accept(host);
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
        } else if self.identity.ek_cert_present == Some(true) && found.certificate.is_none() {
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

/// What a host's rule is to say: a text, or an empty one for the host's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct RuleText(Option<Description>);

impl TryFrom<String> for RuleText {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text.trim().is_empty() { Ok(Self(None)) } else { Description::try_from(text).map(Some).map(Self) }
    }
}

/// Puts the text of the host's rule among the fields, and the one that it replaces among the former ones.
fn record_text(fields: &mut Map<String, Value>, text: Option<&Description>, former: Option<&Identity>) {
    let old = former.and_then(|former| former.rule_description.as_ref());
    if text == old {
        return;
    }
    let known = former.map_or(&[][..], |former| &former.former_rule_descriptions);
    let mut texts: Vec<&Description> = Vec::new();
    for one in old.into_iter().chain(known) {
        if Some(one) != text && !texts.contains(&one) && texts.len() < MOST_FORMER_TEXTS {
            texts.push(one);
        }
    }
    match text {
        Some(text) => fields.insert(RULE_DESCRIPTION.to_owned(), json!(text)),
        None => fields.shift_remove(RULE_DESCRIPTION),
    };
    if texts.is_empty() {
        fields.shift_remove(FORMER_RULE_DESCRIPTIONS);
    } else {
        fields.insert(FORMER_RULE_DESCRIPTIONS.to_owned(), json!(texts));
    }
}

/// What a run is given that accepts another TPM of this host.
pub fn accept(host: &HostName) -> String {
    format!("--extra-vars '{{\"tbot_accept_identity_change\": [\"{host}\"]}}'")
}

/// An entry as its file holds it: sorted, in lines that version control can compare.
#[must_use]
pub fn text(fields: &Map<String, Value>) -> String {
    let mut fields = Value::Object(fields.clone());
    fields.sort_all_objects();
    format!("{fields:#}\n")
}
