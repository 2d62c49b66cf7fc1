//! Directories that services wrote to, and that the configuration does not name any more: they are told of, and removed only on request.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Accounts, Directory, Inventory};
use crate::protocol::{Diff, Request};
use crate::teleport::config::{self, Paths};

/// What `tbot` works in now, and did before this request.
pub(super) struct Uses {
    now: Vec<PathBuf>,
    before: Vec<String>,
}

/// A directory that is to go, with what is known of it.
pub(super) struct Removal<'a> {
    directory: Directory<'a>,
    inventory: Inventory,
}

impl Uses {
    /// By this configuration, and by those of the host's other bots.
    pub fn of(request: &Request, now: &Paths) -> Self {
        let now = now.storage.iter().chain(&now.outputs).chain(&now.sockets).chain(&request.earlier.in_use);
        let former = request.earlier.former_config.as_deref().and_then(|text| config::values(text).ok());
        let former = Paths::of(&Value::Object(former.flatten().unwrap_or_default())).unwrap_or_default();
        Self { now: now.map(|path| resolved(path)).collect(), before: former.outputs }
    }

    /// The directories that were used before, are not any more, and are there still.
    pub fn left_over(&self) -> Vec<String> {
        let outputs = self.before.iter().filter(|path| self.user_of(&resolved(path)).is_none());
        outputs.filter(|path| Path::new(path).is_dir()).cloned().collect()
    }

    /// What is used there, or around it, or within it.
    fn user_of(&self, path: &Path) -> Option<&Path> {
        self.now.iter().map(PathBuf::as_path).find(|used| overlap(path, used))
    }

    /// Looks at a directory that is to go. One that is in use, is somebody's, or holds what `tbot` does not write, is a `conflict`; none
    /// where it is not there.
    fn look<'a>(&self, absent: &'a AbsolutePath, accounts: Accounts) -> Result<Option<Removal<'a>>> {
        let refused = |why: String| {
            let message = format!("{} is not removed: {why}", absent.as_str());
            Err(Error::new(Kind::Conflict, message)
                .hint("take it out of `absent` (tbot_destinations_absent), or remove it by hand"))
        };
        let directory = Directory::inspect(absent, accounts)?;
        // Whichever links of root's lead to either.
        for path in [directory.path(), resolved(absent.as_str())] {
            if let Some(used) = self.user_of(&path) {
                return refused(format!("a bot uses {}", used.display()));
            }
        }
        let Some(found) = directory.attributes() else { return Ok(None) };
        if ![Some(0), accounts.user].contains(&Some(found.user)) {
            return refused(format!("it belongs to {}", host::user_name(found.user)));
        }
        let inventory = directory.inventory()?;
        Ok(Some(Removal { directory, inventory }))
    }

    /// The directories that are to go now. A process that began before this request may write to one still; that one goes later.
    pub fn removals<'a>(
        &self,
        absent: &'a [AbsolutePath],
        accounts: Accounts,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Removal<'a>>> {
        let mut removals = Vec::new();
        for path in absent {
            let removal = self.look(path, accounts)?;
            let leads_to = resolved(path.as_str());
            if removal.is_some() && self.before.iter().any(|used| overlap(&resolved(used), &leads_to)) {
                warnings.push(later(path));
            } else {
                removals.extend(removal);
            }
        }
        Ok(removals)
    }
}

impl Removal<'_> {
    pub fn apply(&self) -> Result<()> {
        self.directory.remove(&self.inventory)
    }

    pub fn difference(&self) -> Diff {
        let path = self.directory.path().display().to_string();
        Diff::of(path, self.directory.describe(), "state: absent\n")
    }
}

pub(super) fn warning(path: &str) -> String {
    format!(
        "tbot does not write to {path} any more, and what it has written there stays. To remove the directory, list it in `absent` \
         (tbot_destinations_absent)"
    )
}

fn later(path: &AbsolutePath) -> String {
    format!(
        "{} is removed by the next run: until this one has restarted tbot, it may write there",
        path.as_str()
    )
}

/// Where a path leads.
fn resolved(path: &str) -> PathBuf {
    let parsed = AbsolutePath::try_from(path.to_owned()).ok();
    parsed
        .and_then(|path| path.resolved())
        .map_or_else(|| PathBuf::from(path), |path| path.as_ref().to_owned())
}

/// Whether one of two paths is the other, or within it.
fn overlap(one: &Path, two: &Path) -> bool {
    one.starts_with(two) || two.starts_with(one)
}
