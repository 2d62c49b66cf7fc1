//! `token` and `preflight` on megabytes of YAML that stand for far more.

use std::fs;

use serde_json::json;

use crate::support::tokens::{hash, request};
use crate::support::{fail, run};

/// Megabytes of YAML that stand for far more, or that go far down.
fn bombs() -> Vec<String> {
    let ten = 10_000_000;
    let mut laughs = "l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*l{}", level - 1); 9].join(", ");
        laughs = format!("{laughs}l{level}: &l{level} [{aliases}]\n");
    }
    let padding = format!("# {}\n", "x".repeat(ten));
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(10_000), "*a,".repeat(ten / 3));
    let in_rules = format!(
        "kind: token\nx: &x {{ek_public_hash: '{}'}}\nspec: {{tpm: {{allow: [{}]}}}}\n",
        hash('a'),
        "*x,".repeat(ten / 3)
    );
    vec![
        laughs.clone(),
        format!("{padding}{laughs}"),
        wide,
        in_rules,
        "a: &a [*a]\n".to_owned(),
        "[".repeat(ten),
        "{\"a\":".repeat(ten / 5),
        "- ".repeat(ten / 2),
        "&a ".repeat(ten / 3),
        "--- []\n".repeat(ten / 7),
    ]
}

#[test]
fn megabytes_of_aliases_and_depths_end_in_an_error() {
    for bomb in bombs() {
        let start: String = bomb.chars().take(30).collect();
        let answer = run(&request(json!({ "current": bomb })));
        let kind = answer["error"]["kind"].as_str().unwrap_or_default();
        assert!(["invalid_request", "conflict"].contains(&kind), "{start}: {answer}");
    }
    let laughs = &bombs()[1];
    fail(&json!({ "action": "preflight", "token": laughs, "hosts": [] }), "invalid_request");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    fs::write(&path, laughs).unwrap();
    fail(&request(json!({ "path": path })), "conflict");
    assert_eq!(fs::read_to_string(&path).unwrap(), *laughs);
}
