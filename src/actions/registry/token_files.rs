//! A directory with files of tokens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host;
use crate::teleport::{self, Source, Token};

/// The tokens of a file. Others are such as a bot's, or another program's, and have none.
pub(super) fn read(path: &Path) -> Result<Vec<Token>> {
    let bytes = host::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    if !text.contains("join_method") {
        return Ok(Vec::new());
    }
    let name = path.display().to_string();
    teleport::parse_tokens(&text, Source { name: &name, malformed: Kind::Conflict })
}

/// The directory's YAML files; none where it is not there.
pub(super) fn all(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: &io::Error| Error::io(&format!("read {}", directory.display()), error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| failed(&e))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| failed(&e))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
