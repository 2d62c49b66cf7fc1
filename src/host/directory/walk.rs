//! Walks to where a path leads, from one open directory to the next, so that nobody can change the way
//! behind it, and stops where somebody could have laid it.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::system;
use super::trust::{Trust, everybody_writes, is_root, is_sticky, others_write};
use crate::error::{Error, Kind, Result};
use crate::host::user_name;

/// Symbolic links that a path may go through, as in the kernel (`path_resolution(7)`).
const MOST_LINKS: usize = 40;
const OWN_HINT: &str = "give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot";
const FILES_HINT: &str = "have each directory and link on the way belong to root or to the user who runs this, \
    and writable by nobody else (chown, chmod go-w), or give another path";

/// A directory on the way, opened as a place only (`O_PATH`).
#[derive(Debug)]
pub struct Step {
    /// Where it is, without symbolic links.
    pub path: PathBuf,
    /// What it is opened as.
    pub directory: OwnedFd,
    /// Whether others may put something into it.
    pub is_shared: bool,
    /// Whose it is, together with all above it.
    whose: Whose,
}

/// Whose a directory is, together with all above it.
#[derive(Debug, Clone, Copy)]
struct Whose {
    /// Root's, and not writable by others.
    is_roots: bool,
    /// The same, but for directories in which each user can change only what is the user's own.
    keeps_roots: bool,
    /// Root's or the caller's, and not writable by others.
    is_own: bool,
}

/// Where a path leads.
#[derive(Debug)]
pub struct Place {
    /// The last directory on the way that exists.
    pub parent: Step,
    /// The names below it: directories that are missing, and last the target's own, where there is a target.
    pub names: Vec<OsString>,
    /// What the path leads to, as a place only, where it exists.
    pub target: Option<(OwnedFd, Stat)>,
}

impl Place {
    /// The path without symbolic links.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let mut path = self.parent.path.clone();
        path.extend(&self.names);
        path
    }
}

/// What a path is walked to for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A directory that is to be the bot's own, and no link.
    Target,
    /// A directory to put files into, wherever it is.
    Directory,
}

/// One walk.
pub struct Walk<'a> {
    path: &'a Path,
    trust: Trust,
    /// What is done with the path, in errors of the operating system.
    verb: &'static str,
    /// What to do where it is refused.
    hint: &'static str,
    /// Whether the kernel has openat2(2), as far as it is known yet.
    has_openat2: Cell<bool>,
}

impl<'a> Walk<'a> {
    /// A walk along the absolute `path` to a directory of a bot's own that trusts these users.
    #[must_use]
    pub fn to_own_directory(path: &'a Path, trust: Trust) -> Self {
        Self { path, trust, verb: "look at", hint: OWN_HINT, has_openat2: Cell::new(true) }
    }

    /// The same to a file, or to a directory of files.
    #[must_use]
    pub fn to_files(path: &'a Path, trust: Trust) -> Self {
        Self { verb: "read", hint: FILES_HINT, ..Self::to_own_directory(path, trust) }
    }

    /// Goes as far as the path exists. `unsafe_path` where it is a directory of the system, where a user who
    /// is not trusted could have placed or could replace what it goes through, or where it goes through
    /// something that is no directory.
    pub fn to_the_end(&self) -> Result<Place> {
        if system::is_of_the_system(self.path) {
            return Err(self.refused("is a directory of the system"));
        }
        let place = self.follow(self.path, End::Target)?;
        if system::is_of_the_system(&place.path()) {
            return Err(
                self.refused(&format!("leads to {}, a directory of the system", place.path().display()))
            );
        }
        Ok(place)
    }

    /// Goes to the path as a directory of files, as far as it exists. `unsafe_path` where a user who is not trusted
    /// could put something else there.
    pub fn to_the_directory(&self) -> Result<Place> {
        self.follow(self.path, End::Directory)
    }

    /// Goes to the directory of the file at the path, likewise.
    pub fn to_the_parent(&self) -> Result<Place> {
        self.follow(self.path.parent().unwrap_or(Path::new("/")), End::Directory)
    }

    fn follow(&self, path: &Path, end: End) -> Result<Place> {
        let mut ahead: Vec<OsString> = components(path);
        let mut steps = vec![self.root()?];
        let mut links = 0;
        // Names that are no link's: they come last.
        let mut own_names = ahead.len();
        while let (Some(name), Some(here)) = (ahead.pop(), steps.last()) {
            if name == ".." {
                // Above the root is the root.
                steps.truncate((steps.len() - 1).max(1));
                continue;
            }
            let (entry, found) = match self.open(&here.directory, &name) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    ahead.push(name);
                    return self.missing(steps, ahead, own_names);
                }
                Err(error) => return Err(self.failed(&error)),
            };
            let is_last = end == End::Target && ahead.is_empty();
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Symlink if is_last => return Err(self.refused("is a symbolic link")),
                FileType::Symlink => {
                    links += 1;
                    own_names = own_names.min(ahead.len());
                    let target = self.link(here, &name, &entry, &found, links)?;
                    if target.is_absolute() {
                        steps.truncate(1);
                    }
                    ahead.extend(components(&target));
                }
                FileType::Directory if is_last => {
                    return self.place(steps, vec![name], Some((entry, found)));
                }
                FileType::Directory => {
                    let step = self.step(Some(here), here.path.join(&name), entry, found)?;
                    steps.push(step);
                }
                _ if end == End::Directory => return Err(self.failed(&Errno::NOTDIR.into())),
                _ => {
                    let what = here.path.join(&name);
                    return Err(self.refused(&format!("{}is not a directory", self.below(&what))));
                }
            }
        }
        match end {
            End::Target => Err(self.refused("leads nowhere")),
            End::Directory => self.place(steps, Vec::new(), None),
        }
    }

    fn root(&self) -> Result<Step> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, c"/", flags, Mode::empty()).map_err(io::Error::from);
        let opened = root.and_then(|root| Ok((fstat(&root)?, root)));
        let (found, root) = opened.map_err(|error| self.failed(&error))?;
        self.step(None, PathBuf::from("/"), root, found)
    }

    /// Steps into a directory that others than the trusted users can't have tampered with.
    fn step(&self, above: Option<&Step>, path: PathBuf, directory: OwnedFd, found: Stat) -> Result<Step> {
        let owner = found.st_uid;
        let is_in_shared = above.is_some_and(|above| above.is_shared);
        if !self.trust.is_trusted(owner) && (is_in_shared || !self.trust.is_shared()) {
            let user = user_name(owner);
            let advice = if self.trust.takes_owner() {
                format!(" (where {user} is the bot's user, give it as `owner`)")
            } else {
                String::new()
            };
            let below = self.below(&path);
            return Err(self
                .refused(&format!("{below}belongs to {user}, who could put something else there{advice}")));
        }
        let is_open = if self.trust.is_shared() {
            everybody_writes(&found)
        } else {
            others_write(&directory, &found, &path)
        };
        if is_open && !is_sticky(&found) && !self.trust.is_shared() {
            return Err(self.refused(&format!(
                "{}is writable by others than its owner, who could put something else there",
                self.below(&path)
            )));
        }
        let is_shared = is_open && is_sticky(&found);
        let is_roots_here = above.is_none_or(|above| above.whose.keeps_roots) && is_root(owner);
        let is_roots = is_roots_here && !is_open;
        let keeps_roots = is_roots_here && (!is_open || is_shared);
        let is_own = above.is_none_or(|above| above.whose.is_own)
            && (is_root(owner) || self.trust.is_caller(owner))
            && !is_open;
        Ok(Step { path, directory, is_shared, whose: Whose { is_roots, keeps_roots, is_own } })
    }

    /// Where a symbolic link on the way leads. It must be root's where only root can have placed it, or the
    /// caller's in the caller's own home; where a team is trusted, it may be anyone's but in directories that everybody
    /// may write to.
    fn link(&self, here: &Step, name: &OsStr, link: &OwnedFd, found: &Stat, count: usize) -> Result<PathBuf> {
        let path = here.path.join(name);
        let is_roots = here.whose.is_roots && is_root(found.st_uid);
        let is_own = here.whose.is_own
            && (is_root(found.st_uid) || self.trust.is_caller(found.st_uid))
            && self.trust.is_in_own_home(&here.path);
        let is_teams = self.trust.is_shared() && (!here.is_shared || self.trust.is_trusted(found.st_uid));
        if !is_roots && !is_own && !is_teams {
            return Err(self.refused(&format!(
                "goes through the symbolic link {}, which others than root could have placed or could replace",
                path.display()
            )));
        }
        if count > MOST_LINKS {
            return Err(self.refused("goes through too many symbolic links"));
        }
        let target = readlinkat(link, c"", Vec::new()).map_err(|error| self.failed(&error.into()))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// What does not exist yet is made, but not where a link leads: that is a disk that is not mounted, say.
    fn missing(&self, steps: Vec<Step>, mut ahead: Vec<OsString>, own_names: usize) -> Result<Place> {
        if ahead.len() > own_names {
            return Err(self.refused("goes through a symbolic link to something that does not exist"));
        }
        ahead.reverse();
        self.place(steps, ahead, None)
    }

    fn place(
        &self,
        mut steps: Vec<Step>,
        names: Vec<OsString>,
        target: Option<(OwnedFd, Stat)>,
    ) -> Result<Place> {
        let parent = steps.pop().ok_or_else(|| self.refused("leads nowhere"))?;
        Ok(Place { parent, names, target })
    }

    /// Opens one name in a directory as a place, never through a symbolic link.
    fn open(&self, directory: &OwnedFd, name: &OsStr) -> io::Result<(OwnedFd, Stat)> {
        // As a directory first: only so an automounter mounts what belongs there (open(2), `O_PATH`).
        let entry = match self.open_as(directory, name, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOTDIR | Errno::LOOP) => self.open_as(directory, name, OFlags::PATH)?,
            opened => opened?,
        };
        let found = fstat(&entry)?;
        Ok((entry, found))
    }

    /// Opens a directory that has just been made to work in it. `unsafe_path` where it has been exchanged.
    pub fn open_directory(&self, parent: &Step, name: &OsStr) -> Result<OwnedFd> {
        match self.open_as(&parent.directory, name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let what = self.below(&parent.path.join(name));
                Err(self.refused(&format!("{what}was exchanged for something else while it was made")))
            }
            opened => opened.map_err(|error| self.failed(&error.into())),
        }
    }

    fn open_as(&self, directory: &OwnedFd, name: &OsStr, access: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.has_openat2.get() {
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
            match openat2(directory, name, flags, Mode::empty(), resolve) {
                // Before Linux 5.6, and in containers whose filter of system calls is older than that.
                Err(Errno::NOSYS | Errno::PERM) => self.has_openat2.set(false),
                opened => return opened,
            }
        }
        openat(directory, name, flags, Mode::empty())
    }

    /// Takes a directory that has just been made, or that another process has made meanwhile, as a step.
    pub fn step_into_made(&self, above: &Step, name: &OsStr, directory: OwnedFd) -> Result<Step> {
        let found = fstat(&directory).map_err(|error| self.failed(&error.into()))?;
        self.step(Some(above), above.path.join(name), directory, found)
    }

    /// An error of the operating system on the way.
    fn failed(&self, error: &io::Error) -> Error {
        Error::io(&format!("{} {}", self.verb, self.path.display()), error)
    }

    /// The error where the path is not to be trusted.
    pub fn refused(&self, what: &str) -> Error {
        Error::new(Kind::UnsafePath, format!("{} {what}; nothing was changed", self.path.display()))
            .hint(self.hint)
    }

    /// The words that name a place on the way, where it is not the path itself.
    fn below(&self, place: &Path) -> String {
        if place == self.path {
            return String::new();
        }
        format!("lies below {}, which ", place.display())
    }
}

/// The components of a path, the first one last; `.` is left out.
fn components(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_owned()),
        std::path::Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}
