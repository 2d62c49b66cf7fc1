//! Changes to a YAML text that leave everything else in it to the byte: comments, empty lines, quotes, order.
//!
//! A person, or another program, has written the file as well. Only keys whose values changed are written
//! anew; where both values are mappings, only the keys within them.

mod block;
mod flow;
mod tree;

use serde_json::{Map, Value};

use crate::document;
use block::Splicer;
use tree::{Entry, Node, Style};

/// What editors put at the start of a file to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text with these values in place of its own. New keys stand behind the others of their mapping; a key
/// that goes takes the lines along that it takes up, and no others.
///
/// The first document of the text holds one mapping, or nothing but comments; `tbot` reads no other, and others
/// stay. It is an error where it does not, and where the change could not be made so that the text then means
/// exactly `wanted`.
pub fn splice(text: &str, wanted: &Map<String, Value>) -> Result<String, String> {
    let old = mapping(text)?;
    if old.as_ref() == Some(wanted) {
        return Ok(text.to_owned());
    }
    let (document, rest) = first_document(text);
    let body = bare(document);
    let (mark, old) = (&text[..document.len() - body.len()], old.unwrap_or_default());
    // Lines of text would take a comment below that is indented as they are: then all is in quotes.
    for in_flow in [false, true] {
        let result = [mark, &changed(body, &old, wanted, in_flow)?, rest].concat();
        let keeps_rest = first_document(&result).1 == rest;
        if keeps_rest && mapping(&result).is_ok_and(|found| found.as_ref() == Some(wanted)) {
            return Ok(result);
        }
    }
    // What refers to other places of the text (`*name`), or reaches as far as it goes on (`|+`).
    Err("it cannot be changed without changing what else it says".to_owned())
}

/// The mapping that is all of a text's first document; none where there are only comments.
pub fn mapping(text: &str) -> Result<Option<Map<String, Value>>, String> {
    let (document, rest) = first_document(text);
    let body = bare(document);
    // Readers look ahead, and so refuse these in what they would not read.
    if !rest.chars().all(is_printable) {
        return Err("control characters are not allowed".to_owned());
    }
    let documents = document::parse_merged_yaml(body)?;
    let root = tree::parse(body)?;
    match (root.map(|root| root.style), <[Value; 1]>::try_from(documents)) {
        (_, Ok([Value::Object(fields)])) => Ok(Some(fields)),
        (None | Some(Style::Absent), Err(none)) if none.is_empty() && says_something(rest) => {
            Err("its first document is empty, and tbot reads no other".to_owned())
        }
        (None | Some(Style::Absent), Err(none)) if none.is_empty() => Ok(None),
        _ => Err("it is no mapping of keys to values".to_owned()),
    }
}

/// The first document of a text, and the rest from the line on that ends it (`...`) or begins another (`---`). No
/// document has such a line in it (YAML 1.2.2, section 9.1.2).
pub fn first_document(text: &str) -> (&str, &str) {
    let (mut at, mut has_begun) = (0, false);
    for line in text.split_inclusive(['\n', '\r']) {
        let content = if at == 0 { bare(line) } else { line };
        let begins = marked(content, "---").is_some();
        if marked(content, "...").is_some() || (begins && has_begun) {
            return text.split_at(at);
        }
        let is_before = content.starts_with('%') || is_empty(content);
        has_begun |= begins || !is_before;
        at += line.len();
    }
    (text, "")
}

/// Whether a text holds more than comments and the marks between documents.
pub fn says_something(text: &str) -> bool {
    let rest = |line| marked(line, "---").or_else(|| marked(line, "...")).unwrap_or(line);
    text.split(['\n', '\r']).any(|line| !is_empty(rest(line)))
}

/// What is behind the mark that a line begins with.
fn marked<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// Whether YAML allows a character (YAML 1.2.2, section 5.1).
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_empty(line: &str) -> bool {
    let content = line.trim();
    content.is_empty() || content.starts_with('#')
}

fn bare(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Whether a mapping does not have a value in any of its entries, nor takes it over from another mapping.
fn is_new(entries: &[Entry], old: &Map<String, Value>, name: &str, value: &Value) -> bool {
    !entries.iter().any(|entry| entry.name.as_deref() == Some(name)) && old.get(name) != Some(value)
}

/// How a value is written that is one plain word, at a key of the mapping at a key of the text; none where it is
/// written in any other way.
pub fn plain_scalar<'a>(text: &'a str, keys: &[&str; 2]) -> Option<&'a str> {
    let body = bare(first_document(text).0);
    let mut node = tree::parse(body).ok()??;
    for key in keys {
        let (Style::BlockMapping(entries) | Style::FlowMapping(_, entries)) = node.style else { return None };
        node = entries.into_iter().find(|entry| entry.name.as_deref() == Some(*key))?.value;
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    let written = body.get(node.start..node.end).filter(|_| matches!(node.style, Style::Inline))?;
    Some(written).filter(|written| !written.is_empty() && written.chars().all(is_plain))
}

fn changed(
    text: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    in_flow: bool,
) -> Result<String, String> {
    match tree::parse(text)? {
        None | Some(Node { style: Style::Absent, .. }) => {
            let mut splicer = Splicer::new(text, in_flow);
            splicer.append(new);
            splicer.finish()
        }
        Some(Node { style: Style::BlockMapping(entries), .. }) => {
            let mut splicer = Splicer::new(text, in_flow);
            splicer.mapping(&entries, old, new)?;
            splicer.finish()
        }
        Some(Node { style: Style::FlowMapping(open, entries), end, .. }) => {
            let spliced = flow::spliced(text, open, end, &entries, old, new);
            Ok([&text[..open], &spliced, &text[end..]].concat())
        }
        Some(_) => Err("it is no mapping of keys to values".to_owned()),
    }
}
