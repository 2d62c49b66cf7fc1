//! EK certificates against Go's `crypto/x509`, which decides what `tbot` sees.

use crate::support::certificates::{answer, fixtures};
use crate::support::go::{Oracle, Question, base64};
use crate::support::mutation::{self, Random, mutated};
use crate::support::texts;

/// Damaged certificates that are compared; `TBOT_TPM_MUTATIONS` asks for more, `TBOT_TPM_SEED` for others.
const MUTATIONS: usize = 20_000;
/// At a time, to keep memory small.
const BATCH: usize = 20_000;

/// Whether an answer of ours is Go's. Where Go releases disagree, ours must be `disputed`; with one release
/// only, that cannot be checked.
fn agrees(ours: &str, go: &[String], has_several: bool) -> bool {
    let is_disputed = go.iter().any(|answer| *answer != go[0]);
    match ours {
        "disputed" => is_disputed || !has_several,
        _ if is_disputed => false,
        _ => ours.split_once(": ").map_or(ours, |(refused, _)| refused) == go[0],
    }
}

fn identities(oracle: &Oracle, contents: &[Vec<u8>]) -> Vec<Vec<String>> {
    let lists: Vec<Vec<Vec<u8>>> = contents.iter().map(|content| vec![content.clone()]).collect();
    oracle.ask(Question::Identity, &lists)
}

fn differences(oracle: &Oracle, contents: &[Vec<u8>]) -> Vec<String> {
    let answers = identities(oracle, contents);
    let compared = contents.iter().zip(&answers).map(|(content, go)| (content, answer(content), go));
    compared
        .filter(|(_, ours, go)| !agrees(ours, go, oracle.has_several()))
        .map(|(content, ours, go)| format!("{ours} here, {go:?} in Go:\n{}", base64(content)))
        .collect()
}

#[test]
fn go_gives_the_answers_that_the_fixtures_expect() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let fixtures = fixtures();
    let contents: Vec<Vec<u8>> = fixtures.iter().map(|fixture| fixture.der.clone()).collect();
    let wrong: Vec<String> = identities(oracle, &contents)
        .iter()
        .zip(&fixtures)
        .filter(|(go, fixture)| !agrees(&fixture.expected.answer(), go, oracle.has_several()))
        .map(|(go, fixture)| {
            format!("{}: {go:?} in Go, expected {}", fixture.name, fixture.expected.answer())
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compares what `generate` makes, as often as the settings say.
fn compare(generate: impl Fn(&mut Random) -> Vec<u8>) {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let mut random = Random::new(u64::try_from(mutation::setting("TBOT_TPM_SEED", 1)).unwrap());
    let mut left = mutation::setting("TBOT_TPM_MUTATIONS", MUTATIONS);
    while left > 0 {
        let count = left.min(BATCH);
        let contents: Vec<Vec<u8>> = (0..count).map(|_| generate(&mut random)).collect();
        let wrong = differences(oracle, &contents);
        let shown: Vec<&str> = wrong.iter().take(10).map(String::as_str).collect();
        assert!(wrong.is_empty(), "{} of {count} differ, such as:\n{}", wrong.len(), shown.join("\n"));
        left -= count;
    }
}

#[test]
fn damaged_certificates_get_the_answer_that_go_gives() {
    let fixtures = fixtures();
    compare(|random| mutated(&random.pick(&fixtures).der, &random.pick(&fixtures).der, random));
}

#[test]
fn texts_with_a_grammar_of_their_own_get_the_answer_that_go_gives() {
    compare(texts::certificate);
}
