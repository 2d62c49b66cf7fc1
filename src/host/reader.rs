//! Whether a user, or whoever is in a group, can read what another one has written: found out as that user.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as Bits, OFlags};

use super::service_account::as_account;
use super::users::{Group, User};
use super::{Account, Mode, group_name, user_name};
use crate::error::{Error, Kind, Result};

/// A number that is nobody's: somebody of a group is in that group alone.
const NOBODY: u32 = 65534;

/// Who is to read.
#[derive(Debug)]
pub struct Reader {
    name: String,
    uid: u32,
    gid: u32,
    groups: BTreeSet<u32>,
}

impl Reader {
    /// A user, by name or number. One that does not exist is `not_found`.
    pub fn user(account: &Account) -> Result<Self> {
        let found = match account.number() {
            Some(number) => User::by_number(number)?,
            None => User::by_name(account.as_str())?,
        };
        let user = found.ok_or_else(|| missing("user", account))?;
        Ok(Self { name: user.name.clone(), uid: user.uid, gid: user.gid, groups: user.groups()? })
    }

    /// Whoever is in a group, likewise.
    pub fn group(account: &Account) -> Result<Self> {
        let found = match account.number() {
            Some(number) => Group::by_number(number)?,
            None => Group::by_name(account.as_str())?,
        };
        let group = found.ok_or_else(|| missing("group", account))?;
        let name = format!("the group {}", group.name);
        Ok(Self { name, uid: NOBODY, gid: group.gid, groups: BTreeSet::from([group.gid]) })
    }

    /// Why the files of these names in a directory, as far as they are there, cannot be read; none where they can. In one sentence.
    pub fn obstacle(
        &self,
        directory: &Path,
        is_meant: impl Fn(&str) -> bool + Send,
    ) -> Result<Option<String>> {
        let found = as_account(self.uid, self.gid, &self.groups, || first_closed(directory, is_meant));
        let closed = found.map_err(|error| Error::io(&format!("become {}", self.name), &error))?;
        Ok(closed.map(|(path, error)| {
            let about = match fs::symlink_metadata(&path) {
                Ok(found) if error.kind() == ErrorKind::PermissionDenied => describe(&found),
                _ => error.to_string(),
            };
            format!("{} cannot read in {}: {} {about}", self.name, directory.display(), path.display())
        }))
    }
}

fn missing(what: &str, account: &Account) -> Error {
    let message =
        format!("there is no {what} `{}` on this host, who is to read what tbot writes", account.as_str());
    Error::new(Kind::NotFound, message).hint("create it, or correct `readers` of that service")
}

/// The first thing on the way to the files, or of them, that this thread cannot read, and why.
fn first_closed(directory: &Path, is_meant: impl Fn(&str) -> bool) -> Option<(PathBuf, io::Error)> {
    let mut way: Vec<&Path> = directory.ancestors().collect();
    way.reverse();
    for pair in way.windows(2) {
        // What is in a directory can be looked at by whoever may search that.
        if let Err(error) = fs::metadata(pair[1]) {
            let is_closed = error.kind() == ErrorKind::PermissionDenied;
            return Some((if is_closed { pair[0] } else { pair[1] }.to_owned(), error));
        }
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return Some((directory.to_owned(), error)),
    };
    entries.filter_map(std::result::Result::ok).find_map(|entry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_asked = is_file && entry.file_name().to_str().is_some_and(&is_meant);
        let error = open_at_once(&entry.path()).err().filter(|_| is_asked)?;
        // tbot replaces its files.
        (error.kind() != ErrorKind::NotFound).then(|| (entry.path(), error))
    })
}

/// Opens a file to read it, and waits for nobody: whoever may write there could put a pipe in its place.
fn open_at_once(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Bits::empty())?)
}

fn describe(found: &Metadata) -> String {
    let (user, group, mode) = (user_name(found.uid()), group_name(found.gid()), Mode::new(found.mode()));
    format!("has mode {mode} and belongs to {user}:{group}")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::Reader;
    use crate::host::Account;

    #[test]
    fn what_is_in_the_way_is_named() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (way, out) = (place.path().join("way"), place.path().join("way/out"));
        let notes = out.join("notes");
        fs::create_dir_all(&out).unwrap();
        let file = out.join("identity");
        fs::write(&file, "secret").unwrap();
        fs::write(&notes, "secret").unwrap();
        let set =
            |path: &std::path::Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for path in [place.path(), &way, &out, &file] {
            set(path, 0o755);
        }
        set(&notes, 0o600);
        let obstacle = |reader: &Reader| {
            let why = reader.obstacle(&out, |name| name == "identity").unwrap()?;
            Some(why.replace(place.path().to_str().unwrap(), ""))
        };
        let daemon = Reader::user(&Account::known("daemon")).unwrap();
        assert_eq!(obstacle(&daemon), None);
        for (path, mode, expected) in [
            (&file, 0o600, "/way/out/identity has mode 0600"),
            (&out, 0o711, "/way/out has mode 0711"),
            (&out, 0o700, "/way/out has mode 0700"),
            (&way, 0o700, "/way has mode 0700"),
        ] {
            set(path, mode);
            let expected = format!("daemon cannot read in /way/out: {expected} and belongs to root:root");
            assert_eq!(obstacle(&daemon).as_deref(), Some(&*expected));
        }
        for path in [&way, &out, &file] {
            chown(path, None, Some(1)).unwrap();
            set(path, 0o750);
        }
        assert_eq!(obstacle(&Reader::group(&Account::known("daemon")).unwrap()), None);
        assert!(
            obstacle(&Reader::group(&Account::known("bin")).unwrap())
                .unwrap()
                .starts_with("the group bin cannot")
        );
        assert!(
            Reader::user(&Account::known("there-is-no-such-user")).unwrap_err().message.contains("no user")
        );
    }
}
