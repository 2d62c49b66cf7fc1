//! What is wrong with a parameter, in words.

use std::fmt;

use serde::de;

use crate::message::shortened;

/// The candidates as a list for a person, the one most like `given` first.
#[must_use]
pub fn nearest(given: &str, candidates: &[&str]) -> String {
    let mut sorted = candidates.to_vec();
    let given = shortened(given);
    sorted.sort_by_cached_key(|candidate| strsim::damerau_levenshtein(&given, candidate));
    sorted.join(", ")
}

/// What is wrong with which parameter.
#[derive(Debug)]
pub(super) struct Problem {
    /// From the parameter inwards: `hosts`, `[2]`, `ek_public_hash`.
    path: Vec<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    Unknown { name: String, valid: Vec<&'static str> },
    Missing(&'static str),
    Wrong(String),
}

impl Problem {
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), what: What::Wrong(message.into()) }
    }

    pub(super) fn inside(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }

    pub(super) fn describe(&self, action: &str) -> String {
        let place = self.path.join(".").replace(".[", "[");
        let within = if place.is_empty() { String::new() } else { format!("{place}.") };
        match &self.what {
            What::Unknown { name, valid } => format!(
                "action `{action}` has no parameter `{within}{name}`; did you mean (nearest first): {}",
                nearest(name, valid)
            ),
            What::Missing(name) => format!("action `{action}` needs parameter `{within}{name}`"),
            What::Wrong(message) => format!("parameter `{place}` of action `{action}`: {message}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.describe("?"))
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::wrong(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { path: Vec::new(), what: What::Unknown { name: shortened(field), valid: expected.to_vec() } }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: Vec::new(), what: What::Missing(field) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::wrong(format!("`{}` is none of its values: {}", shortened(variant), nearest(variant, expected)))
    }
}
