//! Every YAML reader that tests compare with.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

use super::go_yaml;

/// For tests whose every case is a batch for all readers: so many cases, or those that `PROPTEST_CASES` says.
pub fn cases(cases: u32) -> ProptestConfig {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: given.unwrap_or(cases),
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Lets every reader read every document, which must mean its value to it: by YAML 1.2's rules, YAML 1.1's and Go's.
pub fn compare(values: &[Value], documents: &[String]) -> TestCaseResult {
    for (value, document) in values.iter().zip(documents) {
        let read: Result<Value, _> =
            serde_yaml::from_str::<serde_yaml::Value>(bare(document)).and_then(serde_yaml::from_value);
        check("yaml_serde", value, document, read.map_err(|error| error.to_string()))?;
    }
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    let python = if Path::new(python).exists() { python } else { "python3" };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/yaml_readers.py");
    check_all("PyYAML", &["Python", "libyaml"], Command::new(python).arg(script), values, documents)?;
    let Some(program) = go_yaml::readers() else {
        return Ok(());
    };
    let readers = ["yaml.v2", "yaml.v3", "sigs.k8s.io/yaml"];
    check_all("Go", &readers, &mut Command::new(program), values, documents)
}

/// Without a byte order mark, which this reader takes for a part of the text.
fn bare(document: &str) -> &str {
    document.strip_prefix('\u{feff}').unwrap_or(document)
}

/// Gives all documents to one process, which answers with one line of JSON for each: what its readers make of it.
fn check_all(
    name: &str,
    readers: &[&str],
    command: &mut Command,
    values: &[Value],
    documents: &[String],
) -> TestCaseResult {
    let input: String = documents.iter().map(|document| json!(document).to_string() + "\n").collect();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut standard_input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || standard_input.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{name}");
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), documents.len(), "{name}");
    for ((value, document), line) in values.iter().zip(documents).zip(answers.lines()) {
        let answers: Vec<Value> = serde_json::from_str(line).unwrap();
        for (reader, answer) in readers.iter().zip(&answers) {
            let read = answer.get("read").cloned().ok_or_else(|| answer["refused"].to_string());
            check(&format!("{name}: {reader}"), value, document, read)?;
        }
    }
    Ok(())
}

fn check(reader: &str, value: &Value, document: &str, read: Result<Value, String>) -> TestCaseResult {
    let read =
        read.map_err(|error| TestCaseError::fail(format!("{reader} refuses {document:?}: {error}")))?;
    prop_assert!(same(&read, value), "{reader} reads {document:?} as {read}, not as {value}");
    Ok(())
}

/// Equality, except that a float may be off in its last digit, as `serde_json` reads it from the answers, and a
/// whole number may be written with a point or without.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        (Value::Number(left), Value::Number(right)) if left.is_f64() || right.is_f64() => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            (left - right).abs() <= right.abs() * 1e-15
        }
        _ => left == right,
    }
}
