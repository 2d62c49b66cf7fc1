//! A directory that `tbot` writes for others, where its user is not the only one who reads: it is made, or given to that user. What
//! `tbot` has let others do there stays, and so does what is not `tbot`'s.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode as Bits, Stat, chownat, fchmod, fchown, fstat, fsync, statat};
use rustix::process::{Gid, Uid};

use super::walk::Walk;
use super::{Directory, Trust, contents, reopened};
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Accounts, Attributes, Mode, user_name};
use crate::message::{printable, shown};

const ROOT: u32 = 0;
const OTHERS_WRITE: u32 = 0o022;
/// The files of `tbot`'s outputs ("Machine & Workload Identity Configuration Reference"), and those that it makes to see whether it
/// can write.
const FILES: [&str; 31] = [
    ".write-test",
    "agent.sock",
    "aws_credentials",
    "identity",
    "jwt_svid",
    "key",
    "key-cert.pub",
    "key.pub",
    "known_hosts",
    "kubeconfig.yaml",
    "mongo.cas",
    "mongo.crt",
    "ssh_config",
    "ssh_host",
    "ssh_host-cert.pub",
    "ssh_host-user-ca.pub",
    "svid.key",
    "svid.pem",
    "svid_bundle.pem",
    "svid_crl.pem",
    "svid_key.pem",
    "teleport-database-ca.crt",
    "teleport-host-ca.crt",
    "teleport-user-ca.crt",
    "tls.cas",
    "tls.crt",
    "tls.key",
    "tlscert",
    "tunnel.sock",
    "v1.sock",
    "write-test",
];
/// Ends of the names of files that there is one of for each cluster.
const FILES_OF_CLUSTERS: [&str; 2] = [".known_hosts", ".ssh_config"];
/// The one directory among them (`format: cockroach`), and its files.
const COCKROACH: (&str, [&str; 3]) = ("cockroach", ["ca.crt", "node.crt", "node.key"]);

/// What is to become of such a directory.
pub struct OutputDirectory<'a> {
    path: PathBuf,
    directory: Directory<'a>,
    /// Of a new one.
    mode: Mode,
    work: Work,
}

enum Work {
    Make,
    Nothing,
    /// It is root's, with these of `tbot`'s files in it, which are given to the bot's user.
    Give {
        directory: OwnedFd,
        found: Stat,
        files: Vec<PathBuf>,
    },
    /// It is left as it is, for this reason.
    Leave(String),
}

impl<'a> OutputDirectory<'a> {
    /// Looks at a directory that is to belong to `accounts`, and to have this mode where it is new.
    ///
    /// `unsafe_path` where it does not exist, and anyone could lead it elsewhere but root, the user that this process runs as, and its
    /// future owner.
    pub fn inspect(path: &'a AbsolutePath, accounts: Accounts, mode: Mode) -> Result<Self> {
        let trust = Trust::in_owner(accounts.user);
        let walk = Walk::to_own_directory(path.as_ref(), trust);
        let mut place = walk.to_the_end()?;
        let target = place.target.take();
        let path = place.path();
        let work = match target {
            None => Work::Make,
            Some((directory, found)) => work(&path, directory, found, accounts)?,
        };
        let directory = Directory { walk, trust, place, accounts, existing: None };
        Ok(Self { path, directory, mode, work })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has to be made.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.work, Work::Make)
    }

    /// Why it is left as it is, where it is not as it should be.
    #[must_use]
    pub fn reason_to_leave(&self) -> Option<&str> {
        if let Work::Leave(reason) = &self.work { Some(reason) } else { None }
    }

    /// What is there, and what should be, as lines for a diff; none where nothing is to be done.
    #[must_use]
    pub fn difference(&self) -> Option<(String, String)> {
        match &self.work {
            Work::Make => Some(("state: absent\n".to_owned(), self.directory.describe_wanted(self.made()))),
            Work::Give { found, files, .. } => {
                let files: Vec<String> = files.iter().map(|file| printable(file)).collect();
                let list = if files.is_empty() {
                    String::new()
                } else {
                    format!("files:\n  {}\n", files.join("\n  "))
                };
                let describe =
                    |attributes: Attributes| format!("state: directory\n{}{list}", attributes.describe());
                Some((describe(Attributes::of(found)), describe(self.given(found))))
            }
            Work::Nothing | Work::Leave(_) => None,
        }
    }

    /// Makes it, or gives it to its user. What is in it goes first, while nobody but root may exchange that.
    pub fn apply(&self) -> Result<()> {
        match &self.work {
            Work::Make => self.directory.apply(self.made()),
            Work::Give { directory, found, files } => give(directory, found, files, self.given(found))
                .map_err(|error| {
                    Error::io(&format!("give the directory {} to its user", self.path.display()), &error)
                }),
            Work::Nothing | Work::Leave(_) => Ok(()),
        }
    }

    fn made(&self) -> Attributes {
        Attributes::wanted(None, self.directory.accounts, self.mode)
    }

    fn given(&self, found: &Stat) -> Attributes {
        let mode = Mode::new(found.st_mode & !OTHERS_WRITE);
        Attributes::wanted(Some(Attributes::of(found)), self.directory.accounts, mode)
    }
}

/// What is to be done with a directory that is there.
fn work(path: &Path, directory: OwnedFd, found: Stat, accounts: Accounts) -> Result<Work> {
    let owner = found.st_uid;
    if accounts.user.is_none_or(|user| user == owner) {
        return Ok(Work::Nothing);
    }
    if owner != ROOT {
        return Ok(Work::Leave(format!("belongs to {}", user_name(owner))));
    }
    let failed = |error| Error::io(&format!("look into {}", path.display()), &error);
    let directory = reopened(directory).map_err(failed)?;
    let (files, strange) = stock(&directory).map_err(failed)?;
    if strange.is_empty() {
        return Ok(Work::Give { directory, found, files });
    }
    Ok(Work::Leave(format!("belongs to root and holds what is not tbot's ({})", shown(&strange))))
}

/// The files of `tbot`'s in a directory, and what else is there.
fn stock(directory: &OwnedFd) -> io::Result<(Vec<PathBuf>, Vec<String>)> {
    let (mut files, mut strange) = (Vec::new(), Vec::new());
    for name in contents::names(directory)? {
        let kind = FileType::from_raw_mode(statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if name == Path::new(COCKROACH.0) && kind.is_dir() {
            let inner = contents::open(directory, &name)?;
            let known = |file: &PathBuf| COCKROACH.1.iter().any(|known| file == Path::new(known));
            let (known, others): (Vec<_>, Vec<_>) = contents::names(&inner)?.into_iter().partition(known);
            files.extend(known.into_iter().map(|file| name.join(file)));
            files.push(name.clone());
            strange.extend(others.iter().map(|file| printable(&name.join(file))));
        } else if (kind.is_file() || kind.is_socket()) && name.to_str().is_some_and(is_of_tbot) {
            files.push(name);
        } else {
            strange.push(printable(&name));
        }
    }
    Ok((files, strange))
}

/// Whether a file of this name may be one of `tbot`'s.
#[must_use]
pub fn is_of_tbot(name: &str) -> bool {
    FILES.contains(&name) || FILES_OF_CLUSTERS.iter().any(|end| name.ends_with(end))
}

fn give(directory: &OwnedFd, found: &Stat, files: &[PathBuf], wanted: Attributes) -> io::Result<()> {
    let (user, group) = (Some(Uid::from_raw(wanted.user)), Some(Gid::from_raw(wanted.group)));
    if Mode::new(found.st_mode) != wanted.mode {
        fchmod(directory, Bits::from_raw_mode(wanted.mode.bits()))?;
    }
    for name in files {
        let file = match contents::open(directory, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let now = fstat(&file)?;
        let kind = FileType::from_raw_mode(now.st_mode);
        // A second name of a file may be anywhere, and be what somebody wants to have.
        if now.st_uid == ROOT && (kind.is_dir() || (now.st_nlink == 1 && !kind.is_symlink())) {
            chownat(&file, c"", user, group, AtFlags::EMPTY_PATH)?;
        }
    }
    fchown(directory, user, group)?;
    Ok(fsync(directory)?)
}
