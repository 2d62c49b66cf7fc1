//! Tokens that a cluster had and has no more.

use std::fs;

use serde_json::json;

use super::{Fleet, elsewhere};

#[test]
fn a_token_that_is_lost_is_made_anew_only_where_that_is_said() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    fleet.enroll(&json!({}));
    fs::remove_file(fleet.cluster.file("token/hosts.json")).unwrap();
    for check_mode in [true, false] {
        let message = fleet.refuse(&json!({ "_ansible_check_mode": check_mode }), "conflict");
        assert!(message.contains("no token hosts, although") && message.contains("recreate"), "{message}");
    }
    assert!(fleet.tokens().is_empty());
    fleet.enroll(&json!({ "recreate": true }));
    assert_eq!(fleet.hosts_of("hosts"), ["web-1"]);
    assert_eq!(fleet.enroll(&json!({}))["changed"], false);
}

#[test]
fn one_of_several_is_missed_as_well() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    for layout in [json!({ "tokens": "per_host" }), json!({ "tokens": "sharded", "shards": 2 })] {
        fleet.enroll(&layout);
        let (lost, _) = fleet.tokens().into_iter().next_back().unwrap();
        fs::remove_file(fleet.cluster.file(&format!("token/{lost}.json"))).unwrap();
        let message = fleet.refuse(&layout, "conflict");
        assert!(message.contains(&format!("no token {lost}, although")), "{message}");
        assert!(!fleet.tokens().contains_key(&lost));
        for file in fs::read_dir(fleet.cluster.file("token")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        for file in ["token.yaml", "token-web-1.yaml", "token-db-1.yaml"] {
            let _ = fs::remove_file(fleet.path(file));
            let _ = fs::remove_file(fleet.path(&format!("{file}.applied")));
        }
    }
}

#[test]
fn the_tokens_of_a_former_layout_are_not_lost() {
    let Some(fleet) = Fleet::of(&["web-1", "db-1"]) else { return };
    fleet.enroll(&json!({ "tokens": "sharded", "shards": 2 }));
    fleet.enroll(&json!({}));
    assert_eq!(fleet.enroll(&json!({}))["changed"], false);
}

#[test]
fn one_that_goes_between_two_reads_is_not_made_anew() {
    let Some(fleet) = Fleet::of(&["web-1"]) else { return };
    let hook = fleet.cluster.file("before-create");
    let token = fleet.cluster.file("token/hosts.json");
    // Until it has a session of its own, it ends with tctl.
    let started = fleet.path("started");
    let script = format!(
        "#!/bin/sh\n\
         setsid sh -c 'touch {1}; until [ -e {0} ]; do sleep 0.1; done; rm -f {0}' >/dev/null 2>&1 &\n\
         until [ -e {1} ]; do sleep 0.1; done\n",
        token.display(),
        started.display()
    );
    fs::write(&hook, script).unwrap();
    crate::support::tool("chmod", &["755", hook.to_str().unwrap()]);
    let message = fleet.refuse(&json!({ "settle_seconds": 3 }), "conflict");
    assert!(message.contains("no token hosts, although"), "{message}");
    assert!(fleet.tokens().is_empty());
}

#[test]
fn one_that_another_layout_has_removed_is_not_missed() {
    let per_host = json!({ "tokens": "per_host" });
    let sharded = json!({ "tokens": "sharded", "shards": 2 });
    for is_elsewhere in [false, true] {
        // A host that is called as a shard is numbered, and others of both shards.
        let Some(fleet) = Fleet::of(&["0", "web-1", "web-2", "db-1"]) else { return };
        let enroll = |layout: &serde_json::Value| {
            if is_elsewhere { elsewhere::enroll(&fleet, layout) } else { fleet.enroll(layout) }
        };
        enroll(&per_host);
        fleet.archive("0");
        assert_eq!(enroll(&json!({}))["deleted"], json!(["hosts-0"]));
        assert!(!fleet.path("token-0.yaml.applied").exists(), "{is_elsewhere}");
        enroll(&per_host);

        enroll(&sharded);
        for host in fleet.hosts_of("hosts-1") {
            fleet.archive(&host);
        }
        let answer = enroll(&per_host);
        assert!(answer["deleted"].as_array().unwrap().contains(&json!("hosts-1")), "{answer}");
        let mark = fs::read_to_string(fleet.path("token.yaml.applied")).unwrap();
        assert!(mark.contains("hosts-0\n") && !mark.contains("hosts-1\n"), "{mark}");
        enroll(&sharded);
    }
}
