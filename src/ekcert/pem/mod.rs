//! PEM (RFC 7468): writing it, and reading the certificates of CAs.

mod block;

use super::description::escape;
use super::strict;
use crate::error::{Error, Kind, Result};

pub use block::{Block, blocks};

/// The label of a certificate's block (RFC 7468, section 5.1).
const CERTIFICATE: &str = "CERTIFICATE";

impl Block {
    /// Whether it is labelled as a certificate.
    pub fn is_certificate(&self) -> bool {
        self.label == CERTIFICATE
    }
}

/// `der` as one PEM block with this label.
pub fn encode(label: &'static str, der: &[u8]) -> Result<String> {
    ::der::pem::encode_string(label, ::der::pem::LineEnding::LF, der)
        .map_err(|e| Error::new(Kind::Internal, "a PEM text could not be written").detail(e.to_string()))
}

/// The certificates in a PEM text, each as a PEM block of its own, since a cluster looks at the
/// first block only when it takes a token.
///
/// `source` names the text in errors. No block, a damaged one, one with headers (a cluster skips it), one of
/// another type (a private key, say), and a certificate that does not parse are `certificate_invalid`.
pub fn certificates(text: &str, source: &str) -> Result<Vec<String>> {
    let blocks: Vec<Block> = blocks(text.as_bytes()).collect();
    for block in &blocks {
        refuse_other_types(block, source)?;
    }
    let begun = begun(text);
    if blocks.len() < begun {
        let what = format!("begins {begun} PEM blocks, of which only {} can be read", blocks.len());
        return Err(invalid(source, &what, ""));
    }
    if blocks.is_empty() {
        return Err(invalid(source, "holds no certificate in PEM", ""));
    }
    blocks.iter().map(|block| certificate(block, source)).collect()
}

fn refuse_other_types(block: &Block, source: &str) -> Result<()> {
    let label = escape(&block.label);
    if block.label.ends_with("PRIVATE KEY") {
        let what = format!("holds a private key (a PEM block of type `{label}`)");
        return Err(invalid(source, &what, "").hint(
            "remove the key: it does not belong there, and everyone who reads the token would have it",
        ));
    }
    if block.is_certificate() {
        return Ok(());
    }
    let what = format!("holds a PEM block of type `{label}`, where only CERTIFICATE belongs");
    Err(invalid(source, &what, ""))
}

fn certificate(block: &Block, source: &str) -> Result<String> {
    if block.has_headers {
        return Err(invalid(source, "holds a certificate with header lines in its PEM block", "").hint(
            "remove the lines with a colon that follow BEGIN CERTIFICATE: a cluster skips such a block",
        ));
    }
    strict::read_whole(&block.content)
        .map_err(|why| invalid(source, "holds a certificate that does not parse", &why.to_string()))?;
    encode(CERTIFICATE, &block.content)
}

/// Lines that begin a PEM block, whether they are followed by a whole one or not.
pub fn begun(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("-----BEGIN ")).count()
}

/// Whether a cluster takes this text as an element of a token's `ekcert_allowed_cas`; the error says what
/// is wrong with it ("has no PEM block").
///
/// It looks at the first PEM block only, which must be a certificate that parses. The others, and headers
/// in a block, count later, when a host joins: see [`Authorities::from_pem`](super::Authorities::from_pem).
pub fn check_first_block(text: &str) -> std::result::Result<(), String> {
    let Some(block) = blocks(text.as_bytes()).next() else {
        return Err("has no PEM block".to_owned());
    };
    if !block.is_certificate() {
        return Err(format!("starts with a PEM block of type `{}`, not CERTIFICATE", escape(&block.label)));
    }
    strict::read_whole(&block.content)
        .map(drop)
        .map_err(|why| format!("starts with a certificate that does not parse: {why}"))
}

fn invalid(source: &str, what: &str, detail: &str) -> Error {
    let error = Error::new(Kind::CertificateInvalid, format!("{source} {what}"));
    if detail.is_empty() { error } else { error.detail(detail) }
}
