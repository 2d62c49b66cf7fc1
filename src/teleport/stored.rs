//! Tokens as somebody wrote them or a cluster stores them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::rule::kind_of;
use super::token::{BOTS, PLAIN, SCOPED, Unknown};
use super::{Name, Role, Rule, Scope, Settings, Timestamp, Token};
use crate::document;
use crate::error::{Error, Kind, Result};

/// How Go writes no time at all.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
/// What a cluster adds to the metadata by itself.
const CLUSTERS_OWN_METADATA: [&str; 2] = ["revision", "id"];

/// Where tokens are from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What to call it in errors: "`current`".
    pub name: &'a str,
    /// The kind of error where it is malformed.
    pub malformed: Kind,
}

/// The tokens of a text: YAML, any number of documents, or JSON; a list holds several, as `tctl get` prints
/// them; an empty text holds none.
///
/// What is no token, or one of another join method, is a `conflict`.
pub fn parse(text: &str, source: Source<'_>) -> Result<Vec<Token>> {
    let documents = document::parse(text)
        .map_err(|detail| source.wrong(&format!("is no YAML or JSON that can be read: {detail}")))?;
    parsed(Value::Array(documents), source)
}

/// The same for a text, a list of texts, or what has been parsed already.
pub fn read(value: Value, source: Source<'_>) -> Result<Vec<Token>> {
    match value {
        Value::String(text) => parse(&text, source),
        Value::Array(items) => collect(items, |item| match item {
            Value::String(text) => parse(&text, source),
            item => parsed(item, source),
        }),
        value => parsed(value, source),
    }
}

fn parsed(value: Value, source: Source<'_>) -> Result<Vec<Token>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => collect(items, |item| parsed(item, source)),
        Value::Object(fields) => {
            token(Fields { left: fields, place: String::new(), source }).map(|it| vec![it])
        }
        _ => Err(source.conflict("is no join token")),
    }
}

fn collect(items: Vec<Value>, tokens: impl FnMut(Value) -> Result<Vec<Token>>) -> Result<Vec<Token>> {
    let tokens = items.into_iter().map(tokens).collect::<Result<Vec<_>>>()?;
    Ok(tokens.into_iter().flatten().collect())
}

impl Source<'_> {
    fn wrong(self, what: &str) -> Error {
        Error::new(self.malformed, format!("{} {what}", self.name))
    }

    fn conflict(self, what: &str) -> Error {
        Error::new(Kind::Conflict, format!("{} {what}; it was left as it is", self.name))
    }
}

fn token(mut resource: Fields<'_>) -> Result<Token> {
    let source = resource.source;
    let (_, known) = match resource.text("kind")?.as_deref() {
        Some(kind) if kind == PLAIN.0 => PLAIN,
        Some(kind) if kind == SCOPED.0 => SCOPED,
        _ => return Err(source.conflict("is no join token (kind: token)")),
    };
    if let Some(version) = resource.text("version")?.filter(|version| version != known) {
        return Err(source.conflict(&format!("is a token of version {version}, not {known}")));
    }
    let scope = if known == SCOPED.1 { Some(scope(&mut resource)?) } else { None };
    let mut metadata = resource.object("metadata")?;
    let name = metadata.text("name")?.unwrap_or_default();
    let mut spec = resource.object("spec")?;
    if spec.text("join_method")?.as_deref() != Some("tpm") {
        // Whose name may be the secret.
        return Err(source.conflict("has a token that is not for TPMs (spec.join_method must be tpm)"));
    }
    let name =
        Name::try_from(name).map_err(|why| source.conflict(&format!("has a token whose name {why}")))?;
    let expires = expiry(&mut metadata)?;
    let labels = labels(&mut metadata)?;
    for field in CLUSTERS_OWN_METADATA {
        metadata.left.shift_remove(field);
    }
    let roles = spec.texts("roles")?.into_iter().map(Role::in_its_own_case).collect();
    let bot_name = match &scope {
        Some(scope) => bot_in(scope, &mut spec)?,
        None => spec.text("bot_name")?.filter(|name| !name.is_empty()),
    };
    let mut tpm = spec.object("tpm")?;
    let ekcert_allowed_cas = tpm.texts("ekcert_allowed_cas")?;
    let allowed = rules(&mut tpm)?;
    let unknown =
        Unknown { resource: resource.rest(), metadata: metadata.rest(), spec: spec.rest(), tpm: tpm.rest() };
    let settings = Settings { roles, bot_name, ekcert_allowed_cas, expires, labels, scope, unknown };
    Ok(Token::new(name, settings, allowed))
}

fn scope(resource: &mut Fields<'_>) -> Result<Scope> {
    let text = resource.text("scope")?.unwrap_or_default();
    Scope::try_from(text)
        .map_err(|why| resource.source.conflict(&format!("has a scoped token with an {why}")))
}

/// The bot of a scoped token, without the scope where it is the token's own.
fn bot_in(scope: &Scope, spec: &mut Fields<'_>) -> Result<Option<String>> {
    if let Some(mode) = spec.text("usage_mode")?.filter(|mode| mode != BOTS) {
        return Err(spec.source.conflict(&format!("has a scoped token of usage mode {mode}, not {BOTS}")));
    }
    let Some(bot) = spec.text("bot")?.filter(|name| !name.is_empty()) else { return Ok(None) };
    match scope.unqualified(&bot) {
        Some(name) => Ok(Some(name.to_owned())),
        None if bot.starts_with('/') => Err(spec
            .source
            .conflict(&format!("has a token of the scope {scope} for a bot of another, {bot}"))),
        None => Ok(Some(bot)),
    }
}

fn expiry(metadata: &mut Fields<'_>) -> Result<Option<Timestamp>> {
    let text = metadata.text("expires")?.filter(|text| !text.is_empty() && text != NO_TIME);
    let malformed = |why| metadata.source.wrong(&format!("has a wrong `metadata.expires`: {why}"));
    text.map(|text| Timestamp::try_from(text).map_err(malformed)).transpose()
}

fn labels(metadata: &mut Fields<'_>) -> Result<BTreeMap<String, String>> {
    let mut labels = metadata.object("labels")?;
    let names: Vec<String> = labels.left.keys().cloned().collect();
    let pair = |name: String| Ok((name.clone(), labels.text(&name)?.unwrap_or_default()));
    names.into_iter().map(pair).collect()
}

fn rules(tpm: &mut Fields<'_>) -> Result<Vec<Rule>> {
    let source = tpm.source;
    let name_of = |index: usize, fields: &Map<String, Value>| match fields.get("description") {
        Some(Value::String(name)) => format!("`spec.tpm.allow[{index}]` ({name})"),
        _ => format!("`spec.tpm.allow[{index}]`"),
    };
    let rule = |(index, item): (usize, Value)| match item {
        Value::Object(fields) => {
            let name = name_of(index, &fields);
            let rule = Rule::from_fields(fields)
                .map_err(|why| source.wrong(&format!("has a wrong rule {name}: {why}")))?;
            if rule.is_empty() {
                return Err(source.wrong(&format!("has a rule {name} with neither hash nor serial number")));
            }
            Ok(rule)
        }
        other => Err(source.wrong(&format!("has {} as `spec.tpm.allow[{index}]`", kind_of(&other)))),
    };
    tpm.list("allow")?.into_iter().enumerate().map(rule).collect()
}

/// The fields of an object that are still to be read.
struct Fields<'a> {
    left: Map<String, Value>,
    /// Where the object is, with a dot at its end: `spec.tpm.`
    place: String,
    source: Source<'a>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &str) -> Value {
        self.left.shift_remove(name).unwrap_or_default()
    }

    fn wrong(&self, name: &str, found: &Value, expected: &str) -> Error {
        let place = &self.place;
        self.source.wrong(&format!("has {} as `{place}{name}`, which is {expected}", kind_of(found)))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(self.wrong(name, &other, "a text")),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.take(name) {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items),
            other => Err(self.wrong(name, &other, "a list")),
        }
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let items = self.list(name)?;
        let text = |item: Value| match item {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(name, &other, "a list of texts")),
        };
        items.into_iter().map(text).collect()
    }

    fn object(&mut self, name: &str) -> Result<Fields<'a>> {
        let fields = match self.take(name) {
            Value::Null => Map::new(),
            Value::Object(fields) => fields,
            other => return Err(self.wrong(name, &other, "an object")),
        };
        Ok(Fields { left: fields, place: format!("{}{name}.", self.place), source: self.source })
    }

    /// What nobody has read, in alphabetical order.
    fn rest(mut self) -> Map<String, Value> {
        self.left.retain(|_, value| !value.is_null());
        self.left.sort_keys();
        self.left
    }
}
