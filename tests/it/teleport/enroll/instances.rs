//! Several bots, each with a token of its own for some of the hosts.

use serde_json::{Value, json};

use super::{Fleet, hash};
use crate::support::{fail, succeed};

/// The instance `second` on these hosts.
fn second(hosts: &[&str], leaves: &[&str]) -> Value {
    json!({ "instances": [{ "name": "second", "bot_roles": ["other"], "hosts": hosts, "leaves": leaves }] })
}

fn with(mut parameters: Value, more: &Value) -> Value {
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parameters
}

#[test]
fn a_host_has_a_rule_only_in_the_tokens_of_its_bots() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    let parameters =
        with(second(&["web-1"], &[]), &json!({ "bot": { "roles": ["access"] }, "_ansible_diff": true }));
    let foreseen = fleet.enroll(&with(parameters.clone(), &json!({ "_ansible_check_mode": true })));
    assert!(fleet.tokens().is_empty() && !fleet.path("tbot-second.yaml").exists());
    let made = fleet.enroll(&parameters);
    assert_eq!((&made["changed"], &made["diff"]), (&json!(true), &foreseen["diff"]), "{made}");
    assert_eq!(
        (fleet.hosts_of("hosts"), fleet.hosts_of("tbot-second")),
        (vec!["db-1".into(), "web-1".into()], vec!["web-1".to_owned()])
    );
    assert_eq!(made["bot"], json!({ "name": "deploy", "state": "made" }));
    let own = &made["instances"]["second"];
    assert_eq!(own["bot"], json!({ "name": "second", "state": "made" }));
    assert_eq!((&own["host_tokens"], &own["state"]), (&json!({ "web-1": "tbot-second" }), &json!("present")));
    assert_eq!(fleet.stored("bot", "second")["spec"]["roles"], json!(["other"]));
    assert!(fleet.path("tbot-second.yaml").exists() && fleet.path("tbot-second.yaml.applied").exists());
    let again = fleet.enroll(&parameters);
    assert_eq!(
        (&again["changed"], &again["instances"]["second"]["changed"]),
        (&json!(false), &json!(false)),
        "{again}"
    );
}

#[test]
fn hosts_that_the_run_is_not_about_keep_what_they_have() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1", "db-2"]) else { return };
    fleet.enroll(&second(&["web-1", "db-1"], &[]));
    fleet.enroll(&second(&["db-2"], &[]));
    assert_eq!(fleet.hosts_of("tbot-second"), ["db-1", "db-2", "web-1"]);
    // Nobody who has it, and nobody who leaves.
    assert_eq!(fleet.enroll(&second(&[], &[]))["changed"], false);
    // Another TPM under the name of a host that does not have it.
    fleet.add_tpm("web-1", &"f".repeat(64));
    fleet.enroll(&second(&["db-1"], &[]));
    assert_eq!(fleet.tokens()["tbot-second"]["web-1"], hash("web-1"), "it is for a run with that host");
    fleet.archive("db-2");
    fleet.enroll(&second(&["db-1"], &[]));
    assert_eq!(fleet.hosts_of("tbot-second"), ["db-1", "web-1"], "what is archived goes whoever runs");
}

#[test]
fn nobody_is_let_in_by_an_empty_list_of_hosts() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let answer = fleet.enroll(&second(&[], &["web-1"]));
    assert_eq!(
        (answer["instances"]["second"]["tokens"].clone(), fleet.hosts_of("tbot-second").len()),
        (json!([]), 0)
    );
    assert!(!fleet.cluster.file("bot/second.json").exists(), "a bot for nobody is not made");
}

#[test]
fn hosts_leave_and_with_the_last_one_the_token_goes() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    fleet.enroll(&second(&["web-1", "db-1"], &[]));
    let answer = fleet.enroll(&second(&["db-1"], &["web-1"]));
    assert_eq!(answer["instances"]["second"]["rules"]["removed"], json!(["web-1"]));
    assert_eq!((fleet.hosts_of("hosts").len(), fleet.hosts_of("tbot-second")), (2, vec!["db-1".to_owned()]));
    let answer = fleet.enroll(&second(&[], &["db-1"]));
    assert_eq!(answer["instances"]["second"]["deleted"], json!(["tbot-second"]));
    assert_eq!(
        answer["left_to_do"],
        json!([
            "No host joins as the bot second any more. If nothing else uses it, run: tctl rm bot/second."
        ])
    );
    assert!(!fleet.tokens().contains_key("tbot-second"));
    assert_eq!(fleet.enroll(&second(&[], &["db-1", "web-1"]))["changed"], false);
    // Without hosts, all have it, or all leave it.
    fleet.enroll(&json!({ "instances": [{ "name": "second" }] }));
    assert_eq!(fleet.hosts_of("tbot-second"), ["db-1", "web-1"]);
    fleet.enroll(&json!({ "instances": [{ "name": "second", "state": "absent" }] }));
    assert!(!fleet.tokens().contains_key("tbot-second"));
}

#[test]
fn nothing_is_applied_where_one_of_them_cannot_be() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.cluster.store(&json!({
        "kind": "token", "version": "v2", "metadata": { "name": "tbot-second" }, "spec": { "roles": ["Node"], "join_method": "iam" },
    }));
    let parameters = with(second(&["web-1"], &[]), &json!({ "bot": { "roles": ["access"] } }));
    let message = fleet.refuse(&parameters, "conflict");
    assert!(message.starts_with("instance second: "), "{message}");
    assert!(
        !fleet.cluster.file("token/hosts.json").exists() && !fleet.cluster.file("bot/deploy.json").exists()
    );
    assert!(!fleet.path("token.yaml").exists());
}

#[test]
fn a_token_of_a_host_is_not_that_of_another_bot() {
    let Some(fleet) = Fleet::of(&["web-1", "second"]) else { return };
    let parameters = json!({ "name": "tbot", "instances": [{ "name": "second" }] });
    assert!(fleet.refuse(&parameters, "conflict").contains("tbot-second"));
    assert!(fleet.tokens().is_empty());
}

#[test]
fn tokens_of_instances_are_among_those_that_hosts_leave() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&second(&["web-1"], &[]));
    let current = [fleet.stored("token", "hosts"), fleet.stored("token", "tbot-second")];
    let mut leaving = json!({
        "action": "registry", "state": "leaving", "registry": fleet.path("registry"), "only": ["web-1"], "name": "hosts",
        "bot_name": "deploy", "current": current,
    });
    assert!(fail(&leaving, "would_lock_out").contains("`tbot-second` of bot `second`"));
    leaving["instances"] = json!([{ "name": "second" }]);
    assert_eq!(succeed(&leaving)["shared"], json!([]));
}

#[test]
fn no_host_joins_as_one_that_goes_or_beyond_the_request() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    let absent = json!({ "instances": [{ "name": "second", "state": "absent", "hosts": ["web-1"] }] });
    assert!(fleet.refuse(&absent, "invalid_request").contains("is to be absent, and has `hosts`"));
    fleet.enroll(&with(second(&["web-1", "db-1"], &[]), &json!({ "only": ["db-1"] })));
    assert_eq!(fleet.hosts_of("tbot-second"), ["db-1"]);
    fleet.enroll(&with(second(&["web-1"], &[]), &json!({ "only": ["db-1"] })));
    assert_eq!(fleet.hosts_of("tbot-second"), ["db-1"]);
}
