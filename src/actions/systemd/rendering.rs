//! What the unit or drop-in says, by the request, the unit that a drop-in adds to, and `tbot`'s configuration.

use super::{Parameters, in_run, uses};
use crate::error::Result;
use crate::host::unit::{
    Command, ForeignService, Form, Found, Hardening, PidFile, PidFileChoice, ServiceUnit, Use, Wanted,
    runtime_directories,
};
use crate::host::{AbsolutePath, is_shared_directory};
use crate::protocol::Earlier;

/// The text of this form. What the service may lack then goes into `warnings`.
pub(super) fn render(
    parameters: &Parameters,
    earlier: &Earlier,
    found: &Found<'_>,
    form: Form,
    warnings: &mut Vec<String>,
) -> Result<Wanted> {
    let other = if form == Form::DropIn { found.foreign_service()? } else { ForeignService::default() };
    let has_command = form == Form::Unit || parameters.names_command(&other);
    let usual = parameters.pid_file()?;
    let choice = if parameters.gives_pid_file() {
        PidFileChoice::Given(usual.as_ref())
    } else if form == Form::DropIn && (!has_command || other.arguments.is_some()) {
        PidFileChoice::Unit
    } else {
        PidFileChoice::Usual(usual.as_ref())
    };
    let file = match choice {
        PidFileChoice::Unit => other.pid_file.as_ref(),
        PidFileChoice::Usual(file) | PidFileChoice::Given(file) => file,
    };
    let is_units = matches!(choice, PidFileChoice::Unit);
    // Whoever decides on the file here can choose a better place for a hardened service.
    let made_pid_file = file.filter(|file| {
        file.is_right_in_run() && !parameters.can_write_run() && (is_units || !parameters.is_hardened())
    });
    let mut used = used(parameters, earlier, &other, has_command, warnings)?;
    let directory = match file {
        Some(file) if made_pid_file.is_none() => own_directory(parameters, file, &used, is_units, warnings)?,
        _ => None,
    };
    used.may_write.extend(made_pid_file.map(|file| file.path().clone()));
    let hardening =
        parameters.is_hardened().then(|| Hardening::new(&used, directory.as_deref())).transpose()?;
    let mut directories: Vec<String> = directory.into_iter().collect();
    for needed in in_run::find(parameters, earlier, found, &other, warnings) {
        if !directories.contains(&needed) {
            directories.push(needed);
        }
    }
    let directories = runtime_directories(&directories, &used);
    ServiceUnit {
        name: &parameters.name,
        user: &parameters.user,
        group: &parameters.group,
        supplementary_groups: &parameters.supplementary_groups,
        anonymous_telemetry: parameters.anonymous_telemetry,
        command: Command {
            config: parameters.config(&other),
            tbot_path: parameters.tbot_path(&other),
            pid_file: choice,
            kept: other.arguments.as_ref().filter(|_| form == Form::DropIn),
        },
        drop_in_has_command: has_command,
        runtime_directories: &directories,
        made_pid_file,
        hardening: hardening.as_ref(),
    }
    .render(form)
}

/// What the service uses. Without hardening it matters only for what the configuration keeps in the directory of the
/// pid file, so there nothing of it is an error.
fn used(
    parameters: &Parameters,
    earlier: &Earlier,
    other: &ForeignService,
    has_command: bool,
    warnings: &mut Vec<String>,
) -> Result<Use> {
    if !parameters.is_hardened() {
        return Ok(uses::find(parameters, other, has_command, earlier, &mut Vec::new()).unwrap_or_default());
    }
    let mut used = uses::find(parameters, other, has_command, earlier, warnings)?;
    used.may_write.extend(other.updater_socket.as_ref().and_then(|socket| directory_of(socket, warnings)));
    Ok(used)
}

/// The directory of the socket that `teleport-update` asks.
fn directory_of(socket: &AbsolutePath, warnings: &mut Vec<String>) -> Option<AbsolutePath> {
    let directory = socket.parent()?;
    if !is_shared_directory(directory.as_ref()) {
        return Some(directory);
    }
    warnings.push(format!(
        "teleport-update watches the service by {}, and `hardening` does not let tbot make a socket in {}, which others \
         use too. tbot may fail to start, and updates may be reverted",
        socket.as_str(),
        directory.as_str()
    ));
    None
}

/// The directory for the pid file. What a unit's own command writes anywhere else than it may is nothing that could be
/// mended here.
fn own_directory(
    parameters: &Parameters,
    file: &PidFile,
    used: &Use,
    is_units: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<String>> {
    if parameters.can_write_run() {
        return Ok(None);
    }
    let directory = file.runtime_directory(&parameters.name, used, parameters.is_hardened());
    if !is_units {
        return directory;
    }
    Ok(directory.unwrap_or_else(|_| {
        warnings.push(format!(
            "the command of the unit that the drop-in adds to writes a pid file, {}, and {} does not let it. Give another \
             `pid_file`, or an empty one for none, and the drop-in has the command",
            file.path().as_str(),
            if parameters.is_hardened() { "`hardening`" } else { "its user" }
        ));
        None
    }))
}
