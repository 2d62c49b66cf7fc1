//! EK certificates, valid and damaged: what `tbot` would make of each.

#![allow(clippy::unwrap_used)]

mod support;

use support::certificates::{answer, fixtures};

#[test]
fn every_certificate_gets_the_answer_that_tbot_gives() {
    let all = fixtures();
    let wrong: Vec<String> = all
        .iter()
        .filter(|fixture| answer(&fixture.der) != fixture.expected.answer())
        .map(|fixture| {
            format!("{}: {}, expected {}", fixture.name, answer(&fixture.der), fixture.expected.answer())
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn fixtures_have_names_of_their_own() {
    let mut names: Vec<&str> = fixtures().iter().map(|fixture| fixture.name).collect();
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
}
