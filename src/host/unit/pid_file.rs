//! Where the service keeps its process id.

use std::path::Path;

use super::hardening::is_below;
use super::{UnitName, Use};
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, is_shared_directory};

/// A service's pid file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile(AbsolutePath);

impl PidFile {
    /// The one that a request asks for: none where `given` is empty, and the usual one where it is not
    /// given, `/run/NAME.pid` as `tbot install systemd` has it.
    ///
    /// Only root can write to `/run` itself, and not even root where the file system is read-only. So the service
    /// of another user (`can_write_run` is false), and a hardened one, has `/run/NAME/NAME.pid` instead, in a
    /// directory that systemd makes for it.
    pub fn choose(given: Option<&str>, name: &UnitName, can_write_run: bool) -> Result<Option<Self>> {
        let text = match given {
            Some("") => return Ok(None),
            Some(given) => given.to_owned(),
            None if can_write_run => format!("/run/{name}.pid"),
            None => format!("{}/{name}.pid", own_directory(name)),
        };
        let path = AbsolutePath::try_from(text)
            .map_err(|why| Error::invalid(format!("parameter `pid_file` of action `systemd`: {why}")))?;
        Ok(Some(Self::at(path)))
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &AbsolutePath {
        &self.0
    }

    /// The one at this path.
    pub(super) fn at(path: AbsolutePath) -> Self {
        // One directory by two names; systemd uses the newer (systemd.service(5), `PIDFile=`).
        let newer = path.as_str().strip_prefix("/var").filter(|rest| rest.starts_with("/run/"));
        let newer = newer.and_then(|path| AbsolutePath::try_from(path.to_owned()).ok());
        Self(newer.unwrap_or(path))
    }

    /// Whether it is in `/run` itself, where only root can make it.
    #[must_use]
    pub fn is_right_in_run(&self) -> bool {
        Path::new(self.0.as_str()).parent() == Some(Path::new("/run"))
    }

    /// The directory below `/run` that systemd has to make for the service to write its pid file
    /// (`RuntimeDirectory=`); none where the file is in a directory that the service has a use for anyway.
    /// systemd gives the directory to the service and removes it when that stops, so it has to be the service's
    /// alone, else that is `invalid_request`.
    ///
    /// With `hardening`, a file anywhere else is `invalid_request` as well: one in a directory of many would open
    /// all of it.
    pub fn runtime_directory(
        &self,
        name: &UnitName,
        used: &Use,
        is_hardened: bool,
    ) -> Result<Option<String>> {
        let path: &Path = self.0.as_ref();
        let own = own_directory(name);
        let is_own = is_below(path, Path::new(&own));
        if !is_own && (!is_hardened || used.may_make(path)) {
            return Ok(None);
        }
        let directory = path.parent().and_then(Path::to_str).unwrap_or("/");
        let refused = |why: &str, hint: String| {
            let (file, with) = (self.0.as_str(), if is_hardened { "with `hardening`, " } else { "" });
            let message = format!("parameter `pid_file`: {with}{file} cannot be written, since {why}");
            Err(Error::invalid(message).hint(hint))
        };
        if !is_own {
            let hint = format!(
                "leave `pid_file` out for {own}/{name}.pid, or put it below the bot's storage or one of \
                 `read_write_paths`"
            );
            return refused("the service may not write there", hint);
        }
        if is_shared_directory(Path::new(&own)) {
            let hint = "give the service another `name`, or do without the file: `pid_file: \"\"`";
            return refused(&format!("{own} is a directory of the system"), hint.to_owned());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        if !directory.chars().all(is_plain) {
            let hint = "call the directory otherwise".to_owned();
            return refused(
                "systemd makes directories in /run only with letters, digits, - _ . in their names",
                hint,
            );
        }
        Ok(directory.strip_prefix("/run/").map(str::to_owned))
    }
}

/// The service's own directory. A colon would begin another name for it (systemd.exec(5), `RuntimeDirectory=`).
fn own_directory(name: &UnitName) -> String {
    format!("/run/{}", name.to_string().replace(':', "-"))
}
