//! YAML that every reader takes for the same thing: YAML 1.1 (`PyYAML`, Ansible) and 1.2 alike.
//!
//! A general YAML writer quotes what its own reader would misread; a serial number such as `12:34`
//! is a number in base 60 to others. Here a text is plain only where no reader could take it for
//! anything else, a literal block where it has lines, and in double quotes otherwise.

use serde_json::Value;

/// `value` as one document in block style, without a `---` line.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// Writes a mapping's or sequence's lines at this depth.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                indent(depth, out);
                out.push_str(&scalar_text(key));
                out.push(':');
                child(field, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(depth, out);
                out.push('-');
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        // The first field stands on the dash's line, the others below it.
                        let mut nested = String::new();
                        block(item, depth + 1, &mut nested);
                        out.push(' ');
                        out.push_str(nested.trim_start_matches(' '));
                    }
                    _ => child(item, depth, out),
                }
            }
        }
        other => scalar(other, depth, out),
    }
}

/// Writes what follows a `key:` or a `-`.
fn child(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if fields.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            block(value, depth + 1, out);
        }
        scalar_value => {
            out.push(' ');
            scalar(scalar_value, depth + 1, out);
        }
    }
}

fn scalar(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(text) if is_block_text(text) => {
            out.push_str("|\n");
            for line in text.lines() {
                indent(depth, out);
                out.push_str(line);
                out.push('\n');
            }
        }
        Value::String(text) => {
            out.push_str(&scalar_text(text));
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

/// Lines of plain ASCII that a literal block (`|`) gives back to the letter: PEM is.
fn is_block_text(text: &str) -> bool {
    let is_plain = |line: &str| {
        !line.is_empty()
            && !line.starts_with(' ')
            && !line.ends_with(' ')
            && line.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    text.ends_with('\n') && text.lines().count() > 1 && !text.contains('\r') && text.lines().all(is_plain)
}

fn scalar_text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether no reader takes the text for anything but itself: a letter, then letters, digits and
/// harmless signs, and none of the words that mean a boolean or nothing.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// In double quotes, escaped as JSON does, and what YAML does not allow to stand for itself besides.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            other => out.push(other),
        }
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::write;

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
    fn every_text_comes_back_as_itself() {
        let texts = [
            "",
            " ",
            "13",
            "12:34",
            "1e5",
            "0x1f",
            "yes",
            "No",
            "~",
            "null",
            "a: b",
            "a #b",
            "- a",
            "{a}",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "'a'",
            "\"a\"",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n",
            " a\nb\n",
            "\ta",
            "é",
            "\u{85}",
            "\u{2028}",
            "2026-01-01",
            ".inf",
            "e5",
            "=",
            "<<",
        ];
        for text in texts {
            let document = json!({ "list": [text], "map": { text: text } });
            let back: Value = serde_yaml::from_str(&write(&document)).unwrap();
            assert_eq!(back, document, "{text:?}");
        }
    }
}
