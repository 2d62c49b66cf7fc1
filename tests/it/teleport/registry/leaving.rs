//! `registry` with `state: leaving`: whether hosts may be archived, or other tokens of the same registry would lose their rules by it.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::messages::snapshot;
use crate::support::tokens::{hash, host, named};
use crate::support::{fail, succeed};

/// A registry with `web-1` and `web-2`, whose rules say `asset 1` and the host's name.
fn registry() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let registry = folder.path().join("registry");
    for (name, digit, text) in [("web-1", 'a', "asset 1"), ("web-2", 'b', "")] {
        let identity = json!({ "ek_public_hash": hash(digit), "ek_cert_present": false });
        succeed(
            &json!({ "action": "registry", "registry": registry, "host": name, "identity": identity, "rule_description": text }),
        );
    }
    folder
}

/// Whether these hosts may be archived for the token `two` of bot `second`.
fn leaving(folder: &TempDir, only: &[&str], extra: Value) -> Value {
    let mut request = json!({
        "action": "registry", "state": "leaving", "registry": folder.path().join("registry"), "only": only,
        "name": "two", "bot_name": "second",
    });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// The token of that name and bot, with these rules.
fn token(name: &str, bot: &str, rules: Value) -> Value {
    let mut token = named(name, rules)[0].take();
    token["spec"]["bot_name"] = json!(bot);
    token
}

#[test]
fn a_host_that_another_bots_token_lets_in_is_not_archived_unasked() {
    let folder = registry();
    let current = json!([
        token("one", "first", json!([host("asset 1", 'a'), host("web-2", 'b')])),
        token("two", "second", json!([host("asset 1", 'a')])),
        token("two-3", "second", json!([host("asset 1", 'a')])),
        token("two-web-1", "second", json!([host("asset 1", 'a')])),
    ]);
    let request = leaving(&folder, &["web-1"], json!({ "current": current }));
    snapshot!(fail(&request, "would_lock_out"), @"hosts that are to be archived join by other tokens as well, which would lose their rules: `web-1` by token `one` of bot `first`; nothing was changed; if the hosts leave these bots as well, set `allow_lockout: true` (`tbot_decommission_all_bots`), and if not, give each bot a registry of its own");
    let answer = succeed(&leaving(&folder, &["web-1"], json!({ "current": current, "allow_lockout": true })));
    assert_eq!(answer["shared"], json!([{ "host": "web-1", "token": "one", "bot_name": "first" }]));
    snapshot!(answer["warnings"][0].as_str().unwrap(), @"the next runs for these tokens take away the rules of hosts that are archived here, where the tokens are built from this registry: `web-1` by token `one` of bot `first`");
}

#[test]
fn tokens_of_the_same_name_or_bot_alone_are_others_too() {
    let folder = registry();
    let rules = json!([host("web-2", 'b')]);
    for current in [
        token("two", "first", rules.clone()),
        token("one", "second", rules.clone()),
        token("two-more", "second", rules.clone()),
        token(
            "two",
            "second-2",
            json!([{ "description": "web-2", "ek_public_hash": hash('b').to_uppercase() }]),
        ),
        token("three", "third", json!([{ "ek_public_hash": hash('b') }])),
    ] {
        fail(&leaving(&folder, &["web-2"], json!({ "current": [current] })), "would_lock_out");
        assert_eq!(
            succeed(&leaving(&folder, &["web-1"], json!({ "current": [current] })))["shared"],
            json!([])
        );
    }
    // A token of agents has no bot.
    let mut agents = token("agents", "", rules);
    agents["spec"]["roles"] = json!(["Node"]);
    agents["spec"].as_object_mut().unwrap().remove("bot_name");
    let message = fail(&leaving(&folder, &["web-2"], json!({ "current": [agents] })), "would_lock_out");
    assert!(message.contains("`web-2` by token `agents` of no bot"), "{message}");
}

#[test]
fn rules_that_no_run_of_this_registry_takes_away_do_not_matter() {
    let folder = registry();
    let current = token("one", "first", json!([host("of another inventory", 'a'), host("web-1", 'e')]));
    let answer = succeed(&leaving(&folder, &["web-1", "web-2"], json!({ "current": [current] })));
    assert_eq!((&answer["shared"], &answer["warnings"]), (&json!([]), &json!([])));
}

#[test]
fn where_the_cluster_is_not_asked_the_files_of_tokens_tell() {
    let folder = registry();
    let one = json!({ "action": "token", "name": "one", "bot_name": "first", "registry": folder.path().join("registry"), "path": folder.path().join("one.yaml") });
    succeed(&one);
    fs::write(folder.path().join("bot.yaml"), "kind: bot\n").unwrap();
    fs::write(folder.path().join("broken.yaml"), "join_method: tpm\n\t{").unwrap();
    symlink("nowhere", folder.path().join("link.yaml")).unwrap();
    let request = leaving(&folder, &["web-1"], json!({ "token_directory": folder.path() }));
    let message = fail(&request, "would_lock_out");
    assert!(message.contains("`web-1` by token `one` of bot `first`"), "{message}");
    let own = leaving(
        &folder,
        &["web-1"],
        json!({ "token_directory": folder.path(), "name": "one", "bot_name": "first" }),
    );
    let warning = succeed(&own)["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.starts_with("not looked at: ") && warning.contains("broken.yaml"), "{warning}");
    // Another program may have written it.
    let token = token("one", "first", json!([host("web-1", 'a')]));
    fs::write(folder.path().join("one.yaml"), token.to_string()).unwrap();
    let message = fail(&request, "would_lock_out");
    assert!(message.contains("`web-1` by token `one` of bot `first`"), "{message}");
    // Neither needs to be there.
    let nothing =
        leaving(&folder, &["web-1"], json!({ "registry": "/no/such", "token_directory": "/no/such" }));
    assert_eq!(succeed(&nothing)["shared"], json!([]));
    succeed(&leaving(&folder, &["web-1"], json!({ "token_directory": "/no/such" })));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let folder = registry();
    let mut without = leaving(&folder, &["web-1"], json!({}));
    without.as_object_mut().unwrap().remove("only");
    snapshot!(fail(&without, "invalid_request"), @"`state: leaving` needs `only` and `name`");
    let both = leaving(&folder, &["web-1"], json!({ "host": "web-1" }));
    snapshot!(fail(&both, "invalid_request"), @"`state: leaving` takes the hosts as `only`: leave out `host`, `identity` and `hosts`");
    let listed = leaving(&folder, &["web-1"], json!({ "state": "listed" }));
    snapshot!(fail(&listed, "invalid_request"), @"`only` goes with `state: leaving` of action `registry`");
}
