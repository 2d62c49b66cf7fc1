//! Fleets at random for the property tests: tokens as they may be after years of hands and tools, and what a
//! run may want of them.

use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use tbot_tpm::error::Kind;
use tbot_tpm::teleport::{
    Changes, Decision, Identity, Match, Shards, Source, Token, Untouched, Wanted, read_tokens,
};
use time::OffsetDateTime;

/// TPMs' hashes, which spread over tokens in different ways.
pub const HASHES: [&str; 6] = [
    "0000000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "0000000000000001bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "00000000000000f2cccccccccccccccccccccccccccccccccccccccccccccccc",
    "8000000000000003dddddddddddddddddddddddddddddddddddddddddddddddd",
    "fffffffffffffffeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];
const SERIALS: [&str; 3] = ["0a:34", "bc", "99"];
const NAMES: [&str; 6] = ["db", "web", "12:34", "no", "ünï ✓ \"q\" # x", "a: b"];

/// What a cluster has, and what is wanted.
#[derive(Clone)]
pub struct Scene {
    pub current: Vec<Token>,
    pub wanted: Wanted,
}

impl fmt::Debug for Scene {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{:?}", texts(&self.current).join("---\n"), self.wanted)
    }
}

/// Where the tokens of these tests are from.
pub fn source() -> Source<'static> {
    Source { name: "`current`", malformed: Kind::InvalidRequest }
}

/// The fleet `web` in this many tokens.
pub fn shards(count: u64) -> Shards {
    Shards::new("web".to_owned().try_into().unwrap(), count).unwrap()
}

/// Any TPM that the rules of these tests may be about, and one that they are not.
pub fn tpms() -> Vec<Identity> {
    let stranger = "12".repeat(32);
    let hashes = HASHES.iter().copied().chain([stranger.as_str()]);
    let serials = SERIALS.map(Some).into_iter().chain([None]);
    let tpm = |hash: &str, serial: Option<&str>| json!({ "ek_public_hash": hash, "ek_cert_serial": serial });
    let all = hashes.flat_map(|hash| serials.clone().map(move |serial| tpm(hash, serial)));
    all.map(|tpm| serde_json::from_value(tpm).unwrap()).collect()
}

/// Whether the cluster lets the TPM in by the token.
pub fn is_let_in(token: &Token, tpm: &Identity) -> bool {
    Decision::by(token, OffsetDateTime::UNIX_EPOCH).on(tpm).is_ok()
}

/// The tokens as they are written.
pub fn texts(tokens: &[Token]) -> Vec<String> {
    tokens.iter().map(Token::to_yaml).collect()
}

/// Their names.
pub fn names(tokens: &[Token]) -> Vec<String> {
    tokens.iter().map(|token| token.name.to_string()).collect()
}

/// The same in another order, which the seed tells.
pub fn reordered<T: Clone>(items: &[T], mut seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    for last in (1..items.len()).rev() {
        // Knuth's linear congruential generator.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, usize::try_from(seed >> 33).unwrap() % (last + 1));
    }
    items
}

fn in_any_case(text: &'static str) -> impl Strategy<Value = String> {
    let mixed = format!("{}{}", &text[..text.len() / 2], text[text.len() / 2..].to_uppercase());
    prop_oneof![4 => Just(text.to_owned()), 1 => Just(text.to_uppercase()), 1 => Just(mixed)]
}

fn stored_hash() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&HASHES[..]).prop_flat_map(in_any_case),
        1 => select(vec!["12", "zz", "Ä", "+000000000000001"]).prop_map(str::to_owned),
    ]
}

fn unknown() -> impl Strategy<Value = Value> {
    select(vec![json!({}), json!({ "note": "x" }), json!({ "note": { "b": [1.5, null], "a": "12:34" } })])
}

fn rule() -> impl Strategy<Value = Value> {
    let serial = select(&SERIALS[..]).prop_flat_map(in_any_case);
    let parts = (
        option::weighted(0.8, select(&NAMES[..])),
        option::weighted(0.9, stored_hash()),
        option::weighted(0.3, serial),
        prop_oneof![4 => Just(json!({})), 1 => unknown()],
    );
    let rule = |(description, hash, serial, mut rule): (_, Option<String>, Option<String>, Value)| {
        let serial = if hash.is_none() && serial.is_none() { Some("99".to_owned()) } else { serial };
        rule["description"] = json!(description);
        rule["ek_public_hash"] = json!(hash);
        rule["ek_certificate_serial"] = json!(serial);
        rule
    };
    parts.prop_map(rule)
}

fn token(name: &'static str) -> impl Strategy<Value = Value> {
    (vec(rule(), 0..7), unknown(), unknown(), select(vec!["0b7a", ""])).prop_map(
        move |(mut rules, in_metadata, in_spec, revision)| {
            // Some rules more than once.
            rules.extend(rules.first().cloned());
            let mut token = json!({
                "kind": "token", "version": "v2", "metadata": in_metadata, "spec": in_spec,
            });
            token["metadata"]["name"] = json!(name);
            token["metadata"]["revision"] = json!(revision);
            token["metadata"]["labels"] = json!({ "on": "12:34" });
            token["spec"]["roles"] = json!(["bot"]);
            token["spec"]["bot_name"] = json!("web-bot");
            token["spec"]["join_method"] = json!("tpm");
            token["spec"]["tpm"] = json!({ "allow": rules });
            token
        },
    )
}

fn current() -> impl Strategy<Value = Vec<Token>> {
    let places = subsequence(vec!["web", "web-0", "web-1", "web-2", "web-3", "web-17"], 0..4);
    places
        .prop_flat_map(|places| places.into_iter().map(token).collect::<Vec<_>>())
        .prop_map(|tokens| read_tokens(Value::Array(tokens), source()).unwrap())
}

/// Hosts with a TPM and a name of their own each.
fn hosts() -> impl Strategy<Value = Vec<Identity>> {
    let names = Just(NAMES.to_vec()).prop_shuffle();
    let hashes = subsequence(HASHES.to_vec(), 0..=4);
    let serials = vec(option::of(select(&SERIALS[..])), 4);
    (names, hashes, serials).prop_map(|(names, hashes, serials)| {
        let host = |((description, hash), serial)| {
            let host =
                json!({ "description": description, "ek_public_hash": hash, "ek_cert_serial": serial });
            serde_json::from_value(host).unwrap()
        };
        names.into_iter().zip(hashes).zip(serials).map(host).collect()
    })
}

/// What may be wanted of a fleet.
pub fn fleet() -> impl Strategy<Value = Wanted> {
    let removable = HASHES.iter().chain(&NAMES).chain(&SERIALS).copied().collect::<Vec<_>>();
    let remove = prop_oneof![3 => Just(Vec::new()), 1 => vec(select(removable), 1..3)];
    let compare = select(vec![Match::Hash, Match::HashAndSerial]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let archived = subsequence(HASHES.to_vec(), 0..3);
    // What else is or was known; hosts are in any case.
    let names = subsequence(NAMES.to_vec(), 0..=NAMES.len());
    let parts = (hosts(), archived, names, 1..5_u64, compare, remove, flags);
    parts.prop_map(|(hosts, archived, names, count, compare, remove, flags)| {
        let (prune, replace, retire) = flags;
        let is_free = |hash: &&str| !hosts.iter().any(|host| host.hash() == Some(hash));
        let tpm = |hash| serde_json::from_value(json!({ "ek_public_hash": hash })).unwrap();
        let archived = archived.into_iter().filter(is_free).map(tpm).collect();
        Wanted {
            skipped: Vec::new(),
            archived,
            names: names
                .into_iter()
                .chain(hosts.iter().filter_map(Identity::name))
                .map(str::to_owned)
                .collect::<std::collections::HashSet<_>>()
                .into(),
            untouched: Untouched::default(),
            shards: shards(count),
            changes: Changes {
                bot_name: Some("web-bot".to_owned().try_into().unwrap()),
                ..Changes::default()
            },
            hosts,
            compare,
            remove: remove.into_iter().map(str::to_owned).collect(),
            prune,
            replace,
            retire,
            max_bytes: 400_000,
        }
    })
}

/// What a cluster may have, and what may be wanted then.
pub fn scene() -> impl Strategy<Value = Scene> {
    (current(), fleet()).prop_map(|(current, wanted)| Scene { current, wanted })
}
