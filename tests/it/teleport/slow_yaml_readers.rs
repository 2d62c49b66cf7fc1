//! What `teleport::yaml` writes is read alike by everything that may read a token: by YAML 1.2's rules (`yaml_serde`),
//! YAML 1.1's (`PyYAML`, by which Ansible reads, and libyaml behind it) and Go's (`yaml.v2`, `yaml.v3`, and `sigs.k8s.io/yaml`,
//! which turns YAML into JSON as `tctl` does).

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::{Map, Value, json};
use tbot_tpm::teleport::yaml;

use crate::support::readers;

/// Texts that one reader or the other takes for something else, or changes, unless they are written with care.
#[rustfmt::skip] // one text a line is hard to read
const TEXTS: &[&str] = &[
    // nothing, and white space
    "", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", " a", "a ", "\ta", "a\t", "a\t\tb", "a  b", "\n a",
    "a \nb",
    // numbers: in base 60, octal, hexadecimal, binary, with exponents, underscores and signs
    "0", "13", "-1", "+1", "007", "0o17", "0x1f", "0b11", "1_000", "0.", ".5", "1.", "1e5", "1E5", "1e+5",
    "1.0e5", "1e-5", "e5", "12:34", "01:23:45", "1:23.5", "-12:30", "12345e67",
    "1e0000000000000000000000000000000000000000000000000000000000000000", "0e15", "1__0", "1,000", ".inf",
    "-.inf", "+.INF", ".nan", ".NaN", "inf", "NaN", "Infinity",
    "1111111111111111111111111111111111111111111111111111111111111111",
    "0000000000000000000000000000000000000000000000000000000000000001",
    "12345678901234567890123456789012345678901234567890123456789e1234",
    "e123456789012345678901234567890123456789012345678901234567890123",
    // booleans and nothing, in all the ways to write them
    "y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    "true", "True", "TRUE", "false", "False", "FALSE", "~", "null", "Null", "NULL", "nil", "None", "yes ",
    "t", "f",
    // dates
    "2026-01-01", "2026-1-1", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "2001-12-14t21:59:43.10-05:00",
    // what means something to YAML
    "=", "<<", "-", "--", "---", "--- a", "...", "....", "?", "? a", ":", "a:", ":a", "a: b", "a:b", "a :b",
    "-a", "- a", "#", "#a", "a#", "a #b", "%", "%YAML 1.1", "@a", "`a", "&a", "*a", "!a", "!!str a", "|",
    ">", "|-", "'", "'a'", "''", "\"", "\"a\"", "a'b", "a\"b", "\\", "\\n", "a\\", "{", "}", "{}", "{a}",
    "{a: b}", "[", "]", "[]", "[a]", ",", "a,b", "{{ a }}", "$a", "<", ">a", "a/b", "a.b", "a-", "a.",
    // lines
    "a\nb", "a\nb\n", "a\nb\n\n", "a\n\nb\n", "a\n\n\nb", "\na\n", " a\nb\n", "a\n b\n", "a\nb \n",
    "a\r\nb\r\n", "a\n\tb\n", "a\n#b\n", "#a\n#b\n", "---\na\n", "...\n...\n", "- a\n- b\n", "a: b\nc: d\n",
    "%a\n%b\n", "a\n---\nb\n", "|\n|\n", "é\né\n", "? a\n: b\n",
    "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----",
    // ends of lines of other kinds, what is not seen, and what YAML does not allow
    "\u{85}", "a\u{85}b", "\u{2028}", "a\u{2028}b", "\u{2029}", "\u{feff}", "\u{feff}a", "a\u{feff}",
    "\u{a0}", "\u{a0}a", "\u{ad}", "\u{200b}", "\u{202e}a", "\0", "a\0b", "\u{1}", "\u{7}", "\u{8}",
    "\u{b}", "\u{c}", "\u{1b}[31m", "\u{7f}", "\u{80}", "\u{9f}", "\u{d7ff}", "\u{e000}", "\u{fffd}",
    "\u{fffe}", "\u{ffff}", "é", "ß", "日本", "\u{1f600}", "\u{10000}", "\u{1fffe}", "\u{10ffff}", "e\u{301}",
];

#[test]
fn texts_that_mean_something_to_a_reader_come_back_to_the_letter() {
    let mut texts: Vec<String> = TEXTS.iter().map(ToString::to_string).collect();
    for length in [79, 80, 81, 127, 128, 1022, 1023, 1024, 1025, 5000] {
        for unit in ["a", "1", "é", "\u{1f600}", "\u{7f}", "a b ", "a\n"] {
            texts.push(unit.repeat(length / unit.chars().count()));
        }
    }
    let whole: Map<String, Value> = texts.iter().map(|text| (text.clone(), json!(text))).collect();
    let places = |text: &String| {
        [
            json!(text),
            json!([text, [text], [[text, text]]]),
            json!({ text: text, "list": [{ text: text }, { text: [text] }, { text: { text: text } }] }),
            json!([{ text: {} }, { text: [] }, { text: null, "x": [[{ text: text }]] }]),
        ]
    };
    let mut documents: Vec<Value> = texts.iter().flat_map(places).collect();
    documents.extend([json!(texts), Value::Object(whole)]);
    compare(&documents).unwrap();
}

#[test]
fn values_without_text_come_back_as_themselves() {
    let numbers = json!([
        0,
        -1,
        13,
        i64::MIN,
        i64::MAX,
        u64::MAX,
        8,
        10,
        0.5,
        -0.25,
        1e5,
        1e16,
        1.5e300,
        -1e-7,
        1.25e-9,
        f64::MAX,
        f64::MIN_POSITIVE
    ]);
    let mut documents = vec![
        numbers.clone(),
        json!({ "a": numbers }),
        json!({}),
        json!([]),
        json!([[], {}, [[]], [{}], null, true, false]),
    ];
    documents.extend(numbers.as_array().unwrap().iter().cloned());
    documents.extend([json!(null), json!(true), json!(false)]);
    compare(&documents).unwrap();
}

#[test]
fn arbitrary_values_come_back_as_themselves() {
    let batches = prop::collection::vec(values(), 1..200);
    TestRunner::new(readers::cases(24)).run(&batches, |documents| compare(&documents)).unwrap();
}

/// Values of every kind within each other.
fn values() -> impl Strategy<Value = Value> {
    let leaves = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => prop::num::f64::NORMAL.prop_map(Value::from),
        12 => texts().prop_map(Value::from),
    ];
    leaves.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Texts of any characters, of what YAML's readers look for, of digits and signs, and of lines.
fn texts() -> impl Strategy<Value = String> {
    const CHARACTERS: &str = " \n\r\t:-?#,[]{}&*!|>'\"%@`=<~\\.0179_+xobeEyYnN\u{0}\u{7f}\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\u{ffff}é\u{1f600}";
    let characters = prop::sample::select(CHARACTERS.chars().collect::<Vec<_>>());
    prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        prop::collection::vec(characters, 0..12).prop_map(String::from_iter),
        prop::collection::vec(prop::sample::select(TEXTS), 1..4).prop_map(|parts| parts.concat()),
        "[-+]?[0-9][0-9a-fA-FxobeE:+._-]{0,20}",
        "[0-9a-f]{64}",
        "[0-9]{1,63}e[0-9]{1,63}",
        "([ -~]{0,20}\n){0,4}[ -~]{0,20}\n?",
    ]
}

/// Writes every value, and lets every reader read it.
fn compare(values: &[Value]) -> TestCaseResult {
    let documents: Vec<String> = values.iter().map(yaml::write).collect();
    readers::compare(values, &documents)
}
