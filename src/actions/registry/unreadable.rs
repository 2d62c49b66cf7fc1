//! An entry that cannot be read: its host can be archived all the same.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::session::Session;
use super::{NEW_DIRECTORY_MODE, archived};
use crate::error::{Error, Kind, Result};
use crate::host::{self, Trust};
use crate::protocol::{Answer, Diff};
use crate::teleport::HostName;
use crate::teleport::registry;

/// Whether it is the content of a regular file that is wrong.
pub(super) fn is_content(problem: &Error, path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    is_file && matches!(problem.kind, Kind::InvalidRequest | Kind::Conflict | Kind::Io)
}

/// Moves an entry that cannot be read to the archive, as it is: nobody is to repair a file only to have its host archived.
pub(super) fn archive(
    session: &mut Session<'_>,
    host: &HostName,
    path: &Path,
    problem: &Error,
) -> Result<Answer> {
    let directory = session.index.directory();
    let target = registry::unreadable_path(directory, host);
    session.index.archived_of(host)?;
    if session.writes() {
        host::make_directory(target.parent().unwrap_or(directory), NEW_DIRECTORY_MODE, Trust::in_team())?;
        host::move_file(path, &target)?;
    }
    let warning = format!(
        "{}. The file moves to {} as it is. Its TPM is not known, so a rule of `{host}` stays in the token: name it in \
         `remove` (`tbot_token_remove`), by what it says of the host or by its hash",
        problem.message,
        target.display()
    );
    session.index.archived(host, None, target);
    let shown = path.display().to_string();
    Ok(Answer::new(true)
        .diff(Some(Diff::of(shown.as_str(), "(a file that cannot be read)\n", "")))
        .result("path", shown)
        .result("archived", archived(session, host)?)
        .result("former_ek_public_hash", Value::Null)
        .result("identity", Value::Null)
        .warnings(vec![warning]))
}
