//! Reading and writing DER (X.690), as strictly as Go's `cryptobyte` does it, since what that one
//! refuses is no certificate for `tbot`.

use std::fmt;

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const NUMERIC_STRING: u8 = 0x12;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const T61_STRING: u8 = 0x14;
pub const IA5_STRING: u8 = 0x16;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const BMP_STRING: u8 = 0x1e;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// The tag `[number]` of a primitive, implicitly tagged element.
pub const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag `[number]` of a constructed element.
pub const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element: tag, length, content.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The identifier octet, with class and the constructed bit.
    pub tag: u8,
    /// What follows the length.
    pub content: &'a [u8],
    /// All of it.
    pub whole: &'a [u8],
}

/// Reads elements one after the other. Every method answers none where the next element is not
/// what it should be; a reader is of no use after that.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether the next byte is this tag.
    pub fn peeks(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element, whatever its tag. Tags of more than one byte, lengths of more than four,
    /// indefinite lengths and lengths that a shorter form could hold (X.690, section 10.1) are refused.
    pub fn element(&mut self) -> Option<Element<'a>> {
        let before = self.0;
        let (tag, length) = self.header()?;
        let (content, after) = self.0.split_at_checked(length)?;
        self.0 = after;
        Some(Element { tag, content, whole: &before[..before.len() - after.len()] })
    }

    /// Tag and length of the next element, by the same rules; its content comes next.
    pub fn header(&mut self) -> Option<(u8, usize)> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            long_length(usize::from(first & 0x7f), rest)?
        };
        self.0 = rest;
        Some((tag, length))
    }

    /// The content of the next element, which must have this tag.
    pub fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// A reader for the content of the next element, which must have this tag.
    pub fn enter(&mut self, tag: u8) -> Option<Self> {
        self.read(tag).map(Self)
    }

    /// The content of the next element if it has this tag: `Some(None)` where it has another one.
    #[expect(clippy::option_option, reason = "malformed, absent and present are three answers")]
    pub fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.peeks(tag) { self.read(tag).map(Some) } else { Some(None) }
    }

    /// A BOOLEAN: 00 or FF.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.read(BOOLEAN)? {
            [0x00] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// The content of an INTEGER, which is two's complement in as few bytes as possible.
    pub fn integer(&mut self) -> Option<&'a [u8]> {
        self.read(INTEGER).filter(|content| is_minimal(content))
    }

    /// The content of an INTEGER above zero, without the byte that keeps it positive.
    pub fn positive(&mut self) -> Option<&'a [u8]> {
        match self.integer()? {
            [0x00] => None,
            [0x00, magnitude @ ..] => Some(magnitude),
            [first, ..] if first & 0x80 != 0 => None,
            magnitude => Some(magnitude),
        }
    }

    /// An INTEGER with this tag that fits into 64 bits.
    pub fn small_integer(&mut self, tag: u8) -> Option<i64> {
        let content = self.read(tag).filter(|content| is_minimal(content) && content.len() <= 8)?;
        let sign = if content.first()? & 0x80 == 0 { 0 } else { -1 };
        Some(content.iter().fold(sign, |value, byte| (value << 8) | i64::from(*byte)))
    }

    /// An OBJECT IDENTIFIER of which every number fits into 31 bits, about.
    pub fn oid(&mut self) -> Option<Oid<'a>> {
        let content = self.read(OBJECT_IDENTIFIER)?;
        let arcs_fit = content.split_inclusive(|byte| byte & 0x80 == 0).all(arc_fits);
        (!content.is_empty() && arcs_fit).then_some(Oid(content))
    }

    /// A BIT STRING, of which the unused bits must be zero.
    pub fn bit_string(&mut self) -> Option<BitString<'a>> {
        let (&unused, bytes) = self.read(BIT_STRING)?.split_first()?;
        let last = bytes.last().copied();
        let is_padded_with_zeros =
            last.map_or(unused == 0, |last| last.trailing_zeros() >= u32::from(unused));
        (unused <= 7 && is_padded_with_zeros).then_some(BitString { bytes, unused })
    }
}

/// A length in long form: its number of bytes is given, the bytes come first in `rest`.
fn long_length(count: usize, rest: &[u8]) -> Option<(usize, &[u8])> {
    if count == 0 || count > 4 {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count)?;
    let length = bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    (length >= 0x80 && bytes.first() != Some(&0)).then_some((length, rest))
}

fn is_minimal(integer: &[u8]) -> bool {
    match integer {
        [] => false,
        [0x00, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// Whether one number of an object identifier is complete, in as few bytes as possible, and no larger
/// than Go lets it be: before its last seven bits it stays below 2^24.
fn arc_fits(arc: &[u8]) -> bool {
    let Some((last, before)) = arc.split_last() else { return false };
    let value = before.iter().try_fold(0_u32, |value, byte| {
        let value = (value << 7) | u32::from(byte & 0x7f);
        (value < 1 << 24).then_some(value)
    });
    last & 0x80 == 0 && arc.first() != Some(&0x80) && arc.len() <= 5 && value.is_some()
}

/// An object identifier: the content bytes of its one DER encoding, so that comparing bytes is
/// comparing identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oid<'a>(&'a [u8]);

impl<'a> Oid<'a> {
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for Oid<'_> {
    /// Dotted numbers (`2.5.29.17`).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arc) in self.0.split_inclusive(|byte| byte & 0x80 == 0).enumerate() {
            let arc = arc.iter().fold(0_u64, |value, byte| (value << 7) | u64::from(byte & 0x7f));
            match (index, arc) {
                (0, 80..) => write!(formatter, "2.{}", arc - 80)?,
                (0, _) => write!(formatter, "{}.{}", arc / 40, arc % 40)?,
                _ => write!(formatter, ".{arc}")?,
            }
        }
        Ok(())
    }
}

/// A string of bits.
#[derive(Debug, Clone, Copy)]
pub struct BitString<'a> {
    bytes: &'a [u8],
    unused: u8,
}

impl BitString<'_> {
    /// The eight bits of this byte, as they stand there; zeros beyond the end.
    pub fn byte(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or_default()
    }

    /// The bits moved to the right, so that the last one is the lowest bit of the last byte.
    pub fn right_aligned(&self) -> Vec<u8> {
        if self.unused == 0 {
            return self.bytes.to_vec();
        }
        let carried = |before: u8| before.checked_shl(u32::from(8 - self.unused)).unwrap_or(0);
        let before = std::iter::once(&0).chain(self.bytes);
        self.bytes.iter().zip(before).map(|(byte, before)| (byte >> self.unused) | carried(*before)).collect()
    }
}

/// An element with this tag and the parts, one after the other, as its content.
pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match significant {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        long => {
            // At most the eight bytes of a `usize`.
            element.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            element.extend(long);
        }
    }
    element.extend(content);
    element
}

/// An INTEGER that is not negative, from its big-endian magnitude.
pub fn encode_unsigned(magnitude: &[u8]) -> Vec<u8> {
    let significant = &magnitude[magnitude.iter().take_while(|byte| **byte == 0).count()..];
    let needs_zero = significant.first().is_none_or(|first| first & 0x80 != 0);
    encode(INTEGER, &[if needs_zero { &[0] } else { &[] }, significant])
}

#[cfg(test)]
mod tests {
    use super::{Reader, encode, encode_unsigned};

    #[test]
    fn lengths_are_read_in_their_shortest_form_only() {
        for (bytes, content) in [
            (&[0x04, 0x01, 7][..], Some(&[7][..])),
            (&[0x04, 0x81, 0x01, 7], None),
            (&[0x04, 0x80, 7, 0, 0], None),
            (&[0x04, 0x02, 7], None),
            (&[0x1f, 0x01, 7], None),
            (&[0x04], None),
        ] {
            assert_eq!(Reader::new(bytes).element().map(|element| element.content), content, "{bytes:02x?}");
        }
        for length in [0, 1, 127, 128, 255, 256, 65536] {
            let element = encode(4, &[&vec![7; length]]);
            assert_eq!(Reader::new(&element).read(4).map(<[u8]>::len), Some(length));
        }
    }

    #[test]
    fn integers_are_written_as_they_are_read() {
        for (magnitude, encoded) in [
            (&[0x00, 0x01][..], &[2, 1, 1][..]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0x00], &[2, 1, 0]),
            (&[0x7f, 0xff], &[2, 2, 0x7f, 0xff]),
        ] {
            assert_eq!(encode_unsigned(magnitude), encoded);
        }
        let small = |bytes: &[u8]| Reader::new(bytes).small_integer(2);
        assert_eq!(small(&[2, 1, 0xfe]), Some(-2));
        assert_eq!(small(&[2, 8, 0x7f, 255, 255, 255, 255, 255, 255, 255]), Some(i64::MAX));
        assert_eq!(small(&[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]), None);
    }

    #[test]
    fn object_identifiers_are_shown_as_dotted_numbers() {
        let shown = |bytes: &[u8]| Reader::new(bytes).oid().map(|oid| oid.to_string());
        assert_eq!(shown(&[6, 3, 0x55, 0x1d, 0x11]).as_deref(), Some("2.5.29.17"));
        assert_eq!(shown(&[6, 3, 0x88, 0x37, 0x01]).as_deref(), Some("2.999.1"));
        assert_eq!(shown(&[6, 5, 0x87, 0xff, 0xff, 0xff, 0x7f]).as_deref(), Some("2.2147483567"));
        for refused in [&[6, 0][..], &[6, 1, 0x80], &[6, 2, 0x2a, 0x86], &[6, 5, 0x88, 0x80, 0x80, 0x80, 0]] {
            assert_eq!(shown(refused), None, "{refused:02x?}");
        }
    }

    #[test]
    fn bits_are_moved_to_the_right() {
        let bits = Reader::new(&[3, 3, 4, 0xab, 0xc0]).bit_string();
        assert_eq!(bits.map(|bits| bits.right_aligned()), Some(vec![0x0a, 0xbc]));
        assert!(Reader::new(&[3, 2, 4, 0xab]).bit_string().is_none(), "a bit that does not count is set");
        assert!(Reader::new(&[3, 1, 1]).bit_string().is_none());
    }
}
