//! The certificate parser: RFC 5280 as Go's `crypto/x509` reads it.
//!
//! `tbot` is a Go program, and what Go does not parse is no EK certificate for it: it then joins with
//! another key. So this parser must refuse what Go refuses and accept what Go accepts, down to what
//! RFC 5280 says otherwise. Each rule says where Go departs from the RFC; the tests compare both on
//! thousands of damaged certificates.

mod curve;
mod domain;
mod extension;
mod key;
mod name;
mod p224;
mod time;
mod uri;

use std::cell::Cell;

use super::der::{self, Oid, Reader};
use super::serial::Serial;

pub use curve::Curve;
pub use domain::is_domain;
pub use key::Key;
pub use name::{Attribute, attributes, text};
pub use time::Validity;

/// Why bytes are no certificate for `tbot`: a few words ("the serial number is negative").
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotACertificate(pub(super) &'static str);

/// The answer of every part of the parser.
type Checked<T> = Result<T, NotACertificate>;

/// Says why where there is nothing.
trait OrBecause<T> {
    fn or_because(self, why: &'static str) -> Checked<T>;
}

impl<T> OrBecause<T> for Option<T> {
    fn or_because(self, why: &'static str) -> Checked<T> {
        self.ok_or(NotACertificate(why))
    }
}

/// Whose rules count. Between these two Go releases a few changed, each once, so that releases between
/// them agree with both wherever both agree:
///
/// - Go 1.26: URIs in subjectAltName with brackets inside the host, or an http(s) host with several
///   colons, are refused (Go 1.25's latest releases do some of that too).
/// - Go 1.27: any type of value in names (before: the six string types only); IPv4-mapped IPv6
///   addresses, and mailboxes with a second `@`, are refused; ML-DSA keys are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// Go 1.25.
    Go1_25,
    /// Go 1.27.
    Go1_27,
}

/// The release by whose rules a certificate is read.
#[derive(Debug)]
struct Edition {
    release: Release,
    /// Whether it made a difference so far which one that is.
    counted: Cell<bool>,
}

impl Edition {
    const fn of(release: Release) -> Self {
        Self { release, counted: Cell::new(false) }
    }

    /// Whether it is this one.
    fn is(&self, release: Release) -> bool {
        self.counted.set(true);
        self.release == release
    }
}

/// What a certificate says, its parts still in DER where they only serve to describe it.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// All of it, without what follows it.
    pub der: &'a [u8],
    /// What the issuer signed, with tag and length.
    pub signed: &'a [u8],
    /// As people count it, from 1; less where it overflows in Go.
    pub version: i64,
    pub serial: Serial,
    pub signature_algorithm: Oid<'a>,
    /// The signature algorithm's parameters with tag and length, empty where there are none.
    pub signature_parameters: &'a [u8],
    pub signature: Vec<u8>,
    /// The issuer's Name, a SEQUENCE's content.
    pub issuer: &'a [u8],
    pub validity: Validity,
    /// The subject's Name, a SEQUENCE's content.
    pub subject: &'a [u8],
    pub key: Key,
    /// The `SubjectPublicKeyInfo` as it stands there, with tag and length.
    pub key_info: &'a [u8],
    pub extensions: Vec<Extension<'a>>,
}

impl<'a> Certificate<'a> {
    /// The value of the extension of this type.
    pub fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|found| found.oid.bytes() == oid).map(|found| found.value)
    }
}

/// One extension (RFC 5280, section 4.2).
#[derive(Debug, Clone, Copy)]
pub struct Extension<'a> {
    pub oid: Oid<'a>,
    pub is_critical: bool,
    /// The content of its OCTET STRING.
    pub value: &'a [u8],
}

/// A certificate, as the newest Go release that takes it reads it.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    pub certificate: Certificate<'a>,
    /// Whether other releases refuse it, or read another key in it.
    pub is_disputed: bool,
}

/// The local part and the domain of a mailbox, as the newest Go release takes it.
pub fn mailbox(mailbox: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    domain::mailbox(mailbox, &Edition::of(Release::Go1_27))
}

/// The host of a URI of ASCII characters, with its port; empty where there is none. None where the newest
/// Go release does not take the URI.
pub fn uri_host(uri: &str) -> Option<Vec<u8>> {
    uri::host(uri, &Edition::of(Release::Go1_27))
}

/// Reads the certificate at the start of `bytes`, if any Go release does.
pub fn read(bytes: &[u8]) -> Checked<Reading<'_>> {
    let edition = Edition::of(Release::Go1_27);
    let newest = parse(bytes, &edition);
    if !edition.counted.get() {
        return newest.map(|certificate| Reading { certificate, is_disputed: false });
    }
    match (newest, parse(bytes, &Edition::of(Release::Go1_25))) {
        (Ok(certificate), Ok(older)) => {
            let is_disputed = certificate.key != older.key;
            Ok(Reading { certificate, is_disputed })
        }
        (Ok(certificate), Err(_)) | (Err(_), Ok(certificate)) => {
            Ok(Reading { certificate, is_disputed: true })
        }
        (Err(why), Err(_)) => Err(why),
    }
}

/// Reads the certificate that `bytes` are, with nothing after it.
pub fn read_whole(bytes: &[u8]) -> Checked<Reading<'_>> {
    let reading = read(bytes)?;
    if reading.certificate.der.len() < bytes.len() {
        return Err(NotACertificate("there are bytes after the end of the certificate"));
    }
    Ok(reading)
}

/// Parses the certificate at the start of `bytes`; what follows it does not count (go-attestation
/// cuts it off, since NV indexes are often larger than the certificate in them).
///
/// Elements beyond those of RFC 5280, section 4.1, are ignored within the certificate and most of its
/// parts, as Go ignores them.
fn parse<'a>(bytes: &'a [u8], edition: &Edition) -> Checked<Certificate<'a>> {
    let whole = Reader::new(bytes).element().filter(|element| element.tag == der::SEQUENCE);
    let whole = whole.or_because("the data does not start with a DER sequence")?;
    let mut certificate = Reader::new(whole.content);
    let signed = certificate.element().filter(|element| element.tag == der::SEQUENCE);
    let signed = signed.or_because("the DER sequence is no certificate inside")?;
    let mut body = Reader::new(signed.content);
    let version = version(&mut body).or_because("the version is not 1, 2 or 3")?;
    let serial = serial(&mut body)?;
    let (signature_algorithm, signature_parameters) = signature_algorithm(&mut body, &mut certificate)?;
    let issuer = name::parse(&mut body, edition).or_because("the issuer is malformed")?;
    let validity = Validity::parse(&mut body).or_because("the validity is malformed")?;
    let subject = name::parse(&mut body, edition).or_because("the subject is malformed")?;
    let key_info = body.rest();
    let key = Key::parse(&mut body, edition)?;
    let key_info = &key_info[..key_info.len() - body.rest().len()];
    let extensions = if version > 1 { extensions(&mut body, version, edition)? } else { Vec::new() };
    let signature = certificate.bit_string().or_because("the signature is malformed")?.right_aligned();
    Ok(Certificate {
        der: whole.whole,
        signed: signed.whole,
        version,
        serial,
        signature_algorithm,
        signature_parameters,
        signature,
        issuer,
        validity,
        subject,
        key,
        key_info,
        extensions,
    })
}

/// The version as people count it, from 1.
fn version(body: &mut Reader<'_>) -> Option<i64> {
    let Some(explicit) = body.optional(der::constructed(0))? else { return Some(1) };
    let mut explicit = Reader::new(explicit);
    let encoded = explicit.small_integer(der::INTEGER)?;
    // Go adds one without looking, so that the largest number becomes a very small version, and passes.
    let version = encoded.wrapping_add(1);
    (explicit.is_empty() && encoded >= 0 && version <= 3).then_some(version)
}

/// The serial number. RFC 5280, section 4.1.2.2, wants it positive and at most 20 bytes long; zero and
/// longer ones pass.
fn serial(body: &mut Reader<'_>) -> Checked<Serial> {
    let integer = body.integer().or_because("the serial number is malformed")?;
    Serial::from_der_integer(integer).or_because("the serial number is negative")
}

/// The signature algorithm and its parameters, which stand inside the signed part and outside, and must
/// be the same.
fn signature_algorithm<'a>(
    body: &mut Reader<'a>,
    certificate: &mut Reader<'a>,
) -> Checked<(Oid<'a>, &'a [u8])> {
    const MALFORMED: &str = "the signature algorithm is malformed";
    let inner = body.read(der::SEQUENCE).or_because(MALFORMED)?;
    let outer = certificate.read(der::SEQUENCE).or_because(MALFORMED)?;
    if inner != outer {
        return Err(NotACertificate("the two signature algorithms differ"));
    }
    algorithm_identifier(inner).or_because(MALFORMED)
}

/// An `AlgorithmIdentifier` (RFC 5280, section 4.1.1.2): the algorithm, and its parameters with tag
/// and length, empty where there are none.
fn algorithm_identifier(content: &[u8]) -> Option<(Oid<'_>, &[u8])> {
    let mut reader = Reader::new(content);
    let algorithm = reader.oid()?;
    let parameters = if reader.is_empty() { &[][..] } else { reader.element()?.whole };
    Some((algorithm, parameters))
}

/// The unique identifiers, which say nothing, and the extensions, which only version 3 has.
fn extensions<'a>(body: &mut Reader<'a>, version: i64, edition: &Edition) -> Checked<Vec<Extension<'a>>> {
    const MALFORMED: &str = "the extensions are malformed";
    for number in [1, 2] {
        body.optional(der::context(number)).or_because("one of the unique identifiers is malformed")?;
    }
    if version < 3 {
        return Ok(Vec::new());
    }
    let Some(explicit) = body.optional(der::constructed(3)).or_because(MALFORMED)? else {
        return Ok(Vec::new());
    };
    let mut list = Reader::new(explicit).enter(der::SEQUENCE).or_because(MALFORMED)?;
    let mut extensions: Vec<Extension<'a>> = Vec::new();
    while !list.is_empty() {
        let extension = list.enter(der::SEQUENCE).and_then(extension).or_because(MALFORMED)?;
        if extensions.iter().any(|other| other.oid == extension.oid) {
            return Err(NotACertificate("an extension is there twice"));
        }
        extensions.push(extension);
    }
    extensions.iter().try_for_each(|extension| extension::check(extension, edition))?;
    Ok(extensions)
}

fn extension(mut content: Reader<'_>) -> Option<Extension<'_>> {
    let oid = content.oid()?;
    let is_critical = if content.peeks(der::BOOLEAN) { content.boolean()? } else { false };
    Some(Extension { oid, is_critical, value: content.read(der::OCTET_STRING)? })
}
