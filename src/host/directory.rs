//! A private directory: made, or put right.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{AbsolutePath, Attributes, Mode};
use crate::error::{Error, Kind, Result};

/// Directories of the system that are no one program's, whatever is in them.
const SYSTEM_DIRECTORIES: &[&str] = &[
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/teleport",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];
/// Directories of the system with everything below them (hier(7), file-hierarchy(7)).
const SYSTEM_TREES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/run/systemd",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/systemd",
];
/// The mode of parents that have to be made.
const PARENT_MODE: Mode = Mode::new(0o755);

/// A directory to be made or put right.
#[derive(Debug)]
pub struct Directory<'a> {
    path: &'a AbsolutePath,
    /// The directory as it is; none where it does not exist.
    pub current: Option<Attributes>,
}

impl<'a> Directory<'a> {
    /// Looks at `path`. A system directory, a symbolic link and a file are `unsafe_path`.
    pub fn inspect(path: &'a AbsolutePath) -> Result<Self> {
        for place in [path.as_ref(), resolve(path.as_ref())?.as_path()] {
            let is_in_tree = SYSTEM_TREES.iter().any(|tree| place.starts_with(tree));
            if is_in_tree || SYSTEM_DIRECTORIES.iter().any(|directory| place == Path::new(directory)) {
                return Err(unsafe_path(path.as_ref(), "is a directory of the system"));
            }
        }
        let current = match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => {
                return Err(unsafe_path(path.as_ref(), "is a symbolic link"));
            }
            Ok(found) if !found.is_dir() => return Err(unsafe_path(path.as_ref(), "is not a directory")),
            Ok(found) => Some(state(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(unsafe_path(path.as_ref(), "lies below something that is not a directory"));
            }
            Err(error) => return Err(Error::io(&format!("look at {}", path.as_str()), &error)),
        };
        Ok(Self { path, current })
    }

    /// Makes the directory and its missing parents, or puts it right. Nothing is ever wider open than
    /// `wanted`, not for a moment: it is made 0700, and then given owner, group and mode in this order.
    pub fn apply(&self, wanted: Attributes) -> Result<()> {
        let path: &Path = self.path.as_ref();
        let what = || format!("prepare the directory {}", self.path.as_str());
        let change = || -> io::Result<()> {
            if self.current.is_none() {
                make_parents(path)?;
                make(path, Mode::new(0o700))?;
            }
            let directory = File::options()
                .read(true)
                .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed())
                .open(path)?;
            let found = state(&directory.metadata()?);
            if (found.user, found.group) != (wanted.user, wanted.group) {
                fchown(&directory, Some(wanted.user), Some(wanted.group))?;
            }
            // chown(2) may clear bits, so the mode is set after it and compared anew.
            if state(&directory.metadata()?).mode != wanted.mode {
                directory.set_permissions(Permissions::from_mode(wanted.mode.bits()))?;
            }
            Ok(())
        };
        change().map_err(|error| {
            if self.current.is_none() {
                // Empty as it is; one that another process has put something into stays.
                let _ = fs::remove_dir(path);
            }
            Error::io(&what(), &error)
        })
    }
}

/// Where a path leads, as far as it exists: through symbolic links on the way, and `/proc/self/root`.
fn resolve(path: &Path) -> Result<PathBuf> {
    for existing in path.ancestors() {
        match existing.canonicalize() {
            Ok(real) => return Ok(real.join(path.strip_prefix(existing).unwrap_or(Path::new("")))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Error::io(&format!("look at {}", path.display()), &error)),
        }
    }
    Ok(path.to_path_buf())
}

fn make_parents(path: &Path) -> io::Result<()> {
    let missing: Vec<PathBuf> =
        path.ancestors().skip(1).take_while(|parent| !parent.exists()).map(Path::to_path_buf).collect();
    for parent in missing.iter().rev() {
        if make(parent, PARENT_MODE)? {
            // Whatever the process's umask is.
            fs::set_permissions(parent, Permissions::from_mode(PARENT_MODE.bits()))?;
        }
    }
    Ok(())
}

/// Makes one directory: whether it was this process that did, since another may be doing the same.
fn make(path: &Path, mode: Mode) -> io::Result<bool> {
    match DirBuilder::new().mode(mode.bits()).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn state(found: &fs::Metadata) -> Attributes {
    Attributes { user: found.uid(), group: found.gid(), mode: Mode::new(found.mode()) }
}

fn unsafe_path(path: &Path, what: &str) -> Error {
    Error::new(Kind::UnsafePath, format!("{} {what}; nothing was changed", path.display()))
        .hint("give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot")
}
