//! `systemd`: the service that runs `tbot`, as a unit or as a drop-in to another's.

mod parameters;
mod uses;

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::Accounts;
use crate::host::unit::{
    Command, ForeignService, Form, Found, Hardening, Placement, ServiceUnit, Step, UnitFiles, UnitName, Use,
    Wanted,
};
use crate::protocol::{Answer, Diff, Request};
pub(super) use parameters::Parameters;
use parameters::State;

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
            State::Present => present(request, &self, &found),
            State::Absent => absent(request, &self, &found),
        }
    }
}

fn present(request: &Request, parameters: &Parameters, found: &Found<'_>) -> Result<Answer> {
    let form = found.form(parameters.mode, || render(parameters, found, Form::Unit, &mut Vec::new()).ok())?;
    let mut warnings = missing_accounts(parameters)?;
    if !parameters.hardening && parameters.read_write_paths.is_some() {
        warnings.push("parameter `read_write_paths` has no use without `hardening`".to_owned());
    }
    let wanted = render(parameters, found, form, &mut warnings)?;
    if parameters.mode == Placement::DropIn {
        warnings.extend(obstacle(request, found)?);
    }
    let steps = found.present(&wanted, parameters.force)?;
    for step in steps.iter().filter(|_| request.controls.check_mode) {
        warnings.extend(step.missing_directory().map(super::foresee_missing));
    }
    Ok(results(settle(request, &steps)?, steps.first()).warnings(warnings))
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
    // Only compared with, so it does not matter here why there is none.
    let wanted = |form| render(parameters, found, form, &mut Vec::new()).ok();
    let steps = found.absent(parameters.mode, wanted, parameters.force)?;
    let step = steps.iter().find(|step| step.is_change()).or(steps.first());
    Ok(results(settle(request, &steps)?, step).result("content", ""))
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
        .result("content", step.content())
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

fn render(
    parameters: &Parameters,
    found: &Found<'_>,
    form: Form,
    warnings: &mut Vec<String>,
) -> Result<Wanted> {
    let other = if form == Form::DropIn { found.foreign_service()? } else { ForeignService::default() };
    let has_command = form == Form::Unit || parameters.names_command(&other);
    let pid_file = parameters.pid_file()?;
    let hardening = if parameters.hardening {
        let used = uses::find(parameters, &other, has_command, warnings)?;
        let directory = if has_command {
            let directory = pid_file.as_ref().map(|file| file.runtime_directory(&parameters.name, &used));
            directory.transpose()?.flatten()
        } else {
            kept_runtime_directory(&other, &parameters.name, &used, warnings)
        };
        Some(Hardening::new(&used, directory.as_deref())?)
    } else {
        None
    };
    ServiceUnit {
        name: &parameters.name,
        user: &parameters.user,
        group: &parameters.group,
        supplementary_groups: &parameters.supplementary_groups,
        anonymous_telemetry: parameters.anonymous_telemetry,
        command: Command {
            config: parameters.config(&other),
            tbot_path: parameters.tbot_path(&other),
            pid_file: pid_file.as_ref(),
        },
        drop_in_has_command: has_command,
        hardening: hardening.as_ref(),
    }
    .render(form)
}

/// The directory for the pid file that the command writes that a drop-in leaves to its unit. Elsewhere it is
/// nothing that could be mended here without that command.
fn kept_runtime_directory(
    other: &ForeignService,
    name: &UnitName,
    used: &Use,
    warnings: &mut Vec<String>,
) -> Option<String> {
    let pid_file = other.pid_file.as_ref()?;
    pid_file.runtime_directory(name, used).unwrap_or_else(|_| {
        warnings.push(format!(
            "the command of the unit that the drop-in adds to writes a pid file, {}, and `hardening` does not let it; \
             give another `pid_file`, or an empty one for none, and the drop-in has the command",
            pid_file.path().as_str()
        ));
        None
    })
}
