//! Changes to a configuration leave every byte that has nothing to do with them.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tbot_tpm::teleport::splice;

/// The values of a text's first document with others merged in, null taking a key away (RFC 7396).
pub(super) fn merged(text: &str, changes: &Value) -> Map<String, Value> {
    let first = serde_yaml::Deserializer::from_str(text.trim_start_matches('\u{feff}')).next();
    let mut old =
        first.map_or(serde_yaml::Value::Null, |first| serde_yaml::Value::deserialize(first).unwrap());
    old.apply_merge().unwrap();
    let mut values: Map<String, Value> = match serde_yaml::from_value(old).unwrap() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    merge(&mut values, changes);
    values
}

fn merge(into: &mut Map<String, Value>, changes: &Value) {
    for (name, change) in changes.as_object().unwrap() {
        match (into.get_mut(name), change) {
            (_, Value::Null) => _ = into.shift_remove(name),
            (Some(Value::Object(old)), Value::Object(_)) => merge(old, change),
            _ => _ = into.insert(name.clone(), change.clone()),
        }
    }
}

fn check(cases: &[(&str, Value, &str)]) {
    let of = |(before, changes, _): &(&str, Value, &str)| splice(before, &merged(before, changes));
    let results: Vec<_> = cases.iter().map(of).collect();
    let expected: Vec<_> = cases.iter().map(|(_, _, after)| Ok((*after).to_owned())).collect();
    for ((case, result), expected) in cases.iter().zip(results).zip(expected) {
        assert_eq!(result, expected, "{case:?}");
    }
}

#[test]
fn a_text_keeps_everything_around_it() {
    check(&[
        ("a: 1\nb: x # why\nc: 3\n", json!({ "b": "new" }), "a: 1\nb: new # why\nc: 3\n"),
        ("b:   'x'   # why\n\n\nc: 3", json!({ "b": "new:z" }), "b:   \"new:z\"   # why\n\n\nc: 3"),
        ("\"b\" :\n  x\n# c\nc: 3\n", json!({ "b": "new" }), "\"b\" :\n  new\n# c\nc: 3\n"),
        ("b: x\n y\n  z # why\nc: 3\n", json!({ "b": "new" }), "b: new # why\nc: 3\n"),
        ("b: \"x\n  y\" # why\nc: 3\n", json!({ "b": true }), "b: true # why\nc: 3\n"),
        ("b: # why\nc: 3\n", json!({ "b": "new" }), "b: new # why\nc: 3\n"),
        ("b:\nc: 3\n", json!({ "b": "new" }), "b: new\nc: 3\n"),
        ("b: ~ # why\nc: 3\n", json!({ "b": [] }), "b: [] # why\nc: 3\n"),
        ("é: ü\nb: ß # ö\nc: 日\n", json!({ "b": "new" }), "é: ü\nb: new # ö\nc: 日\n"),
        ("b: !!str x # why\nc: 3\n", json!({ "b": "new" }), "b: new # why\nc: 3\n"),
        ("a: &a x\nb: *a # why\n", json!({ "b": "new" }), "a: &a x\nb: new # why\n"),
        ("b: 'it''s' # why\n", json!({ "b": "new" }), "b: new # why\n"),
        ("b: x", json!({ "b": "new" }), "b: new"),
    ]);
}

#[test]
fn lines_of_text_are_replaced_to_their_end_and_no_further() {
    check(&[
        ("b: |\n  x\n\n  # y\n\n# z\nc: 3\n", json!({ "b": "new" }), "b: new\n\n# z\nc: 3\n"),
        ("b: >-\n  x\n  y\n # z\nc: 3\n", json!({ "b": "new" }), "b: new\n # z\nc: 3\n"),
        ("b: |+\n  x\n\n\nc: 3\n", json!({ "b": "new" }), "b: new\nc: 3\n"),
        ("b: |\nc: 3\n", json!({ "b": "new" }), "b: new\nc: 3\n"),
        ("b: |2-\n   x\nc: 3\n", json!({ "b": ["new"] }), "b:\n  - new\nc: 3\n"),
        ("b: |\n  x", json!({ "b": "new" }), "b: new"),
        ("b: x # why\nc: 3\n", json!({ "b": "y\nz\n" }), "b: | # why\n  y\n  z\nc: 3\n"),
        (
            "a:\n    b: [] # why\nc: 3\n",
            json!({ "a": { "b": "y\n\nz" } }),
            "a:\n    b: |- # why\n      y\n\n      z\nc: 3\n",
        ),
        ("b: >\n  x\nc: 3\n", json!({ "b": "y\nz\n" }), "b: |\n  y\n  z\nc: 3\n"),
        ("b: x\n  # z\n", json!({ "b": "y\nz\n" }), "b: \"y\\nz\\n\"\n  # z\n"),
        ("b: x", json!({ "b": "y\nz\n" }), "b: |\n  y\n  z\n"),
    ]);
}

#[test]
fn lists_are_written_anew_where_the_former_stood() {
    check(&[
        ("b: [] # why\nc: 3\n", json!({ "b": ["new"] }), "b: # why\n  - new\nc: 3\n"),
        ("b: [x,\n  # in\n  y, # z\n] # why\nc: 3\n", json!({ "b": ["new"] }), "b: # why\n  - new\nc: 3\n"),
        ("b:\n- x\n- y: 1\n  z: 2 # z\n# c\nc: 3\n", json!({ "b": ["new"] }), "b:\n- new\n# c\nc: 3\n"),
        (
            "b: # why\n    - x\n\n# c\nc: 3\n",
            json!({ "b": [{ "k": 1, "z": [] }] }),
            "b: # why\n    - k: 1\n      z: []\n\n# c\nc: 3\n",
        ),
        (
            "b: # why\n  # of old\n  - x\nc: 3\n",
            json!({ "b": ["new"] }),
            "b: # why\n  # of old\n  - new\nc: 3\n",
        ),
        ("b: # why\n  # of old\n  - x\nc: 3\n", json!({ "b": [] }), "b: [] # why\n  # of old\nc: 3\n"),
        ("b:\n- x\n-\n- \nc: 3\n", json!({ "b": ["new"] }), "b:\n- new\nc: 3\n"),
        ("b:\n- x:\nc: 3\n", json!({ "b": ["new"] }), "b:\n- new\nc: 3\n"),
        ("b:\n- - |\n    x\n  - [a, {b: c,},]\n\nc: 3\n", json!({ "b": ["new"] }), "b:\n- new\n\nc: 3\n"),
        ("b:\n- x\nc: 3\n", json!({ "b": { "k": 1 } }), "b:\n  k: 1\nc: 3\n"),
        ("b:\n  x: 1\nc: 3\n", json!({ "b": ["new"] }), "b:\n  - new\nc: 3\n"),
        ("b: # why\nc: 3\n", json!({ "b": ["new"] }), "b: # why\n  - new\nc: 3\n"),
        ("b: &anchor\n- x\nc: 3\n", json!({ "b": ["new"] }), "b:\n  - new\nc: 3\n"),
        ("b: !!seq # why\n  - x\nc: 3\n", json!({ "b": { "k": 1 } }), "b:\n  k: 1\nc: 3\n"),
        ("b: &anchor\n  - x\nc: 3\n", json!({ "b": [] }), "b: []\nc: 3\n"),
        ("b: &anchor\n  - x\nc: 3\n", json!({ "b": null }), "c: 3\n"),
        ("a: 1\nb:", json!({ "b": ["new"] }), "a: 1\nb:\n  - new\n"),
    ]);
}

#[test]
fn mappings_are_changed_within() {
    check(&[
        (
            "o: # who\n    # the token\n    t: x # why\n    m: tpm\n# s\ns: 1\n",
            json!({ "o": { "t": "new", "p": ["q"] } }),
            "o: # who\n    # the token\n    t: new # why\n    m: tpm\n    p:\n      - q\n# s\ns: 1\n",
        ),
        (
            "o:\n  t: x\n  p:\n  - q\n  # r\n\ns: 1\n",
            json!({ "o": { "p": null } }),
            "o:\n  t: x\n  # r\n\ns: 1\n",
        ),
        ("o:\n  t: x # why\n", json!({ "o": { "t": null, "m": 1 } }), "o:\n  m: 1\n"),
        (
            "o:\n  t: x # why\n  # and\ns: 1\n",
            json!({ "o": { "m": "a\nb\n" } }),
            "o:\n  t: x # why\n  m: |\n    a\n    b\n  # and\ns: 1\n",
        ),
        ("o: &a # who\n  t: x\n  m: 1\n", json!({ "o": { "t": "new" } }), "o: &a # who\n  t: new\n  m: 1\n"),
        (
            "o: {t: x, m: tpm} # who\ns: 1\n",
            json!({ "o": { "t": "new:", "p": ["q"] } }),
            "o: {t: \"new:\", m: tpm, \"p\": [\"q\"]} # who\ns: 1\n",
        ),
        ("o: {}\ns: 1\n", json!({ "o": { "t": "new" } }), "o:\n  t: new\ns: 1\n"),
        (
            "o:\n  a:\n    b: 1\n    c: 2\n  d: 3\n",
            json!({ "o": { "a": { "b": 4 } } }),
            "o:\n  a:\n    b: 4\n    c: 2\n  d: 3\n",
        ),
        ("  a: 1\n  b: 2\n", json!({ "b": 3, "c": { "d": 4 } }), "  a: 1\n  b: 3\n  c:\n    d: 4\n"),
    ]);
}

#[test]
fn keys_come_behind_the_last_and_go_with_their_lines() {
    check(&[
        ("a: 1\n# the end\n", json!({ "b": 2 }), "a: 1\nb: 2\n# the end\n"),
        ("a: 1 # why\n...\n# the end\n", json!({ "b": 2 }), "a: 1 # why\nb: 2\n...\n# the end\n"),
        ("--- # start\na: 1\n", json!({ "b": 2 }), "--- # start\na: 1\nb: 2\n"),
        ("a: 1", json!({ "b": 2 }), "a: 1\nb: 2\n"),
        ("a:\n  - x\n\n  # of a\n\n# z\n", json!({ "b": 2 }), "a:\n  - x\n\n  # of a\nb: 2\n\n# z\n"),
        (
            "a:\n  x: 1\n    # of x\n  # of a\n",
            json!({ "a": { "y": 2 } }),
            "a:\n  x: 1\n    # of x\n  \"y\": 2\n  # of a\n",
        ),
        ("a: |+\n  x\n\n\n# z\n", json!({ "b": 2 }), "a: |+\n  x\n\n\nb: 2\n# z\n"),
        ("a: |\n  x\n\n\n# z\n", json!({ "b": 2 }), "a: |\n  x\nb: 2\n\n\n# z\n"),
        ("a:\n- x:\n\n# z\n", json!({ "b": 2 }), "a:\n- x:\nb: 2\n\n# z\n"),
        ("a: [x,\n  y] # z\n", json!({ "b": 2 }), "a: [x,\n  y] # z\nb: 2\n"),
        ("a: 1\n# of b\nb: 2 # b\n# of c\nc: 3\n", json!({ "b": null }), "a: 1\n# of b\n# of c\nc: 3\n"),
        ("a: 1\nb:\n- x\n\n- y\n\nc: 3\n", json!({ "b": null }), "a: 1\n\nc: 3\n"),
        ("a: 1\nb: 2", json!({ "b": null }), "a: 1\n"),
        ("a: 1\nb: 2", json!({ "a": null }), "b: 2"),
        ("a: |\n  x\nb: 2", json!({ "b": null }), "a: |\n  x\n"),
        ("a: 1\nb: 2 # b", json!({ "b": null, "c": 3 }), "a: 1\nc: 3\n"),
        ("a:\n  x: 1\n  y: 2\n# z\n", json!({ "a": { "y": null }, "c": 3 }), "a:\n  x: 1\nc: 3\n# z\n"),
        ("a: 1\nb: 2\n", json!({ "a": null, "b": null, "c": { "d": 1 } }), "c:\n  d: 1\n"),
    ]);
}

#[test]
fn announced_keys_are_written_as_others_are() {
    check(&[
        ("? a\n: 1\n? b\n: 2 # b\nc: 3\n", json!({ "a": 4 }), "a: 4\n? b\n: 2 # b\nc: 3\n"),
        ("a: 1\n? b # b\n\n: # what\n  - x\nc: 3\n", json!({ "b": null }), "a: 1\nc: 3\n"),
        ("a: 1\n? b\n", json!({ "b": ["new"], "c": 3 }), "a: 1\nb:\n  - new\nc: 3\n"),
        ("? a\n: x: 1\n  y: 2\n", json!({ "c": 3 }), "? a\n: x: 1\n  y: 2\nc: 3\n"),
    ]);
}

#[test]
fn line_ends_and_byte_order_marks_stay() {
    check(&[
        (
            "a: 1\r\nb: x # why\r\n",
            json!({ "b": "new", "c": ["z"] }),
            "a: 1\r\nb: new # why\r\nc:\r\n  - z\r\n",
        ),
        ("a: 1\r\nb: |\r\n  x\r\n\r\nc: 3\r\n", json!({ "b": null }), "a: 1\r\n\r\nc: 3\r\n"),
        ("a: 1\r\nb: []\r\n", json!({ "b": "x\ny\n" }), "a: 1\r\nb: |\r\n  x\r\n  y\r\n"),
        ("\u{feff}a: 1\nb: 2\n", json!({ "a": 3, "c": 4 }), "\u{feff}a: 3\nb: 2\nc: 4\n"),
        ("\u{feff}# é\na: 1\n", json!({ "a": 3 }), "\u{feff}# é\na: 3\n"),
        ("\u{feff}{\"a\": 1}", json!({ "b": 2 }), "\u{feff}{\"a\": 1, \"b\": 2}"),
    ]);
}

#[test]
fn json_stays_json() {
    check(&[
        (
            r#"{"a": 1, "b": "x"}"#,
            json!({ "b": "y", "c": [{ "d": null }] }),
            r#"{"a": 1, "b": "y", "c": [{"d": null}]}"#,
        ),
        (
            "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c\": []\n}\n",
            json!({ "a": { "b": 2, "d": "é" } }),
            "{\n  \"a\": {\n    \"b\": 2,\n    \"d\": \"é\"\n  },\n  \"c\": []\n}\n",
        ),
        (
            "{\n  \"a\": 1,\n  \"b\": 2\n}\n",
            json!({ "c": {} }),
            "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": {}\n}\n",
        ),
        ("{\n  \"a\": 1,\n  \"b\": 2\n}\n", json!({ "a": null }), "{\n  \"b\": 2\n}\n"),
        ("{\n  \"a\": 1,\n  \"b\": 2\n}\n", json!({ "b": null }), "{\n  \"a\": 1\n}\n"),
        (r#"{"a": 1, "b": 2, "c": 3}"#, json!({ "b": null }), r#"{"a": 1, "c": 3}"#),
        (r#"{"a": 1}"#, json!({ "a": null, "b": 2 }), r#"{"b": 2}"#),
        ("{}", json!({ "a": 1 }), r#"{"a": 1}"#),
        (
            "{\"a\" : [1, 2]\t, \"b\":{}}",
            json!({ "a": [], "b": { "c": 1 } }),
            "{\"a\" : [], \"b\":{\"c\": 1}}",
        ),
    ]);
}

#[test]
fn flow_style_is_changed_with_its_comments() {
    check(&[
        (
            "{ # all\n  a: 1, # a\n  b: 2, # b\n}\n",
            json!({ "c": 3 }),
            "{ # all\n  a: 1, # a\n  b: 2, # b\n  \"c\": 3\n}\n",
        ),
        (
            "{ # all\n  a: 1, # a\n  b: 2 # b\n} # end\n",
            json!({ "b": null }),
            "{ # all\n  a: 1 # a\n} # end\n",
        ),
        ("{ # all\n  a: 1, # a\n  b: 2 # b\n}\n", json!({ "a": 3 }), "{ # all\n  a: 3, # a\n  b: 2 # b\n}\n"),
        (
            "{a: 1,\n  # of b\n  b: 2, # b\n  # of c\n  c: 3}\n",
            json!({ "b": null }),
            "{a: 1,\n  # of b\n  # of c\n  c: 3}\n",
        ),
        ("{a: 1 # a, b\n}\n", json!({ "b": 2 }), "{a: 1, # a, b\n  \"b\": 2\n}\n"),
        (
            "--- {a, b: , c: [x, {y: z,},]}\n",
            json!({ "a": 1, "b": "x", "c": [] }),
            "--- {a: 1, b: \"x\", c: []}\n",
        ),
        ("{a: &x {b: 1}, c: 2}\n", json!({ "a": { "b": 3 } }), "{a: &x {b: 3}, c: 2}\n"),
        ("{a: 'x' , b: 2}\n", json!({ "a": "]}" }), "{a: \"]}\", b: 2}\n"),
        (
            "o: {\r\n  a: 1,\r\n  b: 2\r\n}\r\n",
            json!({ "o": { "c": 3 } }),
            "o: {\r\n  a: 1,\r\n  b: 2,\r\n  \"c\": 3\r\n}\r\n",
        ),
    ]);
}

#[test]
fn a_text_that_says_nothing_is_continued() {
    let changes = json!({ "a": 1, "b": ["x"] });
    check(&[
        ("", changes.clone(), "a: 1\nb:\n  - x\n"),
        ("# why", changes.clone(), "# why\na: 1\nb:\n  - x\n"),
        ("# why\r\n\r\n", changes.clone(), "# why\r\n\r\na: 1\r\nb:\r\n  - x\r\n"),
        ("---\n# why\n", changes.clone(), "---\n# why\na: 1\nb:\n  - x\n"),
        ("\u{feff}", changes, "\u{feff}a: 1\nb:\n  - x\n"),
    ]);
}

#[test]
fn other_documents_stay_whatever_they_say() {
    for rest in
        ["---\nb: 2\n", "---\n*broken\n", "--- {b: 2", "...\n# b\n%YAML 1.2\n---\nb: 2", "---\n", "...\n"]
    {
        for (before, after) in [
            ("b: x # why\n\n", "b: new # why\n\n"),
            ("---\nb: |\n  x\n", "---\nb: new\n"),
            ("%YAML 1.1\n# why\n--- # why\nb:\n\n# c\n", "%YAML 1.1\n# why\n--- # why\nb: new\n\n# c\n"),
            ("\u{feff}--- {b: x}\n", "\u{feff}--- {b: \"new\"}\n"),
            ("a: x\r\n", "a: x\r\nb: new\r\n"),
        ] {
            let mut wanted = merged(before.trim_start_matches("%YAML 1.1\n"), &json!({ "b": "new" }));
            assert_eq!(splice(&format!("{before}{rest}"), &wanted), Ok(format!("{after}{rest}")));
            wanted.shift_remove("b");
            let without = splice(&format!("{before}{rest}"), &wanted);
            assert!(without.is_err() || without.is_ok_and(|text| text.ends_with(rest)), "{before:?}");
        }
    }
}

#[test]
fn what_is_taken_over_from_elsewhere_stays_so() {
    let base = "x: &x\n  a: 1\n  b: 2\n";
    for (before, changes, after) in [
        ("y:\n  <<: *x\n  c: 3 # why\n", json!({ "c": 4 }), "y:\n  <<: *x\n  c: 4 # why\n"),
        ("y:\n  <<: *x\n", json!({ "a": 9 }), "y:\n  <<: *x\n  a: 9\n"),
        ("y:\n  c: 3\n  <<: *x\n", json!({ "c": null, "d": 5 }), "y:\n  <<: *x\n  d: 5\n"),
        ("y: {<<: *x, b: 7}\n", json!({ "b": 8, "d": 5 }), "y: {<<: *x, b: 8, \"d\": 5}\n"),
        ("y: {<<: [*x, {c: 3}]}\n", json!({ "a": 9 }), "y: {<<: [*x, {c: 3}], \"a\": 9}\n"),
    ] {
        let text = format!("{base}{before}");
        let wanted = merged(&text, &json!({ "y": changes }));
        assert_eq!(splice(&text, &wanted), Ok(format!("{base}{after}")));
        assert_eq!(merged(&format!("{base}{after}"), &json!({})), wanted);
    }
}

#[test]
fn what_cannot_be_changed_alone_is_not_changed() {
    for (before, changes) in [
        // Others refer to it.
        ("a: &a\n  x: 1\nb: *a\n", json!({ "a": { "x": 2 } })),
        ("a: &a x\nb: *a\n", json!({ "a": null })),
        // Empty lines would get to the text before.
        ("a: |+\n  x\nb: 2\n\n", json!({ "b": null })),
        // Readers look ahead.
        ("a: 1\n...\n\0", json!({ "b": 2 })),
        ("a: 1\n---\nx: \u{7f}\n", json!({ "b": 2 })),
        // Nothing in the first document.
        ("---\n---\na: 1\n", json!({ "b": 2 })),
        ("...\na: 1\n", json!({ "b": 2 })),
        // Taken over from elsewhere.
        ("x: &x {a: 1}\nb:\n  <<: *x\n  c: 1\n", json!({ "b": { "a": null } })),
        ("x: &x {a: 1}\nb:\n  <<: *x\n", json!({ "x": { "a": 2 } })),
        ("b:\n  \"<<\": {a: 1}\n", json!({ "c": 2 })),
        ("- a\n", json!({ "b": 3 })),
        ("a\n", json!({ "b": 3 })),
        ("null\n", json!({ "b": 3 })),
    ] {
        let wanted = std::panic::catch_unwind(|| merged(before, &changes))
            .unwrap_or_else(|_| changes.as_object().unwrap().clone());
        assert!(splice(before, &wanted).is_err(), "{before:?}");
    }
}
