//! What a request takes of memory: at most ten times its own size.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};

/// Runs a program, and says how many KiB of memory it had at most.
const MEASURE: &str = "import resource, subprocess, sys\n\
    answer = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout\n\
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
    sys.stdout.buffer.write(answer)";

/// The answer to a request in a file, and the most memory that it took, in bytes.
fn measured(request: &str) -> (Value, usize) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), request).unwrap();
    let output = Command::new("python3")
        .args(["-c", MEASURE, env!("CARGO_BIN_EXE_tbot_tpm"), file.path().to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (kib, answer) = text.split_once('\n').unwrap();
    (serde_json::from_str(answer).unwrap(), kib.parse::<usize>().unwrap() * 1024)
}

/// What the program takes by itself, and what short texts may take.
const SPARE: usize = 24 << 20;

fn is_within_bounds(request: &str, memory: usize) -> bool {
    memory < 10 * request.len() + SPARE
}

fn token(parameter: &str, value: &str) -> String {
    format!(r#"{{"action": "token", "name": "a", "{parameter}": {value}}}"#)
}

fn list(item: &str, bytes: usize) -> String {
    format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","))
}

#[test]
fn a_request_of_far_too_many_values_is_refused_before_it_takes_the_memory() {
    let bytes = 8_000_000;
    let fields: Vec<String> = (0..bytes / 11).map(|number| format!("\"{number:x}\":0")).collect();
    let fields = format!("{{{}}}", fields.join(","));
    let said = listed(
        [
            ("numbers", token("hosts", &list("1", bytes))),
            ("lists", token("hosts", &list("[]", bytes))),
            ("objects", token("hosts", &list("{}", bytes))),
            ("objects in objects", token("hosts", &list(r#"{"a":{}}"#, bytes))),
            ("fields", token("labels", &fields)),
            ("parameters", format!(r#"{{"action": "token", {}"#, &fields[1..])),
            ("JSON in a text", token("hosts", &json!(list("1", bytes)).to_string())),
            ("YAML in a text", token("current", &json!(list("1", bytes).replace(']', ",]")).to_string())),
            ("lines of YAML", token("current", &json!("- 1\n".repeat(bytes / 4)).to_string())),
            ("words", token("roles", &json!("a,".repeat(bytes / 2)).to_string())),
            ("pairs", token("labels", &json!("a=b ".repeat(bytes / 4)).to_string())),
        ],
        |(what, request)| {
            let (answer, memory) = measured(request);
            assert!(is_within_bounds(request, memory), "{what}: {memory} for {}", request.len());
            assert_eq!(answer["error"]["kind"], "invalid_request", "{what}: {answer}");
            ((*what).to_owned(), answer["msg"].as_str().unwrap().to_owned())
        },
    );
    snapshot!(said, @"
    numbers
        the request is refused: it holds too many values for its size at line 1 column 1449875; give many hosts by `registry`, or in several requests
    lists
        the request is refused: it holds too many values for its size at line 1 column 2174791; give many hosts by `registry`, or in several requests
    objects
        the request is refused: it holds too many values for its size at line 1 column 2174791; give many hosts by `registry`, or in several requests
    objects in objects
        the request is refused: it holds too many values for its size at line 1 column 1625457; give many hosts by `registry`, or in several requests
    fields
        the request is refused: it holds too many values for its size at line 1 column 3728598; give many hosts by `registry`, or in several requests
    parameters
        the request is refused: it holds too many values for its size at line 1 column 3728593; give many hosts by `registry`, or in several requests
    JSON in a text
        parameter `hosts` of action `token`: expected a JSON list: it holds too many values for its size at line 1 column 1449839
    YAML in a text
        `current` is no YAML or JSON that can be read: it holds too many values for its size
    lines of YAML
        `current` is no YAML or JSON that can be read: it holds too many values for its size
    words
        parameter `roles` of action `token`: a text of 8000000 bytes is too long to split: give a list or an object
    pairs
        parameter `labels` of action `token`: a text of 7999999 bytes is too long to split: give a list or an object
    ");
}

#[test]
fn a_value_of_megabytes_takes_little_more_than_itself() {
    let characters = 1_000_000;
    for value in ["a", "a b", "\u{200b}", r"\u0001", r"\ud83d\ude00", r#"\""#] {
        let request = format!(r#"{{"action": "storage", "path": "{}"}}"#, value.repeat(characters));
        let (answer, memory) = measured(&request);
        assert!(is_within_bounds(&request, memory), "{value}: {memory} for {}", request.len());
        let message = answer["msg"].as_str().unwrap();
        assert!(message.chars().count() < 500, "{value}: {message}");
    }
}

#[test]
fn fleets_are_within_the_bounds() {
    let pem =
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", "x".repeat(64).repeat(24));
    let host = |number: usize| json!({ "description": format!("web-{number}"), "ek_public_hash": format!("{number:064x}") });
    let certified = |number: usize| {
        let mut host = host(number);
        host["ek_cert_present"] = json!(true);
        host["ek_cert_serial"] = json!("0f:ff");
        host["ek_cert_sha256"] = json!(format!("{number:064x}"));
        host["ek_cert_pem"] = json!(pem);
        host
    };
    let bare: Vec<Value> = (0..30_000).map(host).collect();
    let full: Vec<Value> = (0..10_000).map(certified).collect();
    for hosts in [bare, full] {
        let count = hosts.len();
        let request = json!({
            "action": "token", "name": "a", "bot_name": "b", "hosts": hosts, "max_bytes": 1_000_000_000,
        });
        let request = request.to_string();
        let (answer, memory) = measured(&request);
        assert_eq!(answer["tokens"][0]["rules"], count, "{}", answer["msg"]);
        assert!(is_within_bounds(&request, memory), "{memory} for {}", request.len());
    }
}
