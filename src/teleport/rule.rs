//! One rule of a join token: which TPM it lets in.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::{Identity, yaml};
use crate::ekcert::{EkPublicHash, Serial};
use crate::json;

const DESCRIPTION: &str = "description";
const HASH: &str = "ek_public_hash";
const SERIAL: &str = "ek_certificate_serial";

/// An element of `spec.tpm.allow`, to the letter; an absent part is empty. The cluster lets a TPM in for
/// which neither the hash nor the serial number is another one, compared to the letter.
///
/// Rules are ordered by description, then hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// For people; it decides nothing.
    pub description: String,
    /// SHA-256 of the EK's public key, in lower-case hexadecimal where it is to match.
    pub ek_public_hash: String,
    /// The EK certificate's serial number, in pairs of lower-case hexadecimal digits joined by colons.
    pub ek_certificate_serial: String,
    /// Fields that this version does not know, as a compact JSON object, which compares.
    other: Option<String>,
}

impl Rule {
    /// The rule for this host, with the serial number where one is to be compared.
    #[must_use]
    pub fn for_host(host: &Identity, serial: Option<&Serial>) -> Self {
        Self {
            description: host.rule_text().cloned().map(String::from).unwrap_or_default(),
            ek_public_hash: host.ek_public_hash.clone().map(String::from).unwrap_or_default(),
            ek_certificate_serial: serial.map(Serial::to_string).unwrap_or_default(),
            other: None,
        }
    }

    /// From an element of `spec.tpm.allow`; an error names the field.
    pub(super) fn from_fields(mut fields: Map<String, Value>) -> Result<Self, String> {
        let mut text = |name: &str| match fields.shift_remove(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(format!("`{name}` is {}, not a text", kind_of(&other))),
        };
        let (description, ek_public_hash, ek_certificate_serial) =
            (text(DESCRIPTION)?, text(HASH)?, text(SERIAL)?);
        fields.retain(|_, value| !value.is_null());
        let other = (!fields.is_empty()).then(|| {
            let mut fields = Value::Object(fields);
            fields.sort_all_objects();
            fields.to_string()
        });
        Ok(Self { description, ek_public_hash, ek_certificate_serial, other })
    }

    /// Whether it has neither hash nor serial number. Such a rule would let every TPM in, and a cluster
    /// refuses it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ek_public_hash.is_empty() && self.ek_certificate_serial.is_empty()
    }

    /// Whether it has fields that this version does not know.
    #[must_use]
    pub fn has_unknown_fields(&self) -> bool {
        self.other.is_some()
    }

    /// Whether no TPM can have its hash and serial number, since they are not written as the cluster writes
    /// a TPM's.
    #[must_use]
    pub fn can_never_match(&self) -> bool {
        let (hash, serial) = (&self.ek_public_hash, &self.ek_certificate_serial);
        let is_hash =
            |text: &String| EkPublicHash::try_from(text.clone()).is_ok_and(|hash| hash.as_str() == text);
        let is_serial =
            |text: &String| Serial::try_from(text.clone()).is_ok_and(|serial| serial.as_str() == text);
        !(hash.is_empty() || is_hash(hash)) || !(serial.is_empty() || is_serial(serial))
    }

    /// The rule with the other one's description and serial number, where that has them.
    #[must_use]
    pub fn updated(&self, other: &Self) -> Self {
        let newer = |own: &String, others: &String| if others.is_empty() { own } else { others }.clone();
        Self {
            description: newer(&self.description, &other.description),
            ek_public_hash: self.ek_public_hash.clone(),
            ek_certificate_serial: newer(&self.ek_certificate_serial, &other.ek_certificate_serial),
            other: self.other.clone(),
        }
    }

    /// What to call it by: its description, or else its hash or its serial number.
    #[must_use]
    pub fn label(&self) -> &str {
        let parts = [&self.description, &self.ek_public_hash, &self.ek_certificate_serial];
        parts.into_iter().find(|part| !part.is_empty()).map_or("", String::as_str)
    }

    /// Bytes of it as compact JSON.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.has_unknown_fields() || self.is_empty() {
            return json::size(self);
        }
        let fields = self.texts().map(|(name, text)| name.len() + "\"\":,".len() + json::text_size(text));
        // The last field has no comma behind it.
        fields.sum::<usize>() + "{}".len() - ",".len()
    }

    /// Appends it as one item of a YAML list at this depth.
    pub(super) fn write_yaml(&self, depth: usize, out: &mut String) {
        if self.has_unknown_fields() || self.is_empty() {
            yaml::write_item(&serde_json::to_value(self).unwrap_or_default(), depth, out);
        } else {
            yaml::write_item_of_texts(self.texts(), depth, out);
        }
    }

    /// The parts that it has, by their names.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parts = [
            (DESCRIPTION, &self.description),
            (HASH, &self.ek_public_hash),
            (SERIAL, &self.ek_certificate_serial),
        ];
        parts.into_iter().map(|(name, text)| (name, text.as_str())).filter(|(_, text)| !text.is_empty())
    }

    /// Whether it lets in a TPM with this hash and serial number; none of them where the TPM has none.
    #[must_use]
    pub fn lets_in(&self, hash: Option<&str>, serial: Option<&str>) -> bool {
        let part = |own: &str, theirs: Option<&str>| own.is_empty() || Some(own) == theirs;
        part(&self.ek_public_hash, hash) && part(&self.ek_certificate_serial, serial)
    }

    /// Upper-case digits, with which hash and serial number never match, in lower case: whether there were
    /// any.
    pub fn fold_case(&mut self) -> bool {
        let parts = [&mut self.ek_public_hash, &mut self.ek_certificate_serial];
        parts.into_iter().fold(false, |folded, part| {
            let has_upper_case = part.bytes().any(|byte| byte.is_ascii_uppercase());
            part.make_ascii_lowercase();
            folded || has_upper_case
        })
    }
}

/// As the cluster stores it, without its empty parts.
impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, text) in self.texts() {
            map.serialize_entry(name, text)?;
        }
        if let Some(Ok(Value::Object(fields))) = self.other.as_deref().map(serde_json::from_str) {
            for (name, value) in &fields {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// What a value is that should be a text, and what to do where somebody forgot quotes.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("the boolean {truth} (quote it)"),
        Value::Number(number) => format!("the number {number} (quote it, as in \"12:34\")"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
