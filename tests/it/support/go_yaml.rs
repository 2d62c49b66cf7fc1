//! Go's YAML readers, by the small program in `tests/go/yaml`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::go;

/// The program, or a word on standard error that it is left out.
pub fn readers() -> Option<PathBuf> {
    let program = go::program("yaml");
    if program.is_none() {
        // Not by a macro: the output of tests that pass is not shown.
        let skipped =
            b"SKIPPED: there is no Go for its YAML readers; scripts/setup.sh installs it into .venv\n";
        std::io::stderr().write_all(skipped).unwrap();
    }
    program
}

/// What `tbot` reads of each text: the mapping that is its first document. None where there is no Go.
pub fn first_documents(texts: &[String]) -> Option<Vec<Map<String, Value>>> {
    let mut program = Command::new(readers()?);
    let mut child = program.arg("first").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = texts.iter().map(|text| json!(text).to_string() + "\n").collect();
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(lines.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    let answers = String::from_utf8(output.stdout).unwrap();
    let read = answers.lines().zip(texts).map(|(line, text)| {
        let mut answers: Vec<Value> = serde_json::from_str(line).unwrap();
        match answers.remove(0)["read"].take() {
            Value::Object(values) => values,
            _ => panic!("{text:?} is not read: {line}"),
        }
    });
    Some(read.collect())
}
