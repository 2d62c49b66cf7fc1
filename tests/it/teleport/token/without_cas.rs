//! A token without CAs checks no EK certificate, so it takes an explicit word where it could be an oversight.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::tokens::{hash, host, request, resources, token};
use crate::support::{fail, succeed};

fn with_cas(cas: &[&str]) -> Value {
    let mut token = token(json!([{ "description": "web-1", "ek_public_hash": hash('a') }]));
    token["spec"]["tpm"]["ekcert_allowed_cas"] = json!(cas);
    token
}

fn cas(answer: &Value) -> Value {
    resources(answer)[0]["spec"]["tpm"]["ekcert_allowed_cas"].clone()
}

#[test]
fn an_empty_list_takes_a_word() {
    let acme = Manufacturer::new("Acme");
    for given in [json!([]), json!("[]")] {
        let message = fail(&request(json!({ "ekcert_allowed_cas": given })), "invalid_request");
        assert!(message.contains("`ekcert_allowed_cas` is empty"), "{message}");
    }
    snapshot!(fail(&request(json!({ "ekcert_allowed_cas": [] })), "invalid_request"), @"`ekcert_allowed_cas` is empty, and a token without CAs checks no EK certificate; leave the parameter out to keep the CAs that the token has; give the CAs (`ekcert_ca` finds them), or set `allow_without_cas: true` if TPMs may join without a manufacturer's certificate");
    let strict = json!({ "ekcert_allowed_cas": [], "allow_without_cas": false });
    fail(&request(strict), "invalid_request");

    // With that word, a token loses the CAs that it has; without the parameter it keeps them.
    let current = with_cas(&[&acme.issuing]);
    let only = json!([acme.tpm("web-2", "01")]);
    let mut asked = json!({ "current": current, "hosts": only, "ekcert_allowed_cas": [] });
    fail(&request(asked.clone()), "invalid_request");
    asked["allow_without_cas"] = json!(true);
    assert_eq!(cas(&succeed(&request(asked))), Value::Null);
    let kept = succeed(&request(json!({ "current": current, "hosts": only })));
    assert_eq!(cas(&kept), json!([acme.issuing]));
    let also = json!({ "current": current, "hosts": only, "allow_without_cas": true });
    assert_eq!(cas(&succeed(&request(also))), json!([acme.issuing]));
}

#[test]
fn where_it_is_ruled_out_no_token_without_cas_lets_a_host_in() {
    let acme = Manufacturer::new("Acme");
    let strict = |more: Value| {
        let mut asked = json!({ "allow_without_cas": false, "hosts": [host("web-2", 'b')] });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request(asked)
    };
    snapshot!(fail(&strict(json!({})), "invalid_request"), @"token `web` would have no `ekcert_allowed_cas`, and `allow_without_cas: false` rules that out; give the CAs (`ekcert_ca` finds them), or set `allow_without_cas: true` if TPMs may join without a manufacturer's certificate");
    fail(&strict(json!({ "shards": 4 })), "invalid_request");
    let bare = with_cas(&[]);
    fail(&strict(json!({ "current": bare })), "invalid_request");
    // One that the cluster has may lose rules.
    let mut less = strict(json!({ "current": bare, "remove": [hash('a')] }));
    less.as_object_mut().unwrap().remove("hosts");
    assert_eq!(succeed(&less)["delete"], json!(["web"]));
    // Those that a token has are enough.
    let current = with_cas(&[&acme.issuing]);
    let kept = succeed(&strict(json!({ "current": current, "hosts": [acme.tpm("web-2", "01")] })));
    assert_eq!(cas(&kept), json!([acme.issuing]));
}

#[test]
fn a_token_that_is_gone_from_the_cluster_is_not_made_without_the_cas_of_its_file() {
    let acme = Manufacturer::new("Acme");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    let hosts = json!([acme.tpm("web-1", "01")]);
    let first = json!({ "hosts": hosts, "ekcert_allowed_cas": [acme.issuing], "path": path });
    succeed(&request(first));
    let before = fs::read_to_string(&path).unwrap();
    let mut again = json!({ "hosts": hosts, "current": [], "path": path });
    snapshot!(fail(&request(again.clone()), "conflict"), @"token `web` is not in the cluster, and it has `ekcert_allowed_cas` in its file: it would be made without them; give the CAs (`ekcert_ca` finds them), or set `allow_without_cas: true` if TPMs may join without a manufacturer's certificate");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    again["allow_without_cas"] = json!(true);
    assert_eq!(cas(&succeed(&request(again))), Value::Null);
}

#[test]
fn a_serial_number_proves_nothing_without_cas() {
    let acme = Manufacturer::new("Acme");
    let tpms = json!([acme.tpm("web-1", "0a"), acme.tpm("web-2", "0b")]);
    let ask = |more: Value| {
        let mut asked = json!({ "hosts": tpms, "match": "hash_and_serial" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        succeed(&request(asked))["warnings"].to_string()
    };
    snapshot!(ask(json!({})), @r#"["token `web` compares serial numbers in 2 of its rules without `ekcert_allowed_cas`: any CA could issue them, and newer clusters may refuse that; give the CAs, or use `match: hash`"]"#);
    assert_eq!(ask(json!({ "match": "hash" })), "[]");
    assert_eq!(ask(json!({ "ekcert_allowed_cas": [acme.issuing] })), "[]");
    // One that the cluster has so, too.
    let pinned =
        json!({ "description": "web-9", "ek_public_hash": hash('9'), "ek_certificate_serial": "0c" });
    let warnings = ask(json!({ "match": "hash", "current": [token(json!([pinned]))] }));
    assert!(warnings.contains("in 1 of its rules"), "{warnings}");
}
