//! Random fleets' lives. Nobody who is in the registry is ever locked out, nobody who was archived stays in, and rules of others stay.
//! `TBOT_TPM_LIVES` is how many are lived, and `TBOT_TPM_SEED` the seed of the first one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Fleet, elsewhere, hash};
use crate::support::random_state::Random;

const LIVES: u64 = 20;
const STEPS: usize = 8;
const NAMES: [&str; 6] = ["web-1", "web-2", "db-1", "build-1", "build-2", "0"];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn nobody_is_locked_out_nobody_archived_stays_in_and_others_rules_stay() {
    let seed = number("TBOT_TPM_SEED").unwrap_or(1);
    for life in 0..number("TBOT_TPM_LIVES").unwrap_or(LIVES) {
        if live(seed + life).is_none() {
            return;
        }
    }
}

fn live(seed: u64) -> Option<()> {
    let fleet = Fleet::new_or_skip()?;
    let mut random = Random::new(seed);
    let (mut present, mut archived) = (BTreeSet::new(), BTreeSet::new());
    let mut layout = json!({});
    // Whether tctl is on another machine than the registry.
    let is_elsewhere = random.below(2) == 0;
    fleet.cluster.store(&others_token());
    for step in 0..STEPS {
        let host = random.one_of(&NAMES);
        match random.below(5) {
            0 => layout = next_layout(&mut random),
            1 | 2 if !archived.contains(host) => {
                fleet.add(host);
                present.insert(host);
            }
            3 if present.len() > 1 && present.remove(host) => {
                fleet.archive(host);
                archived.insert(host);
            }
            _ => {}
        }
        if present.is_empty() {
            continue;
        }
        let enroll = || if is_elsewhere { elsewhere::enroll(&fleet, &layout) } else { fleet.enroll(&layout) };
        let answer = enroll();
        let context = format!(
            "TBOT_TPM_SEED={seed} step {step} {layout} {is_elsewhere} {present:?} {archived:?}: {answer}"
        );
        let tokens = fleet.tokens();
        let is_in = |host: &str| {
            let ours = tokens.iter().filter(|(name, _)| *name != "hosts-9");
            ours.flat_map(|(_, rules)| rules.values()).any(|found| *found == hash(host))
        };
        assert!(present.iter().all(|host| is_in(host)), "locked out: {context} {tokens:?}");
        assert!(!archived.iter().any(|host| is_in(host)), "let in: {context} {tokens:?}");
        for (host, token) in answer["host_tokens"].as_object().unwrap() {
            assert!(fleet.hosts_of(token.as_str().unwrap()).contains(host), "its own token: {context}");
        }
        assert_eq!(fleet.stored("token", "hosts-9"), others_token(), "{context}");
        assert_eq!(enroll()["changed"], false, "{context}");
    }
    Some(())
}

fn next_layout(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({}),
        1 => json!({ "tokens": "per_host" }),
        shards => json!({ "tokens": "sharded", "shards": shards }),
    }
}

/// Another bot's, which is called as a shard would be, and has a TPM of ours.
fn others_token() -> Value {
    json!({
        "kind": "token", "version": "v2", "metadata": { "name": "hosts-9" },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "other",
            "tpm": { "allow": [{ "description": "web-1", "ek_public_hash": hash("web-1") }] },
        },
    })
}
