//! The hosts that a request gives, as a list, as a registry, or both.

use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::protocol::Request;
use crate::teleport::registry::Unusable;
use crate::teleport::{self, Identity, Registry};

/// The hosts that an action is given: a list of different ones, a registry, or both.
#[derive(Clone)]
pub(super) struct Hosts {
    listed: Vec<Identity>,
    registry: Option<AbsolutePath>,
}

impl Hosts {
    /// Refuses to have neither, and a list whose hosts contradict each other.
    pub(super) fn checked(
        action: &str,
        listed: Option<Vec<Identity>>,
        registry: Option<AbsolutePath>,
    ) -> Result<Self> {
        if listed.is_none() && registry.is_none() {
            return Err(Error::invalid(format!("action `{action}` needs `hosts` or `registry`")));
        }
        Ok(Self { listed: listed.map_or_else(|| Ok(Vec::new()), teleport::distinct)?, registry })
    }

    /// The registry's directory.
    pub(super) fn registry(&self) -> Option<&AbsolutePath> {
        self.registry.as_ref()
    }

    /// Reads the registry. The listed hosts stand above its entries of the same description: a playbook in check mode gives
    /// what would be recorded.
    ///
    /// In check mode a registry that is not there yet has no hosts.
    pub(super) fn read(self, request: &Request) -> Result<Registry> {
        let mut given = match &self.registry {
            None => Registry::default(),
            Some(directory) if request.controls.check_mode && !directory.as_ref().exists() => {
                Registry::default()
            }
            Some(directory) => Registry::read(directory.as_ref())?,
        };
        given.put_above(self.listed);
        Ok(given)
    }
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

/// A file of the registry that cannot be used, as a warning: its host is left out.
pub(super) fn left_out(file: &Unusable) -> String {
    format!("left out: {}", warning(&file.problem))
}
