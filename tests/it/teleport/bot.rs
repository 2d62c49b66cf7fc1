//! Bots: when one is to be applied, and what is kept of the one that the cluster has.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tbot_tpm::teleport::{Bot, BotTerms};

use crate::support::messages::{listed, snapshot};
use crate::support::stand_in::{Cluster, name, told};

fn terms(roles: &[&str], traits: Option<Value>) -> (BotTerms, Vec<String>) {
    let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
    let traits: Option<BTreeMap<String, Vec<String>>> = traits.map(|it| serde_json::from_value(it).unwrap());
    BotTerms::new(name("test-bot"), &roles, traits)
}

fn bot(value: Value) -> Bot {
    Bot::from_value(value).unwrap()
}

/// As a newer cluster has it.
fn stored() -> Value {
    json!({
        "kind": "bot",
        "sub_kind": "special",
        "version": "v1",
        "metadata": { "name": "test-bot", "revision": "r", "id": 7, "labels": { "a": "b" }, "expires": "2030-01-01T00:00:00Z" },
        "spec": {
            "roles": ["access", "audit"],
            "traits": [{ "name": "logins", "values": ["root", "deploy"] }, { "name": "empty", "values": [] }],
            "max_session_ttl": "3600s",
            "new": [1],
        },
        "status": { "user_name": "bot-test-bot", "role_name": "bot-test-bot" },
    })
}

#[test]
fn a_missing_bot_is_made() {
    let (terms, warnings) = terms(&["b", "a", ""], Some(json!({ "logins": ["root", "deploy"], "none": [] })));
    assert_eq!(warnings, Vec::<String>::new());
    let expected = json!({
        "kind": "bot",
        "version": "v1",
        "metadata": { "name": "test-bot" },
        "spec": { "roles": ["b", "a"], "traits": [{ "name": "logins", "values": ["root", "deploy"] }] },
    });
    assert_eq!(terms.resource(None).unwrap(), Some(expected));
    let nothing = self::terms(&[], None).0.resource(None).unwrap().unwrap();
    assert_eq!(nothing["spec"], json!({ "roles": [] }));
}

#[test]
fn order_has_no_meaning() {
    for traits in [None, Some(json!({ "logins": ["deploy", "root", "deploy"] }))] {
        let (terms, _) = terms(&["audit", "access"], traits);
        assert_eq!(terms.resource(Some(&bot(stored()))).unwrap(), None);
    }
}

#[test]
fn what_is_not_named_stays() {
    let mut expected = stored();
    expected.as_object_mut().unwrap().shift_remove("status");
    expected["metadata"] =
        json!({ "name": "test-bot", "labels": { "a": "b" }, "expires": "2030-01-01T00:00:00Z" });
    expected["spec"]["roles"] = json!(["access"]);
    let applied = terms(&["access"], None).0.resource(Some(&bot(stored()))).unwrap();
    assert_eq!(applied, Some(expected.clone()));

    let applied = terms(&["access"], Some(json!({}))).0.resource(Some(&bot(stored()))).unwrap().unwrap();
    expected["spec"]["traits"] = json!([]);
    assert_eq!(applied, expected);
    assert_eq!(terms(&["access"], Some(json!({}))).0.resource(Some(&bot(applied))).unwrap(), None);
}

#[test]
fn a_role_that_is_given_twice_is_one_with_a_warning() {
    let (terms, warnings) = terms(&["access", " access", "audit", "Access", "audit", "audit"], None);
    snapshot!(warnings.join("\n"), @"the bot `test-bot` is given `access`, `audit` more than once; once is enough");
    assert_eq!(terms.resource(None).unwrap().unwrap()["spec"]["roles"], json!(["access", "audit", "Access"]));
}

#[test]
fn what_is_no_bot_of_ours_is_a_conflict() {
    let with = |change: fn(&mut Value)| {
        let mut value = stored();
        change(&mut value);
        value
    };
    let cases = [
        ("a text", json!("x")),
        ("a token", with(|it| it["kind"] = json!("token"))),
        ("no name", with(|it| it["metadata"] = json!({}))),
        ("another name", with(|it| it["metadata"]["name"] = json!("other"))),
        ("a scope", with(|it| it["scope"] = json!("/team"))),
        ("a spec that is a text", with(|it| it["spec"] = json!("x"))),
        ("roles that are a text", with(|it| it["spec"]["roles"] = json!("x"))),
        ("traits that are an object", with(|it| it["spec"]["traits"] = json!({ "logins": ["root"] }))),
    ];
    let said = listed(cases, |(what, value)| {
        let outcome =
            Bot::from_value(value.clone()).and_then(|bot| terms(&["a"], None).0.resource(Some(&bot)));
        ((*what).to_owned(), told(&outcome.unwrap_err()))
    });
    snapshot!(said, @r#"
    a text
        conflict: the cluster's bot is not an object; it was not changed
    a token
        conflict: the cluster answered with another resource than a bot (kind must be bot); it was not changed
    no name
        conflict: the cluster's bot has a name that cannot be used: "" is no name: use letters, digits and any of - _ . : @ + = (at most 255, not - first); it was not changed
    another name
        conflict: the cluster's bot is `other`, not `test-bot`; it was not changed
    a scope
        conflict: the bot `test-bot` has the scope `/team`, so it takes no roles of its own; it was not changed
        hint: give its roles by assignments in its scope, and leave out the bot's roles here
    a spec that is a text
        conflict: the bot `test-bot` in the cluster has a `spec` that this version cannot read; it was not changed
    roles that are a text
        conflict: the bot `test-bot` in the cluster has a `spec.roles` that this version cannot read; it was not changed
    traits that are an object
        conflict: the bot `test-bot` in the cluster has a `spec.traits` that this version cannot read; it was not changed
    "#);
}

#[test]
fn a_bot_with_nothing_gets_what_it_lacks() {
    for spec in [json!(null), json!({}), json!({ "roles": null, "traits": null })] {
        let bare =
            json!({ "kind": "bot", "version": "v1", "metadata": { "name": "test-bot" }, "spec": spec });
        let (terms, _) = terms(&["access"], Some(json!({ "logins": ["root"] })));
        let applied = terms.resource(Some(&bot(bare.clone()))).unwrap().unwrap();
        assert_eq!(terms.resource(Some(&bot(applied))).unwrap(), None, "{bare}");
        assert_eq!(self::terms(&[], None).0.resource(Some(&bot(bare))).unwrap(), None);
    }
}

#[test]
fn a_cluster_takes_what_is_applied_and_has_it_then() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    let (tctl, wanted) = (cluster.tctl(), name("test-bot"));
    let read = || tctl.get(tbot_tpm::teleport::tctl::Resource::Bot(&wanted)).unwrap().map(bot);
    for (roles, traits) in
        [(["access", "audit"], json!({ "logins": ["root"] })), (["access", "other"], json!({}))]
    {
        let (terms, _) = terms(&roles, Some(traits));
        let resource = terms.resource(read().as_ref()).unwrap().unwrap();
        tctl.create(&tbot_tpm::teleport::yaml::write(&resource)).unwrap();
        assert_eq!(terms.resource(read().as_ref()).unwrap(), None);
    }
    assert_eq!(read().unwrap().user(), "bot-test-bot");
}
