//! In what a host differs from what it should be, as sentences without a full stop: by what the actions answered in check mode.

use serde_json::{Map, Value};

use super::Seen;

pub(super) fn of(seen: &Seen, enrolled: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |differs: bool, what: &str| {
        if differs {
            found.push(what.to_owned());
        }
    };
    let is_true = |results: &Map<String, Value>, name: &str| results.get(name) == Some(&Value::Bool(true));
    let changed = |results: &Map<String, Value>, part: &str| {
        results.get(part).is_some_and(|answer| answer["changed"] == true)
    };
    note(changed(&seen.identified, "recorded"), "its entry of the registry is missing or out of date");
    let rules = enrolled.get("rules").unwrap_or(&Value::Null);
    let has = |list: &Value| list.as_array().is_some_and(|hosts| hosts.iter().any(|name| *name == seen.host));
    note(has(&rules["added"]), "the token has no rule for its TPM");
    note(has(&rules["updated"]), "the rule for its TPM is out of date");
    note(is_true(enrolled, "tokens_differ"), "the token differs in something else than its rule");
    let former = enrolled.get("former_tokens").and_then(Value::as_array);
    note(
        former.is_some_and(|former| !former.is_empty()),
        "a token of a former layout still accepts a TPM that is out of use",
    );
    let bot = enrolled.get("bot").and_then(|bot| bot["state"].as_str());
    note(
        matches!(bot, Some("missing" | "made" | "updated")),
        "the bot is missing in the cluster, or has other roles or traits",
    );
    note(
        changed(&seen.deployed, "access") || changed(&seen.accessed, "access"),
        "the account of the bot, or its access to the TPM, is not as it should be",
    );
    let programs = [&seen.identified, &seen.deployed, &seen.compared];
    note(
        programs
            .into_iter()
            .filter_map(|answer| answer.get("program"))
            .any(|program| program["to_install"] == true),
        "the program tbot is missing or of another version",
    );
    note(changed(&seen.deployed, "storage"), "the directory of the state differs");
    note(changed(&seen.deployed, "config"), "the configuration differs");
    note(
        changed(&seen.deployed, "destinations"),
        "a directory that a service writes to is missing or not the bot's",
    );
    note(changed(&seen.deployed, "systemd"), "the unit differs");
    if let Some(service) = seen.deployed.get("service") {
        of_service(service, &mut found);
    }
    found
}

fn of_service(service: &Value, found: &mut Vec<String>) {
    if service["up_to_date"] != false {
        return;
    }
    if service["exists"] != true {
        found.push("there is no service".to_owned());
        return;
    }
    if service["enabled"] != true {
        found.push("the service is not enabled".to_owned());
    }
    match service["active_state"].as_str() {
        None | Some("active") => {}
        Some(state) => found.push(format!("the service is {state}")),
    }
    if service["needs_daemon_reload"] == true {
        found.push("systemd does not know its unit yet".to_owned());
    }
    let reasons = service["restart_reasons"].as_array().into_iter().flatten();
    found.extend(reasons.filter_map(Value::as_str).map(str::to_owned));
    if service["ready"] == false {
        found.push(format!(
            "the bot is not well: {}",
            service["health"].as_str().unwrap_or("it does not say why")
        ));
    }
}
