//! `systemd`: the service that runs `tbot`, as a unit or as a drop-in to another's.

mod automatic;
mod in_run;
mod parameters;
mod rendering;
mod uses;

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::Accounts;
use crate::host::unit::{Form, Found, Placement, Step, UnitFiles};
use crate::protocol::{Answer, Diff, Request};
use crate::secrets;
pub(super) use parameters::Parameters;
use parameters::State;
use rendering::render;

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        if parameters.state == State::Present {
            parameters.pid_file()?;
        }
        Ok(parameters)
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let files = UnitFiles::new(&self.directory, &self.name);
        let found = files.inspect()?;
        match self.state {
            State::Present => present(request, self.clone(), &found),
            State::Absent => absent(request, &self, &found),
        }
    }
}

fn present(request: &Request, mut parameters: Parameters, found: &Found<'_>) -> Result<Answer> {
    let mut warnings = Vec::new();
    if parameters.hardening.is_none() {
        parameters.hardening = Some(automatic::is_hardened(request, &parameters, found, &mut warnings));
    }
    let parameters = &parameters;
    let form = found.form(parameters.mode, || {
        render(parameters, &request.earlier, found, Form::Unit, &mut Vec::new()).ok()
    })?;
    warnings.extend(missing_accounts(parameters)?);
    if !parameters.is_hardened() && parameters.read_write_paths.is_some() {
        warnings.push("parameter `read_write_paths` has no use without `hardening`".to_owned());
    }
    let wanted = render(parameters, &request.earlier, found, form, &mut warnings)?;
    if parameters.mode == Placement::DropIn {
        warnings.extend(obstacle(request, found)?);
    }
    let steps = found.present(&wanted, parameters.force)?;
    let answer = results(settle(request, &steps)?, steps.first());
    Ok(answer.result("hardened", parameters.is_hardened()).warnings(warnings))
}

/// What keeps the service from starting, unless somebody makes it before.
fn missing_accounts(parameters: &Parameters) -> Result<Vec<String>> {
    let (_, mut missing) = Accounts::find(Some(&parameters.user), Some(&parameters.group))?;
    for group in &parameters.supplementary_groups {
        missing.extend(Accounts::find(None, Some(group))?.1);
    }
    missing.sort();
    missing.dedup();
    Ok(missing.iter().map(|what| format!("{what}, without which the service cannot start")).collect())
}

fn absent(request: &Request, parameters: &Parameters, found: &Found<'_>) -> Result<Answer> {
    let steps = found.absent(parameters.mode, parameters.force);
    let left = found.left_in_place(&steps)?;
    let step = steps.iter().find(|step| step.is_change()).or(steps.first());
    Ok(results(settle(request, &steps)?, step).result("content", "").warnings(left))
}

/// Does the steps, but in check mode, and says what changed.
fn settle(request: &Request, steps: &[Step<'_>]) -> Result<Answer> {
    if !request.controls.check_mode {
        steps.iter().try_for_each(Step::settle)?;
    }
    let changes: Vec<&Step<'_>> = steps.iter().filter(|step| step.is_change()).collect();
    let headers: Vec<String> = changes.iter().map(|step| step.path().display().to_string()).collect();
    let (before, after): (Vec<String>, Vec<String>) = changes.iter().map(|step| step.describe()).unzip();
    Ok(Answer::new(!changes.is_empty())
        .result("needs_daemon_reload", steps.iter().any(|step| step.matters))
        .diff(Some(Diff::of(headers.join(" and "), before.concat(), after.concat()))))
}

fn results(answer: Answer, step: Option<&Step<'_>>) -> Answer {
    let Some(step) = step else { return answer };
    let mode = match step.form {
        Form::Unit => "unit",
        Form::DropIn => "drop_in",
    };
    answer
        .result("path", step.path().display().to_string())
        .result("content", secrets::mask(step.content()))
        .result("mode", mode)
}

/// Why a drop-in would be no good: an error where it would cost the only unit that there is. In check mode an
/// earlier task may be about to install a package with one.
fn obstacle(request: &Request, found: &Found<'_>) -> Result<Option<String>> {
    match found.obstacle_to_drop_in()? {
        Some(obstacle) if found.has_our_unit() && !request.controls.check_mode => {
            Err(Error::new(Kind::Conflict, obstacle)
                .hint("install the unit that the drop-in is for first, or use `mode: unit`"))
        }
        obstacle => Ok(obstacle),
    }
}
