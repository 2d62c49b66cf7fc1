//! What a service that runs `tbot` can be kept from (systemd.exec(5), systemd.resource-control(5)).

use std::path::{Path, PathBuf};

use super::syntax;
use crate::error::Result;
use crate::host::AbsolutePath;

/// What `tbot` has a use for, as its configuration says.
#[derive(Debug, Clone, Default)]
pub struct Use {
    /// Directories that it writes to and that are there before it starts, such as its storage.
    pub writes: Vec<AbsolutePath>,
    /// Directories that it writes to where they exist, such as those of its outputs.
    pub may_write: Vec<AbsolutePath>,
    /// Files that it reads: itself, its configuration, and what that names.
    pub reads: Vec<AbsolutePath>,
    /// Directories that systemd makes for it without our asking.
    pub has: Vec<AbsolutePath>,
    /// Whether it makes Unix sockets, to which other users may have to connect.
    pub makes_sockets: bool,
    /// Whether it looks at the processes that connect (workload attestation).
    pub looks_at_processes: bool,
}

impl Use {
    /// Whether it may make a file of this path.
    pub(super) fn may_make(&self, path: &Path) -> bool {
        let directories = self.writes.iter().chain(&self.may_write).chain(&self.has);
        directories.into_iter().any(|directory| is_below(path, directory.as_ref()))
    }
}

/// Whether a path is of something in a directory, at any depth.
pub(super) fn is_below(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory) && path != directory
}

/// The directives that leave `tbot` what it has a use for, and nothing more.
///
/// systemd 245 knows them all but `ProtectProc=` and `ProcSubset=` (247), which it passes over with a
/// warning.
#[derive(Debug)]
pub struct Hardening {
    directives: Vec<String>,
}

/// The directive that each hardened service has, and no other that is written here.
pub(super) const TELLING: &str = "ProtectSystem=strict";
/// Directives that depend on nothing.
const ALWAYS: [&str; 21] = [
    "NoNewPrivileges=yes",
    // No capability at all; a TPM is opened by a group.
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    // Only null, zero, random and their like, and the TPMs' resource managers. Not `PrivateDevices=`,
    // which would hide them; and not /dev/tpmrm0, which would be left out if it appeared after the start.
    "DevicePolicy=closed",
    "DeviceAllow=char-tpm rw",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "KeyringMode=private",
    "LockPersonality=yes",
    // A Go program makes no code while it runs.
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    // The cluster, the sockets of local services, and netlink, by which Go and the C library list the
    // network's interfaces.
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    // An error and no signal, since Go's runtime tries some calls that it can do without.
    "SystemCallErrorNumber=EPERM",
];
/// What services usually call, without what only privileged ones do.
const SYSTEM_CALLS: [&str; 2] =
    ["SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources"];

impl Hardening {
    /// What suits a service that uses these, and has this directory below `/run` made for it. A path that a unit
    /// cannot hold is `invalid_request`.
    pub fn new<'a>(used: &'a Use, runtime_directory: Option<&str>) -> Result<Self> {
        let own = runtime_directory.map(|directory| format!("/run/{directory}"));
        let others = |paths: &'a [AbsolutePath]| -> Result<Vec<&'a str>> {
            let is_own = |path: &&AbsolutePath| {
                own.as_ref().is_some_and(|own| Path::new(path.as_str()).starts_with(own))
            };
            let others = paths.iter().filter(|path| !is_own(path));
            others.map(|path| syntax::writable(path, "read_write_paths")).collect()
        };
        let writes = others(&used.writes)?;
        let mut may_write = others(&used.may_write)?;
        may_write.retain(|path| !writes.contains(path));
        let mut directives = file_system(&writes, &may_write, &used.reads);
        if !used.looks_at_processes {
            directives.extend(["ProtectProc=invisible", "ProcSubset=pid"].map(str::to_owned));
        }
        // A socket takes its mode from the mask; what tbot writes to a directory has a mode of its own.
        if !used.makes_sockets {
            directives.push("UMask=0077".to_owned());
        }
        directives.extend(ALWAYS.into_iter().chain(SYSTEM_CALLS).map(str::to_owned));
        Ok(Self { directives })
    }

    /// The lines of the `[Service]` section.
    pub(super) fn directives(&self) -> &[String] {
        &self.directives
    }
}

/// What has systemd make these directories below `/run` for a service that uses these. systemd empties them as the service
/// stops, which is not for what `tbot` keeps there.
#[must_use]
pub fn runtime_directories(directories: &[String], used: &Use) -> Vec<String> {
    if directories.is_empty() {
        return Vec::new();
    }
    let mut directives = vec![format!("RuntimeDirectory={}", directories.join(" "))];
    let own: Vec<PathBuf> = directories.iter().map(|directory| Path::new("/run").join(directory)).collect();
    let is_within = |path: &AbsolutePath| own.iter().any(|own| AsRef::<Path>::as_ref(path).starts_with(own));
    if used.writes.iter().chain(&used.may_write).any(is_within) {
        directives.push("RuntimeDirectoryPreserve=yes".to_owned());
    }
    // The storage is for nobody else. All directories have one mode, and sockets in others are for others, too.
    if used.writes.iter().any(|path| own.iter().any(|own| AsRef::<Path>::as_ref(path) == own))
        && own.len() == 1
    {
        directives.push("RuntimeDirectoryMode=0700".to_owned());
    }
    directives
}

/// What the service sees of the file system, and may write to.
fn file_system(writes: &[&str], may_write: &[&str], reads: &[AbsolutePath]) -> Vec<String> {
    // A prefix stands inside the quotes.
    let optional = may_write.iter().map(|path| syntax::word(&format!("-{path}")));
    let mut read_write: Vec<String> = writes.iter().map(|path| syntax::word(path)).chain(optional).collect();
    read_write.sort();
    read_write.dedup();
    let written = || writes.iter().chain(may_write).copied();
    let is_in_use = |places: &[&str]| {
        written()
            .chain(reads.iter().map(AbsolutePath::as_str))
            .any(|path| places.iter().any(|place| Path::new(path).starts_with(place)))
    };
    let mut directives = vec![TELLING.to_owned()];
    // Together with what protects `/proc` and `/sys`, that leaves `/run` out (in systemd 252, at least).
    // Directories below it stay writable where they are named.
    if !written().any(|path| path == "/run") {
        directives.push("ReadOnlyPaths=/run".to_owned());
    }
    if !read_write.is_empty() {
        directives.push(format!("ReadWritePaths={}", read_write.join(" ")));
    }
    let home = if is_in_use(&["/home", "/root", "/run/user", "/var/home", "/var/roothome"]) {
        "read-only"
    } else {
        "yes"
    };
    directives.push(format!("ProtectHome={home}"));
    if !is_in_use(&["/tmp", "/var/tmp"]) {
        directives.push("PrivateTmp=yes".to_owned());
    }
    directives
}
