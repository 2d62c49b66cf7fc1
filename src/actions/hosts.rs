//! The hosts that a request gives, as a list, as a registry, or both.

use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::protocol::Request;
use crate::teleport::{self, Identity, Registry};

/// Reads the hosts of `hosts` and `registry`, of which there must be one at least. Hosts stand above the registry's
/// entries of the same description: a playbook in check mode gives what would be recorded.
///
/// In check mode a registry that is not there yet has no hosts.
pub(super) fn given(
    request: &Request,
    hosts: Option<Vec<Identity>>,
    registry: Option<&AbsolutePath>,
) -> Result<Registry> {
    let mut given = match registry {
        Some(directory) if request.controls.check_mode && !directory.as_ref().exists() => Registry::default(),
        Some(directory) => Registry::read(directory.as_ref())?,
        None if hosts.is_some() => Registry::default(),
        None => {
            return Err(Error::invalid(format!("action `{}` needs `hosts` or `registry`", request.action)));
        }
    };
    if let Some(hosts) = hosts {
        given.put_above(teleport::distinct(hosts)?);
    }
    Ok(given)
}

/// Refuses `archived` where it cannot mean hosts of the registry.
pub(super) fn check_archived(
    archived: &[String],
    hosts: Option<&[Identity]>,
    registry: Option<&AbsolutePath>,
) -> Result<()> {
    if registry.is_none() && !archived.is_empty() {
        return Err(Error::invalid("`archived` names hosts of the registry, and needs `registry`"));
    }
    let given = hosts.into_iter().flatten().filter_map(Identity::name);
    match archived.iter().find(|name| given.clone().any(|host| host == *name)) {
        Some(name) => Err(Error::invalid(format!("`archived` names `{name}`, which is given as a host too"))),
        None => Ok(()),
    }
}

/// A problem with a registry's file as a warning.
pub(super) fn warning(problem: &Error) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}
