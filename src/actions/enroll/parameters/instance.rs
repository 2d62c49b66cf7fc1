//! What an instance asks for: what the unnamed bot does, with a bot and tokens of its own.

use super::{Asked, Parameters, WantedBot};
use crate::actions::instances::Instance;
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::teleport::Scope;

impl Parameters {
    /// The same for an instance.
    pub(in super::super) fn of_instance(&self, instance: &Instance) -> Result<Asked> {
        let (bot_name, name) = (instance.bot_name()?, instance.token_name()?);
        let path = self.path.as_ref().map(|path| beside(path, name.as_str())).transpose()?;
        // Where nobody joins as it in this run, it is not made.
        let is_for_nobody = instance.is_absent() || instance.hosts.as_ref().is_some_and(Vec::is_empty);
        let is_managed = instance.bot_roles.is_some() && !is_for_nobody;
        let bot = is_managed.then(|| WantedBot {
            name: None,
            roles: instance.bot_roles.clone(),
            traits: instance.bot_traits.clone(),
        });
        let mut same = self.clone();
        (same.name, same.bot_name, same.bot, same.path) = (name, Some(bot_name), bot, path);
        if let Some(hosts) = &instance.hosts {
            // Nobody joins as one that goes, and no host that the request is not about.
            let hosts = hosts.iter().filter(|_| !instance.is_absent()).chain(&instance.leaves);
            let is_asked = |host: &&String| self.only.as_ref().is_none_or(|only| only.contains(host));
            same.only = Some(hosts.filter(is_asked).cloned().collect());
            // What is in the registry says nothing of who else has it.
            same.prune = false;
        }
        let mut asked = same.checked()?;
        // It is said once.
        asked.warnings.retain(|warning| warning != Scope::WARNING);
        asked.leaves.clone_from(&instance.leaves);
        asked.all_leave = instance.is_absent() && instance.hosts.is_none() && instance.leaves.is_empty();
        asked.is_for_some = instance.hosts.is_some();
        asked.is_for_nobody = is_for_nobody;
        Ok(asked)
    }
}

/// The file of a token beside that of another.
fn beside(path: &AbsolutePath, name: &str) -> Result<AbsolutePath> {
    let folder = path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
    AbsolutePath::try_from(format!("{folder}/{name}.yaml")).map_err(Error::invalid)
}
