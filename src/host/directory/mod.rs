//! A private directory: made, put right, or removed, whatever others do meanwhile.

mod acl;
mod contents;
mod mount;
mod output;
mod removal;
mod selinux;
mod system;
mod trust;
mod walk;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode as Bits, fchmod, fchown, fstat, fsync, mkdirat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, umask};

use super::reopen::{reopened, sync};
use super::{AbsolutePath, Accounts, Attributes, Mode, user_name};
use crate::error::{Error, Kind, Result};
use crate::message::shown;
use acl::Acl;
use contents::Findings;
use mount::is_mount_point;
pub use output::OutputDirectory;
pub use removal::Inventory;
use selinux::Label;
pub use system::is_shared_directory;
pub use trust::Trust;
pub(super) use walk::{Place, Step, Walk};

/// What is refused, in a message.
const DIRECTORIES: &str = "directories";
/// The mode of parents that have to be made.
const PARENT_MODE: Mode = Mode::new(0o755);
/// The mode that a new directory has before it gets its owner.
const NEW_MODE: Mode = Mode::new(0o700);

/// A directory that is to be a bot's own, and what is wrong with it. It is looked at once, for check mode and
/// for the run alike.
pub struct Directory<'a> {
    walk: Walk<'a>,
    trust: Trust,
    place: Place,
    accounts: Accounts,
    existing: Option<Existing>,
}

struct Existing {
    directory: OwnedFd,
    attributes: Attributes,
    acls: Vec<Acl>,
    findings: Findings,
    labels: Vec<Label>,
}

impl<'a> Directory<'a> {
    /// Looks at `path` and what is in it, which is to belong to `accounts`.
    ///
    /// `unsafe_path` where it is a directory of the system, a symbolic link or no directory, and where anyone
    /// could have led it elsewhere but root, the user that this process runs as, and its future owner.
    pub fn inspect(path: &'a AbsolutePath, accounts: Accounts) -> Result<Self> {
        let trust = Trust::in_owner(accounts.user);
        let walk = Walk::to_own_directory(path.as_ref(), trust);
        let mut place = walk.to_the_end()?;
        let existing = match place.target.take() {
            Some((target, found)) => {
                refuse_strangers(&walk, &place.parent, trust, found.st_uid, DIRECTORIES)?;
                let failed = |error| Error::io(&format!("look into {}", path.as_str()), &error);
                let directory = reopened(target).map_err(failed)?;
                let labels = if selinux::is_on() { selinux::wrong(&place.path())? } else { Vec::new() };
                Some(Existing {
                    attributes: Attributes::of(&found),
                    acls: Acl::widening(&directory).map_err(failed)?,
                    findings: contents::look(&directory, accounts).map_err(failed)?,
                    labels,
                    directory,
                })
            }
            None => None,
        };
        Ok(Self { walk, trust, place, accounts, existing })
    }

    /// Where the directory is: the path that was given, but for symbolic links of root's on the way.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Owner, group and mode of the directory that is there now.
    #[must_use]
    pub fn attributes(&self) -> Option<Attributes> {
        self.existing.as_ref().map(|existing| existing.attributes)
    }

    /// What the directory should have: an owner or group that is not given stays as it is.
    #[must_use]
    pub fn wanted(&self, mode: Mode) -> Attributes {
        Attributes::wanted(self.attributes(), self.accounts, mode)
    }

    /// What is there, as lines for a diff: owner, group and mode, and whatever else is wrong.
    #[must_use]
    pub fn describe(&self) -> String {
        let Some(existing) = &self.existing else { return "state: absent\n".to_owned() };
        let mut text = format!("state: directory\n{}", existing.attributes.describe());
        list(&mut text, "acl", &existing.acls.iter().flat_map(Acl::describe).collect::<Vec<_>>());
        list(&mut text, "content", &existing.findings.before);
        list(&mut text, "labels", &existing.labels(|label| &label.current));
        text
    }

    /// The same lines as they should be. They are those of [`Self::describe`] where nothing is to be done.
    #[must_use]
    pub fn describe_wanted(&self, wanted: Attributes) -> String {
        let mut text = format!("state: directory\n{}", wanted.describe());
        match &self.existing {
            Some(existing) => {
                list(&mut text, "content", &existing.findings.after);
                list(&mut text, "labels", &existing.labels(|label| &label.wanted));
            }
            None => list(&mut text, "parents made", &self.missing_parents()),
        }
        text
    }

    /// What a person should know although it is not changed.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let Some(Existing { findings, acls, .. }) = &self.existing else { return Vec::new() };
        let own = acls.iter().flat_map(Acl::describe);
        let acls: Vec<String> = own.chain(findings.acls.iter().cloned()).collect();
        let all = [
            ("others than their owner may read or change", &findings.open_to_others),
            ("ACL entries that let others in are removed", &acls),
            ("left alone", &findings.left_alone),
        ];
        let found = all.into_iter().filter(|(_, names)| !names.is_empty());
        found.map(|(what, names)| format!("{what}: {}", shown(names))).collect()
    }

    /// Makes the directory and its missing parents, or puts it right with everything in it. Nothing is ever
    /// wider open than before or than `wanted`, not for a moment.
    pub fn apply(&self, wanted: Attributes) -> Result<()> {
        let failed = |error| Error::io(&format!("prepare the directory {}", self.path().display()), &error);
        // What is made has the mode that it is made with.
        umask(Bits::from_raw_mode(!PARENT_MODE.bits() & 0o777));
        match &self.existing {
            Some(existing) => {
                put_right(&existing.directory, wanted).map_err(failed)?;
                contents::put_right(&existing.directory, self.accounts).map_err(failed)?;
                if !existing.labels.is_empty() {
                    selinux::restore(&self.path(), true)?;
                }
            }
            None => self.make(wanted)?,
        }
        Ok(())
    }

    fn make(&self, wanted: Attributes) -> Result<()> {
        let failed = |error: io::Error| self.failed_to_make(&error);
        let Some((name, parents)) = self.place.names.split_last() else { return Ok(()) };
        let mut made: Option<Step> = None;
        for parent in parents {
            let above = made.as_ref().unwrap_or(&self.place.parent);
            let directory = self.make_parent(above, parent)?;
            let step = self.walk.step_into_made(above, parent, directory)?;
            label_new(&step.path)?;
            made = Some(step);
        }
        let parent = made.as_ref().unwrap_or(&self.place.parent);
        let is_new = make(&parent.directory, name, NEW_MODE).map_err(failed)?;
        let prepare = || -> Result<()> {
            let directory = self.walk.open_directory(parent, name)?;
            let owner = fstat(&directory).map_err(|error| failed(error.into()))?.st_uid;
            refuse_strangers(&self.walk, parent, self.trust, owner, DIRECTORIES)?;
            put_right(&directory, wanted).map_err(failed)?;
            label_new(&self.path())?;
            sync(&parent.directory).map_err(failed)
        };
        prepare().inspect_err(|_| {
            if is_new {
                // Empty as it is; one that another process has put something into stays.
                let _ = unlinkat(&parent.directory, name, AtFlags::REMOVEDIR);
            }
        })
    }

    /// Makes a directory on the way, root's or the caller's own, whatever the one above hands down.
    fn make_parent(&self, above: &Step, name: &OsStr) -> Result<OwnedFd> {
        let failed = |error: io::Error| self.failed_to_make(&error);
        let is_new = make(&above.directory, name, PARENT_MODE).map_err(failed)?;
        let directory = self.walk.open_directory(above, name)?;
        if is_new {
            let wanted = Attributes::wanted(None, Accounts::default(), PARENT_MODE);
            put_right(&directory, wanted).and_then(|()| sync(&above.directory)).map_err(failed)?;
        }
        Ok(directory)
    }

    fn failed_to_make(&self, error: &io::Error) -> Error {
        Error::io(&format!("make the directory {}", self.path().display()), error)
    }

    fn missing_parents(&self) -> Vec<String> {
        let count = self.place.names.len().saturating_sub(1);
        let mut path = self.place.parent.path.clone();
        let name = |name| {
            path.push(name);
            path.display().to_string()
        };
        self.place.names.iter().take(count).map(name).collect()
    }

    /// What the directory holds, where it is to be removed. A `conflict` where it is not a bot's directory,
    /// or something is mounted there.
    pub fn inventory(&self) -> Result<Inventory> {
        let Some(existing) = &self.existing else { return Ok(Inventory::default()) };
        let path = self.path();
        let inventory = removal::inventory(&existing.directory)
            .map_err(|error| Error::io(&format!("look into {}", path.display()), &error))?;
        // It could be emptied, but not removed.
        let is_mounted = is_mount_point(&existing.directory) == Some(true);
        if inventory.is_a_bots() && !is_mounted {
            return Ok(inventory);
        }
        let what = match inventory.strange.as_slice() {
            _ if is_mounted => "is a mount point".to_owned(),
            [] => "holds none of the files by which a bot's directory is known".to_owned(),
            strange => format!("holds what is not known to be a bot's: {}", shown(strange)),
        };
        Err(Error::new(Kind::Conflict, format!("{} {what}; nothing was removed", path.display()))
            .hint("move away what is to stay, or unmount or remove the directory yourself"))
    }

    /// Removes the directory with these files.
    pub fn remove(&self, inventory: &Inventory) -> Result<()> {
        let (Some(existing), Some(name)) = (&self.existing, self.place.names.last()) else { return Ok(()) };
        let parent = &self.place.parent.directory;
        removal::remove(&existing.directory, &inventory.files, parent, Path::new(name))
            .and_then(|()| sync(parent))
            .map_err(|error| Error::io(&format!("remove {}", self.path().display()), &error))
    }
}

impl Existing {
    fn labels(&self, context: impl Fn(&Label) -> &String) -> Vec<String> {
        self.labels.iter().map(|label| format!("{}: {}", label.path, context(label))).collect()
    }
}

/// Where everybody may put something, what is somebody else's is not to be trusted: whatever is in it, and whoever has it
/// open, was there before.
pub(super) fn refuse_strangers(
    walk: &Walk<'_>,
    parent: &Step,
    trust: Trust,
    owner: u32,
    kind: &str,
) -> Result<()> {
    if parent.is_shared && !trust.is_trusted(owner) {
        return Err(walk.refused(&format!(
            "belongs to {}, and anyone can make {kind} in {}",
            user_name(owner),
            parent.path.display()
        )));
    }
    Ok(())
}

/// Gives a directory its owner, group and mode. What is too wide is closed first; ACLs go when its former owner
/// can't add to them any more; and the mode comes last, since chown(2) may clear bits of it.
fn put_right(directory: &OwnedFd, wanted: Attributes) -> io::Result<()> {
    let now = || -> io::Result<Attributes> { Ok(Attributes::of(&fstat(directory)?)) };
    let found = now()?;
    let both = found.mode.bits() & wanted.mode.bits();
    if found.mode.bits() != both {
        fchmod(directory, Bits::from_raw_mode(both))?;
    }
    if found.owners() != wanted.owners() {
        let (user, group) = wanted.owners();
        fchown(directory, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    for acl in Acl::widening(directory)? {
        acl.remove(directory)?;
    }
    if now()?.mode != wanted.mode {
        fchmod(directory, Bits::from_raw_mode(wanted.mode.bits()))?;
    }
    Ok(fsync(directory)?)
}

/// Makes one directory: whether it was this process that did, since another may be doing the same.
fn make(parent: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<bool> {
    match mkdirat(parent, name, Bits::from_raw_mode(mode.bits())) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn label_new(path: &Path) -> Result<()> {
    if selinux::is_on() { selinux::restore(path, false) } else { Ok(()) }
}

/// Adds a list to a description, but for an empty one.
fn list(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        // A `String` takes everything.
        let _ = writeln!(text, "{title}:\n  {}", lines.join("\n  "));
    }
}

/// Refuses a path that names a directory of the system, wherever it may lead.
pub fn refuse_of_the_system(path: &AbsolutePath) -> Result<()> {
    if system::is_of_the_system(path.as_ref()) {
        return Err(
            Walk::to_own_directory(path.as_ref(), Trust::in_root()).refused("is a directory of the system")
        );
    }
    Ok(())
}
