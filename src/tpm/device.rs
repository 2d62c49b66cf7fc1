//! Which TPM: the kernel's devices, and what a failure to open one means.

use std::fs;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

const SYSFS_TPMS: &str = "/sys/class/tpm";
/// How long a software TPM may take to accept a connection that has just been refused to libtss2.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// A TPM of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node, `/dev/tpmrm0` or, where the kernel has no resource manager, `/dev/tpm0`.
    pub path: String,
}

impl Device {
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
        Ok(Self { path: format!("/dev/{}", manager.as_ref().unwrap_or(name)) })
    }
}

/// The TCTI of this machine's TPM.
pub fn default_tcti() -> Result<String> {
    Ok(format!("device:{}", Device::first(Path::new(SYSFS_TPMS))?.path))
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

/// Whether the library takes the whole of a socket's configuration into account: it ignores keys that
/// it does not know, such as `path`, and would connect to some other TPM.
pub(super) fn is_understood(tcti: &str) -> bool {
    match tcti.split_once(':') {
        Some(("swtpm" | "mssim", configuration)) if !configuration.is_empty() => configuration
            .split(',')
            .all(|part| part.split_once('=').is_some_and(|(key, _)| matches!(key, "host" | "port"))),
        _ => true,
    }
}

/// Why the library could not connect to `tcti`: looks at the device or address itself, since the
/// library's codes do not tell. `code` is what the library said.
pub(super) fn explain(tcti: &str, code: &str) -> Error {
    let (name, configuration) = tcti.split_once(':').unwrap_or((tcti, ""));
    let cause = match name {
        "device" => explain_device(if configuration.is_empty() { "/dev/tpm0" } else { configuration }),
        "swtpm" | "mssim" => explain_socket(configuration),
        _ => None,
    };
    cause.unwrap_or_else(|| {
        Error::new(Kind::TpmError, format!("the TPM at `{tcti}` cannot be opened"))
            .hint(format!("check that it is running and that libtss2-tcti-{name} is installed"))
            .detail(code.to_owned())
    })
}

fn explain_device(path: &str) -> Option<Error> {
    let error = fs::File::options().read(true).write(true).open(path).err()?;
    Some(match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::TpmNotFound, format!("there is no TPM device {path}"))
            .hint("name another in `tcti`, or leave `tcti` out to use this machine's own"),
        io::ErrorKind::PermissionDenied => {
            Error::new(Kind::TpmPermission, format!("this user may not open the TPM device {path}")).hint(
                "run as root (become: true), or add the user to the group that owns the device (usually tss)",
            )
        }
        io::ErrorKind::ResourceBusy => {
            Error::new(Kind::TpmBusy, format!("another process holds the TPM device {path}"))
                .hint("use the resource manager's device (/dev/tpmrm0), which processes share")
        }
        _ => Error::io(&format!("open the TPM device {path}"), &error),
    })
}

fn explain_socket(configuration: &str) -> Option<Error> {
    let value = |key: &str, default: &str| {
        let found = configuration.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or(default).to_owned()
    };
    let address = format!("{}:{}", value("host", "localhost"), value("port", "2321"));
    let error = match address.to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(socket)) => TcpStream::connect_timeout(&socket, CONNECT_TIME).err()?,
        Ok(None) => return None,
        Err(error) => error,
    };
    Some(
        Error::new(Kind::TpmNotFound, format!("no software TPM answers at {address}: {error}"))
            .hint("start it, or correct `tcti`"),
    )
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
        assert_eq!(Device::first(root.path()).unwrap().path, "/dev/tpmrm1");
    }

    #[test]
    fn without_a_resource_manager_the_raw_device_is_used() {
        let root = sysfs(&["tpm0/dev"]);
        assert_eq!(Device::first(root.path()).unwrap().path, "/dev/tpm0");
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
