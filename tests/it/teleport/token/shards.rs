//! `token` in several tokens: hosts join by their own one, and go over to another number of them step by step.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::tokens::{
    hash, host, merged, named, outcome, request, resources, rules, stored, warnings,
};
use crate::support::{fail, run, succeed};

/// A hash that begins with this number in 64 bits.
fn numbered(number: u64) -> String {
    format!("{number:016x}{}", "a".repeat(48))
}

/// This many hosts, whose hashes begin with 0, 1, 2 and so on.
fn fleet(count: u64) -> Value {
    (0..count)
        .map(|number| json!({ "description": format!("h{number}"), "ek_public_hash": numbered(number) }))
        .collect()
}

/// The hosts of each token.
fn members(answer: &Value) -> Value {
    let mut tokens = rules(answer);
    for rules in tokens.as_object_mut().unwrap().values_mut() {
        *rules = rules.as_array().unwrap().iter().map(|rule| rule["description"].clone()).collect();
    }
    tokens
}

#[test]
fn each_host_is_in_the_token_that_its_hash_tells() {
    let answer = succeed(&request(json!({ "hosts": fleet(5), "shards": 3 })));
    assert_eq!(members(&answer), json!({ "web-0": ["h0", "h3"], "web-1": ["h1", "h4"], "web-2": ["h2"] }));
    let expected = json!({ "h0": "web-0", "h1": "web-1", "h2": "web-2", "h3": "web-0", "h4": "web-1" });
    assert_eq!(answer["host_tokens"], expected);
    let names: Vec<&Value> =
        answer["tokens"].as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["web-0", "web-1", "web-2"]);
    assert_eq!(answer["content"].as_str().unwrap().matches("---\n").count(), 3);
    // 2^64 - 1 modulo 10 is 5: all 64 bits count, unsigned.
    let last = json!([host("last", 'f')]);
    let answer = succeed(&request(json!({ "hosts": last, "shards": "10" })));
    assert_eq!(
        (&answer["host_tokens"], members(&answer)),
        (&json!({ "last": "web-5" }), json!({ "web-5": ["last"] }))
    );
    assert_eq!(succeed(&request(json!({ "hosts": last })))["host_tokens"], json!({ "last": "web" }));
}

#[test]
fn tokens_are_in_the_order_of_their_numbers() {
    let answer = succeed(&request(json!({ "hosts": fleet(12), "shards": 12 })));
    let names: Vec<String> =
        answer["tokens"].as_array().unwrap().iter().map(|token| token["name"].to_string()).collect();
    assert_eq!((names[2].as_str(), names[10].as_str()), ("\"web-2\"", "\"web-10\""));
}

#[test]
fn bytes_is_the_size_as_compact_json() {
    let answer = succeed(&request(json!({ "hosts": fleet(5), "shards": 2, "labels": { "é": "ü \"" } })));
    let sizes: Vec<Value> = resources(&answer).iter().map(|token| json!(token.to_string().len())).collect();
    let told: Vec<Value> =
        answer["tokens"].as_array().unwrap().iter().map(|token| token["bytes"].clone()).collect();
    assert_eq!(told, sizes);
    assert_eq!(answer["tokens"][0]["rules"], 3);
}

#[test]
fn a_number_of_tokens_changes_in_two_runs_and_locks_nobody_out() {
    let whole = json!(succeed(&request(json!({ "hosts": fleet(4) })))["content"]);
    let two = merged(&whole, json!({ "hosts": fleet(4), "shards": 2 }));
    assert_eq!(
        members(&two),
        json!({ "web": ["h0", "h1", "h2", "h3"], "web-0": ["h0", "h2"], "web-1": ["h1", "h3"] })
    );
    assert_eq!((&two["delete"], outcome(&two)), (&json!([]), json!({ "kept": ["h0", "h1", "h2", "h3"] })));
    assert_eq!(two["host_tokens"]["h3"], "web-1");
    let retired = merged(&two["content"], json!({ "hosts": fleet(4), "shards": 2, "retire": true }));
    assert_eq!(members(&retired), json!({ "web-0": ["h0", "h2"], "web-1": ["h1", "h3"] }));
    assert_eq!(retired["delete"], json!(["web"]));
    assert_eq!((&retired["changed"], &retired["warnings"]), (&json!(true), &json!([])));
    // Hosts need not be given for that.
    let three = merged(&retired["content"], json!({ "hosts": [], "shards": 3 }));
    assert_eq!(
        members(&three),
        json!({ "web-0": ["h0", "h2", "h3"], "web-1": ["h1", "h3"], "web-2": ["h2"] })
    );
    let back = merged(&three["content"], json!({ "hosts": fleet(4) }));
    let back = merged(&back["content"], json!({ "hosts": fleet(4), "retire": true }));
    assert_eq!(members(&back), json!({ "web": ["h0", "h1", "h2", "h3"] }));
    assert_eq!(back["delete"], json!(["web-0", "web-1", "web-2"]));
}

#[test]
fn retire_leaves_a_rule_that_its_own_token_does_not_have_yet() {
    let mut current = named("web-0", json!([host("new", 'f'), host("old", 'e')]));
    let upper = json!({ "description": "old", "ek_public_hash": hash('e').to_uppercase() });
    current.as_array_mut().unwrap().extend(stored(json!([upper])).as_array().unwrap().clone());
    let mut request = request(json!({ "hosts": [], "retire": true, "current": current }));
    let answer = succeed(&request);
    assert_eq!(members(&answer), json!({ "web": ["new", "old"], "web-0": ["new", "old"] }));
    snapshot!(warnings(&answer), @"`retire` leaves 2 rules where they are, since the cluster's tokens do not have them yet where they belong: apply these tokens, move the hosts' configurations, and retire then");
    request["current"] = answer["content"].clone();
    let answer = succeed(&request);
    assert_eq!(members(&answer), json!({ "web": ["new", "old"] }));
    assert_eq!((&answer["delete"], &answer["warnings"]), (&json!(["web-0"]), &json!([])));
}

#[test]
fn a_new_shard_lets_hosts_in_on_the_terms_of_the_others() {
    let mut current = stored(fleet(2));
    current[0]["metadata"]["expires"] = json!("2100-01-01T00:00:00Z");
    current[0]["metadata"]["labels"]["team"] = json!("blue");
    current[0]["spec"]["newer"] = json!({ "a": 1 });
    let answer = merged(&current, json!({ "hosts": [], "shards": 2 }));
    for token in resources(&answer) {
        assert_eq!(token["metadata"]["expires"], "2100-01-01T00:00:00Z");
        assert_eq!(
            (&token["metadata"]["labels"]["team"], &token["spec"]["newer"]["a"]),
            (&json!("blue"), &json!(1))
        );
    }
    let mut differing = named("web-0", fleet(1));
    differing.as_array_mut().unwrap().push(current[0].clone());
    let message = fail(&request(json!({ "current": differing, "shards": 2 })), "conflict");
    snapshot!(message, @"tokens `web` and `web-0` differ in `expires`, and hosts would move from one to the other, or to a new one; give `expires` for all of them");
    succeed(&request(json!({ "current": differing, "shards": 2, "expires": "never" })));
}

#[test]
fn a_rule_without_a_hash_has_no_shard() {
    let by_serial = json!([{ "description": "x", "ek_cert_serial": "12:34" }]);
    let message = fail(&request(json!({ "hosts": by_serial, "shards": 2 })), "invalid_request");
    snapshot!(message, @"`x` has no `ek_public_hash`, by which `shards` spreads the hosts; give it a token of its own, without `shards`");
    let mut current =
        stored(json!([{ "description": "x", "ek_certificate_serial": "12:34" }, host("y", 'c')]));
    current[0]["spec"]["tpm"]["ekcert_allowed_cas"] = json!([Manufacturer::new("Acme").issuing]);
    for retire in [false, true] {
        let extra = json!({ "current": current, "hosts": [], "shards": 2, "retire": retire });
        let answer = succeed(&request(extra));
        assert!(members(&answer)["web"].as_array().unwrap().contains(&json!("x")), "{answer}");
    }
}

#[test]
fn a_token_that_is_too_large_is_refused_with_a_number_of_shards_that_does() {
    let hosts = fleet(40);
    let size = succeed(&request(json!({ "hosts": hosts })))["tokens"][0]["bytes"].as_u64().unwrap();
    succeed(&request(json!({ "hosts": hosts, "max_bytes": size })));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    for max_bytes in [size - 1, size / 2, size / 3, size / 7, 500] {
        let mut request = request(json!({ "hosts": hosts, "max_bytes": max_bytes, "path": path }));
        let answer = run(&request);
        assert_eq!(answer["error"]["kind"], "token_too_large", "{answer}");
        assert!(answer["msg"].as_str().unwrap().contains(&size.to_string()), "{answer}");
        assert!(!path.exists());
        let hint = answer["error"]["hint"].as_str().unwrap();
        let count: u64 = hint.split(['`', ' ']).find_map(|word| word.parse().ok()).unwrap();
        request["shards"] = json!(count);
        request.as_object_mut().unwrap().remove("path");
        let answer = succeed(&request);
        let sizes = answer["tokens"].as_array().unwrap().iter().map(|token| token["bytes"].as_u64().unwrap());
        assert!(sizes.max().unwrap() <= max_bytes, "{answer}");
        // One less does not, nearly: a new token's name may be longer than it is counted.
        request["shards"] = json!(count - 1);
        request["max_bytes"] = json!(max_bytes - 8);
        fail(&request, "token_too_large");
    }
    let message = fail(&request(json!({ "hosts": hosts, "max_bytes": 100 })), "token_too_large");
    snapshot!(message, @"token `web` would have 4371 bytes with 40 rules, and `max_bytes` is 100; no number of shards would do: a token has up to 147 bytes without rules, and the largest rule 105; a rule without `ek_public_hash` has no shard");
}

#[test]
fn a_token_that_the_cluster_has_as_large_already_may_stay_but_not_grow() {
    let current = stored(fleet(20));
    let answer = merged(&current, json!({ "hosts": [], "max_bytes": 1000 }));
    assert_eq!(answer["changed"], false);
    let one_more = json!({ "current": current, "hosts": [host("new", 'f')], "max_bytes": 1000 });
    let message = fail(&request(one_more.clone()), "token_too_large");
    let count: u64 =
        message.split(['`', ' ']).skip_while(|word| *word != "shards:").nth(1).unwrap().parse().unwrap();
    let mut sharded = one_more;
    sharded["shards"] = json!(count);
    let answer = succeed(&request(sharded));
    assert_eq!(members(&answer)["web"].as_array().unwrap().len(), 20);
}

#[test]
fn several_tokens_are_one_file_that_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let request = request(json!({ "hosts": fleet(6), "shards": 3, "path": path }));
    let first = succeed(&request);
    assert_eq!(fs::read_to_string(&path).unwrap(), first["content"].as_str().unwrap());
    let again = succeed(&request);
    assert_eq!((&again["changed"], &again["content"]), (&json!(false), &first["content"]));
}

#[test]
fn the_number_of_tokens_has_limits() {
    for shards in [json!(0), json!(-1), json!(10_001), json!("two"), json!(1.5)] {
        fail(&request(json!({ "shards": shards })), "invalid_request");
    }
    fail(&request(json!({ "name": "x".repeat(255), "shards": 2 })), "invalid_request");
}
