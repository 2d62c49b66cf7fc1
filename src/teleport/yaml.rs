//! YAML that every reader takes for the same thing: YAML 1.1 (`PyYAML`, Ansible), YAML 1.2, and Go's
//! readers, by which `tctl` takes resources.
//!
//! A general YAML writer quotes what its own reader would misread; a serial number such as `12:34`
//! is a number in base 60 to others. Here a text is plain only where no reader could take it for
//! anything else, a literal block where it has lines, and in double quotes otherwise. Hashes and serial numbers
//! are in quotes always: some need them, and a list where only these have them looks random.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// Keys whose texts are in quotes whatever they say: hexadecimal digits, as in a rule of a join token.
const QUOTED: [&str; 2] = ["ek_public_hash", "ek_certificate_serial"];
/// Hexadecimal digits of a hash (SHA-256), which is in quotes at any key.
const HASH_DIGITS: usize = 64;

/// `value` as one document in block style, without a `---` line. It ends with a newline.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    if has_lines(value) {
        block(value, 0, &mut text);
    } else {
        scalar(value, 1, &mut text);
    }
    text
}

/// Appends `item` as one `- ` item of a list at this depth, in steps of two spaces.
///
/// A list that is long need not be one value in memory: after the line of its key, which is the
/// caller's, its items one by one make the same text as [`write()`] with the whole.
pub fn write_item(item: &Value, depth: usize, out: &mut String) {
    indent(depth, out);
    out.push('-');
    match item {
        Value::Object(fields) if !fields.is_empty() => {
            // The first field stands on the dash's line, the others below it.
            out.push(' ');
            mapping(fields, depth + 1, true, out);
        }
        _ => child(item, depth, out),
    }
}

/// The same for an item that is a mapping of texts, one at least.
pub fn write_item_of_texts<'a>(
    fields: impl Iterator<Item = (&'static str, &'a str)>,
    depth: usize,
    out: &mut String,
) {
    indent(depth, out);
    out.push_str("- ");
    for (index, (name, text)) in fields.enumerate() {
        if index > 0 {
            indent(depth + 1, out);
        }
        key(name, depth + 1, out);
        text_at(name, text, depth + 1, out);
    }
}

/// `value` in flow style, in one line without a line break at its end. It is JSON as well.
#[must_use]
pub fn write_flow(value: &Value) -> String {
    let mut text = String::new();
    flow(value, &mut text);
    text
}

fn flow(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => quoted(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                quoted(name, out);
                out.push_str(": ");
                flow(field, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => plain(value, out),
    }
}

/// Whether a value takes lines of its own; an empty mapping or sequence is written `{}` or `[]`.
fn has_lines(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// Writes the lines of a mapping or sequence.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) => mapping(fields, depth, false, out),
        Value::Array(items) => items.iter().for_each(|item| write_item(item, depth, out)),
        _ => {}
    }
}

fn mapping(fields: &Map<String, Value>, depth: usize, mut is_indented: bool, out: &mut String) {
    for (name, field) in fields {
        if !is_indented {
            indent(depth, out);
        }
        is_indented = false;
        key(name, depth, out);
        match field {
            Value::String(text) => text_at(name, text, depth, out),
            _ => child(field, depth, out),
        }
    }
}

/// Writes a key and the colon after it.
fn key(name: &str, depth: usize, out: &mut String) {
    // A reader looks so far for the colon (YAML 1.2.2, section 8.2.2); a longer key has to be announced.
    const LONGEST: usize = 1024;
    let start = out.len();
    text(name, out);
    if out.len() - start > LONGEST {
        out.insert_str(start, "? ");
        out.push('\n');
        indent(depth, out);
    }
    out.push(':');
}

/// Writes a text behind its key.
fn text_at(name: &str, text: &str, depth: usize, out: &mut String) {
    out.push(' ');
    if QUOTED.contains(&name) {
        quoted(text, out);
        out.push('\n');
    } else {
        text_lines(text, depth + 1, out);
    }
}

/// Writes what follows a `key:` or a `-`.
fn child(value: &Value, depth: usize, out: &mut String) {
    if has_lines(value) {
        out.push('\n');
        block(value, depth + 1, out);
    } else {
        out.push(' ');
        scalar(value, depth + 1, out);
    }
}

/// Writes a value without lines of its own, and the end of the line. The depth is that of a literal
/// block's lines.
fn scalar(value: &Value, depth: usize, out: &mut String) {
    if let Value::String(lines) = value {
        text_lines(lines, depth, out);
    } else {
        plain(value, out);
        out.push('\n');
    }
}

fn text_lines(lines: &str, depth: usize, out: &mut String) {
    if is_literal(lines) {
        literal(lines, depth, out);
    } else {
        text(lines, out);
        out.push('\n');
    }
}

/// Writes a value without lines of its own within a line.
fn plain(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(value) => number(value, out),
        Value::String(line) => text(line, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// YAML 1.1 takes `1e16` for a text: its floats have a point, and their exponent a sign.
fn number(value: &Number, out: &mut String) {
    let digits = value.to_string();
    let Some((mantissa, exponent)) = digits.split_once('e') else {
        out.push_str(&digits);
        return;
    };
    out.push_str(mantissa);
    if !mantissa.contains('.') {
        out.push_str(".0");
    }
    out.push('e');
    if !exponent.starts_with(['-', '+']) {
        out.push('+');
    }
    out.push_str(exponent);
}

/// Lines of plain ASCII that a literal block (`|`) gives back to the letter: PEM is.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\n');
    body.contains('\n')
        && !body.starts_with('\n')
        && !body.ends_with('\n')
        && body.bytes().all(is_printable)
        // A space at a line's start could pass for indentation, and one at its end is not seen.
        && body.split('\n').all(|line| !line.starts_with(' ') && !line.ends_with(' '))
}

fn literal(lines: &str, depth: usize, out: &mut String) {
    out.push_str(if lines.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in lines.lines() {
        if !line.is_empty() {
            indent(depth, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Writes a text within a line.
fn text(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        quoted(text, out);
    }
}

/// Whether no reader takes the text for anything but itself: a letter, then letters, digits and
/// harmless signs, none of the words that mean a boolean or nothing, and no hash.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
        && !(text.len() == HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// In double quotes, escaped as JSON does, and what YAML does not allow to stand for itself besides.
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Hashes and serial numbers, which are the most of a token.
    if text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
        out.push_str(text);
        rest = "";
    }
    while let Some(at) = rest.find(is_escaped) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let mut characters = from.chars();
        characters.by_ref().take(1).for_each(|c| escape(c, out));
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// What must not stand for itself (YAML 1.2.2, section 5.1), what older readers take for the end of a
/// line, and what a person who reads the file does not see or sees in another order (Unicode's formatting
/// characters).
fn is_escaped(c: char) -> bool {
    matches!(
        c,
        '"' | '\\'
            | '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
    )
}

fn escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // A `String` takes everything.
        other => _ = write!(out, "\\u{:04x}", u32::from(other)),
    }
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{write, write_flow, write_item};

    #[test]
    fn a_document_is_written_in_block_style() {
        let document = json!({
            "kind": "token",
            "spec": { "roles": ["Bot"], "tpm": { "allow": [{ "description": "web 1", "serial": "12:34" }], "none": [] } },
            "pem": "-----BEGIN X-----\nAA==\n-----END X-----\n",
        });
        let expected = "\
kind: token
spec:
  roles:
    - Bot
  tpm:
    allow:
      - description: \"web 1\"
        serial: \"12:34\"
    none: []
pem: |
  -----BEGIN X-----
  AA==
  -----END X-----
";
        assert_eq!(write(&document), expected);
    }

    #[test]
    fn lines_of_plain_text_are_a_literal_block_and_others_are_quoted() {
        let pem = "-----BEGIN X-----\nAA==\n-----END X-----";
        assert_eq!(write(&json!([format!("{pem}\n")])), format!("- |\n  {}\n", pem.replace('\n', "\n  ")));
        assert_eq!(write(&json!([pem])), format!("- |-\n  {}\n", pem.replace('\n', "\n  ")));
        assert_eq!(write(&json!("a\n\nb\n")), "|\n  a\n\n  b\n");
        assert_eq!(write(&json!(["a\r\nb\r\n"])), "- \"a\\r\\nb\\r\\n\"\n");
        assert_eq!(
            write(&json!(["a\n", " a\nb\n", "a\nb\n\n"])),
            "- \"a\\n\"\n- \" a\\nb\\n\"\n- \"a\\nb\\n\\n\"\n"
        );
    }

    #[test]
    fn hashes_and_serial_numbers_are_always_in_quotes() {
        let (letters, digits) = ("ab".repeat(32), "12".repeat(32));
        let rules = json!([
            { "ek_public_hash": letters, "ek_certificate_serial": "ff" },
            { "ek_public_hash": digits, "ek_certificate_serial": "0f:ff" },
            { "ek_public_hash": "abc", "description": letters },
            { letters.clone(): [letters, "ab"] },
        ]);
        let expected = format!(
            "- ek_public_hash: \"{letters}\"\n  ek_certificate_serial: \"ff\"\n\
             - ek_public_hash: \"{digits}\"\n  ek_certificate_serial: \"0f:ff\"\n\
             - ek_public_hash: \"abc\"\n  description: \"{letters}\"\n\
             - \"{letters}\":\n    - \"{letters}\"\n    - ab\n"
        );
        assert_eq!(write(&rules), expected);
    }

    #[test]
    fn what_nobody_sees_is_escaped_and_other_letters_are_not() {
        assert_eq!(write(&json!("é\u{202e}\u{1f600}\u{feff}")), "\"é\\u202e\u{1f600}\\ufeff\"\n");
    }

    #[test]
    fn flow_style_is_json_too() {
        let document =
            json!({ "a": ["12:34", 1, null, [], {}], "b c": { "d": 1e16, "e": "\u{feff}\n" }, "f": "x" });
        let expected =
            r#"{"a": ["12:34", 1, null, [], {}], "b c": {"d": 1.0e+16, "e": "\ufeff\n"}, "f": "x"}"#;
        assert_eq!(write_flow(&document), expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(expected).unwrap(), document);
    }

    #[test]
    fn a_key_too_long_to_be_found_is_announced() {
        let document = json!([{ "a".repeat(1024): 1, "b".repeat(1025): { "c": 2 } }]);
        let expected = format!("- {}: 1\n  ? {}\n  :\n    c: 2\n", "a".repeat(1024), "b".repeat(1025));
        assert_eq!(write(&document), expected);
    }

    #[test]
    fn a_list_written_item_by_item_is_the_same_text() {
        let items = json!([{ "a": "12:34", "b": [] }, {}, [1, [2]], "x\ny\n", [{ "c": { "d": null } }], "z"]);
        let mut streamed = "spec:\n  allow:\n".to_owned();
        for item in items.as_array().unwrap() {
            write_item(item, 2, &mut streamed);
        }
        assert_eq!(streamed, write(&json!({ "spec": { "allow": items } })));
    }
}
