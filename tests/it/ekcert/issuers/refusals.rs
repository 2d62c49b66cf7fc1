//! An empty list of CAs is no answer: a token without CAs checks no certificate.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::server::{Reply, Server};
use crate::support::{fail, run_under, succeed};

fn request(hosts: &[Value], acme: &Manufacturer) -> Value {
    json!({
        "action": "ekcert_ca", "hosts": hosts, "ca_bundle": [acme.issuing], "trusted_roots": [acme.root], "fetch": false,
    })
}

fn without_certificate(description: &str, digit: char) -> Value {
    json!({
        "description": description, "ek_public_hash": digit.to_string().repeat(64), "ek_cert_present": false,
    })
}

#[test]
fn a_host_without_a_trusted_issuer_is_an_error_unless_it_may_be_skipped() {
    let server = Server::http().on("/gone", Reply::status(404, ""));
    let link = server.url("/gone");
    let (acme, other) = (Manufacturer::new("ACME"), Manufacturer::linked("OTHER", &link, &link));
    let unlinked = Manufacturer::new("UNLINKED");
    let mut request = request(&[acme.tpm("a", "01"), other.tpm("b", "02")], &acme);
    request["fetch"] = json!(true);
    request["allowed_urls"] = json!(["127.0.0.1"]);
    snapshot!(fail(&request, "network"), @"no trusted CA was found for an EK certificate: `b`: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/gone: the answer has status 404; see why these servers do not answer, and run this again; or get the certificates of the issuers from the manufacturer, and give them in `ca_bundle`; to leave such hosts out, set `skip_untrusted: true`");
    // Links alone would not have helped this one.
    request["hosts"].as_array_mut().unwrap().push(unlinked.tpm("c", "03"));
    snapshot!(fail(&request, "untrusted_ca"), @"no trusted CA was found for an EK certificate: `b`: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/gone: the answer has status 404; `c`: the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it. The recorded chain of its TPM (NV 0x01C00100 to 0x01C001FF) does not have it either: get it from the manufacturer, and give it in `ca_bundle`; to leave such hosts out, set `skip_untrusted: true`");
    request["skip_untrusted"] = json!(true);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
    assert_eq!(answer["unresolved"].as_array().unwrap().len(), 2);
}

#[test]
fn a_host_whose_certificate_is_not_given_is_an_error_as_well() {
    let acme = Manufacturer::new("ACME");
    let unknown = json!({ "description": "b", "ek_public_hash": "b".repeat(64), "ek_cert_present": true });
    let request = request(&[acme.tpm("a", "01"), unknown], &acme);
    snapshot!(fail(&request, "untrusted_ca"), @"no trusted CA was found for an EK certificate: `b`: its EK certificate is not given (`ek_cert_pem`): identify the host again; to leave such hosts out, set `skip_untrusted: true`");
}

#[test]
fn a_ca_whose_signatures_this_version_cannot_verify_is_an_error_of_its_own() {
    let acme = Manufacturer::new("ACME");
    let small = Manufacturer::on_curves("SMALL", ["P-384", "P-224"]);
    let mut request = request(&[small.tpm("a", "01")], &small);
    snapshot!(fail(&request, "ek_unsupported"), @"no trusted CA was found for an EK certificate: `a`: issued by CN=SMALL Issuing (SHA-256 [HASH], from a text in `ca_bundle`), whose certificate holds a key whose signatures this version cannot verify (ECDSA P-224); give such hosts a token without `ekcert_allowed_cas`; to leave such hosts out, set `skip_untrusted: true`");
    // What is trusted by itself needs no signature of the root.
    let above = Manufacturer::on_curves("ABOVE", ["P-224", "P-384"]);
    request["hosts"] = json!([above.tpm("a", "01")]);
    request["ca_bundle"] = json!([above.issuing]);
    request["trusted_roots"] = json!([above.root]);
    snapshot!(fail(&request, "ek_unsupported"), @"no trusted CA was found for an EK certificate: `a`: issued by CN=ABOVE Issuing (SHA-256 [HASH], from a text in `ca_bundle`), which is not trusted: it was issued by CN=ABOVE Root, whose certificate holds a key whose signatures this version cannot verify (ECDSA P-224); give such hosts a token without `ekcert_allowed_cas`; compare the fingerprint with what the TPM's manufacturer publishes; if it is theirs, give their root in `trusted_roots`, or the issuer's fingerprint in `trusted_sha256`; else leave these hosts out; to leave such hosts out, set `skip_untrusted: true`");
    request["trusted_roots"] = json!([above.issuing]);
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([above.issuing]));
    // Another host's reason is another one.
    let host = Manufacturer::new("OTHER").tpm("b", "02");
    request["hosts"] = json!([small.tpm("a", "01"), host]);
    request["ca_bundle"] = json!([small.issuing, acme.issuing]);
    fail(&request, "untrusted_ca");
}

#[test]
fn no_list_is_empty_where_there_are_hosts() {
    let (acme, other) = (Manufacturer::new("ACME"), Manufacturer::new("OTHER"));
    let mut nobody = request(&[without_certificate("a", 'a'), without_certificate("b", 'b')], &acme);
    snapshot!(fail(&nobody, "untrusted_ca"), @"no host has an EK certificate whose issuer is trusted, and a token without CAs checks no certificate: `a`, `b`: the TPM has no EK certificate; hosts without an EK certificate need a token and a registry of their own");
    nobody["skip_untrusted"] = json!(true);
    fail(&nobody, "untrusted_ca");
    let mut untrusted = request(&[other.tpm("a", "01"), without_certificate("b", 'b')], &acme);
    untrusted["skip_untrusted"] = json!(true);
    untrusted["trusted_roots"] = json!([]);
    snapshot!(fail(&untrusted, "untrusted_ca"), @"no host has an EK certificate whose issuer is trusted, and a token without CAs checks no certificate: `a`: the certificate of its issuer is not in `ca_bundle`, and the EK certificate has no link to it. The recorded chain of its TPM (NV 0x01C00100 to 0x01C001FF) does not have it either: get it from the manufacturer, and give it in `ca_bundle`; `b`: the TPM has no EK certificate; hosts without an EK certificate need a token and a registry of their own");
    let mut alone = request(&[], &acme);
    alone.as_object_mut().unwrap().remove("hosts");
    alone["ek_cert_pem"] = other.tpm("a", "01")["ek_cert_pem"].clone();
    alone["skip_untrusted"] = json!(true);
    fail(&alone, "untrusted_ca");
    // Only the servers are to blame.
    let server = Server::http();
    let linked = Manufacturer::linked("LINKED", &server.url("/root"), &server.url("/issuing"));
    let mut dead = request(&[linked.tpm("a", "01")], &acme);
    dead["fetch"] = json!(true);
    dead["allowed_urls"] = json!(["127.0.0.1"]);
    dead["skip_untrusted"] = json!(true);
    fail(&dead, "network");
}

#[test]
fn a_registry_that_says_nothing_usable_has_hosts_and_an_empty_one_has_none() {
    let acme = Manufacturer::new("ACME");
    let registry = tempfile::tempdir().unwrap();
    let mut request = request(&[], &acme);
    request.as_object_mut().unwrap().remove("hosts");
    request["registry"] = json!(registry.path());
    request["skip_untrusted"] = json!(true);
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([]));
    fs::write(registry.path().join("web-1.json"), "{").unwrap();
    let message = fail(&request, "untrusted_ca");
    assert!(message.contains("web-1.json"), "{message}");
    // A CA that the token allows stays, whatever is known of hosts.
    let token = json!({
        "kind": "token", "version": "v2", "metadata": { "name": "fleet" },
        "spec": {
            "roles": ["Bot"], "join_method": "tpm", "bot_name": "bot",
            "tpm": { "ekcert_allowed_cas": [acme.issuing], "allow": [{ "ek_public_hash": "ab".repeat(32) }] },
        },
    });
    request["current"] = token;
    assert_eq!(run_under(&request, &[])["ekcert_allowed_cas"], json!([acme.issuing]));
}
