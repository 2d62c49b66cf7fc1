//! SELinux labels, by the policy's own tool: where a file of the policy says what belongs to a path, only
//! restorecon(8) reads it as the policy's authors mean it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Kind, Result};

/// Where `selinuxfs` is mounted while SELinux is on (selinux(8)).
const STATUS: &str = "/sys/fs/selinux/enforce";
const RESTORECON: [&str; 2] = ["/usr/sbin/restorecon", "/sbin/restorecon"];

/// A label that is not what the policy says.
#[derive(Debug, PartialEq, Eq)]
pub struct Label {
    /// The absolute path of the file.
    pub path: String,
    /// The context that it has.
    pub current: String,
    /// The context that it should have.
    pub wanted: String,
}

/// Whether SELinux is on, enforcing or not.
#[must_use]
pub fn is_on() -> bool {
    Path::new(STATUS).exists()
}

/// What has the wrong label, of a directory and everything in it.
pub fn wrong(directory: &Path) -> Result<Vec<Label>> {
    let said = restorecon(&["-n", "-v", "-R"], directory)?;
    Ok(said.lines().filter_map(label).collect())
}

/// Labels a directory as the policy says, and on demand everything in it.
pub fn restore(directory: &Path, with_content: bool) -> Result<()> {
    restorecon(if with_content { &["-R"] } else { &[] }, directory).map(|_| ())
}

fn restorecon(options: &[&str], directory: &Path) -> Result<String> {
    let failed = |why: String| {
        Error::new(
            Kind::Io,
            format!("the SELinux label of {} cannot be restored: {why}", directory.display()),
        )
    };
    let Some(program) = RESTORECON.iter().find(|program| Path::new(program).exists()) else {
        return Err(failed("there is no restorecon".to_owned()).hint("install policycoreutils"));
    };
    let done = Command::new(program)
        .args(options)
        .arg("--")
        .arg(directory)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Reads `Would relabel PATH from CONTEXT to CONTEXT`.
fn label(line: &str) -> Option<Label> {
    let (rest, wanted) = line.strip_prefix("Would relabel ")?.rsplit_once(" to ")?;
    let (path, current) = rest.rsplit_once(" from ")?;
    let [path, current, wanted] = [path, current, wanted].map(str::to_owned);
    Some(Label { path, current, wanted })
}

#[cfg(test)]
mod tests {
    use super::{Label, label};

    #[test]
    fn what_restorecon_would_do_is_read() {
        let line = "Would relabel /var/lib/a from b to c from system_u:object_r:tmp_t:s0 to system_u:object_r:var_lib_t:s0";
        let expected = Label {
            path: "/var/lib/a from b to c".to_owned(),
            current: "system_u:object_r:tmp_t:s0".to_owned(),
            wanted: "system_u:object_r:var_lib_t:s0".to_owned(),
        };
        assert_eq!(label(line), Some(expected));
        assert_eq!(label("Relabeled /a from b to c"), None);
    }
}
