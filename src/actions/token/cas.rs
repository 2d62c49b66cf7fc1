//! The elements of `ekcert_allowed_cas`.

use crate::ekcert;
use crate::error::{Error, Result};
use crate::host::{self, AbsolutePath};

/// An element of `ekcert_allowed_cas`.
pub(super) enum Cas {
    /// Certificates, one a PEM text.
    Given(Vec<String>),
    /// A file of such.
    File(AbsolutePath),
}

impl Cas {
    pub(super) fn parse((index, source): (usize, &String)) -> Result<Self> {
        let place = format!("`ekcert_allowed_cas[{index}]`");
        if source.contains("-----BEGIN") {
            return ekcert::pem_certificates(source, &place).map(Self::Given);
        }
        let path = AbsolutePath::try_from(source.clone());
        path.map(Self::File)
            .map_err(|why| Error::invalid(format!("{place} is neither PEM nor a path: {why}")))
    }

    fn read(self) -> Result<Vec<String>> {
        let path = match self {
            Self::Given(certificates) => return Ok(certificates),
            Self::File(path) => path,
        };
        let text = String::from_utf8_lossy(&host::read(path.as_ref())?).into_owned();
        ekcert::pem_certificates(&text, path.as_str())
    }
}

/// The certificates of all, without repetitions.
pub(super) fn certificates(cas: Vec<Cas>) -> Result<Vec<String>> {
    let mut certificates: Vec<String> = Vec::new();
    for found in cas {
        for certificate in found.read()? {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}
