//! Bots: the resource as a cluster has it, and what is wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Name, Scope};
use crate::error::{Error, Kind, Result};
use crate::message::shown;
use crate::ordered;

/// What a cluster adds to the metadata by itself.
const CLUSTERS_OWN_METADATA: [&str; 2] = ["revision", "id"];
/// What it adds to the resource.
const CLUSTERS_OWN: &str = "status";

/// Values of each trait, by its name. Their order has no meaning.
type Traits = BTreeMap<String, BTreeSet<String>>;

/// A bot as a cluster has it, with the fields that this version does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Bot {
    name: Name,
    resource: Map<String, Value>,
}

impl Bot {
    /// A bot as `tctl get` prints it. What is no bot is a `conflict`.
    pub fn from_value(value: Value) -> Result<Self> {
        let Value::Object(resource) = value else {
            return Err(conflict("the cluster's bot is not an object"));
        };
        if resource.get("kind").and_then(Value::as_str) != Some("bot") {
            return Err(conflict("the cluster answered with another resource than a bot (kind must be bot)"));
        }
        let name = resource.get("metadata").and_then(|metadata| metadata["name"].as_str());
        let name = Name::try_from(name.unwrap_or_default().to_owned())
            .map_err(|why| conflict(&format!("the cluster's bot has a name that cannot be used: {why}")))?;
        let bot = Self { name, resource };
        for (place, value) in [("metadata", bot.resource.get("metadata")), ("spec", bot.resource.get("spec"))]
        {
            if value.is_some_and(|value| !value.is_object() && !value.is_null()) {
                return Err(bot.malformed(place));
            }
        }
        bot.roles()?;
        bot.traits()?;
        Ok(bot)
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The resource.
    #[must_use]
    pub fn as_value(&self) -> Value {
        Value::Object(self.resource.clone())
    }

    /// `scope`, which only scoped bots have. They take no `spec.roles`.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.resource.get("scope").and_then(Value::as_str).filter(|scope| !scope.is_empty())
    }

    /// The user that the cluster keeps for the bot, which a lock may name.
    #[must_use]
    pub fn user(&self) -> String {
        let status = self.resource.get(CLUSTERS_OWN).and_then(|status| status["user_name"].as_str());
        status.map_or_else(|| Self::user_of(&self.name), str::to_owned)
    }

    /// The user of a bot that the cluster does not have yet.
    #[must_use]
    pub fn user_of(name: &Name) -> String {
        format!("bot-{name}")
    }

    fn spec(&self) -> Option<&Value> {
        self.resource.get("spec")
    }

    fn roles(&self) -> Result<BTreeSet<String>> {
        texts(self.spec().map(|spec| &spec["roles"])).ok_or_else(|| self.malformed("spec.roles"))
    }

    fn traits(&self) -> Result<Traits> {
        let malformed = || self.malformed("spec.traits");
        let list = match self.spec().map(|spec| &spec["traits"]) {
            None | Some(Value::Null) => return Ok(Traits::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(malformed()),
        };
        let mut traits = Traits::new();
        for item in list {
            let name = item["name"].as_str().ok_or_else(malformed)?;
            let values = texts(Some(&item["values"])).ok_or_else(malformed)?;
            traits.entry(name.to_owned()).or_default().extend(values);
        }
        traits.retain(|_, values| !values.is_empty());
        Ok(traits)
    }

    fn malformed(&self, place: &str) -> Error {
        conflict(&format!(
            "the bot `{}` in the cluster has a `{place}` that this version cannot read",
            self.name
        ))
    }
}

/// What a bot is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotTerms {
    name: Name,
    roles: Vec<String>,
    /// In the order that they were given in. None where the traits stay as they are.
    traits: Option<BTreeMap<String, Vec<String>>>,
    scope: Option<Scope>,
}

impl BotTerms {
    /// The same in a scope, where a bot has no roles of its own.
    pub fn within(self, scope: Option<Scope>) -> Result<Self> {
        if scope.is_some() && !self.roles.is_empty() {
            return Err(Error::invalid(format!(
                "the bot `{}` is in a scope, so it takes no roles of its own",
                self.name
            ))
            .hint("give its roles by assignments in its scope, and an empty list here"));
        }
        Ok(Self { scope, ..self })
    }

    /// What is wanted, and warnings about it. Empty names of roles, and traits without values, are left out; `traits` that are not
    /// given stay as they are.
    #[must_use]
    pub fn new(
        name: Name,
        roles: &[String],
        traits: Option<BTreeMap<String, Vec<String>>>,
    ) -> (Self, Vec<String>) {
        let (roles, repeated) = distinct(roles);
        let mut warnings = Vec::new();
        if !repeated.is_empty() {
            warnings.push(format!(
                "the bot `{name}` is given {} more than once; once is enough",
                shown(&repeated)
            ));
        }
        let traits = traits.map(|traits| {
            let distinct = traits.into_iter().map(|(name, values)| (name, distinct(&values).0));
            distinct.filter(|(_, values)| !values.is_empty()).collect()
        });
        (Self { name, roles, traits, scope: None }, warnings)
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The resource to apply, with everything that the cluster's bot has and these terms do not name; none where that bot is as it
    /// should be already. A bot with a scope, or of another name, is a `conflict`.
    pub fn resource(&self, current: Option<&Bot>) -> Result<Option<Value>> {
        let Some(bot) = current else { return Ok(Some(self.new_resource())) };
        if bot.name != self.name {
            return Err(conflict(&format!("the cluster's bot is `{}`, not `{}`", bot.name, self.name)));
        }
        if let (None, Some(wanted)) = (bot.scope(), &self.scope) {
            return Err(conflict(&format!(
                "the cluster's bot `{}` is not in the scope `{wanted}`",
                self.name
            )));
        }
        if let Some(scope) =
            bot.scope().filter(|scope| self.scope.as_ref().map(Scope::as_str) != Some(*scope))
        {
            let message =
                format!("the bot `{}` has the scope `{scope}`, so it takes no roles of its own", self.name);
            return Err(conflict(&message)
                .hint("give its roles by assignments in its scope, and leave out the bot's roles here"));
        }
        let wanted_roles = ordered::set(self.roles.iter().cloned());
        let same_roles = self.scope.is_some() || bot.roles()? == wanted_roles;
        let current_traits = bot.traits()?;
        let other_traits = self.traits.as_ref().filter(|wanted| unordered(wanted) != current_traits);
        if same_roles && other_traits.is_none() {
            return Ok(None);
        }
        let mut resource = bot.resource.clone();
        resource.shift_remove(CLUSTERS_OWN);
        if let Some(Value::Object(metadata)) = resource.get_mut("metadata") {
            metadata.retain(|field, _| !CLUSTERS_OWN_METADATA.contains(&field.as_str()));
        }
        let spec = resource.entry("spec").or_insert_with(|| json!({}));
        if spec.is_null() {
            *spec = json!({});
        }
        if !same_roles {
            spec["roles"] = json!(self.roles);
        }
        if let Some(traits) = other_traits {
            spec["traits"] = list_of(traits);
        }
        Ok(Some(Value::Object(resource)))
    }

    fn new_resource(&self) -> Value {
        let mut spec = if self.scope.is_some() { json!({}) } else { json!({ "roles": self.roles }) };
        if let Some(traits) = self.traits.as_ref().filter(|traits| !traits.is_empty()) {
            spec["traits"] = list_of(traits);
        }
        let mut bot = json!({ "kind": "bot", "version": "v1", "metadata": { "name": self.name } });
        if let Some(scope) = &self.scope {
            bot["scope"] = json!(scope);
        }
        bot["spec"] = spec;
        bot
    }
}

/// The texts without blanks around them, empty ones, and those that were there before, which are the second list.
fn distinct(texts: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut distinct, mut repeated) = (Vec::new(), Vec::new());
    for text in texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
        let list = if distinct.contains(&text) { &mut repeated } else { &mut distinct };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    (distinct, repeated)
}

fn unordered(traits: &BTreeMap<String, Vec<String>>) -> Traits {
    ordered::map(traits.iter().map(|(name, values)| (name.clone(), ordered::set(values.iter().cloned()))))
}

/// Traits as a resource has them.
fn list_of(traits: &BTreeMap<String, Vec<String>>) -> Value {
    traits.iter().map(|(name, values)| json!({ "name": name, "values": values })).collect()
}

/// The texts of a list, which may be missing; none where it is something else.
fn texts(list: Option<&Value>) -> Option<BTreeSet<String>> {
    match list {
        None | Some(Value::Null) => Some(BTreeSet::new()),
        Some(Value::Array(items)) => {
            let texts = ordered::set(items.iter().filter_map(Value::as_str).map(str::to_owned));
            items.iter().all(Value::is_string).then_some(texts)
        }
        Some(_) => None,
    }
}

fn conflict(what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{what}; it was not changed"))
}
