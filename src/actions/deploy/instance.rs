//! What the parts of an instance are: those of the unnamed bot, but for what tells the two apart.

use serde_json::{Map, Value, json};

use super::parts::Parts;
use crate::actions::instances::Instance;
use crate::error::{Error, Result};
use crate::host::Account;
use crate::teleport::Name;

impl Parts {
    /// The parts of an instance, of those kinds that the unnamed bot has.
    pub fn of_instance(&self, instance: &Instance, token_suffix: &str) -> Result<Self> {
        let mut parts = Self { program: None, ..self.clone() };
        for (name, value) in [("user", &instance.user), ("group", &instance.group)] {
            if let Some(account) = value {
                parts.say("systemd", name, &account.as_str().into());
            }
        }
        parts.say("storage", "path", &instance.storage_path()?.as_str().into());
        parts.say("config", "path", &instance.config_path()?.as_str().into());
        parts.say("systemd", "name", &instance.service_name()?.file_name().into());
        if let Some(config) = &mut parts.config {
            // Without one, the configuration keeps the token that it has, as that of the unnamed bot.
            let is_given = config.remove("token").is_some_and(|token| !token.is_null());
            if is_given {
                config.insert("token".to_owned(), token(instance, token_suffix)?.as_str().into());
            }
            config.insert("services".to_owned(), json!(instance.services));
            config.insert("extra".to_owned(), json!(instance.config_extra));
            let defaults = config.entry("defaults").or_insert_with(|| json!({}));
            set_or_remove(defaults, "diag_addr", instance.diag_addr());
        }
        if let Some(systemd) = &mut parts.systemd {
            // It follows from the unit's name, unless there is to be none.
            if systemd.get("pid_file").is_some_and(|file| file != "") {
                systemd.remove("pid_file");
            }
            systemd.remove("read_write_paths");
        }
        if let Some(destinations) = &mut parts.destinations {
            // It is said once for the host.
            destinations.remove("absent");
        }
        if let Some(service) = &mut parts.service {
            service.remove("diag_addr");
            let readers: Vec<&str> = instance.readers.iter().map(Account::as_str).collect();
            service.insert("readers".to_owned(), json!(readers));
        }
        if instance.is_absent() {
            parts.take_away();
        }
        Ok(parts)
    }
}

/// The token that this host joins by: with several of them, that of the same end as the unnamed bot's. All have the hosts by the same rule.
fn token(instance: &Instance, suffix: &str) -> Result<Name> {
    let name = format!("{}{suffix}", instance.token_name()?);
    Name::try_from(name).map_err(|why| Error::invalid(format!("`token_suffix`: {why}")))
}

fn set_or_remove(fields: &mut Value, name: &str, value: Option<String>) {
    let Some(fields) = fields.as_object_mut() else { return };
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value.into())),
        None => drop(fields.remove(name)),
    }
}

/// The configuration that the parameters of a part describe, as far as they say.
pub(super) fn described(config: Option<&Map<String, Value>>) -> Value {
    let field = |name: &str| config.and_then(|config| config.get(name)).cloned().unwrap_or_default();
    let (extra, defaults) = (field("extra"), field("defaults"));
    let address = Some(&extra["diag_addr"]).filter(|address| !address.is_null());
    json!({ "services": field("services"), "diag_addr": address.unwrap_or(&defaults["diag_addr"]) })
}
