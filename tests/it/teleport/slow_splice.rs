//! Changes to arbitrary configurations: each file means what it should, and every other line stays.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::{Value, json};
use tbot_tpm::teleport::splice;

use super::splice::merged;
use crate::support::readers;
use crate::support::written::{Edit, File, files_and_edits};

#[test]
fn arbitrary_files_mean_what_they_should_and_keep_all_other_lines() {
    let batches = prop::collection::vec(files_and_edits(), 1..300);
    TestRunner::new(readers::cases(12)).run(&batches, |batch| check_all(&batch)).unwrap();
}

#[test]
fn arbitrary_text_is_changed_right_or_not_at_all() {
    let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let characters =
        prop::sample::select("ab\u{e9}:-?#,[]{}&*!|>+'\"%~ \n\r\t\u{feff}".chars().collect::<Vec<_>>());
    let text = prop_oneof![
        prop::collection::vec(characters, 0..40).prop_map(String::from_iter),
        (files_and_edits(), any::<prop::sample::Index>(), any::<char>()).prop_map(|((file, _), at, c)| {
            let mut characters: Vec<char> = file.text().chars().collect();
            let at = at.index(characters.len());
            characters[at] = c;
            characters.into_iter().collect()
        }),
    ];
    let wanted = json!({ "a": { "b": 1 }, "b": "x\ny\n", "k0": [{ "a": "b" }] });
    let wanted = wanted.as_object().unwrap();
    let check = |text: String| {
        if let Ok(result) = splice(&text, wanted) {
            prop_assert_eq!(&merged(&result, &json!({})), wanted, "{:?}", result);
        }
        Ok(())
    };
    TestRunner::new(config).run(&text, check).unwrap();
}

fn check_all(batch: &[(File, Vec<Edit>)]) -> TestCaseResult {
    let mut wanted = Vec::new();
    let mut results = Vec::new();
    for (file, edits) in batch {
        let text = file.text();
        prop_assert_eq!(merged(&text, &json!({})), file.values(), "the test itself, by {:?}", text);
        let values = file.changed(edits);
        let result = splice(&text, &values);
        let result = result.map_err(|why| TestCaseError::fail(format!("{text:?} to {values:?}: {why}")))?;
        let mut lines = result.trim_start_matches('\u{feff}').split(file.line_break());
        for line in file.lasting(&values) {
            prop_assert!(lines.any(|found| found == line), "{line:?} of {text:?} is not in {result:?}");
        }
        let bare = if file.line_break() == "\r\n" { result.replace("\r\n", "") } else { String::new() };
        prop_assert!(!bare.contains('\n'), "{text:?} has other line ends in {result:?}");
        wanted.push(Value::Object(values));
        results.push(result);
    }
    readers::compare(&wanted, &results)
}
