//! `identify`: the TPM's identity, as the cluster will compute it when this host joins; and, where asked, its entry of the registry.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::config::Config;
use super::registry::{self, Recording};
use super::seconds::Seconds;
use super::{Action, program};
use crate::ekcert::{CertificateChain, EkCertificate, EkPublicHash};
use crate::error::{Error, Kind, Result};
use crate::protocol::{self, Answer, Request, from_fields};
use crate::teleport::join_warnings;
use crate::tpm::{Backend, EndorsementKey, NoCertificate, PersistentKeys, Properties, Tcti, Tpm, TpmChoice};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    tcti: Option<String>,
    #[serde(default)]
    backend: Backend,
    expected_ek_public_hash: Option<EkPublicHash>,
    #[serde(default)]
    timeout: Seconds,
    /// Parameters of action `registry`.
    record: Option<Map<String, Value>>,
    /// Parameters of action `program`.
    program: Option<Map<String, Value>>,
    /// Parameters of action `config`, for its state `same_proxy`.
    same_proxy: Option<Map<String, Value>>,
}

pub(super) struct Identify {
    tpm: TpmChoice,
    recording: Option<Recording>,
    program: Option<program::Parameters>,
    same_proxy: Option<Config>,
    parameters: Parameters,
}

impl Action for Identify {
    type Parameters = Parameters;

    fn checked(mut parameters: Parameters) -> Result<Self> {
        let of_registry =
            |fields| Recording::checked(from_fields::<registry::Parameters>("registry", fields)?);
        let recording = parameters.record.take().map(of_registry).transpose()?;
        let program = parameters.program.take().map(|fields| from_fields("program", fields)).transpose()?;
        let same_proxy = parameters.same_proxy.take().map(|mut fields| {
            fields.insert("state".to_owned(), "same_proxy".into());
            Config::checked(from_fields("config", fields)?)
        });
        let same_proxy = same_proxy.transpose()?;
        let tpm = TpmChoice::parse(parameters.tcti.as_deref())?;
        Ok(Self { tpm, recording, program, same_proxy, parameters })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let Self { tpm, recording, program, same_proxy, parameters } = self;
        if let Some(config) = same_proxy {
            config.run(request)?;
        }
        let tcti = tpm.find()?;
        let mut tpm = Tpm::connect(&tcti, parameters.backend, parameters.timeout.limit())?;
        let properties = tpm.properties()?;
        let persistent = PersistentKeys::read(&mut tpm)?;
        let expected = parameters.expected_ek_public_hash.as_ref();
        let key = EndorsementKey::read(&mut tpm, &properties, &persistent, expected)?;
        // It is of use for the certificate's issuer alone, and no reason to fail.
        let chain = key.certificate.as_ref().map(|_| CertificateChain::read(&mut tpm, &properties));
        let (chain, no_chain) = chain.unwrap_or_default();
        drop(tpm);
        if let Some(expected) = expected {
            must_be(expected, &key)?;
        }
        let mut warnings = join_warnings(&key, &properties, &persistent, OffsetDateTime::now_utc());
        warnings.extend(no_chain);
        let facts = facts(&key, &chain, &properties, &tcti)?;
        let mut answer = Answer::new(false).warnings(warnings);
        if let Some(recording) = recording {
            answer = recorded(answer, recording.run(Value::Object(facts.clone()), request)?);
        }
        answer.results.extend(facts.clone());
        if let Some(program) = program {
            answer = with_program(answer, program.run(request), request);
        }
        Ok(answer.result("ansible_facts", json!({ "tbot_tpm": facts })))
    }
}

/// The answer together with that of action `registry`.
fn recorded(mut answer: Answer, of_registry: Answer) -> Answer {
    answer.changed = of_registry.changed;
    answer.diff = of_registry.diff;
    answer.warnings.extend(of_registry.warnings);
    let mut results = of_registry.results;
    results.insert("changed".to_owned(), Value::Bool(answer.changed));
    answer.result("recorded", results)
}

/// The answer together with that of action `program`, whose failure is none of the TPM's.
fn with_program(answer: Answer, of_program: Result<Answer>, request: &Request) -> Answer {
    match of_program {
        Ok(found) => answer.result("program", found.results).warnings(found.warnings),
        Err(error) => answer.result("program", protocol::failure_of_one(request, error)),
    }
}

fn must_be(expected: &EkPublicHash, key: &EndorsementKey) -> Result<()> {
    let hash = key.public_key.hash();
    if *expected == hash {
        return Ok(());
    }
    let hint = if key.no_certificate == Some(NoCertificate::Lockout) {
        "the TPM is in dictionary-attack lockout, which hides its EK certificate: end it with \
         `tpm2_dictionarylockout --clear-lockout` and try again"
    } else {
        "if the mainboard or the virtual TPM was replaced on purpose, accept the new identity; if not, find out why"
    };
    let message =
        format!("the TPM is not the expected one: expected the EK public hash {expected}, found {hash}");
    Err(Error::new(Kind::IdentityChanged, message).hint(hint))
}

fn facts(
    key: &EndorsementKey,
    chain: &CertificateChain,
    properties: &Properties,
    tcti: &Tcti,
) -> Result<Map<String, Value>> {
    let mut facts = Map::new();
    let mut fact = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    let certificate = key.certificate.as_ref();
    fact("ek_public_hash", json!(key.public_key.hash()));
    fact("ek_public_pem", json!(key.public_key.to_pem()?));
    fact("ek_source", json!(key.source));
    fact("ek_cert_present", json!(certificate.is_some()));
    fact("ek_cert_serial", json!(certificate.map(|found| &found.serial)));
    fact("ek_cert_sha256", json!(certificate.map(EkCertificate::sha256)));
    fact("ek_cert_pem", json!(certificate.map(EkCertificate::to_pem).transpose()?));
    fact("ek_cert_chain_pem", json!(chain.to_pem()?));
    fact("ek_cert", json!(certificate.map(EkCertificate::description)));
    fact("tpm", json!(TpmFacts { device: tcti.device(), properties }));
    Ok(facts)
}

/// The fact `tpm`.
#[derive(serde::Serialize)]
struct TpmFacts<'a> {
    device: String,
    #[serde(flatten)]
    properties: &'a Properties,
}
