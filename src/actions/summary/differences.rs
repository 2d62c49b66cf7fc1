//! In what a host differs from what it should be, as sentences without a full stop: by what the actions answered in check mode.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Seen;
use super::row::is_absent;

pub(super) fn of(seen: &Seen, enrolled: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |differs: bool, what: &str| {
        if differs {
            found.push(what.to_owned());
        }
    };
    note(changed(&seen.identified, "recorded"), "its entry of the registry is missing or out of date");
    of_token(&seen.host, enrolled, &mut note);
    note(changed(&seen.accessed, "access") || changed(&seen.deployed, "access"), ACCESS);
    let programs = [&seen.identified, &seen.deployed, &seen.compared];
    note(
        programs
            .into_iter()
            .filter_map(|answer| answer.get("program"))
            .any(|program| program["to_install"] == true),
        "the program tbot is missing or of another version",
    );
    of_bot(&seen.deployed, &mut note);
    of_service(&seen.deployed, &mut found);
    for (name, enrolled, deployed) in instances(seen, enrolled) {
        let mut own = Vec::new();
        let mut note = |differs: bool, what: &str| {
            if differs {
                own.push(what.to_owned());
            }
        };
        of_token(&seen.host, enrolled, &mut note);
        if is_absent(deployed) {
            note(deployed.get("changed") == Some(&Value::Bool(true)), "it is to be removed from the host");
        } else {
            of_bot(deployed, &mut note);
            of_service(deployed, &mut own);
        }
        found.extend(own.into_iter().map(|what| format!("instance {name}: {what}")));
    }
    let mut known = HashSet::new();
    found.retain(|what| known.insert(what.clone()));
    found
}

const ACCESS: &str = "the account of the bot, or its access to the TPM, is not as it should be";

type Answers = Map<String, Value>;

/// What is known of each instance: of its token, and of what it has on the host.
fn instances<'a>(
    seen: &'a Seen,
    enrolled: &'a Map<String, Value>,
) -> Vec<(&'a str, &'a Answers, &'a Answers)> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    let of =
        |answer: &'a Map<String, Value>| answer.get("instances").and_then(Value::as_object).unwrap_or(&NONE);
    let (enrolled, deployed) = (of(enrolled), of(&seen.deployed));
    let names: BTreeSet<&String> = enrolled.keys().chain(deployed.keys()).collect();
    let one = |answer: &'a Map<String, Value>, name: &String| {
        answer.get(name).and_then(Value::as_object).unwrap_or(&NONE)
    };
    names.into_iter().map(|name| (name.as_str(), one(enrolled, name), one(deployed, name))).collect()
}

fn changed(results: &Map<String, Value>, part: &str) -> bool {
    results.get(part).is_some_and(|answer| answer["changed"] == true)
}

fn of_token(host: &str, enrolled: &Map<String, Value>, note: &mut impl FnMut(bool, &str)) {
    let rules = enrolled.get("rules").unwrap_or(&Value::Null);
    let has = |list: &Value| list.as_array().is_some_and(|hosts| hosts.iter().any(|name| *name == host));
    note(has(&rules["added"]), "the token has no rule for its TPM");
    note(has(&rules["updated"]), "the rule for its TPM is out of date");
    note(has(&rules["removed"]), "the token still has a rule for its TPM");
    note(
        enrolled.get("tokens_differ") == Some(&Value::Bool(true)),
        "the token differs in something else than its rule",
    );
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
}

fn of_bot(deployed: &Map<String, Value>, note: &mut impl FnMut(bool, &str)) {
    note(changed(deployed, "access"), ACCESS);
    note(changed(deployed, "storage"), "the directory of the state differs");
    note(changed(deployed, "config"), "the configuration differs");
    note(
        changed(deployed, "destinations"),
        "a directory that a service writes to is missing or not the bot's",
    );
    note(changed(deployed, "systemd"), "the unit differs");
}

fn of_service(deployed: &Map<String, Value>, found: &mut Vec<String>) {
    let Some(service) = deployed.get("service") else { return };
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
