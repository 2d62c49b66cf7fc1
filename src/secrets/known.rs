//! Secrets whose texts are known, to be hidden wherever they are repeated.

use serde_json::Value;

use super::keys::{is_path, is_secret};
use super::{MASK, TOKEN, is_name, scan, shown_field};
use crate::error::Error;

/// Characters of the shortest secret that is looked for. A shorter one is in too many words.
const SHORTEST: usize = 4;
/// Characters of a secret that a shortened message has at least where it is looked for.
const PART: usize = 16;

/// The texts of secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(Vec<String>);

impl Known {
    /// The secrets in a text.
    #[must_use]
    pub fn in_text(text: &str) -> Self {
        super::Shown::of(text).known
    }

    /// Adds the secrets in a parameter of a request.
    pub fn add_parameter(&mut self, name: &str, value: &Value) {
        if !is_name(name, value) {
            self.add_value(if name == TOKEN { "" } else { name }, value);
        }
    }

    /// Adds a secret: all of it, its lines, and each as it looks in quotes and without.
    pub fn add_text(&mut self, secret: &str) {
        for line in secret.lines().chain([secret]) {
            let line = line.trim();
            let debug = line.escape_debug().to_string();
            let json = Value::from(line).to_string();
            let plain = serde_json::from_str(&format!("\"{line}\"")).unwrap_or_default();
            let forms =
                [line.to_owned(), debug, json.trim_matches('"').to_owned(), plain, line.replace("''", "'")];
            forms
                .into_iter()
                .filter(|form| form.chars().count() >= SHORTEST)
                .for_each(|form| self.insert(form));
        }
    }

    /// The longest stand first, so that no part of one stays.
    fn insert(&mut self, secret: String) {
        let place = self.0.partition_point(|known| known.len() > secret.len());
        let same = self.0[place..].iter().take_while(|known| known.len() == secret.len());
        if !same.into_iter().any(|known| *known == secret) {
            self.0.insert(place, secret);
        }
    }

    /// Adds what another knows.
    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|secret| self.insert(secret.clone()));
    }

    /// Takes a text for no secret.
    pub(super) fn keep(&mut self, text: Option<&str>) {
        self.0.retain(|secret| Some(secret.as_str()) != text);
    }

    /// Adds the secrets in the value at a key.
    pub(super) fn add_value(&mut self, key: &str, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) if is_path(key, text) => {}
            value if is_secret(key) => self.add_all(value),
            Value::String(text) => self.add(&Self::in_text(text)),
            Value::Array(items) => items.iter().for_each(|item| self.add_value("", item)),
            Value::Object(fields) => {
                let shown = shown_field(key, fields);
                for (name, value) in fields.iter().filter(|(name, _)| Some(name.as_str()) != shown) {
                    self.add_value(name, value);
                }
            }
            Value::Number(_) => {}
        }
    }

    fn add_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add_text(text),
            Value::Number(number) => self.add_text(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.add_all(item)),
            Value::Object(fields) => fields.values().for_each(|value| self.add_all(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The text with a mask in the place of each of them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| hidden(&text, secret))
    }

    /// The same of a message for people, whose own keys and URLs count too.
    #[must_use]
    pub fn hide_in_message(&self, message: &str) -> String {
        self.hide(&scan::mask_prose(message))
    }

    /// The same of an error.
    #[must_use]
    pub fn hide_in_error(&self, error: Error) -> Error {
        let hide = |text: String| self.hide_in_message(&text);
        Error {
            kind: error.kind,
            message: hide(error.message),
            detail: error.detail.map(hide),
            hint: error.hint.map(hide),
        }
    }
}

/// The text without this secret as a word of its own, or its start where it is long and was shortened.
fn hidden(text: &str, secret: &str) -> String {
    let start: String = secret.chars().take(PART).collect();
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(&start) {
        let (before, found) = rest.split_at(at);
        let same: usize =
            found.chars().zip(secret.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
        let is_bound = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        let last = before.chars().next_back().or_else(|| out.chars().next_back());
        let is_word = is_bound(last) && (same < secret.len() || is_bound(found[same..].chars().next()));
        out.push_str(before);
        out.push_str(if is_word { MASK } else { &found[..same] });
        rest = &found[same..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::Known;

    fn hidden(secret: &str, text: &str) -> String {
        let mut known = Known::default();
        known.add_text(secret);
        known.hide(text)
    }

    #[test]
    fn a_secret_is_hidden_as_a_word_in_each_form_that_a_message_has() {
        assert_eq!(
            hidden("s3cret", "it is s3cret, \"s3cret\" (xs3cret)"),
            "it is ********, \"********\" (xs3cret)"
        );
        assert_eq!(hidden("a\"b\\c", r#"is "a\"b\\c""#), "is \"********\"");
        assert_eq!(hidden("first line\nsecond line\n", "at second line: x"), "at ********: x");
        assert_eq!(
            hidden(&"ab1".repeat(30), &format!("{}… is wrong", "ab1".repeat(20))),
            "********… is wrong"
        );
        assert_eq!(hidden("abc", "abc"), "abc");
        assert_eq!(hidden("", "abc"), "abc");
        assert_eq!(hidden("ünïcode", "=ünïcode."), "=********.");
    }
}
