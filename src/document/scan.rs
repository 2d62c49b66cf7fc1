//! What a YAML text would take, told before YAML's reader takes it: that reader needs memory for each value, and time
//! and memory for each level.

use std::iter::Peekable;
use std::str::Bytes;

/// How many values a text may hold, at most: each but the first stands behind one of these signs.
pub fn values(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_sign = |(index, byte): &(usize, &u8)| match byte {
        b',' | b'[' | b'{' | b'\n' => true,
        b':' | b'-' | b'?' => bytes.get(index + 1).is_none_or(u8::is_ascii_whitespace),
        _ => false,
    };
    bytes.iter().enumerate().filter(is_sign).count() + 1
}

/// About how many levels a text goes down: the most brackets that are open at a time, or the most lists or
/// keys that begin in one line (`- - a`). Over several lines, each level takes more room than the one before.
pub fn depth(text: &str) -> usize {
    let begins = |word: &&str| ["-", "?"].contains(word) || word.starts_with(['&', '!']);
    let in_line = |line: &str| line.split_ascii_whitespace().take_while(begins).count();
    brackets(text).max(text.lines().map(in_line).max().unwrap_or(0))
}

/// The most brackets that are open at a time, without those in quotes, comments and the midst of a text.
fn brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    // The last byte, and the last that is no space, which tells whether a value may begin after it.
    let (mut last, mut solid) = (b'\n', b'\n');
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let may_begin = b"\n:,-?[{".contains(&solid);
        match byte {
            b'"' | b'\'' if may_begin => skip_quoted(byte, &mut bytes),
            b'#' if last.is_ascii_whitespace() => {
                bytes.find(|byte| *byte == b'\n');
                (last, solid) = (b'\n', b'\n');
                continue;
            }
            b'[' | b'{' if may_begin => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
        last = byte;
        if !matches!(byte, b' ' | b'\t' | b'\r') {
            solid = byte;
        }
    }
    most
}

/// Goes behind the closing quote. A backslash in double quotes, and a quote before another in single ones, let
/// a quote stand for itself.
fn skip_quoted(quote: u8, bytes: &mut Peekable<Bytes<'_>>) {
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && quote == b'"' {
            bytes.next();
        } else if byte == quote && (quote == b'"' || bytes.next_if_eq(&quote).is_none()) {
            return;
        }
    }
}
