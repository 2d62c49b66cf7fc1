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
    // Told even where the key's block is damaged.
    if begins(text).any(|label| label.trim_end().ends_with("PRIVATE KEY-----")) {
        return Err(invalid(source, "holds a private key", "").hint(
            "remove the key: it does not belong there, and everyone who reads the token would have it",
        ));
    }
    let begun = begins(text).count();
    if blocks.len() < begun {
        let what = format!("begins {begun} PEM blocks, of which only {} can be read", blocks.len());
        return Err(invalid(source, &what, ""));
    }
    if blocks.is_empty() {
        return Err(invalid(source, "holds no certificate in PEM", ""));
    }
    blocks.iter().map(|block| certificate(block, source)).collect()
}

fn certificate(block: &Block, source: &str) -> Result<String> {
    if !block.is_certificate() {
        let label = escape(&block.label);
        let what = format!("holds a PEM block of type `{label}`, where only CERTIFICATE belongs");
        return Err(invalid(source, &what, ""));
    }
    if block.has_headers {
        return Err(invalid(source, "holds a certificate with header lines in its PEM block", "").hint(
            "remove the lines with a colon that follow BEGIN CERTIFICATE: a cluster skips such a block",
        ));
    }
    strict::read_whole(&block.content)
        .map_err(|why| invalid(source, "holds a certificate that does not parse", &why.to_string()))?;
    encode(CERTIFICATE, &block.content)
}

/// PEM blocks that a text begins, whether they are whole or not.
pub fn begun(text: &[u8]) -> usize {
    begins(&String::from_utf8_lossy(text)).count()
}

/// What follows BEGIN in each line that begins a PEM block, whether a whole one follows or not.
fn begins(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("-----BEGIN "))
}

/// The content of a text that is one certificate's block, without headers, and holds no other.
pub fn only_certificate(text: &str) -> Option<Vec<u8>> {
    let mut blocks = blocks(text.as_bytes());
    let block = blocks.next().filter(|block| block.is_certificate() && !block.has_headers)?;
    (blocks.next().is_none() && begins(text).count() == 1).then_some(block.content)
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
