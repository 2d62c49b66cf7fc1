//! The hosts that a request gives, as a list or as a registry.

use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::protocol::Request;
use crate::teleport::{self, Identity, Registry};

/// Reads the hosts of `hosts` or `registry`, of which there must be one.
///
/// In check mode a registry that is not there yet has no hosts.
pub(super) fn given(
    request: &Request,
    hosts: Option<Vec<Identity>>,
    registry: Option<&AbsolutePath>,
) -> Result<Registry> {
    match (hosts, registry) {
        (Some(hosts), None) => Ok(Registry { identities: teleport::distinct(hosts)?, ..Registry::default() }),
        (None, Some(directory)) if request.controls.check_mode && !directory.as_ref().exists() => {
            Ok(Registry::default())
        }
        (None, Some(directory)) => Registry::read(directory.as_ref()),
        _ => Err(Error::invalid(format!(
            "action `{}` needs either `hosts` or `registry`, and not both",
            request.action
        ))),
    }
}

/// A problem with a registry's file as a warning.
pub(super) fn warning(problem: &Error) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}
