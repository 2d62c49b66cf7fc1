//! What earlier parts of the same request have done, or would have done in check mode.

use std::path::Path;

use crate::error::Result;
use crate::host::{self, AbsolutePath};

/// Empty where a request has one part.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// The configuration as it was written, or would be.
    pub config: Option<(AbsolutePath, String)>,
    /// What it said before this request.
    pub former_config: Option<String>,
    /// Directories that other bots of the host use.
    pub in_use: Vec<String>,
    /// The version of the program that is to run, where it is known.
    pub program_version: Option<String>,
    /// Whether files of the service were changed, or would be.
    pub has_changed: bool,
    /// Whether systemd has not read all of these.
    pub needs_daemon_reload: bool,
}

impl Earlier {
    /// Whether there is such a file, or would be.
    #[must_use]
    pub fn has(&self, file: &AbsolutePath) -> bool {
        self.config.as_ref().is_some_and(|(path, _)| path == file) || AsRef::<Path>::as_ref(file).exists()
    }

    /// The content of a file as it is, or would be.
    pub fn read(&self, file: &AbsolutePath) -> Result<Vec<u8>> {
        match &self.config {
            Some((path, text)) if path == file => Ok(text.clone().into_bytes()),
            _ => host::read(file.as_ref()),
        }
    }
}
