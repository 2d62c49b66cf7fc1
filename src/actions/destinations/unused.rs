//! Directories that services wrote to, and that the configuration does not name any more: they are told of, and removed only on request.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::host::{AbsolutePath, Accounts, Directory, Inventory};
use crate::protocol::{Diff, Request};
use crate::teleport::config::{self, Paths};

/// The directories that the configuration named before this request changed it, and that are there still.
pub(super) fn left_over(request: &Request, now: &Paths) -> Vec<String> {
    let Some(former) = &request.earlier.former_config else { return Vec::new() };
    let values = config::values(former).ok().flatten().unwrap_or_default();
    let former = Paths::of(&Value::Object(values)).unwrap_or_default();
    let is_used = |path: &str| used(now).any(|used| overlap(path, used));
    let outputs = former.outputs.into_iter();
    outputs.filter(|path| !is_used(path) && Path::new(path).is_dir()).collect()
}

pub(super) fn warning(path: &str) -> String {
    format!(
        "tbot does not write to {path} any more, and what it has written there stays. To remove the directory, list it in `absent` \
         (tbot_destinations_absent)"
    )
}

/// A directory that is to go, with what is known of it.
pub(super) struct Removal<'a> {
    directory: Directory<'a>,
    inventory: Inventory,
}

/// Looks at the directories that are to go. One that is in use, or holds what `tbot` does not write, is a `conflict`.
pub(super) fn look<'a>(
    absent: &'a [AbsolutePath],
    now: &Paths,
    accounts: Accounts,
) -> Result<Vec<Removal<'a>>> {
    let mut removals = Vec::new();
    for path in absent {
        if let Some(used) = used(now).find(|used| overlap(path.as_str(), used)) {
            let message = format!("{} is not removed: the configuration uses {used}", path.as_str());
            return Err(Error::new(Kind::Conflict, message)
                .hint("take it out of `absent` (tbot_destinations_absent), or out of the configuration"));
        }
        let directory = Directory::inspect(path, accounts)?;
        let inventory = directory.inventory()?;
        if directory.attributes().is_some() {
            removals.push(Removal { directory, inventory });
        }
    }
    Ok(removals)
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

/// All that a configuration has `tbot` write to.
fn used(paths: &Paths) -> impl Iterator<Item = &str> {
    let storage = paths.storage.iter();
    storage.chain(&paths.outputs).chain(&paths.sockets).map(String::as_str)
}

/// Whether one of two paths is the other, or within it.
fn overlap(one: &str, two: &str) -> bool {
    Path::new(one).starts_with(two) || Path::new(two).starts_with(one)
}
