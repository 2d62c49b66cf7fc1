//! What the parts of a deployment say for each other, so that it is said once.

use serde_json::{Map, Value};

use super::Parameters;
use crate::error::{Error, Result};

/// The parameters of a part.
pub(super) type Fields = Map<String, Value>;

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

/// Gives each part what another one says.
pub(super) fn share(parameters: &mut Parameters) {
    let keeps_in_memory = has(parameters.config.as_ref(), "storage_type");
    for same in SHARED {
        let given = same.iter().find_map(|(part, name)| {
            field(parameters, part)?.get(*name).filter(|value| !value.is_null()).cloned()
        });
        let Some(value) = given else { continue };
        for (part, name) in same {
            if *name == "storage_path" && keeps_in_memory {
                continue;
            }
            if let Some(fields) = field(parameters, part)
                && !has(Some(fields), name)
            {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
    }
    if let Some(service) = &mut parameters.service {
        let state = service.entry("state").or_insert_with(|| "started".into());
        if state != "stopped" {
            service.entry("enabled").or_insert(Value::Bool(true));
        }
    }
}

/// Refuses parts that say by themselves whether they are to be there.
pub(super) fn refuse_states(parameters: &Parameters) -> Result<()> {
    for (name, part) in
        [("storage", &parameters.storage), ("config", &parameters.config), ("systemd", &parameters.systemd)]
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
pub(super) fn take_away(parameters: &mut Parameters) {
    let parts = [&mut parameters.storage, &mut parameters.config, &mut parameters.systemd];
    for fields in parts.into_iter().flatten() {
        fields.insert("state".to_owned(), "absent".into());
    }
    if let Some(service) = &mut parameters.service {
        service.insert("state".to_owned(), "stopped".into());
        service.insert("enabled".to_owned(), Value::Bool(false));
        service.remove("wait");
    }
}

fn field<'a>(parameters: &'a mut Parameters, part: &str) -> Option<&'a mut Fields> {
    match part {
        "program" => parameters.program.as_mut(),
        "access" => parameters.access.as_mut(),
        "storage" => parameters.storage.as_mut(),
        "config" => parameters.config.as_mut(),
        "destinations" => parameters.destinations.as_mut(),
        "systemd" => parameters.systemd.as_mut(),
        _ => parameters.service.as_mut(),
    }
}

fn has(fields: Option<&Fields>, name: &str) -> bool {
    fields.and_then(|fields| fields.get(name)).is_some_and(|value| !value.is_null())
}
