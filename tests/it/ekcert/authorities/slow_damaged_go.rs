//! Damaged EK certificates and CAs, names and the constraints on them, and PEM texts: what a cluster makes of them,
//! against Go's `crypto/x509` and `encoding/pem`.

use std::collections::HashSet;

use tbot_tpm::ekcert::{Authorities, check_first_block};

use crate::support::certificates::{Fixture, Parts, extension, fixtures};
use crate::support::der::{context, hex, integer, sequence, tagged};
use crate::support::go::{Oracle, Question};
use crate::support::issuing::{Case, NAME_CONSTRAINTS, QuickKey, SUBJECT_ALT_NAME, compare, critical, pem};
use crate::support::kinds::{authorities, certificates};
use crate::support::mutation::{self, Random, mutated};
use crate::support::texts;

/// Things that are compared; `TBOT_TPM_MUTATIONS` asks for more, `TBOT_TPM_SEED` for others.
const MUTATIONS: usize = 4_000;

const DOMAINS: [&str; 22] = [
    "", ".", "a", "A", "b.a", ".a", ".b.a", "B.A", "x.b.a", "xb.a", "*.a", "*.b.a", "*", "*b.a", "c", "..a",
    "b.a.", "-", "a-a", "1.2.3.4", "a b", "b.c",
];
const MAILBOXES: [&str; 12] =
    ["u@a", "U@a", "u@A", "u@b.a", "\"u\"@a", "u\\@x@a", "\"\"@a", "u@", "@a", "a", "u@*.a", "u@x@a"];
const URIS: [&str; 20] = [
    "http://a",
    "http://A",
    "http://b.a:80/x",
    "http://x.b.a",
    "urn:a",
    "",
    "http://1.2.3.4/",
    "http://[::1]:1/",
    "http://[::1]",
    "http://u@b.a",
    "ldap://a:",
    "ldap://:1",
    "http://*.a",
    "http://c%25",
    "/a",
    "http://b.a]",
    "ldap://a:1:2",
    "http://1.2.3.4:5",
    "http://01.2.3.4",
    "*",
];
const ADDRESSES: [&str; 8] = [
    "01020304",
    "01020305",
    "02020304",
    "20010db8000000000000000000000001",
    "20010db8000000000000000000000002",
    "20020db8000000000000000000000001",
    "00000000",
    "ffffffff",
];
const MASKS: [&str; 8] = [
    "00000000",
    "ffffff00",
    "ffffffff",
    "fffffffe",
    "80000000",
    "ffff0000000000000000000000000000",
    "fffffffffffffffffffffffffffffffe",
    "00000000000000000000000000000000",
];

fn alternative_name(random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => context(1, random.pick(&MAILBOXES).as_bytes()),
        1 => context(6, random.pick(&URIS).as_bytes()),
        2 => {
            let address = *random.pick(&ADDRESSES);
            context(7, &hex(address))
        }
        3 => tagged(4, &sequence(&[])),
        _ => context(2, random.pick(&DOMAINS).as_bytes()),
    }
}

fn constraint(random: &mut Random) -> Vec<u8> {
    let base = match random.below(6) {
        0 => context(1, random.pick(&MAILBOXES).as_bytes()),
        1 => context(1, random.pick(&DOMAINS).as_bytes()),
        2 => context(6, random.pick(&DOMAINS).as_bytes()),
        3 => {
            let address = *random.pick(&ADDRESSES);
            let fitting: Vec<&&str> = MASKS.iter().filter(|mask| mask.len() == address.len()).collect();
            context(7, &hex(&format!("{address}{}", **random.pick(&fitting))))
        }
        _ => context(2, random.pick(&DOMAINS).as_bytes()),
    };
    sequence(&[base])
}

#[test]
fn name_constraints_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = QuickKey::new();
    let mut random = Random::new(u64::try_from(mutation::setting("TBOT_TPM_SEED", 1)).unwrap());
    let some = |random: &mut Random, most: usize, make: fn(&mut Random) -> Vec<u8>| -> Vec<Vec<u8>> {
        (0..random.below(most + 1)).map(|_| make(random)).collect()
    };
    let count = mutation::setting("TBOT_TPM_MUTATIONS", MUTATIONS);
    let cases: Vec<Case> = (0..count)
        .map(|_| {
            let mut parts = Parts::valid();
            let names = some(&mut random, 2, alternative_name);
            parts.extensions = vec![extension(SUBJECT_ALT_NAME, &sequence(&names))];
            let mut ca = key.authority();
            let lists = [0, 1].map(|number| tagged(number, &some(&mut random, 3, constraint).concat()));
            ca.extensions.push(critical(NAME_CONSTRAINTS, &sequence(&lists)));
            Case::new("name constraints", key.issue(parts), &[ca.der()])
        })
        .collect();
    let answers = compare(oracle, &cases);
    let accepted = answers.iter().filter(|answer| **answer == "accepted").count();
    let refused = answers.iter().filter(|answer| **answer == "refused").count();
    assert!(accepted > count / 20 && refused > count / 20, "{accepted} accepted, {refused} refused");
}

/// Compares damaged certificates and CAs as often as the settings say.
fn compare_damaged(generate: impl Fn(&mut Random, &QuickKey, &[Fixture]) -> (Vec<u8>, Vec<u8>)) {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let (key, fixtures) = (QuickKey::new(), fixtures());
    let mut random = Random::new(u64::try_from(mutation::setting("TBOT_TPM_SEED", 1)).unwrap());
    let cases: Vec<Case> = (0..mutation::setting("TBOT_TPM_MUTATIONS", MUTATIONS))
        .map(|_| {
            let (certificate, ca) = generate(&mut random, &key, &fixtures);
            Case::new("damaged", certificate, &[ca])
        })
        .collect();
    let answers: HashSet<&str> = compare(oracle, &cases).into_iter().collect();
    assert!(answers.contains("accepted") && answers.contains("refused"), "{answers:?}");
}

fn some_authority(random: &mut Random, key: &QuickKey) -> Parts {
    let mut ca = key.authority();
    random.pick(&authorities()).2(&mut ca);
    ca
}

fn some_certificate(random: &mut Random) -> Parts {
    let mut parts = Parts::valid();
    random.pick(&certificates()).2(&mut parts);
    parts
}

#[test]
fn damaged_cas_get_the_answer_that_go_gives() {
    compare_damaged(|random, key, fixtures| {
        let ca = some_authority(random, key).der();
        (key.issue(Parts::valid()), mutated(&ca, &random.pick(fixtures).der, random))
    });
}

#[test]
fn damaged_ek_certificates_get_the_answer_that_go_gives() {
    compare_damaged(|random, key, fixtures| {
        let mut parts = some_certificate(random);
        parts.inner_algorithm = QuickKey::algorithm();
        let body = mutated(&sequence(&parts.body()), &random.pick(fixtures).der, random);
        (key.issue_body(&body), some_authority(random, key).der())
    });
}

#[test]
fn damaged_signatures_get_the_answer_that_go_gives() {
    compare_damaged(|random, key, fixtures| {
        let certificate = key.issue(Parts::valid());
        let certificate = if random.below(8) == 0 {
            certificate
        } else {
            mutated(&certificate, &random.pick(fixtures).der, random)
        };
        (certificate, key.authority().der())
    });
}

/// What the project makes of a PEM text, in the words of the oracle.
fn blocks(text: &str) -> String {
    let loaded = Authorities::from_pem([text]);
    let certificates = loaded.iter().map(|ca| ca.sha256().to_owned());
    let first = if check_first_block(text).is_ok() { "taken" } else { "refused" };
    std::iter::once(first.to_owned()).chain(certificates).collect::<Vec<_>>().join(" ")
}

#[test]
fn pem_texts_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let mut random = Random::new(u64::try_from(mutation::setting("TBOT_TPM_SEED", 1)).unwrap());
    let key = QuickKey::new();
    let certificates: Vec<String> = (1..4_u8)
        .map(|serial| pem(&key.issue(Parts { serial: integer(&[serial]), ..Parts::valid() })))
        .collect();
    let texts: Vec<String> = (0..mutation::setting("TBOT_TPM_MUTATIONS", MUTATIONS))
        .map(|_| texts::pem(&certificates, &mut random))
        .collect();
    let arguments: Vec<Vec<Vec<u8>>> = texts.iter().map(|text| vec![text.clone().into_bytes()]).collect();
    let mut kinds = HashSet::new();
    for (text, go) in texts.iter().zip(oracle.ask(Question::Blocks, &arguments)) {
        let ours = blocks(text);
        kinds.insert((ours.starts_with("taken"), ours.split(' ').count()));
        assert!(go.iter().all(|go| *go == ours), "{ours} here, {go:?} in Go:\n{text:?}");
    }
    assert!(kinds.len() > 5, "{kinds:?}");
}
