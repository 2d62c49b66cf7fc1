//! Finding PEM blocks in a text, as Go's `encoding/pem` finds them, since that is how a cluster reads
//! the CAs of a token.
//!
//! Go is looser than RFC 7468: lines may have any length, text may stand around the blocks, and blanks
//! within the base64 do not count. What looks like a block and is none is passed over.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::{memchr, memchr3, memrchr};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// Padding must be there; the bits that the last character has too many may be anything, as in Go.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands after `BEGIN`: `CERTIFICATE`, bytes that are not UTF-8 replaced.
    pub label: String,
    /// Whether lines like `Proc-Type: 4,ENCRYPTED` come before the base64 (RFC 1421, section 4.6).
    pub has_headers: bool,
    /// What the base64 stands for.
    pub content: Vec<u8>,
}

/// The blocks of a text, in their order.
pub fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (block, after) = next(rest)?;
        rest = after;
        Some(block)
    })
}

/// The next block, and what follows the line that ends it.
///
/// An END line and the last BEGIN line before it make a block. Where the two do not fit together, the
/// search goes on after the words of that END line.
fn next(text: &[u8]) -> Option<(Block, &[u8])> {
    let mut rest = text;
    loop {
        let end = find(rest, END)?;
        let after_end = end + END.len();
        let begin = find_last(&rest[..end], BEGIN);
        let starts_line = |begin: &usize| *begin == 0 || rest[begin - 1] == b'\n';
        let Some(begin) = begin.filter(starts_line) else {
            rest = &rest[after_end..];
            continue;
        };
        // The line feed before END may be the one that ends the BEGIN line, in an empty block.
        let (line, body) = split_line(&rest[begin + BEGIN.len()..]);
        let body_start = rest.len() - body.len();
        let Some(label) = line.strip_suffix(DASHES) else {
            rest = rest_after(rest, after_end, body_start)?;
            continue;
        };
        let mut content = body;
        while !content.is_empty() {
            let (line, after) = split_line(content);
            if !line.contains(&b':') {
                break;
            }
            content = after;
        }
        if content.is_empty() {
            return None;
        }
        let content_start = rest.len() - content.len();
        let has_headers = content.len() < body.len();
        if has_headers && content_start > end {
            rest = rest_after(rest, after_end, content_start)?;
            continue;
        }
        let block = read(&rest[content_start.min(end)..end], label, has_headers);
        match block.filter(|_| ends_with(&rest[after_end..], label)) {
            Some(block) => return Some((block, split_line(&rest[end + 1..]).1)),
            None => rest = rest_after(rest, after_end, content_start)?,
        }
    }
}

/// Where the search goes on after a block that is none; nowhere, where its headers swallow the END line.
fn rest_after(rest: &[u8], after_end: usize, read_to: usize) -> Option<&[u8]> {
    (read_to <= after_end).then(|| &rest[after_end..])
}

fn read(base64: &[u8], label: &[u8], has_headers: bool) -> Option<Block> {
    let mut characters = Vec::with_capacity(base64.len());
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(memchr(b'\n', rest).unwrap_or(rest.len()));
        if memchr3(b' ', b'\t', b'\r', line).is_none() {
            characters.extend_from_slice(line);
        } else {
            characters.extend(line.iter().filter(|byte| !b" \t\r".contains(byte)));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    let content = BASE64.decode(characters).ok()?;
    Some(Block { label: String::from_utf8_lossy(label).into_owned(), has_headers, content })
}

/// Whether the words after END are this label and five dashes, and nothing but blanks follows.
fn ends_with(text: &[u8], label: &[u8]) -> bool {
    let after = text.strip_prefix(label).and_then(|after| after.strip_prefix(DASHES));
    after.is_some_and(|after| split_line(after).0.is_empty())
}

/// The first line, without its end and the blanks before that, and what follows it.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', text) {
        Some(end) => (text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]), &text[end + 1..]),
        None => (text, &[][..]),
    };
    let length = line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
    (&line[..length], rest)
}

/// Where these words come first in a text. Every byte of a fleet's certificates is looked at, and nearly all of
/// them are not the first one of the words.
fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    let mut place = 0;
    loop {
        place += memchr(words[0], &text[place..])?;
        if text[place..].starts_with(words) {
            return Some(place);
        }
        place += 1;
    }
}

/// Where they come last.
fn find_last(text: &[u8], words: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        end = memrchr(words[0], &text[..end])?;
        if text[end..].starts_with(words) {
            return Some(end);
        }
    }
}
