//! A udev rule that gives a TPM's device to a group, and making udev apply it.

use std::path::Path;

use super::{Change, Mode, TextFile, program};
use crate::error::{Error, Kind, Result};
use crate::host::Accounts;

const HEADER: &str = "# Written by tbot_tpm, so that the bot's user may use the TPM.\n";
/// The socket by which udevd is spoken to: it is there while udevd runs.
const CONTROL: &str = "/run/udev/control";

/// A TPM's device as udev knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdevDevice {
    subsystem: &'static str,
    name: String,
}

impl UdevDevice {
    /// That of a device node, where it is one that the kernel names: `tpmrm0`, or `tpm0` of a kernel that has
    /// no resource manager.
    #[must_use]
    pub fn of(node: &Path) -> Option<Self> {
        let name = node.strip_prefix("/dev").ok()?.to_str()?;
        let subsystem = ["tpmrm", "tpm"].into_iter().find(|subsystem| {
            let number = name.strip_prefix(subsystem).unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })?;
        Some(Self { subsystem, name: name.to_owned() })
    }

    /// The file that gives devices of this kind to a group (udev(7)).
    #[must_use]
    pub fn rule(&self, group: &str) -> String {
        let kind = self.subsystem;
        format!("{HEADER}KERNEL==\"{kind}[0-9]*\", SUBSYSTEM==\"{kind}\", GROUP=\"{group}\", MODE=\"0660\"\n")
    }

    /// Has udev read its rules again and apply them to this device, and waits for that.
    pub fn apply(&self) -> Result<()> {
        let udevadm = program::find("udevadm").ok_or_else(|| not_applied("there is no udevadm"))?;
        let path = format!("/sys/class/{}/{}", self.subsystem, self.name);
        udev(&udevadm, &["control", "--reload"])?;
        // `--settle` is younger (systemd 238) than the rest.
        udev(&udevadm, &["trigger", "--action=change", "--settle", &path]).or_else(|_| {
            udev(&udevadm, &["trigger", "--action=change", &path])?;
            udev(&udevadm, &["settle", "--timeout=30"])
        })
    }
}

/// Why udev cannot apply a rule on this host; none where it can.
#[must_use]
pub fn obstacle() -> Option<&'static str> {
    if program::find("udevadm").is_none() {
        Some("there is no udevadm on this host")
    } else if !Path::new(CONTROL).exists() {
        Some("udev does not run on this host")
    } else {
        None
    }
}

/// Whether a rule file is there; one that we did not write is a `conflict`.
pub fn is_ours(file: &TextFile<'_>) -> Result<bool> {
    match file.text() {
        None => Ok(false),
        Some(text) if text.starts_with(HEADER) => Ok(true),
        Some(_) => {
            let message = format!("{} is there and not ours", file.path().display());
            Err(Error::new(Kind::Conflict, message).hint("move it away, or give another path in `udev_rule`"))
        }
    }
}

/// Writes the rule.
pub fn write(file: &TextFile<'_>, rule: &str) -> Result<()> {
    const MODE: Mode = Mode::new(0o644);
    file.settle(Change::Write(rule, file.wanted(Accounts { user: Some(0), group: Some(0) }, MODE)))
}

fn udev(udevadm: &str, arguments: &[&str]) -> Result<()> {
    let said = program::run(udevadm, arguments, "")?;
    if said.status.success() {
        return Ok(());
    }
    Err(not_applied(&format!("`udevadm {}` failed", arguments.join(" "))).detail(said.words()))
}

fn not_applied(why: &str) -> Error {
    Error::new(Kind::TpmPermission, format!("the udev rule for the TPM could not be applied: {why}"))
        .hint("see that systemd-udevd runs, then run this again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_matched_by_their_kind() {
        let rule = |path: &str| UdevDevice::of(Path::new(path)).map(|device| device.rule("tss"));
        let managed = "KERNEL==\"tpmrm[0-9]*\", SUBSYSTEM==\"tpmrm\", GROUP=\"tss\", MODE=\"0660\"\n";
        assert_eq!(rule("/dev/tpmrm10"), Some(format!("{HEADER}{managed}")));
        let raw = "KERNEL==\"tpm[0-9]*\", SUBSYSTEM==\"tpm\", GROUP=\"tss\", MODE=\"0660\"\n";
        assert_eq!(rule("/dev/tpm0"), Some(format!("{HEADER}{raw}")));
        for other in ["/dev/tpm", "/dev/tpmrm", "/dev/null", "/tmp/tpmrm0", "/dev/tpm0/x"] {
            assert_eq!(rule(other), None, "{other}");
        }
    }
}
