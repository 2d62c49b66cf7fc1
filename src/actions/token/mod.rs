//! `token`: the join tokens that let the given TPMs in, and everybody whom they let in already.

mod cas;
mod fleet;
mod known;
mod lockout;
mod output;
mod parameters;
mod plan;
mod terms;
mod without_cas;

use serde_json::{Map, Value, json};

use super::Action;
use crate::error::Result;
use crate::host::AbsolutePath;
use crate::message::sentence;
use crate::protocol::{Answer, Request};
use crate::teleport::{Scope, Token};
pub(super) use fleet::Fleet;
use known::Known;
pub(super) use lockout::Refused;
pub(super) use output::Output;
pub(super) use parameters::{Asked, End, Parameters, default_max_bytes, default_shards};
pub(super) use plan::{Outlook, Plan};
pub(super) use terms::Terms;

impl Action for Asked {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        parameters.checked()
    }

    fn run(self, request: &Request) -> Result<Answer> {
        build(request, self)
    }
}

fn build(request: &Request, mut asked: Asked) -> Result<Answer> {
    let path = asked.given.path.take();
    let of_scope = asked.given.scope.is_some().then(|| Scope::WARNING.to_owned());
    let output = Output::inspect(path.as_ref(), asked.current.take())?;
    let known = known(request, &mut asked, &output)?;
    let (plan, mut warnings) = match Outlook::of(asked, known, &output, request.controls.check_mode)? {
        Outlook::Unknown(warnings) => return Ok(Answer::new(true).warnings(warnings)),
        Outlook::Planned(plan, warnings) => (plan, warnings),
    };
    warnings.extend(of_scope);
    warnings.extend(output.foresee(request));
    let written = output.write(&plan.merged, request)?;
    let answer = Answer::new(written.changed)
        .result("content", written.content)
        .result("path", json!(path.as_ref().map(AbsolutePath::as_str)))
        .warnings(warnings)
        .diff(written.diff);
    let results = results(&plan)?;
    Ok(results.into_iter().fold(answer, |answer, (name, value)| answer.result(name, value)))
}

/// What the request and the registry tell.
fn known(request: &Request, asked: &mut Asked, output: &Output<'_>) -> Result<Known> {
    let Some(hosts) = asked.hosts.take() else { return Ok(Known::default()) };
    let given = &asked.given;
    let terms = Terms {
        only: given.only.as_deref().filter(|only| !only.is_empty()),
        leaves: &[],
        all_archived: false,
        withdraw: given.withdraw,
        prune: given.prune,
    };
    Fleet::read(request, hosts, &given.archived, &[])?.into_known(&terms, output)
}

/// A token as answers tell of it.
pub(super) fn summary(token: &Token) -> Value {
    json!({ "name": token.name, "rules": token.rules().len(), "bytes": token.size() })
}

fn results(plan: &Plan) -> Result<Vec<(&'static str, Value)>> {
    let tokens: Vec<Value> = plan.merged.tokens.iter().map(summary).collect();
    let refused: Vec<Value> = plan
        .refused
        .iter()
        .map(|Refused { host, reason }| {
            json!({ "description": host.description, "ek_public_hash": host.ek_public_hash, "reason": sentence(reason) })
        })
        .collect();
    let rules: Map<String, Value> = plan
        .merged
        .outcome
        .by_fate()
        .map(|(fate, labels)| (fate.to_owned(), json!(labels)))
        .into_iter()
        .collect();
    Ok(vec![
        ("tokens", tokens.into()),
        ("delete", json!(plan.merged.delete)),
        ("rules", rules.into()),
        ("host_tokens", plan.host_tokens()?.into()),
        ("refused", refused.into()),
    ])
}
