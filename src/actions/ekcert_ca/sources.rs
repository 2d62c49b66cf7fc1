//! Certificates that the user gives: in files, in directories, or as text.

use std::path::Path;

use serde::Deserialize;

use crate::ekcert::issuers::Contents;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath};

/// Where certificates are.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::actions) enum Source {
    /// PEM.
    Text(String),
    /// A file, or a directory of files.
    Path(AbsolutePath),
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text.contains("-----BEGIN ") {
            return Ok(Self::Text(text));
        }
        AbsolutePath::try_from(text)
            .map(Self::Path)
            .map_err(|why| format!("it is neither PEM nor a path: {why}"))
    }
}

impl Source {
    /// Refuses a text that holds no certificate. What a path leads to is seen when it is read.
    pub(super) fn check(&self, parameter: &str) -> Result<()> {
        match self {
            Self::Text(_) => Given::read(std::slice::from_ref(self), parameter).map(drop),
            Self::Path(_) => Ok(()),
        }
    }
}

/// What sources hold.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Certificates in DER, and where each is.
    pub certificates: Vec<(Vec<u8>, String)>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

impl Given {
    /// Reads the sources of a parameter. One that holds no certificate at all is `certificate_invalid`; others in it
    /// that cannot be read, and other files in a directory, are left out.
    pub(super) fn read(sources: &[Source], parameter: &str) -> Result<Self> {
        let mut given = Self::default();
        for source in sources {
            let before = given.certificates.len();
            let name = match source {
                Source::Text(text) => {
                    let name = format!("a text in `{parameter}`");
                    given.take(text.as_bytes(), &name);
                    name
                }
                Source::Path(path) => {
                    given.take_path(path.as_ref())?;
                    path.as_str().to_owned()
                }
            };
            if given.certificates.len() == before {
                let why = given.warnings.last().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(Error::new(
                    Kind::CertificateInvalid,
                    format!("`{parameter}`: {name} holds no certificate{why}"),
                )
                .hint("give certificates in DER, PEM or PKCS #7"));
            }
        }
        Ok(given)
    }

    fn take_path(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            self.take(&host::read(path)?, &path.display().to_string());
            return Ok(());
        }
        for file in host::files_below(path)? {
            let name = file.display().to_string();
            match host::read(&file) {
                Ok(bytes) => self.take(&bytes, &name),
                Err(why) => self.warnings.push(format!("left out: {why}")),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], name: &str) {
        let contents = Contents::of(bytes);
        self.warnings.extend(contents.damaged.iter().map(|why| format!("left out of {name}: {why}")));
        self.certificates.extend(contents.certificates.into_iter().map(|der| (der, name.to_owned())));
    }
}
