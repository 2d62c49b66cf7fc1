//! `token`: the join tokens that let the given TPMs in, and everybody whom they let in already.

mod lockout;
mod output;
mod parameters;

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::hosts;
use crate::error::{Error, Kind, Result};
use crate::host::AbsolutePath;
use crate::protocol::{Answer, Request};
use crate::teleport::{self, Identity, Merged, Outcome, Registry, Token, Wanted};
use lockout::Refused;
use output::Output;
use parameters::Parameters;

pub(super) fn run(request: &mut Request) -> Result<Answer> {
    let mut parameters: Parameters = request.parameters(&[])?;
    let path = parameters.path.take();
    let output = Output::inspect(path.as_ref(), parameters.current.take())?;
    let only_takes_away = parameters.only_take_away();
    let (hosts, mut warnings) = known_hosts(request, &mut parameters, &output)?;
    let knows_nobody = hosts.is_empty() && output.current().is_empty();
    if knows_nobody && request.controls.check_mode && !only_takes_away {
        warnings.push(
            "no host is known yet; earlier tasks would have recorded some, so the token cannot be foreseen"
                .to_owned(),
        );
        return Ok(Answer::new(true).warnings(warnings));
    }
    if knows_nobody && parameters.remove.is_empty() {
        return Err(Error::invalid("there are no hosts, and a cluster refuses a token without a rule"));
    }
    if hosts.is_empty() && parameters.prune {
        lockout::refuse_to_prune_all(parameters.allow_lockout)?;
    }
    let allow_lockout = parameters.allow_lockout;
    let wanted = parameters.wanted(hosts)?;
    let mut merged = teleport::merge(output.current(), &wanted)?;
    for token in &merged.tokens {
        token.check()?;
        warnings.extend(check_serial_rules(token, output.current(), &wanted)?);
    }
    let now = OffsetDateTime::now_utc();
    let (refused, ca_warnings) = lockout::refused(&merged.tokens, &wanted, now)?;
    if !allow_lockout {
        lockout::refuse_ended(&merged.tokens, &wanted, now)?;
        lockout::refuse(&refused, &merged.in_doubt, wanted.hosts.len())?;
    }
    warnings.append(&mut merged.warnings);
    warnings.extend(ca_warnings);
    warnings.extend(lockout::warnings(&refused, &merged.in_doubt));
    warnings.extend(output.check_file(&merged, &wanted)?);
    warnings.extend(output.foresee(request));
    let written = output.write(&merged, request)?;
    let answer = Answer::new(written.changed)
        .result("content", written.content)
        .result("path", json!(path.as_ref().map(AbsolutePath::as_str)))
        .warnings(warnings)
        .diff(written.diff);
    let results = results(merged, &wanted, &refused)?;
    Ok(results.into_iter().fold(answer, |answer, (name, value)| answer.result(name, value)))
}

/// The hosts that are to be let in. Registry files that say nothing usable are errors where the token would
/// lose the host by that, or where there are no others, and warnings where its rule stays.
fn known_hosts(
    request: &Request,
    parameters: &mut Parameters,
    output: &Output<'_>,
) -> Result<(Vec<Identity>, Vec<String>)> {
    if parameters.only_take_away() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (given, registry) = (parameters.hosts.take(), parameters.registry.as_ref());
    let Registry { mut identities, mut problems, .. } = hosts::given(request, given, registry)?;
    let shared = teleport::sharing_a_tpm(&identities);
    problems.extend(
        shared
            .iter()
            .map(|it| Error::new(Kind::Conflict, teleport::one_tpm(it)).hint(teleport::ONE_TPM_HINT)),
    );
    let hashes: HashSet<String> =
        shared.iter().filter_map(|hosts| hosts.first()?.hash()).map(str::to_owned).collect();
    identities.retain(|identity| !identity.hash().is_some_and(|hash| hashes.contains(hash)));
    let would_say_nothing = identities.is_empty() && output.current().is_empty();
    match problems.split_first() {
        Some((first, others)) if parameters.prune || !output.knows_current() || would_say_nothing => {
            let mut error = first.clone();
            for other in others {
                error.message = [&error.message, "; ", &other.message].concat();
            }
            Err(error)
        }
        _ => {
            let left_out =
                |problem| format!("left out, but any rule that it has stays: {}", hosts::warning(problem));
            Ok((identities, problems.iter().map(left_out).collect()))
        }
    }
}

/// Refuses rules without a hash where there are no CAs, but only warns of those that the cluster has so.
fn check_serial_rules(token: &Token, current: &[Token], wanted: &Wanted) -> Result<Option<String>> {
    let Err(problem) = token.check_serial_rules() else { return Ok(None) };
    let was_so = |old: &Token| old.name == token.name && old.check_serial_rules().is_err();
    let are_given = wanted.hosts.iter().any(|host| host.ek_public_hash.is_none());
    if current.iter().any(was_so) && !are_given { Ok(Some(problem.message)) } else { Err(problem) }
}

fn results(merged: Merged, wanted: &Wanted, refused: &[Refused<'_>]) -> Result<Vec<(&'static str, Value)>> {
    let summary =
        |token: &Token| json!({ "name": token.name, "rules": token.rules().len(), "bytes": token.size() });
    let tokens: Vec<Value> = merged.tokens.iter().map(summary).collect();
    let mut host_tokens = Map::new();
    for host in &wanted.hosts {
        let name =
            host.description.clone().map(String::from).or(host.ek_public_hash.clone().map(String::from));
        host_tokens.insert(name.unwrap_or_default(), json!(wanted.token_of(host)?));
    }
    let refused: Vec<Value> = refused
        .iter()
        .map(|Refused { host, reason }| {
            json!({ "description": host.description, "ek_public_hash": host.ek_public_hash, "reason": reason })
        })
        .collect();
    let Outcome { added, updated, removed, kept, superseded } = merged.outcome;
    let rules = [
        ("added", added),
        ("updated", updated),
        ("removed", removed),
        ("kept", kept),
        ("superseded", superseded),
    ];
    let rules: Map<String, Value> =
        rules.into_iter().map(|(fate, labels)| (fate.to_owned(), Value::from(labels))).collect();
    Ok(vec![
        ("tokens", tokens.into()),
        ("delete", json!(merged.delete)),
        ("rules", rules.into()),
        ("host_tokens", host_tokens.into()),
        ("refused", refused.into()),
    ])
}
