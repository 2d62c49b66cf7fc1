//! Removing a bot's directory, and nothing else.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, statat, unlinkat};
use rustix::io::Errno;

use super::contents;
use crate::message::printable;

/// Files that only a bot keeps beside each other. One of them tells a bot's directory.
const TELLING: [&str; 12] = [
    "aws_credentials",
    "identity",
    "jwt_svid",
    "ssh_host-cert.pub",
    "sshcacerts",
    "sshcert",
    "svid_bundle.pem",
    "svid_key.pem",
    "tlscacerts",
    "tlscas",
    "tlscert",
    "tokenhash",
];
/// Further files that `tbot` keeps in its storage directory and in the directories of its outputs.
const OTHERS: [&str; 25] = [
    ".lock",
    ".write-test",
    "id_bkp",
    "id_bkp.pub",
    "key",
    "key-cert.pub",
    "key.pub",
    "known_hosts",
    "kubeconfig.yaml",
    "lock",
    "mongo.cas",
    "mongo.crt",
    "ssh_config",
    "ssh_host",
    "ssh_host-user-ca.pub",
    "svid.pem",
    "svid_crl.pem",
    "teleport-database-ca.crt",
    "teleport-host-ca.crt",
    "teleport-user-ca.crt",
    "tls.cas",
    "tls.crt",
    "tls.key",
    "agent.sock",
    "v1.sock",
];
/// How files end that an identity has for each cluster, `CLUSTER.ssh_config`.
const ENDS: [&str; 2] = [".known_hosts", ".ssh_config"];

/// What a directory holds, as far as it matters for its removal.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The bot's files, in the order in which they may go: those that tell a bot's directory last, so that it
    /// is one still where the removal is interrupted.
    pub files: Vec<PathBuf>,
    /// What is not known to be a bot's.
    pub strange: Vec<String>,
}

/// Takes stock of a directory.
pub fn inventory(directory: &OwnedFd) -> io::Result<Inventory> {
    let mut inventory = Inventory::default();
    for name in contents::names(directory)? {
        let is_known = is_telling(&name) || is_other(&name);
        let is_file = match statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                matches!(FileType::from_raw_mode(found.st_mode), FileType::RegularFile | FileType::Socket)
            }
            // Another run is at the same. A name that was there tells whose directory it is all the same.
            Err(Errno::NOENT) if is_known => true,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        if is_file && is_known {
            inventory.files.push(name);
        } else {
            inventory.strange.push(printable(&name));
        }
    }
    inventory.files.sort_by_key(|name| is_telling(name));
    Ok(inventory)
}

impl Inventory {
    /// Whether the directory is empty, or holds a bot's files and no others.
    #[must_use]
    pub fn is_a_bots(&self) -> bool {
        self.strange.is_empty() && self.files.last().is_none_or(|name| is_telling(name))
    }
}

/// Removes the bot's files, then the directory of this name itself. What another run has removed already is
/// no error, and what has appeared meanwhile is: the directory stays then.
pub fn remove(directory: &OwnedFd, files: &[PathBuf], parent: &OwnedFd, name: &Path) -> io::Result<()> {
    for file in files {
        gone(unlinkat(directory, file, AtFlags::empty()))?;
    }
    gone(unlinkat(parent, name, AtFlags::REMOVEDIR))
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_other(name: &Path) -> bool {
    let is_of_cluster = |name: &str| ENDS.iter().any(|end| name.ends_with(end));
    OTHERS.iter().any(|known| name == Path::new(known)) || name.to_str().is_some_and(is_of_cluster)
}

fn is_telling(name: &Path) -> bool {
    TELLING.iter().any(|telling| name == Path::new(telling))
}
