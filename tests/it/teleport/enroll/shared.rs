//! One token for all hosts.

use std::fs;

use serde_json::json;

use super::{Fleet, hash};

#[test]
fn bot_and_token_are_made_once_and_then_left_alone() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    let parameters = json!({ "bot": { "roles": ["access"], "traits": { "logins": ["root"] } } });
    let foreseen = fleet
        .try_to(&json!({ "bot": parameters["bot"], "_ansible_check_mode": true, "_ansible_diff": true }));
    assert_eq!(foreseen["changed"], true, "{foreseen}");
    assert_eq!(
        fleet.asked(),
        ["get bot/deploy", "get token/hosts", "get locks"],
        "check mode applies nothing"
    );
    assert!(!fleet.path("token.yaml").exists() && fleet.tokens().is_empty());

    let made = fleet.enroll(&json!({ "bot": parameters["bot"], "_ansible_diff": true }));
    assert_eq!(made["diff"], foreseen["diff"]);
    assert_eq!(made["bot"], json!({ "name": "deploy", "state": "made" }));
    assert_eq!(made["rules"]["added"], json!(["db-1", "web-1"]));
    assert_eq!(fleet.hosts_of("hosts"), ["db-1", "web-1"]);
    assert_eq!(fleet.stored("bot", "deploy")["spec"]["roles"], json!(["access"]));
    let asked = fleet.asked();
    assert_eq!(asked.iter().filter(|command| command.starts_with("create")).count(), 2, "{asked:?}");
    assert_eq!(asked[asked.len() - 2..], ["get bot/deploy", "get token/hosts"], "it is read again");

    let again = fleet.enroll(&parameters);
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(fleet.asked(), ["get bot/deploy", "get token/hosts", "get locks"]);
}

#[test]
fn hosts_that_only_the_cluster_knows_stay_and_go_by_name() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&json!({}));
    let mut token = fleet.stored("token", "hosts");
    let elsewhere = json!({ "description": "elsewhere", "ek_public_hash": "e".repeat(64) });
    token["spec"]["tpm"]["allow"].as_array_mut().unwrap().push(elsewhere);
    fleet.cluster.store(&token);
    fleet.enroll(&json!({ "labels": { "team": "web" } }));
    assert_eq!(fleet.hosts_of("hosts"), ["elsewhere", "web-1"]);
    assert_eq!(fleet.stored("token", "hosts")["metadata"]["labels"]["team"], "web");
    assert_eq!(fleet.enroll(&json!({}))["changed"], false, "labels that are not given stay");
    fleet.enroll(&json!({ "remove": ["elsewhere"] }));
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
}

#[test]
fn a_host_out_of_service_goes_and_with_the_last_one_the_token() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    fleet.enroll(&json!({}));
    fleet.archive("db-1");
    let answer = fleet.enroll(&json!({}));
    assert_eq!(answer["rules"]["removed"], json!(["db-1"]));
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
    fleet.archive("web-1");
    let answer = fleet.enroll(&json!({}));
    assert_eq!(answer["deleted"], json!(["hosts"]));
    assert!(fleet.tokens().is_empty());
    assert!(!fleet.path("token.yaml").exists() && !fleet.path("token.yaml.applied").exists());
}

#[test]
fn a_token_of_another_bot_or_way_to_join_is_left_as_it_is() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&json!({}));
    let mut token = fleet.stored("token", "hosts");
    token["spec"]["bot_name"] = json!("another");
    fleet.cluster.store(&token);
    let message = fleet.refuse(&json!({ "bot": { "roles": ["access"] } }), "conflict");
    assert!(message.contains("another bot, `another`"), "{message}");
    assert!(!fleet.cluster.file("bot/deploy.json").exists(), "nothing is applied before all is decided");
    token["spec"]["join_method"] = json!("iam");
    fleet.cluster.store(&token);
    let message = fleet.refuse(&json!({}), "conflict");
    assert!(message.contains("is not for TPMs"), "{message}");
    assert_eq!(fleet.stored("token", "hosts"), token);
}

#[test]
fn a_bot_that_nobody_makes_is_told_of() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let answer = fleet.enroll(&json!({}));
    assert_eq!(answer["bot"], json!({ "name": "deploy", "state": "missing" }));
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("no bot `deploy`") && !warnings.contains("bots add"), "{warnings}");
}

#[test]
fn without_tctl_the_files_are_left_and_the_commands_are_told() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let request = json!({ "apply": false, "bot": { "roles": ["access"] } });
    let answer = fleet.enroll(&request);
    let (bot, token) = (fleet.path("deploy.bot.yaml"), fleet.path("token.yaml"));
    let expected = [&bot, &token].map(|file| format!("tctl create -f {}", file.display()));
    assert_eq!(answer["commands"], json!(expected));
    assert!(fs::read_to_string(&token).unwrap().contains(&hash("web-1")));
    assert!(fs::read_to_string(&bot).unwrap().contains("kind: bot"));
    assert_eq!(fleet.enroll(&request)["changed"], false);
    assert!(fleet.asked().is_empty());
    let missing = fleet.try_to(&json!({ "tctl": "/no/such/tctl" }));
    assert_eq!(missing["error"]["kind"], "not_found", "{missing}");
}
