//! Finding issuers beside the CAs that tokens allow already, and beside a registry's archive.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::server::{Reply, Server};
use crate::support::{fail, succeed};

/// A request for the issuer of one host, whose links may lead to this server.
fn request(acme: &Manufacturer, server: &Server) -> Value {
    let address = server.url("");
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    json!({
        "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "trusted_roots": [acme.root], "allowed_urls": [address],
    })
}

/// A token as a cluster has it.
fn token(cas: &[&str]) -> Value {
    json!({
        "kind": "token", "version": "v2", "metadata": { "name": "fleet" },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "bot",
            "tpm": { "ekcert_allowed_cas": cas, "allow": [{ "ek_public_hash": "ab".repeat(32) }] },
        },
    })
}

#[test]
fn a_ca_that_a_token_allows_is_found_though_its_link_is_dead_by_now() {
    let server = Server::http();
    let acme = Manufacturer::linked("ACME", &server.url("/root"), &server.url("/issuing"));
    let mut request = request(&acme, &server);
    for current in [
        token(&[&acme.issuing]),
        json!([token(&[]), token(&[&acme.issuing])]),
        json!(["", token(&[&acme.issuing]).to_string()]),
    ] {
        request["current"] = current;
        let answer = succeed(&request);
        assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
        assert_eq!(answer["issuers"][0]["source"], "token `fleet`");
        assert_eq!(answer["requests"], 0);
    }
    request["current"] = token(&[]);
    fail(&request, "network");
}

#[test]
fn a_ca_that_a_token_allows_stays_where_it_is_trusted_and_no_longer() {
    let server = Server::http();
    let acme = Manufacturer::new("ACME");
    let other = Manufacturer::linked("OTHER", &server.url("/root"), &server.url("/issuing"));
    let server = server.on("/root", Reply::ok(other.root.clone().into_bytes()));
    let mut request = request(&acme, &server);
    request["ca_bundle"] = json!([acme.issuing]);
    request["current"] = token(&[&acme.issuing, &other.issuing]);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
    let warning = answer["warnings"][0].as_str().unwrap();
    snapshot!(warning, @"no longer in `ekcert_allowed_cas`: CN=OTHER Issuing (SHA-256 [HASH], from token `fleet`), which is not trusted: CN=OTHER Root (SHA-256 [HASH], from http://127.0.0.1:[PORT]/root) is a root that is not among the trusted ones");

    request["trusted_roots"] = json!([acme.root, other.root]);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing, other.issuing]));
    assert_eq!(answer["issuers"][1]["hosts"], json!([]));
    assert!(!answer["warnings"].to_string().contains("no longer in"), "{answer}");
}

#[test]
fn a_host_that_counts_as_archived_needs_no_ca() {
    let (acme, other) = (Manufacturer::new("ACME"), Manufacturer::new("OTHER"));
    let registry = tempfile::tempdir().unwrap();
    for (name, host) in [("a", acme.tpm("a", "01")), ("b", other.tpm("b", "01"))] {
        fs::write(registry.path().join(format!("{name}.json")), host.to_string()).unwrap();
    }
    let mut request = json!({
        "action": "ekcert_ca", "registry": registry.path(), "fetch": false,
        "ca_bundle": [acme.issuing, other.issuing], "trusted_roots": [acme.root, other.root],
    });
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([acme.issuing, other.issuing]));
    request["archived"] = json!(["b"]);
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([acme.issuing]));

    request["hosts"] = json!([{ "description": "b", "ek_public_hash": "ab".repeat(32) }]);
    snapshot!(fail(&request, "invalid_request"), @"`archived` names `b`, which is given as a host too");
    request.as_object_mut().unwrap().remove("registry");
    snapshot!(fail(&request, "invalid_request"), @"`archived` names hosts of the registry, and needs `registry`");
}
