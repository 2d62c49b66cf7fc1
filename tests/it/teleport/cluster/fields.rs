//! Fields of the answer that are odd or missing: only those that are asked for can fail.

use super::{Proxy, found};
use crate::support::messages::{listed, snapshot};
use crate::support::{fail, succeed};
use serde_json::{Value, json};

/// What a request is answered where the proxy's answer has this in place of what it usually says.
fn ask(change: &Value, parameters: &Value) -> (Proxy, Value) {
    let mut answer = found();
    answer.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let proxy = Proxy::answering(&answer);
    let mut request = proxy.request();
    request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    (proxy, request)
}

#[test]
fn what_is_odd_and_not_asked_for_is_null_with_a_warning() {
    let said = listed(
        [
            json!({ "min_client_version": "17" }),
            json!({ "min_client_version": 17 }),
            json!({ "cluster_name": ["a"] }),
            json!({ "edition": { "name": "ent" } }),
            json!({ "auto_update": "yes" }),
            json!({ "auto_update": { "agent_version": "../../evil", "tools_version": 18, "x": [] } }),
        ],
        |change| {
            let (_proxy, request) = ask(change, &json!({}));
            let answer = succeed(&request);
            let (name, value) = change.as_object().unwrap().iter().next().unwrap();
            let expected = if value.is_object() && name == "auto_update" {
                json!({ "agent_version": null, "tools_version": null, "x": [] })
            } else {
                Value::Null
            };
            assert_eq!(answer[name], expected, "{answer}");
            let warnings = answer["warnings"].as_array().unwrap();
            let warnings: Vec<&str> = warnings.iter().map(|warning| warning.as_str().unwrap()).collect();
            (change.to_string(), warnings.join("\n"))
        },
    );
    snapshot!(said, @r#"
    {"min_client_version":"17"}
        `min_client_version` in the answer of the proxy 127.0.0.1:[PORT] is "17", which is not a version; it is ignored
    {"min_client_version":17}
        `min_client_version` in the answer of the proxy 127.0.0.1:[PORT] is not a text; it is ignored
    {"cluster_name":["a"]}
        `cluster_name` in the answer of the proxy 127.0.0.1:[PORT] is not a text; it is ignored
    {"edition":{"name":"ent"}}
        `edition` in the answer of the proxy 127.0.0.1:[PORT] is not a text; it is ignored
    {"auto_update":"yes"}
        `auto_update` in the answer of the proxy 127.0.0.1:[PORT] is not an object; it is ignored
    {"auto_update":{"agent_version":"../../evil","tools_version":18,"x":[]}}
        `auto_update.agent_version` in the answer of the proxy 127.0.0.1:[PORT] is "../../evil", which is not a version; it is ignored
        `auto_update.tools_version` in the answer of the proxy 127.0.0.1:[PORT] is not a text; it is ignored
    "#);
}

#[test]
fn what_is_null_or_missing_and_not_asked_for_is_null_without_a_word() {
    let names = ["min_client_version", "cluster_name", "edition", "auto_update"];
    let nothing = json!({ "server_version": "18.2.0" });
    let mut nulls = nothing.clone();
    for name in names {
        nulls[name] = Value::Null;
    }
    for answer in [nothing, nulls] {
        let told = succeed(&Proxy::answering(&answer).request());
        assert!(names.iter().all(|name| told.get(*name) == Some(&Value::Null)), "{told}");
        assert_eq!((&told["server_version"], &told["warnings"]), (&json!("18.2.0"), &json!([])));
    }
}

#[test]
fn each_field_that_is_asked_for_has_to_be_there() {
    let said = listed(
        [
            json!({ "server_version": null }),
            json!({ "server_version": "" }),
            json!({ "server_version": 18 }),
            json!({ "min_client_version": null }),
            json!({ "min_client_version": "17" }),
            json!({ "cluster_name": 7 }),
            json!({ "edition": null }),
            json!({ "auto_update": "yes" }),
            json!({ "auto_update": { "agent_version": "../../evil" } }),
        ],
        |change| {
            let name = change.as_object().unwrap().keys().next().unwrap();
            let (_proxy, request) = ask(change, &json!({ "require": name }));
            let message = fail(&request, "network");
            let (_proxy, request) = ask(change, &json!({ "require": [] }));
            assert_eq!(succeed(&request)["changed"], false);
            (change.to_string(), message)
        },
    );
    snapshot!(said, @r#"
    {"server_version":null}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: it has no `server_version`; give the address of the Proxy Service's web port as `proxy_server`
    {"server_version":""}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: it has no `server_version`; give the address of the Proxy Service's web port as `proxy_server`
    {"server_version":18}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is not a text; give the address of the Proxy Service's web port as `proxy_server`
    {"min_client_version":null}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: it has no `min_client_version`; give the address of the Proxy Service's web port as `proxy_server`
    {"min_client_version":"17"}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `min_client_version` is "17", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    {"cluster_name":7}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `cluster_name` is not a text; give the address of the Proxy Service's web port as `proxy_server`
    {"edition":null}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: it has no `edition`; give the address of the Proxy Service's web port as `proxy_server`
    {"auto_update":"yes"}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `auto_update` is not an object; give the address of the Proxy Service's web port as `proxy_server`
    {"auto_update":{"agent_version":"../../evil"}}
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `auto_update.agent_version` is "../../evil", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "#);
    let all = ["server_version", "min_client_version", "cluster_name", "edition", "auto_update"];
    let (_proxy, request) = ask(&json!({}), &json!({ "require": all }));
    assert_eq!(succeed(&request)["edition"], "ent");
    let (_proxy, request) = ask(&json!({}), &json!({ "require": ["version"] }));
    snapshot!(fail(&request, "invalid_request"), @"parameter `require[0]` of action `cluster`: `version` is none of its values: edition, server_version, cluster_name, min_client_version, auto_update");
}

#[test]
fn joining_by_tpm_needs_enterprise() {
    let enterprise = json!({ "require_enterprise": true });
    let said = listed(["oss", "community", "Community"], |edition| {
        let change = json!({ "edition": edition });
        let (_proxy, request) = ask(&change, &enterprise);
        let message = fail(&request, "join_would_fail");
        let (_proxy, request) = ask(&change, &json!({}));
        assert_eq!(succeed(&request)["edition"], **edition);
        ((*edition).to_owned(), message)
    });
    snapshot!(said, @r"
    oss
        joining by TPM needs Teleport Enterprise, and the cluster at 127.0.0.1:[PORT] runs edition `oss`; use a Teleport Enterprise cluster; if this one is such a build, set `tbot_assume_enterprise: true`
    community
        joining by TPM needs Teleport Enterprise, and the cluster at 127.0.0.1:[PORT] runs edition `community`; use a Teleport Enterprise cluster; if this one is such a build, set `tbot_assume_enterprise: true`
    Community
        joining by TPM needs Teleport Enterprise, and the cluster at 127.0.0.1:[PORT] runs edition `Community`; use a Teleport Enterprise cluster; if this one is such a build, set `tbot_assume_enterprise: true`
    ");
    for edition in [json!("ent"), json!("cloud"), json!(""), Value::Null, json!(["oss"])] {
        let (_proxy, request) = ask(&json!({ "edition": edition }), &enterprise);
        assert_eq!(succeed(&request)["server_version"], "18.2.0", "{edition}");
    }
}
