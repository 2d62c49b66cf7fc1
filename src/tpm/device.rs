//! Which TPM: the kernel's devices, and what a failure to open one means.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::tcti::Tcti;
use crate::error::{Error, Kind, Result};
use crate::host;

const SYSFS_TPMS: &str = "/sys/class/tpm";

/// A TPM of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node, `/dev/tpmrm0` or, where the kernel has no resource manager, `/dev/tpm0`.
    pub path: PathBuf,
}

impl Device {
    /// This machine's first TPM 2.0.
    pub fn of_this_machine() -> Result<Self> {
        Self::first(Path::new(SYSFS_TPMS))
    }

    /// The first TPM 2.0 under `sysfs` (`/sys/class/tpm`) by name, as `tbot` chooses it: through its
    /// resource manager where the kernel has one, without falling back to the raw device then.
    pub fn first(sysfs: &Path) -> Result<Self> {
        let mut names: Vec<String> = fs::read_dir(sysfs)
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        names.sort();
        let Some(name) = names.iter().find(|name| !is_tpm_1_2(&sysfs.join(name))) else {
            return Err(not_found(sysfs, &names));
        };
        let manager = fs::read_dir(sysfs.join(name).join("device/tpmrm"))
            .ok()
            .and_then(|mut entries| entries.next()?.ok()?.file_name().into_string().ok());
        Ok(Self { path: Path::new("/dev").join(manager.as_ref().unwrap_or(name)) })
    }
}

/// Only the driver of TPM 1.2 has a `caps` file.
fn is_tpm_1_2(tpm: &Path) -> bool {
    tpm.join("caps").exists() || tpm.join("device/caps").exists()
}

fn not_found(sysfs: &Path, names: &[String]) -> Error {
    let found = if names.is_empty() { "no TPM" } else { "only a TPM 1.2" };
    Error::new(Kind::TpmNotFound, format!("this machine has {found}, and tbot needs a TPM 2.0")).hint(format!(
        "switch the TPM (fTPM, PTT) on in the firmware settings, give a virtual machine one, or name it in `tcti` \
         (looked in {})",
        sysfs.display()
    ))
}

/// Opens a TPM's device node. Anything but a character device is refused: a command written to some
/// other file would destroy it.
pub(super) fn open(path: &Path) -> Result<File> {
    let shown = path.display();
    let file = File::options().read(true).write(true).open(path).map_err(|error| not_opened(path, &error))?;
    let metadata = file.metadata().map_err(|error| Error::io(&format!("look at {shown}"), &error))?;
    if metadata.file_type().is_char_device() {
        return Ok(file);
    }
    Err(not_a_device(path))
}

pub(super) fn not_a_device(path: &Path) -> Error {
    Error::invalid(format!("{} is no TPM device", path.display()))
        .hint("name one such as device:/dev/tpmrm0 in `tcti`")
}

pub(super) fn not_opened(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    // A node that is there although the device behind it is not.
    let is_gone =
        Errno::from_io_error(error).is_some_and(|number| [Errno::NXIO, Errno::NODEV].contains(&number));
    match error.kind() {
        kind if is_gone || kind == io::ErrorKind::NotFound => {
            Error::new(Kind::TpmNotFound, format!("there is no TPM device {shown}"))
                .hint("name another in `tcti`, or leave `tcti` out to use this machine's own")
        }
        io::ErrorKind::PermissionDenied => {
            Error::new(Kind::TpmPermission, format!("this user may not open the TPM device {shown}"))
                .hint(how_to_be_permitted(path))
        }
        io::ErrorKind::ResourceBusy => {
            Error::new(Kind::TpmBusy, format!("another process holds the TPM device {shown}"))
                .hint("use the resource manager's device (/dev/tpmrm0), which processes share")
        }
        io::ErrorKind::IsADirectory => not_a_device(path),
        _ => Error::io(&format!("open the TPM device {shown}"), error),
    }
}

/// By the group that has the device, if one but root's does; else by the udev rule that would give it to one.
fn how_to_be_permitted(path: &Path) -> String {
    const READ_AND_WRITE: u32 = 0o060;
    let group = fs::metadata(path)
        .ok()
        .filter(|metadata| metadata.gid() != 0 && metadata.mode() & READ_AND_WRITE == READ_AND_WRITE)
        .map(|metadata| host::group_name(metadata.gid()));
    match group {
        Some(group) => {
            format!(
                "run as root (become: true), or add the user to the group `{group}`, which has the device"
            )
        }
        None => "run as root (become: true), or give the device to the group `tss` by a udev rule \
                 (KERNEL==\"tpmrm[0-9]*\", GROUP=\"tss\", MODE=\"0660\") and add the user to it"
            .to_owned(),
    }
}

/// Why a software TPM's socket could not be connected to.
pub(super) fn socket_error(tcti: &Tcti, error: &io::Error) -> Error {
    let address = match tcti {
        Tcti::SwtpmTcp { host, port } => format!("{host}:{port}"),
        Tcti::SwtpmUnix(path) => path.display().to_string(),
        other => other.to_string(),
    };
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::new(
            Kind::TpmPermission,
            format!("this user may not connect to the software TPM at {address}"),
        )
        .hint("run as its owner or as root (become: true)"),
        _ => Error::new(Kind::TpmNotFound, format!("no software TPM answers at {address}: {error}"))
            .hint("start it, or correct `tcti`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysfs(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn the_first_tpm_2_is_used_through_its_resource_manager() {
        let root = sysfs(&["tpm0/caps", "tpm1/device/tpmrm/tpmrm1/dev", "tpm2/device/tpmrm/tpmrm2/dev"]);
        assert_eq!(Device::first(root.path()).unwrap().path, Path::new("/dev/tpmrm1"));
    }

    #[test]
    fn without_a_resource_manager_the_raw_device_is_used() {
        let root = sysfs(&["tpm0/dev"]);
        assert_eq!(Device::first(root.path()).unwrap().path, Path::new("/dev/tpm0"));
    }

    #[test]
    fn no_tpm_and_a_tpm_1_2_are_told_apart() {
        let none = Device::first(sysfs(&[]).path()).unwrap_err();
        assert_eq!(none.kind, Kind::TpmNotFound);
        assert!(none.message.contains("no TPM"), "{none}");
        let old = Device::first(sysfs(&["tpm0/caps"]).path()).unwrap_err();
        assert!(old.message.contains("TPM 1.2"), "{old}");
    }
}
