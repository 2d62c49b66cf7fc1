//! The file of a bot beside those of the tokens, for a person who applies them.

use std::path::Path;

use super::parameters::Asked;
use crate::actions::settle;
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Accounts, Change, Mode, TextFile, Trust};
use crate::protocol::Request;
use crate::teleport::yaml;

/// As for the tokens' files.
const NEW_FILE_MODE: Mode = Mode::new(0o600);

/// Writes the file of a bot that is managed, where the tokens have files, and says where it is and whether it changed.
pub(super) fn write(asked: &Asked, request: &Request) -> Result<Option<(AbsolutePath, bool)>> {
    let (Some(terms), Some(tokens)) = (&asked.bot, &asked.layout.file) else { return Ok(None) };
    let folder = Path::new(tokens.as_str()).parent().unwrap_or(Path::new("/"));
    let path = format!("{}/{}.bot.yaml", folder.display(), terms.name());
    let path = AbsolutePath::try_from(path).map_err(Error::invalid)?;
    let Some(resource) = terms.resource(None)? else { return Ok(None) };
    let text = yaml::write(&resource);
    let file = TextFile::inspect(path.as_ref(), Trust::in_team())?;
    let change = if file.text() == Some(&text) {
        Change::Keep
    } else {
        let mode = file.attributes().map_or(NEW_FILE_MODE, |found| found.mode);
        Change::Write(&text, file.wanted(Accounts::default(), mode))
    };
    if !(request.controls.check_mode && !file.has_directory()) {
        settle(request, &file, change)?;
    }
    let changed = change != Change::Keep;
    Ok(Some((path, changed)))
}
