//! What an EK certificate says, as text for people and as facts for playbooks.
//!
//! The certificate comes from a chip that may be broken or hostile, so every text in here is safe to
//! show: backslashes, control characters and characters that are invisible or change the direction
//! of writing appear as a backslash and two hexadecimal digits for each byte of their UTF-8 form
//! (`\0A`, RFC 4514, section 2.4), and long texts are cut and end with `…`.

use serde::Serialize;
use time::OffsetDateTime;

use super::der::{self, Element, Reader};
use super::strict::{self, Certificate};
use super::{names, oid};

/// Characters of one value, and of a whole name or list of names, that are shown.
const VALUE_LIMIT: usize = 256;
const TEXT_LIMIT: usize = 2048;
/// Issuer links that are shown, and the characters that one may have.
const LINKS_LIMIT: usize = 8;
const LINK_LIMIT: usize = 2048;

/// What a certificate says. None where it says nothing of that kind, or nothing readable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The issuer's name in the certificate's order: `C=DE, O=Infineon Technologies AG, CN=…`, values escaped
    /// as in RFC 4514, with ` + ` between the attributes of one relative name.
    pub issuer: Option<String>,
    /// The subject's alternative names, as openssl shows them: `DirName:…, email:…, DNS:…, URI:…`.
    pub subject_alt_name: Option<String>,
    /// From the subject's alternative directory name (TCG EK Credential Profile 2.0, section 3.1.2), as it
    /// stands there: `id:49465800` is the manufacturer's number in hexadecimal, here `IFX`.
    pub tpm_manufacturer: Option<String>,
    /// The model (part number), from the same place.
    pub tpm_model: Option<String>,
    /// The firmware version (`id:00010203`), from the same place.
    pub tpm_version: Option<String>,
    /// The first second in which it is valid, RFC 3339 in UTC.
    pub not_before: String,
    /// The last second in which it is valid; `9999-12-31T23:59:59Z` where it never ends.
    pub not_after: String,
    /// `RSA 2048`, `ECDSA P-384`, `Ed25519`, another name or dotted numbers.
    pub key_algorithm: String,
    /// The algorithm of the issuer's signature: `sha256WithRSAEncryption`, or dotted numbers.
    pub signature_algorithm: String,
    /// Where the issuer's certificate can be had, says this certificate (Authority Information Access,
    /// RFC 5280, section 4.2.2.1): at most 8 URLs, of at most 2048 characters. Vendors leave spaces in them, which are
    /// written `%20` here, as they have to be asked for. One that [`is_malformed`] is escaped and cut.
    pub ca_issuers: Vec<String>,
}

impl Description {
    pub(super) fn of(certificate: &Certificate<'_>) -> Self {
        let alternative = certificate.extension(oid::SUBJECT_ALT_NAME).map_or(Vec::new(), elements);
        let tpm =
            |oid: &[u8]| alternative.iter().filter_map(directory_name).find_map(|name| attribute(name, oid));
        let alternative_text: Vec<String> = alternative.iter().map(general_name).collect();
        Self {
            issuer: name_text(certificate.issuer),
            subject_alt_name: (!alternative_text.is_empty())
                .then(|| cut(&alternative_text.join(", "), TEXT_LIMIT)),
            tpm_manufacturer: tpm(oid::TPM_MANUFACTURER),
            tpm_model: tpm(oid::TPM_MODEL),
            tpm_version: tpm(oid::TPM_VERSION),
            not_before: timestamp(certificate.validity.not_before),
            not_after: timestamp(certificate.validity.not_after),
            key_algorithm: certificate.key.name.clone(),
            signature_algorithm: names::signature(certificate.signature_algorithm),
            ca_issuers: links(certificate),
        }
    }
}

/// [`Description::ca_issuers`].
pub(super) fn links(certificate: &Certificate<'_>) -> Vec<String> {
    let access = certificate.extension(oid::AUTHORITY_INFO_ACCESS).map_or(Vec::new(), elements);
    access.iter().filter_map(link).take(LINKS_LIMIT).collect()
}

/// The elements of the sequence that an extension is.
pub(super) fn elements(value: &[u8]) -> Vec<Element<'_>> {
    let Some(mut list) = Reader::new(value).enter(der::SEQUENCE) else { return Vec::new() };
    std::iter::from_fn(|| list.element()).collect()
}

/// The Name's content of a directoryName.
fn directory_name<'a>(name: &Element<'a>) -> Option<&'a [u8]> {
    (name.tag == der::constructed(4)).then(|| Reader::new(name.content).read(der::SEQUENCE)).flatten()
}

/// The text of the first attribute of this type, in whatever relative name it is.
fn attribute(name: &[u8], oid: &[u8]) -> Option<String> {
    let attributes = strict::attributes(name)?;
    let (_, value) = attributes.iter().flatten().find(|(kind, _)| kind.bytes() == oid)?;
    strict::text(value).map(|text| escape(&text))
}

/// A Name's content as text; none where it is empty or malformed.
pub(super) fn name_text(name: &[u8]) -> Option<String> {
    let relative = |attributes: &Vec<strict::Attribute<'_>>| {
        let pairs = attributes
            .iter()
            .map(|(kind, value)| format!("{}={}", names::attribute(*kind), value_text(value)));
        pairs.collect::<Vec<_>>().join(" + ")
    };
    let text = strict::attributes(name)?.iter().map(relative).collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then(|| cut(&text, TEXT_LIMIT))
}

/// A value as RFC 4514, section 2.4, writes it: escaped, or `#` and the DER in hexadecimal where it is no
/// text.
fn value_text(value: &Element<'_>) -> String {
    let Some(text) = strict::text(value) else {
        return format!(
            "#{}",
            super::public_key::hexadecimal(&value.whole[..value.whole.len().min(VALUE_LIMIT / 2)])
        );
    };
    let mut written = String::new();
    for character in escape(&text).chars() {
        if "\"+,;<>".contains(character) || written.is_empty() && "# ".contains(character) {
            written.push('\\');
        }
        written.push(character);
    }
    if written.ends_with(' ') && !written.ends_with("\\ ") {
        written.pop();
        written.push_str("\\ ");
    }
    written
}

/// One of the subject's alternative names (RFC 5280, section 4.2.1.6).
pub(super) fn general_name(name: &Element<'_>) -> String {
    let text = || escape(&String::from_utf8_lossy(name.content));
    match name.tag & 0x1f {
        0 => format!(
            "otherName:{}",
            Reader::new(name.content).oid().map(|oid| oid.to_string()).unwrap_or_default()
        ),
        1 => format!("email:{}", text()),
        2 => format!("DNS:{}", text()),
        3 => "X400Name".to_owned(),
        4 => format!("DirName:{}", directory_name(name).and_then(name_text).unwrap_or_default()),
        5 => "EdiPartyName".to_owned(),
        6 => format!("URI:{}", text()),
        7 => format!("IP:{}", address(name.content)),
        8 => format!("RID:{}", registered_id(name.content).unwrap_or_default()),
        _ => "?".to_owned(),
    }
}

/// The object identifier whose content this is.
fn registered_id(content: &[u8]) -> Option<String> {
    let element = der::encode(der::OBJECT_IDENTIFIER, &[content]);
    Reader::new(&element).oid().map(|oid| oid.to_string())
}

fn address(content: &[u8]) -> String {
    match (<[u8; 4]>::try_from(content), <[u8; 16]>::try_from(content)) {
        (Ok(bytes), _) => std::net::Ipv4Addr::from(bytes).to_string(),
        (_, Ok(bytes)) => std::net::Ipv6Addr::from(bytes).to_string(),
        _ => "?".to_owned(),
    }
}

/// The URL of an access description that leads to the issuer's certificate.
fn link(description: &Element<'_>) -> Option<String> {
    let mut description = Reader::new(description.content);
    let method = description.oid()?;
    let url = String::from_utf8_lossy(description.read(der::context(6))?).into_owned();
    if method.bytes() != oid::CA_ISSUERS {
        return None;
    }
    let written = url.trim_matches(' ').replace(' ', "%20");
    Some(match written.len() {
        0 => "(an empty link)".to_owned(),
        1..=LINK_LIMIT if !is_malformed(&written) => written,
        _ => escape(&url),
    })
}

/// Whether one of [`Description::ca_issuers`] is none that can be asked: a URL has visible ASCII characters (RFC 3986), and
/// no backslash, with which others are escaped.
#[must_use]
pub fn is_malformed(link: &str) -> bool {
    link.contains('\\') || !link.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Safe to show, at most [`VALUE_LIMIT`] characters of it.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in cut(text, VALUE_LIMIT).chars() {
        if character == '\\' || is_hidden(character) {
            let mut utf8 = [0; 4];
            let bytes = character.encode_utf8(&mut utf8).bytes();
            escaped.extend(bytes.map(|byte| format!("\\{byte:02X}")));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Control characters, and those that are invisible, break lines or change the direction of writing
/// (Unicode categories Cc, Cf, Zl and Zp, and the tag characters).
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first characters of a text, with an ellipsis where there are more.
pub(super) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// RFC 3339 in UTC, which has the years 0 to 9999.
pub(super) fn timestamp(time: OffsetDateTime) -> String {
    if time.year() < 0 {
        return "0000-01-01T00:00:00Z".to_owned();
    }
    let (hour, minute, second) = time.to_hms();
    let (year, month, day) = time.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_could_confuse_a_terminal_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(escape("ä\u{1b}[2J\\\n\u{202e}"), "ä\\1B[2J\\5C\\0A\\E2\\80\\AE");
        assert_eq!(escape(&"x".repeat(300)), format!("{}…", "x".repeat(256)));
    }
}
