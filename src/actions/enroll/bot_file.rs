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

/// The file of a bot.
pub(super) struct BotFile {
    pub path: AbsolutePath,
    pub text: String,
}

impl BotFile {
    /// That of a bot that is managed, where the tokens have files.
    pub(super) fn of(asked: &Asked) -> Result<Option<Self>> {
        let (Some(terms), Some(tokens)) = (&asked.bot, &asked.layout.file) else { return Ok(None) };
        let Some(resource) = terms.resource(None)? else { return Ok(None) };
        let folder = Path::new(tokens.as_str()).parent().unwrap_or(Path::new("/"));
        let path = format!("{}/{}.bot.yaml", folder.display(), terms.name());
        let path = AbsolutePath::try_from(path).map_err(Error::invalid)?;
        Ok(Some(Self { path, text: yaml::write(&resource) }))
    }

    /// Writes it where it says something else, and answers whether it does.
    pub(super) fn write(&self, request: &Request) -> Result<bool> {
        let file = TextFile::inspect(self.path.as_ref(), Trust::in_team())?;
        if file.text() == Some(&self.text) {
            return Ok(false);
        }
        let mode = file.attributes().map_or(NEW_FILE_MODE, |found| found.mode);
        // Earlier tasks would have made its directory.
        if !request.controls.check_mode || file.has_directory() {
            settle(request, &file, Change::Write(&self.text, file.wanted(Accounts::default(), mode)))?;
        }
        Ok(true)
    }
}
