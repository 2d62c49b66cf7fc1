//! `identify`: the TPM's identity, as the cluster will compute it when this host joins.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ekcert::{EkCertificate, EkPublicHash};
use crate::error::{Error, Kind, Result};
use crate::protocol::{Answer, Request};
use crate::tpm::{self, EndorsementKey, Tpm};

const PLANNED: [&str; 1] = ["timeout"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    tcti: Option<String>,
    #[serde(default)]
    backend: Backend,
    expected_ek_public_hash: Option<EkPublicHash>,
}

/// The way to the TPM.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Backend {
    #[default]
    Auto,
    Native,
    Esapi,
}

pub(super) fn run(request: &Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&PLANNED)?;
    if parameters.backend == Backend::Native {
        return Err(Error::not_in_this_version("`backend: native`"));
    }
    let tcti = match parameters.tcti {
        Some(tcti) => tcti,
        None => tpm::default_tcti()?,
    };
    let key = EndorsementKey::read(&mut Tpm::connect(&tcti)?)?;
    let hash = key.public_key.hash();
    if let Some(expected) = parameters.expected_ek_public_hash
        && expected != hash
    {
        return Err(Error::new(
            Kind::IdentityChanged,
            format!("the TPM is not the expected one: expected the EK public hash {expected}, found {hash}"),
        )
        .hint("if the mainboard or the virtual TPM was replaced on purpose, accept the new identity; if not, find out why"));
    }
    let facts = facts(&key, &hash)?;
    let mut answer = Answer::new(false).warnings(key.warnings);
    answer.results.clone_from(&facts);
    Ok(answer.result("ansible_facts", json!({ "tbot_tpm": facts })))
}

fn facts(key: &EndorsementKey, hash: &EkPublicHash) -> Result<Map<String, Value>> {
    let mut facts = Map::new();
    let mut fact = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    let certificate = key.certificate.as_ref();
    fact("ek_public_hash", json!(hash));
    fact("ek_public_pem", json!(key.public_key.to_pem()?));
    fact("ek_source", json!(key.source));
    fact("ek_cert_present", json!(certificate.is_some()));
    fact("ek_cert_serial", json!(certificate.map(|found| &found.serial)));
    fact("ek_cert_sha256", json!(certificate.map(EkCertificate::sha256)));
    fact("ek_cert_pem", json!(certificate.map(EkCertificate::to_pem).transpose()?));
    Ok(facts)
}
