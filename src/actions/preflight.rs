//! `preflight`: which hosts a cluster would let in by a token, and why not the others.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Action;
use super::hosts::{self, Hosts};
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::message::sentence;
use crate::parallel;
use crate::protocol::{Answer, Request};
use crate::teleport::{self, Decision, Identity, Source, Timestamp, Token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// YAML or JSON text, or what that says.
    token: Value,
    hosts: Option<Vec<Identity>>,
    registry: Option<AbsolutePath>,
    now: Option<Timestamp>,
}

pub(super) struct Preflight {
    tokens: Vec<Token>,
    hosts: Hosts,
    now: Option<Timestamp>,
}

impl Action for Preflight {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        let Parameters { token, hosts, registry, now } = parameters;
        Ok(Self { tokens: tokens(token)?, hosts: Hosts::checked("preflight", hosts, registry)?, now })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        decide(request, self)
    }
}

fn decide(request: &Request, asked: Preflight) -> Result<Answer> {
    let Preflight { tokens, hosts, now } = asked;
    let older = tokens.iter().filter_map(|token| token.check_serial_rules().err()).map(|it| it.message);
    let mut warnings: Vec<String> = older.collect();
    let given = hosts.read(request)?;
    let now = now.map_or_else(OffsetDateTime::now_utc, |now| now.instant());
    let decisions: Vec<Decision<'_>> = tokens.iter().map(|token| Decision::by(token, now)).collect();
    warnings.extend(decisions.iter().flat_map(Decision::ca_warnings));
    let mut accepted = 0;
    // Mostly signatures of EK certificates.
    let outcomes = parallel::map(&given.identities, |host| Decision::of_any(&decisions, host));
    let hosts: Vec<Value> = given
        .identities
        .iter()
        .zip(&outcomes)
        .map(|(host, outcome)| {
            accepted += usize::from(outcome.is_ok());
            let (token, rule, reason) = match outcome {
                Ok((token, rule)) => (Some(token), Some(rule), None),
                Err(reason) => (None, None, Some(sentence(reason))),
            };
            json!({
                "description": host.description, "ek_public_hash": host.ek_public_hash,
                "accepted": outcome.is_ok(), "reason": reason, "rule": rule, "token": token,
            })
        })
        .collect();
    warnings.extend(given.unusable.iter().map(hosts::left_out));
    warnings.extend(teleport::sharing_a_tpm(&given.identities).iter().map(|hosts| teleport::one_tpm(hosts)));
    Ok(Answer::new(false)
        .result("accepted", accepted)
        .result("refused", hosts.len() - accepted)
        .result("hosts", hosts)
        .warnings(warnings))
}

/// The tokens, each of which a cluster would take.
fn tokens(given: Value) -> Result<Vec<Token>> {
    let source = Source { name: "`token`", malformed: Kind::InvalidRequest };
    let tokens = teleport::read_tokens(given, source)?;
    if tokens.is_empty() {
        return Err(Error::invalid("`token` holds no token").hint("give what `tctl get token/NAME` shows"));
    }
    tokens.iter().try_for_each(Token::check)?;
    Ok(tokens)
}
