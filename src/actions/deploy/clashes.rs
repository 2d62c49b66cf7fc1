//! What two bots of one host cannot both have.

use std::path::Path;

use serde_json::Value;

use super::parts::Parts;
use crate::actions::instances::Instance;
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::host::unit::UnitName;
use crate::teleport::config::{self, Paths};

/// What a bot has for itself.
#[derive(Default)]
pub(super) struct Claims {
    /// How a message calls the bot.
    bot: String,
    is_absent: bool,
    service: String,
    config: String,
    storage: String,
    diag_addr: Option<String>,
    outputs: Vec<String>,
    listeners: Vec<String>,
    sockets: Vec<String>,
}

impl Claims {
    /// Those of the unnamed bot: what its parts say, or the usual.
    pub fn of_unnamed(parts: &Parts, is_absent: bool) -> Self {
        let text = |part: &str, name: &str| parts.given(part, name).and_then(Value::as_str);
        let storage = text("storage", "path").or_else(|| text("config", "storage_path"));
        let service = text("systemd", "name").or_else(|| text("service", "name")).unwrap_or("tbot");
        let config =
            [("config", "path"), ("destinations", "config"), ("systemd", "config"), ("service", "config")];
        let config = config.iter().find_map(|(part, name)| text(part, name));
        Self {
            bot: "the unnamed bot".to_owned(),
            is_absent,
            service: UnitName::try_from(service.to_owned())
                .map_or_else(|_| service.to_owned(), |name| name.file_name()),
            config: plain(config.unwrap_or("/etc/tbot.yaml")),
            storage: plain(storage.unwrap_or(config::DEFAULT_STORAGE)),
            ..Self::default()
        }
    }

    /// Those of an instance.
    pub fn of_instance(instance: &Instance, is_absent: bool) -> Result<Self> {
        Ok(Self {
            bot: format!("`{}`", instance.name.as_str()),
            is_absent,
            service: instance.service_name()?.file_name(),
            config: instance.config_path()?.as_str().to_owned(),
            storage: instance.storage_path()?.as_str().to_owned(),
            ..Self::default()
        })
    }

    /// Adds what a configuration names. One that says nothing for certain is refused elsewhere.
    pub fn add(&mut self, config: &Value) {
        self.diag_addr =
            config["diag_addr"].as_str().filter(|address| !address.is_empty()).map(str::to_owned);
        let paths = Paths::of(config).unwrap_or_default();
        let all = |paths: Vec<String>| paths.iter().map(|path| plain(path)).collect();
        (self.outputs, self.sockets) = (all(paths.outputs), all(paths.sockets));
        let services = ["services", "outputs"].iter().filter_map(|list| config[list].as_array()).flatten();
        self.listeners =
            services.filter_map(|service| service["listen"].as_str()).map(str::to_ascii_lowercase).collect();
    }

    /// What this one and another cannot both have, and what to do.
    fn clash(&self, other: &Self) -> Option<(String, &'static str)> {
        if self.is_absent && other.is_absent {
            return None;
        }
        if self.service == other.service {
            return Some((format!("the service {}", self.service), "give one another `service_name`"));
        }
        if self.config == other.config {
            return Some((format!("the configuration {}", self.config), "give one another `config_path`"));
        }
        let (one, two) = (Path::new(&self.storage), Path::new(&other.storage));
        if one.starts_with(two) || two.starts_with(one) {
            let what = format!("the directory {} for their state", longer(&self.storage, &other.storage));
            return Some((what, "give one another `storage_path`, outside of the other's"));
        }
        if self.is_absent || other.is_absent {
            return None;
        }
        if let Some(address) = self.diag_addr.as_ref().filter(|_| self.diag_addr == other.diag_addr) {
            return Some((format!("`diag_addr` {address}"), "give one another `diag_addr`"));
        }
        if let Some(path) = self.outputs.iter().find(|path| other.outputs.contains(path)) {
            let what = format!("the directory {path} for what their services write");
            return Some((what, "give one another `path` in `destination`"));
        }
        let address = self.listeners.iter().find(|address| other.listeners.contains(address))?;
        Some((format!("the address {address} for their services"), "give one another `listen`"))
    }
}

impl Claims {
    /// The directories that it uses; none where it goes.
    pub fn directories(&self) -> impl Iterator<Item = &String> {
        let all = self.outputs.iter().chain(&self.sockets).chain([&self.storage]);
        all.filter(|_| !self.is_absent)
    }
}

/// Refuses bots of which two have one thing.
pub(super) fn check<'a>(bots: impl Iterator<Item = &'a Claims>) -> Result<()> {
    let mut others: Vec<&Claims> = Vec::new();
    for bot in bots {
        for other in &others {
            if let Some((what, cure)) = other.clash(bot) {
                let message = format!("`instances`: {} and {} would both have {what}", other.bot, bot.bot);
                return Err(Error::invalid(message).hint(cure));
            }
        }
        others.push(bot);
    }
    Ok(())
}

/// A path without what says nothing: `/opt//a/./` is `/opt/a`.
fn plain(path: &str) -> String {
    AbsolutePath::try_from(path.to_owned()).map_or_else(|_| path.to_owned(), |path| path.as_str().to_owned())
}

fn longer<'a>(one: &'a str, two: &'a str) -> &'a str {
    if one.len() >= two.len() { one } else { two }
}
