//! What the parts of a bot say for each other, so that it is said once.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The parameters of a part.
pub(super) type Fields = Map<String, Value>;

/// The parts of a bot, each by the name of its action. An absent one is left as it is.
#[derive(Clone, Default)]
pub(super) struct Parts {
    pub program: Option<Fields>,
    pub access: Option<Fields>,
    pub storage: Option<Fields>,
    pub config: Option<Fields>,
    pub destinations: Option<Fields>,
    pub systemd: Option<Fields>,
    pub service: Option<Fields>,
}

/// Parameters of several parts that mean one thing. The first that is given counts for those that do not give it.
const SHARED: [&[(&str, &str)]; 5] = [
    &[("access", "user"), ("systemd", "user"), ("storage", "owner"), ("destinations", "owner")],
    &[
        ("access", "group"),
        ("systemd", "group"),
        ("storage", "group"),
        ("config", "group"),
        ("destinations", "group"),
    ],
    &[("storage", "path"), ("config", "storage_path")],
    &[("config", "path"), ("destinations", "config"), ("systemd", "config"), ("service", "config")],
    &[("systemd", "name"), ("service", "name")],
];

impl Parts {
    /// Gives each part what another one says.
    pub fn share(&mut self) {
        let keeps_in_memory = self.keeps_in_memory();
        for same in SHARED {
            let given = same.iter().find_map(|(part, name)| self.given(part, name).cloned());
            let Some(value) = given else { continue };
            for (part, name) in same {
                if *name == "storage_path" && keeps_in_memory {
                    continue;
                }
                if let Some(fields) = self.field(part)
                    && !has(Some(fields), name)
                {
                    fields.insert((*name).to_owned(), value.clone());
                }
            }
        }
        if let Some(service) = &mut self.service {
            let state = service.entry("state").or_insert_with(|| "started".into());
            if state != "stopped" {
                service.entry("enabled").or_insert(Value::Bool(true));
            }
        }
    }

    /// Says one thing in all parts that have it, by what the first of them calls it.
    pub fn say(&mut self, part: &str, name: &str, value: &Value) {
        let keeps_in_memory = self.keeps_in_memory();
        let same = SHARED.iter().find(|same| same.contains(&(part, name)));
        for (part, name) in same.copied().unwrap_or_default() {
            if *name == "storage_path" && keeps_in_memory {
                continue;
            }
            if let Some(fields) = self.field(part) {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
    }

    /// Refuses parts that say by themselves whether they are to be there.
    pub fn refuse_states(&self) -> Result<()> {
        for (name, part) in [("storage", &self.storage), ("config", &self.config), ("systemd", &self.systemd)]
        {
            if has(part.as_ref(), "state") {
                return Err(Error::invalid(format!(
                    "parameter `{name}` of action `deploy` may not have `state`: give `state` of the deployment"
                )));
            }
        }
        Ok(())
    }

    /// Turns each part into what takes it away.
    pub fn take_away(&mut self) {
        // An account and a program may have other uses, and what is in the directories of services may be somebody's who has to know of
        // it first. So these stay.
        (self.program, self.access, self.destinations) = (None, None, None);
        for fields in [&mut self.storage, &mut self.config, &mut self.systemd].into_iter().flatten() {
            fields.insert("state".to_owned(), "absent".into());
        }
        if let Some(service) = &mut self.service {
            service.insert("state".to_owned(), "stopped".into());
            service.insert("enabled".to_owned(), Value::Bool(false));
            service.remove("wait");
        }
    }

    /// A parameter that is given to one of the parts.
    pub fn given(&self, part: &str, name: &str) -> Option<&Value> {
        let fields = match part {
            "program" => &self.program,
            "access" => &self.access,
            "storage" => &self.storage,
            "config" => &self.config,
            "destinations" => &self.destinations,
            "systemd" => &self.systemd,
            _ => &self.service,
        };
        fields.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    fn field(&mut self, part: &str) -> Option<&mut Fields> {
        match part {
            "program" => self.program.as_mut(),
            "access" => self.access.as_mut(),
            "storage" => self.storage.as_mut(),
            "config" => self.config.as_mut(),
            "destinations" => self.destinations.as_mut(),
            "systemd" => self.systemd.as_mut(),
            _ => self.service.as_mut(),
        }
    }

    fn keeps_in_memory(&self) -> bool {
        has(self.config.as_ref(), "storage_type")
    }
}

fn has(fields: Option<&Fields>, name: &str) -> bool {
    fields.and_then(|fields| fields.get(name)).is_some_and(|value| !value.is_null())
}
