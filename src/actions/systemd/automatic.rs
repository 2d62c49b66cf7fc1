//! Whether a service is hardened, where the request does not say: one whose file is written anew is. A file that says already what it is
//! to say stays as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::rendering::render;
use super::{Parameters, uses};
use crate::host::unit::{ForeignService, Form, Found, Step};
use crate::host::user_name;
use crate::protocol::Request;

/// Below these, only root's capabilities open ports (ip(7)).
const FIRST_FREE_PORT: u16 = 1024;

pub(super) fn is_hardened(
    request: &Request,
    parameters: &Parameters,
    found: &Found<'_>,
    warnings: &mut Vec<String>,
) -> bool {
    let (hardened, plain) = (parameters.with_hardening(true), parameters.with_hardening(false));
    // Package managers take long to answer, so what needs no change comes first.
    let is_kept = is_said(request, &plain, found);
    if is_kept && !request.controls.check_mode {
        return false;
    }
    match obstacle(request, &hardened, found) {
        // One that is hardened stays so, and what is wrong then is said as an error.
        Some(Obstacle::NoConfiguration | Obstacle::Unknown(_)) if found.is_hardened() => true,
        Some(Obstacle::NoConfiguration) => false,
        Some(Obstacle::Unknown(why) | Obstacle::Use(why)) => {
            warnings.push(format!(
                "the service {} is not hardened: {why}. If it is to stay so, set `hardening: false`",
                parameters.name
            ));
            false
        }
        None if is_kept => {
            warnings.push(format!(
                "the service {} is not hardened. Its next change hardens it; to keep it as it is, set `hardening: false`",
                parameters.name
            ));
            false
        }
        None => true,
    }
}

/// What stands in the way of a hardened service.
enum Obstacle {
    /// Nobody knows what it writes.
    NoConfiguration,
    /// Nobody can tell what it writes.
    Unknown(String),
    /// What it does would not work.
    Use(String),
}

fn obstacle(request: &Request, hardened: &Parameters, found: &Found<'_>) -> Option<Obstacle> {
    let form = found.form(hardened.mode, || None).ok()?;
    let other = if form == Form::DropIn { found.foreign_service().ok()? } else { ForeignService::default() };
    let file = hardened.config(&other);
    if hardened.read_write_paths.is_none() && !request.earlier.has(file) {
        return Some(Obstacle::NoConfiguration);
    }
    if let Err(error) = render(hardened, &request.earlier, found, form, &mut Vec::new()) {
        return Some(Obstacle::Unknown(error.message));
    }
    let paths = uses::read(file, &request.earlier, true, &mut Vec::new()).ok()?;
    if let Some(port) = paths.ports.iter().find(|port| **port < FIRST_FREE_PORT) {
        return Some(Obstacle::Use(format!(
            "tbot listens at port {port}, which a hardened service may not open"
        )));
    }
    let outputs = paths.storage.iter().chain(&paths.outputs);
    let (path, owner) = outputs.filter(|_| hardened.is_of_root()).find_map(|path| {
        let owner = fs::metadata(path).ok()?.uid();
        (owner != 0).then_some((path, owner))
    })?;
    Some(Obstacle::Use(format!(
        "{path} belongs to {}, and root may not write there without its capabilities",
        user_name(owner)
    )))
}

/// Whether what is there says already what these parameters ask for.
fn is_said(request: &Request, parameters: &Parameters, found: &Found<'_>) -> bool {
    let render = |form| render(parameters, &request.earlier, found, form, &mut Vec::new());
    let Ok(form) = found.form(parameters.mode, || render(Form::Unit).ok()) else { return false };
    let Ok(wanted) = render(form) else { return false };
    found
        .present(&wanted, parameters.force)
        .is_ok_and(|steps| !steps.is_empty() && !steps.iter().any(Step::is_change))
}
