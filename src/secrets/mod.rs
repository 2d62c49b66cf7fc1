//! Secrets in what is shown: masked by the names of their keys, whatever text or value they are in.
//!
//! A mask says nothing of a secret's length. What counts as one is in [`keys`]. The join token of method `tpm` names TPMs,
//! and is shown.

mod keys;
mod known;
mod scan;
mod value;

use serde_json::{Map, Value};

use crate::document;
use crate::protocol::boolean;
use crate::teleport::config;
use keys::{is_path, is_secret};
pub use known::Known;
use scan::{Found, Masked};

/// What stands in a secret's place.
pub const MASK: &str = "********";
/// What stands behind the mask of a secret that another one comes in the place of.
const CHANGED: &str = " (changed)";

/// The text with a mask in the place of each secret.
#[must_use]
pub fn mask(text: &str) -> String {
    Shown::of(text).text()
}

/// Two texts to compare, likewise. Where they differ in secrets alone, they still differ.
#[must_use]
pub fn mask_both(before: &str, after: &str) -> (String, String) {
    let [old, mut new] = [before, after].map(Shown::of);
    new.mark_changes(&old.masked.found);
    let mut known = old.known.clone();
    known.add(&new.known);
    let (old, mut new) = (known.hide(&old.masked.text), known.hide(&new.masked.text));
    if old == new && before != after {
        new.push_str("# secrets differ\n");
    }
    (old, new)
}

/// A text, and the secrets in it.
struct Shown {
    masked: Masked,
    known: Known,
}

impl Shown {
    fn of(text: &str) -> Self {
        let values = configuration(text);
        let onboarding = values.get("onboarding").and_then(Value::as_object);
        let token = onboarding
            .and_then(|fields| fields.get(shown_field("onboarding", fields)?)?.as_str().map(str::to_owned));
        let masked = scan::mask(text, token.as_deref());
        let mut known = Known::default();
        for found in &masked.found {
            known.add_text(&found.secret);
        }
        // What a scan cannot follow: aliases, escapes, keys that are announced.
        known.add_value("", &Value::Object(values));
        for document in config::documents(text).skip(1) {
            known.add_value("", &Value::Object(configuration(document)));
        }
        known.keep(token.as_deref());
        Self { masked, known }
    }

    fn text(&self) -> String {
        self.known.hide(&self.masked.text)
    }

    /// Says of each secret that has the place of another.
    fn mark_changes(&mut self, before: &[Found]) {
        let is_new = |found: &&Found| {
            let same_key = || before.iter().filter(|old| old.key == found.key);
            same_key().next().is_some() && same_key().all(|old| old.secret != found.secret)
        };
        let places: Vec<usize> = self.masked.found.iter().filter(is_new).map(|found| found.end).collect();
        for place in places.into_iter().rev() {
            self.masked.text.insert_str(place, CHANGED);
        }
    }
}

/// The values of a text that is a configuration of `tbot`. One without a join method joins by a secret token.
fn configuration(text: &str) -> Map<String, Value> {
    let may_join = ["onboarding", "join_uri"].iter().any(|key| text.contains(key));
    let values = if may_join { config::values(text).ok().flatten() } else { None };
    let mut values = values.unwrap_or_default();
    if let Some(Value::Object(onboarding)) = values.get_mut("onboarding") {
        onboarding.entry("join_method").or_insert_with(|| Value::from("token"));
    }
    values
}

/// A parameter of a request as an answer may repeat it.
#[must_use]
pub fn mask_parameter(name: &str, value: &Value) -> Value {
    let mut masked = value.clone();
    if !is_name(name, value) {
        mask_value(if name == TOKEN { "" } else { name }, &mut masked);
    }
    masked
}

/// Whether a parameter is the name of a join token of method `tpm`, and no text of one, or says how many tokens there are, or
/// whether all of them are meant.
fn is_name(parameter: &str, value: &Value) -> bool {
    match parameter {
        TOKEN => value.as_str().is_some_and(|text| !text.contains([':', '\n'])),
        TOKENS => value.as_str().is_some_and(|text| LAYOUTS.contains(&text)),
        ALL_TOKENS => boolean(value).is_some(),
        _ => false,
    }
}

/// Whether a parameter holds join tokens of method `tpm` alone: texts or values, as `tctl` prints them. The names of others
/// may be secrets.
#[must_use]
pub fn are_for_tpms(tokens: &Value) -> bool {
    let is_for_tpm = |token: &Value| token["spec"]["join_method"] == "tpm";
    match tokens {
        Value::Null => true,
        Value::Array(items) => items.iter().all(are_for_tpms),
        Value::Object(_) => is_for_tpm(tokens),
        Value::String(text) => document::parse(text).is_ok_and(|documents| {
            let tokens =
                documents.iter().flat_map(|it| it.as_array().map_or(std::slice::from_ref(it), Vec::as_slice));
            tokens.into_iter().all(is_for_tpm)
        }),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The parameter that names a join token of method `tpm`, and the key of a configuration that does.
const TOKEN: &str = "token";
/// The parameter that says how many tokens a fleet has, and its values.
const TOKENS: &str = "tokens";
const LAYOUTS: [&str; 3] = ["shared", "sharded", "per_host"];
/// The parameter that says whether all tokens are answered.
const ALL_TOKENS: &str = "all_tokens";

fn mask_value(key: &str, value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if is_path(key, text) => {}
        value if is_secret(key) => *value = Value::from(MASK),
        Value::String(text) => *text = mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value("", item)),
        Value::Object(fields) => {
            let shown = shown_field(key, fields);
            for (name, value) in fields.iter_mut().filter(|(name, _)| Some(name.as_str()) != shown) {
                mask_value(name, value);
            }
        }
        Value::Number(_) => {}
    }
}

/// The field of an object that is no secret in spite of its name. The action `config` always joins by `tpm`.
fn shown_field(key: &str, fields: &Map<String, Value>) -> Option<&'static str> {
    let is_tpm = fields.get("join_method").is_none_or(|method| method == "tpm");
    (key == "onboarding" && is_tpm).then_some(TOKEN)
}

#[cfg(test)]
mod tests;
