//! What is below a directory, all of it: to be compared, and to be made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// How the names of temporary files begin.
const TEMPORARY: &str = ".tbot_tpm.";
/// The number of a user and of a group that no test uses.
const STRANGER: u32 = 4_000_000;

/// Everything below a directory, by its path from there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

/// One file, directory or symbolic link.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    what: What,
    user: u32,
    group: u32,
    mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

impl Tree {
    /// Looks at everything below a directory.
    pub fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(root, Path::new(""));
        tree
    }

    fn add(&mut self, root: &Path, below: &Path) {
        for found in fs::read_dir(root.join(below)).unwrap() {
            let path = below.join(found.unwrap().file_name());
            let entry = Entry::of(&root.join(&path));
            let is_directory = entry.what == What::Directory;
            self.0.insert(path.clone(), entry);
            if is_directory {
                self.add(root, &path);
            }
        }
    }

    /// Makes the directory hold this and nothing else.
    pub fn restore(&self, root: &Path) {
        for found in fs::read_dir(root).unwrap() {
            let path = found.unwrap().path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.unwrap();
        }
        for (path, entry) in &self.0 {
            entry.make(&root.join(path));
        }
    }

    /// Whether there is a temporary file.
    pub fn has_temporary(&self) -> bool {
        self.0.keys().any(|path| is_temporary(path))
    }

    /// Whether it is another, but for empty directories for drop-ins or entries of a registry: what a crash leaves there
    /// means nothing to anyone, and might be anyone's.
    pub fn is_in_effect(&self, other: &Self) -> bool {
        let is_empty = |path: &Path| !self.0.keys().any(|below| below.parent() == Some(path));
        let is_left = |path: &Path| {
            let may_be_left = path.extension() == Some("d".as_ref()) || path == Path::new("registry");
            may_be_left && !other.0.contains_key(path) && is_empty(path)
        };
        let rest = self.0.iter().filter(|(path, _)| !is_left(path));
        rest.eq(other.0.iter())
    }

    /// Asserts that each thing is as it was in `old` or will be in `new`, that there is nothing else but temporary
    /// files beside what changes, and that nothing lets anyone do more than both.
    pub fn assert_between(&self, old: &Self, new: &Self, context: &dyn fmt::Display) {
        let changing: BTreeSet<&PathBuf> = old.0.keys().chain(new.0.keys()).collect();
        for path in changing.iter().copied().chain(self.0.keys().filter(|path| !is_temporary(path))) {
            let (was, will_be) = (old.0.get(path), new.0.get(path));
            let is_fine = match (self.0.get(path), was, will_be) {
                (None, was, will_be) => was.is_none() || will_be.is_none(),
                (Some(is), was, will_be) => {
                    [was, will_be].contains(&Some(is)) || is.is_directory_between(was, will_be)
                }
            };
            assert!(is_fine, "{context}: {} is\n  {:?}\n{self:?}", path.display(), self.0.get(path));
        }
        for (path, temporary) in self.0.iter().filter(|(path, _)| is_temporary(path)) {
            let is_beside = |other: &&PathBuf| other.parent() == path.parent();
            let replaced = changing.iter().copied().filter(is_beside);
            let files: Vec<&Entry> =
                replaced.flat_map(|path| [old.0.get(path), new.0.get(path)]).flatten().collect();
            assert!(!files.is_empty(), "{context}: {} is beside nothing that changes", path.display());
            assert!(temporary.is_no_wider(&files), "{context}: {temporary:?} among {files:?}");
        }
    }
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY))
}

impl Entry {
    /// Looks at what is there itself, not at what a symbolic link leads to.
    fn of(path: &Path) -> Self {
        let found = fs::symlink_metadata(path).unwrap();
        let what = if found.is_dir() {
            What::Directory
        } else if found.is_symlink() {
            What::Link(fs::read_link(path).unwrap())
        } else {
            What::File(fs::read(path).unwrap())
        };
        Self { what, user: found.uid(), group: found.gid(), mode: found.mode() & 0o7777 }
    }

    fn make(&self, path: &Path) {
        match &self.what {
            What::Directory => fs::create_dir(path).unwrap(),
            What::File(content) => fs::write(path, content).unwrap(),
            What::Link(target) => symlink(target, path).unwrap(),
        }
        lchown(path, Some(self.user), Some(self.group)).unwrap();
        if !matches!(self.what, What::Link(_)) {
            fs::set_permissions(path, Permissions::from_mode(self.mode)).unwrap();
        }
    }

    /// Whether this is a directory on its way: it still is whose it was, or the caller's who has just made it, or
    /// already is whose it will be, and it is open to nobody to whom it was not and will not be.
    fn is_directory_between(&self, was: Option<&Self>, will_be: Option<&Self>) -> bool {
        let caller = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let mut owners = vec![was.map_or(caller, Self::owners)];
        owners.extend(will_be.map(Self::owners));
        let states: Vec<&Self> = [was, will_be].into_iter().flatten().collect();
        self.what == What::Directory
            && states.iter().all(|state| state.what == What::Directory)
            && will_be.is_some()
            && owners.contains(&self.owners())
            && self.is_no_wider(&states)
    }

    fn owners(&self) -> (u32, u32) {
        (self.user, self.group)
    }

    /// Whether nobody but the caller may do more with it than with at least one of the others.
    fn is_no_wider(&self, others: &[&Self]) -> bool {
        let caller = nix::unistd::geteuid().as_raw();
        let all = || others.iter().copied().chain([self]);
        let users: BTreeSet<u32> = all().map(|entry| entry.user).chain([STRANGER]).collect();
        let groups: BTreeSet<u32> = all().map(|entry| entry.group).chain([STRANGER]).collect();
        users.into_iter().filter(|user| *user != caller).all(|user| {
            groups.iter().all(|group| {
                let allowed = others.iter().fold(0, |bits, other| bits | other.rights(user, *group));
                self.rights(user, *group) & !allowed == 0
            })
        })
    }

    /// What a user of one group may do (`path_resolution(7)`, "Permissions"): read 4, write 2, execute or search 1.
    fn rights(&self, user: u32, group: u32) -> u32 {
        let shift = match () {
            () if user == self.user => 6,
            () if group == self.group => 3,
            () => 0,
        };
        self.mode >> shift & 0o7
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, user, group, mode } = self;
        match what {
            What::Directory => write!(formatter, "directory {user}:{group} {mode:04o}"),
            What::Link(target) => write!(formatter, "link {user}:{group} to {}", target.display()),
            What::File(content) => {
                let text = String::from_utf8_lossy(content);
                write!(formatter, "file {user}:{group} {mode:04o} {text:?}")
            }
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, entry)| writeln!(formatter, "  {}: {entry:?}", path.display()))
    }
}
