//! Where the service keeps its process id.

use std::path::Path;

use super::UnitName;
use crate::error::{Error, Result};
use crate::host::AbsolutePath;

/// A service's pid file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    path: AbsolutePath,
    directory: PidDirectory,
}

/// How a hardened service, to which the file system is read-only, may write its pid file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PidDirectory {
    /// It does not need to: the service is not hardened.
    Any,
    /// systemd makes this directory below `/run` for the service (`RuntimeDirectory=`).
    Runtime(String),
    /// This directory is made writable.
    Writable(String),
}

impl PidFile {
    /// The one that a request asks for: none where `given` is empty, and the usual one where it is not
    /// given, `/run/NAME.pid` as `tbot install systemd` has it.
    ///
    /// Only root can write to `/run` itself, and not even root where the file system is read-only. So a
    /// hardened service has `/run/NAME/NAME.pid` instead, in a directory that systemd makes for it, and
    /// a file right in `/run` is `invalid_request`.
    pub fn choose(given: Option<&str>, name: &UnitName, is_hardened: bool) -> Result<Option<Self>> {
        let wrong =
            |what: String| Error::invalid(format!("parameter `pid_file` of action `systemd`: {what}"));
        let text = match given {
            Some("") => return Ok(None),
            Some(given) => given.to_owned(),
            None if is_hardened => {
                // A colon would begin another name for the directory.
                let directory = name.to_string().replace(':', "-");
                format!("/run/{directory}/{name}.pid")
            }
            None => format!("/run/{name}.pid"),
        };
        let path = AbsolutePath::try_from(text).map_err(wrong)?;
        // One directory by two names; systemd uses the newer (systemd.service(5), `PIDFile=`).
        let path = match path.as_str().strip_prefix("/var/run/") {
            Some(rest) => AbsolutePath::try_from(format!("/run/{rest}")).map_err(wrong)?,
            None => path,
        };
        let directory = if is_hardened { hardened(path.as_str(), name)? } else { PidDirectory::Any };
        Ok(Some(Self { path, directory }))
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &AbsolutePath {
        &self.path
    }

    pub(super) fn directory(&self) -> &PidDirectory {
        &self.directory
    }
}

fn hardened(path: &str, name: &UnitName) -> Result<PidDirectory> {
    let refused = |why: &str| {
        Err(Error::invalid(format!(
            "parameter `pid_file`: with `hardening`, {path} cannot be written, since {why}"
        ))
        .hint(format!(
            "leave `pid_file` out for /run/{name}/{name}.pid, or give a file in a directory of its own"
        )))
    };
    let directory = Path::new(path).parent().and_then(Path::to_str).unwrap_or("/");
    match directory.strip_prefix("/run/") {
        Some(below) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
            if below.chars().all(is_plain) {
                return Ok(PidDirectory::Runtime(below.to_owned()));
            }
            refused("systemd makes directories in /run only with plain names: letters, digits, - _ .")
        }
        None if directory == "/run" => refused(
            "a hardened service cannot write to /run itself, but to a directory there that systemd makes for it",
        ),
        // `/etc`, `/tmp` and the like are everyone's.
        None if Path::new(directory).components().count() <= 2 => {
            refused("its directory would be writable to the service, and is not the service's alone")
        }
        None => Ok(PidDirectory::Writable(directory.to_owned())),
    }
}
