//! PEM (RFC 7468): writing it, and reading the certificates of CAs.

use x509_parser::pem::Pem;

use super::strict;
use crate::error::{Error, Kind, Result};

/// `der` as one PEM block with this label.
pub fn encode(label: &'static str, der: &[u8]) -> Result<String> {
    ::der::pem::encode_string(label, ::der::pem::LineEnding::LF, der)
        .map_err(|e| Error::new(Kind::Internal, "a PEM text could not be written").detail(e.to_string()))
}

/// The certificates in a PEM text, each as a PEM block of its own, since a cluster looks at the
/// first block only.
///
/// `source` names the text in errors. No block, a block of another type (a private key, say), and a
/// certificate that does not parse are `certificate_invalid`.
pub fn certificates(text: &str, source: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|e| invalid(source, "is not readable as PEM", &e.to_string()))?;
        if block.label != "CERTIFICATE" {
            let what = format!("holds a PEM block of type `{}`, where only CERTIFICATE belongs", block.label);
            return Err(invalid(source, &what, ""));
        }
        let reading = strict::read(&block.contents)
            .map_err(|why| invalid(source, "holds a certificate that does not parse", &why.to_string()))?;
        if reading.certificate.der.len() < block.contents.len() {
            return Err(invalid(source, "has bytes after the end of a certificate", ""));
        }
        found.push(encode("CERTIFICATE", &block.contents)?);
    }
    if found.is_empty() {
        return Err(invalid(source, "holds no certificate in PEM", ""));
    }
    Ok(found)
}

fn invalid(source: &str, what: &str, detail: &str) -> Error {
    let error = Error::new(Kind::CertificateInvalid, format!("{source} {what}"));
    if detail.is_empty() { error } else { error.detail(detail) }
}
