//! Changes to a YAML text that leave everything else in it to the byte: comments, empty lines, quotes, order.
//!
//! A person, or another program, has written the file as well. Only keys whose values changed are written
//! anew; where both values are mappings, only the keys within them.

mod block;
mod flow;
mod tree;

use serde_json::{Map, Value};

use super::document;
use block::Splicer;
use tree::{Node, Style};

/// What editors put at the start of a file to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text with these values in place of its own. New keys stand behind the others of their mapping; a key
/// that goes takes the lines along that it takes up, and no others.
///
/// The text holds one mapping, or nothing but comments. It is an error where it does not, and where the
/// change could not be made so that the text then means exactly `wanted`.
pub fn splice(text: &str, wanted: &Map<String, Value>) -> Result<String, String> {
    let old = mapping(text)?;
    if old.as_ref() == Some(wanted) {
        return Ok(text.to_owned());
    }
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let (mark, old) = (&text[..text.len() - body.len()], old.unwrap_or_default());
    // Lines of text would take a comment below that is indented as they are: then all is in quotes.
    for in_flow in [false, true] {
        let result = [mark, &changed(body, &old, wanted, in_flow)?].concat();
        if mapping(&result).is_ok_and(|found| found.as_ref() == Some(wanted)) {
            return Ok(result);
        }
    }
    // What refers to other places of the text (`*name`), or reaches as far as it goes on (`|+`).
    Err("it cannot be changed without changing what else it says".to_owned())
}

/// The mapping that is all of a text; none where there are only comments.
pub fn mapping(text: &str) -> Result<Option<Map<String, Value>>, String> {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let documents = document::parse_yaml(body)?;
    let root = tree::parse(body)?;
    match (root.map(|root| root.style), <[Value; 1]>::try_from(documents)) {
        (_, Ok([Value::Object(fields)])) => Ok(Some(fields)),
        (None | Some(Style::Absent), Err(none)) if none.is_empty() => Ok(None),
        _ => Err("it is no mapping of keys to values".to_owned()),
    }
}

/// How a value is written that is one plain word, at a key of the mapping at a key of the text; none where it is
/// written in any other way.
pub fn plain_scalar<'a>(text: &'a str, keys: &[&str; 2]) -> Option<&'a str> {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
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
