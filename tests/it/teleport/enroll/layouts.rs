//! Several tokens, and the change from one layout to another.

use std::fs;

use serde_json::json;

use super::{Fleet, hash};

#[test]
fn each_host_may_have_a_token_of_its_own() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    let per_host = json!({ "tokens": "per_host" });
    let answer = fleet.enroll(&per_host);
    assert_eq!(answer["host_tokens"], json!({ "db-1": "hosts-db-1", "web-1": "hosts-web-1" }));
    assert_eq!(fleet.hosts_of("hosts-web-1"), ["web-1"]);
    assert!(fleet.path("token-web-1.yaml").exists());
    assert_eq!(fleet.enroll(&per_host)["changed"], false);
    // Those of other hosts are left to the runs of these.
    fleet.add("new-1");
    fleet.enroll(&json!({ "tokens": "per_host", "only": ["web-1"] }));
    assert_eq!(fleet.tokens().len(), 2);
    fleet.archive("db-1");
    let answer = fleet.enroll(&per_host);
    assert_eq!(answer["deleted"], json!(["hosts-db-1"]));
    assert_eq!(fleet.tokens().keys().collect::<Vec<_>>(), ["hosts-new-1", "hosts-web-1"]);
    assert!(!fleet.path("token-db-1.yaml").exists());
}

#[test]
fn shards_take_the_hosts_by_their_hashes() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1", "build-1", "build-2"]) else { return };
    let sharded = json!({ "tokens": "sharded", "shards": 2 });
    let answer = fleet.enroll(&sharded);
    for (host, token) in answer["host_tokens"].as_object().unwrap() {
        let number = u64::from_str_radix(&hash(host)[..16], 16).unwrap() % 2;
        assert_eq!(token, &json!(format!("hosts-{number}")));
        assert!(fleet.hosts_of(token.as_str().unwrap()).contains(host));
    }
    assert_eq!(fleet.enroll(&sharded)["changed"], false);
}

#[test]
fn a_host_out_of_service_leaves_the_tokens_of_every_former_layout() {
    let layouts = [
        json!({}),
        json!({ "tokens": "sharded", "shards": 2 }),
        json!({ "tokens": "sharded", "shards": 3 }),
        json!({ "tokens": "per_host" }),
    ];
    for before in &layouts {
        for after in &layouts {
            let Some(fleet) = Fleet::of(&["web-1", "db-1", "build-1"]) else { return };
            fleet.enroll(before);
            fleet.enroll(after);
            fleet.archive("db-1");
            fleet.enroll(after);
            let tokens = fleet.tokens();
            assert!(tokens.values().all(|rules| !rules.contains_key("db-1")), "{before} {after}: {tokens:?}");
            for host in ["web-1", "build-1"] {
                assert!(
                    tokens.values().any(|rules| rules.contains_key(host)),
                    "{before} {after}: {tokens:?}"
                );
            }
            assert_eq!(fleet.enroll(after)["changed"], false, "{before} {after}");
        }
    }
}

#[test]
fn a_host_out_of_service_leaves_a_shard_that_is_another_hosts_own_token_by_now() {
    let Some(fleet) = Fleet::of(&["0", "web-1", "db-1"]) else { return };
    fleet.enroll(&json!({ "tokens": "sharded", "shards": 1, "retire": true }));
    // A shard that has all three, as the hosts' hashes may have it.
    let mut shard = fleet.stored("token", "hosts");
    shard["metadata"]["name"] = json!("hosts-0");
    fleet.cluster.store(&shard);
    fleet.archive("db-1");
    fleet.enroll(&json!({ "tokens": "per_host" }));
    assert_eq!(fleet.hosts_of("hosts-0"), ["0", "web-1"], "web-1 may still join by it");
    assert!(fleet.tokens().values().all(|rules| !rules.contains_key("db-1")));
}

#[test]
fn a_token_of_another_bot_keeps_its_rules_whatever_it_is_called() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    fleet.enroll(&json!({}));
    let mut token = fleet.stored("token", "hosts");
    token["metadata"]["name"] = json!("hosts-7");
    token["spec"]["bot_name"] = json!("other");
    fleet.cluster.store(&token);
    fleet.archive("db-1");
    fleet.enroll(&json!({}));
    assert_eq!(fleet.stored("token", "hosts-7"), token);
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    for (parameters, named) in [
        (json!({ "tokens": "per_host", "shards": 2 }), "per_host"),
        (json!({ "tokens": "shared", "shards": 2 }), "`sharded`"),
        (json!({ "files": "/srv" }), "not both"),
        (json!({ "bot": { "name": "another", "roles": [] } }), "bot.name"),
        (json!({ "bot": { "traits": {} } }), "bot.roles"),
        (json!({ "ca_bundle": ["/etc/ssl"] }), "no CA trusted"),
        (json!({ "tctl": [] }), "empty"),
        (json!({ "tctl": "sh -c '" }), "quote"),
    ] {
        let message = fleet.refuse(&parameters, "invalid_request");
        assert!(message.contains(named), "{parameters}: {message}");
    }
    assert!(fleet.asked().is_empty());
}

#[test]
fn files_in_a_folder_are_called_as_the_tokens() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fs::create_dir(fleet.path("files")).unwrap();
    let answer = fleet.enroll(&json!({ "path": null, "files": fleet.path("files") }));
    assert_eq!(answer["files"], json!([fleet.path("files/hosts.yaml")]));
    assert!(fleet.path("files/hosts.yaml.applied").exists());
}
