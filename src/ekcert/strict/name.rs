//! Names (RFC 5280, section 4.1.2.4) and the string types in them.

use std::borrow::Cow;

use super::super::der::{self, Element, Oid, Reader};
use super::time;
use super::{Edition, Release};

/// Reads a Name, checks every value in it, and returns its content. Empty names and empty sets pass, and
/// so does what follows a value.
pub fn parse<'a>(body: &mut Reader<'a>, edition: &Edition) -> Option<&'a [u8]> {
    let name = body.read(der::SEQUENCE)?;
    attributes(name)?.iter().flatten().all(|(_, value)| is_acceptable(value, edition)).then_some(name)
}

/// An attribute's type and value.
pub type Attribute<'a> = (Oid<'a>, Element<'a>);

/// The attributes in a Name's content, one list for each relative distinguished name.
pub fn attributes(name: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut sets = Reader::new(name);
    let mut names = Vec::new();
    while !sets.is_empty() {
        let mut set = sets.enter(der::SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut pair = set.enter(der::SEQUENCE)?;
            attributes.push((pair.oid()?, pair.element()?));
        }
        names.push(attributes);
    }
    Some(names)
}

/// Whether Go takes this as an attribute's value.
fn is_acceptable(value: &Element<'_>, edition: &Edition) -> bool {
    let mut reader = Reader::new(value.whole);
    match value.tag {
        der::T61_STRING
        | der::PRINTABLE_STRING
        | der::UTF8_STRING
        | der::BMP_STRING
        | der::IA5_STRING
        | der::NUMERIC_STRING => text(value).is_some(),
        _ if edition.is(Release::Go1_25) => false,
        der::INTEGER => reader.small_integer(der::INTEGER).is_some(),
        der::BIT_STRING => reader.bit_string().is_some(),
        der::OBJECT_IDENTIFIER => reader.oid().is_some(),
        der::BOOLEAN => reader.boolean().is_some(),
        der::UTC_TIME | der::GENERALIZED_TIME => time::parse(&mut reader).is_some(),
        _ => true,
    }
}

/// The text of one of the six string types; none for other types and for characters that the type does
/// not have.
pub fn text<'a>(value: &Element<'a>) -> Option<Cow<'a, str>> {
    let is_every = |allowed: fn(&u8) -> bool| value.content.iter().all(allowed);
    match value.tag {
        // As Latin-1, which T.61 nearly is.
        der::T61_STRING => return Some(value.content.iter().map(|byte| char::from(*byte)).collect()),
        der::BMP_STRING => return bmp_text(value.content).map(Cow::Owned),
        der::UTF8_STRING => {}
        der::IA5_STRING if is_every(u8::is_ascii) => {}
        der::PRINTABLE_STRING if is_every(|byte| is_printable(*byte)) => {}
        der::NUMERIC_STRING if is_every(|byte| byte.is_ascii_digit() || *byte == b' ') => {}
        _ => return None,
    }
    std::str::from_utf8(value.content).ok().map(Cow::Borrowed)
}

/// The set of `PrintableString` (X.680, section 41.4), and `*` and `&`, which Go lets through.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// UCS-2, without surrogates and the code points that are no characters; one terminating zero is
/// dropped.
fn bmp_text(content: &[u8]) -> Option<String> {
    let (units, []) = content.as_chunks::<2>() else { return None };
    let units = if let [before @ .., [0, 0]] = units { before } else { units };
    let character = |unit: &[u8; 2]| match u16::from_be_bytes(*unit) {
        0xfffe | 0xffff | 0xfdd0..=0xfdef => None,
        point => char::from_u32(u32::from(point)),
    };
    units.iter().map(character).collect()
}
