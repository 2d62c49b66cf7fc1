//! Finding the CAs of EK certificates: in bundles and by links, trusted or not.

use std::fs;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::server::{Reply, Server};
use crate::support::{fail, succeed, tool};

/// A PEM certificate in another form, by openssl.
fn converted(pem: &str, arguments: &[&str]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), pem).unwrap();
    let mut all = arguments.to_vec();
    let place = file.path().to_str().unwrap();
    all.extend([if arguments[0] == "crl2pkcs7" { "-certfile" } else { "-in" }, place]);
    tool("openssl", &all)
}

fn der(pem: &str) -> Vec<u8> {
    converted(pem, &["x509", "-outform", "DER"])
}

fn pkcs7(pem: &str) -> Vec<u8> {
    converted(pem, &["crl2pkcs7", "-nocrl", "-outform", "DER"])
}

/// The server's host and port, as `allowed_urls` takes them.
fn allowed(server: &Server) -> Value {
    json!([server.url("").trim_start_matches("http://").trim_end_matches('/')])
}

/// A manufacturer whose certificates link to this server.
fn linked(name: &str, server: &Server) -> Manufacturer {
    Manufacturer::linked(name, &server.url("/root"), &server.url("/issuing"))
}

#[test]
fn a_file_of_certificates_in_der_one_after_another_is_read_whole() {
    let server = Server::http();
    let (acme, other) = (Manufacturer::new("ACME"), linked("OTHER", &server));
    let both = [der(&other.issuing), der(&acme.issuing)].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    for padding in [&b""[..], &[0xff; 40], b"\r\n"] {
        fs::write(file.path(), [&both, padding].concat()).unwrap();
        let answer = succeed(&json!({
            "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "ca_bundle": [file.path()],
            "trusted_roots": [acme.root], "fetch": false,
        }));
        assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
        assert!(!answer["warnings"].to_string().contains("left out"), "{answer}");
    }
    // What a link leads to is read the same way.
    let server = server.on("/issuing", Reply::ok([der(&acme.issuing), der(&other.issuing)].concat()));
    let mut request = json!({
        "action": "ekcert_ca", "hosts": [other.tpm("b", "02")], "trusted_roots": [other.root],
        "allowed_urls": allowed(&server),
    });
    assert_eq!(succeed(&request)["ekcert_allowed_cas"], json!([other.issuing]));
    // What comes before something else counts, with a warning.
    fs::write(file.path(), [&both[..], b"something else"].concat()).unwrap();
    request["ca_bundle"] = json!([file.path()]);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([other.issuing]));
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("other data follow certificate 2"), "{warning}");
}

#[test]
fn a_bundle_and_a_root_prove_the_issuer_without_a_request() {
    let acme = Manufacturer::new("ACME");
    let bundle = tempfile::tempdir().unwrap();
    fs::create_dir(bundle.path().join("acme")).unwrap();
    fs::write(bundle.path().join("acme/issuing.p7b"), pkcs7(&acme.issuing)).unwrap();
    fs::write(bundle.path().join("README"), "none here").unwrap();
    let root = bundle.path().join(".root.der");
    fs::write(&root, der(&acme.root)).unwrap();
    let answer = succeed(&json!({
        "action": "ekcert_ca", "hosts": [acme.tpm("a", "01"), acme.tpm("b", "02")],
        "ca_bundle": [bundle.path()], "trusted_roots": [root],
    }));
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
    assert_eq!((&answer["requests"], &answer["unresolved"]), (&json!(0), &json!([])));
    let issuer = &answer["issuers"][0];
    assert_eq!((&issuer["trusted"], &issuer["hosts"]), (&json!(true), &json!(["a", "b"])));
    let chain: Vec<&Value> = issuer["chain"].as_array().unwrap().iter().map(|it| &it["subject"]).collect();
    assert_eq!(chain, ["CN=ACME Issuing", "CN=ACME Root"]);
}

#[test]
fn certificates_may_be_one_text_with_remarks() {
    let acme = Manufacturer::new("ACME");
    let bundle = format!("# ACME, Inc.: Issuing, 2026\n{}\n# Root\n{}", acme.issuing, acme.root);
    let answer = succeed(&json!({
        "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "fetch": false,
        "ca_bundle": bundle, "trusted_roots": acme.root,
    }));
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
}

#[test]
fn links_lead_up_to_the_root_and_each_is_asked_once() {
    for form in [der as fn(&str) -> Vec<u8>, pkcs7, |pem| pem.as_bytes().to_vec()] {
        let server = Server::http();
        let acme = linked("ACME", &server);
        let server = server.on("/issuing", Reply::ok(form(&acme.issuing)));
        let hosts: Vec<Value> = ["a", "b", "c"].iter().map(|name| acme.tpm(name, "01")).collect();
        let answer = succeed(&json!({
            "action": "ekcert_ca", "hosts": hosts, "trusted_roots": [acme.root],
            "allowed_urls": allowed(&server),
        }));
        assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
        assert_eq!(answer["issuers"][0]["source"], json!(server.url("/issuing")));
        assert_eq!(server.count("/issuing"), 1);
        // The root is there already.
        assert_eq!(server.count("/root"), 0);
    }
}

#[test]
fn a_forged_certificate_with_a_link_to_the_forgers_own_ca_does_not_get_through() {
    let server = Server::http();
    let (genuine, forger) = (Manufacturer::new("ACME"), linked("ACME", &server));
    let server =
        server.on("/issuing", Reply::ok(der(&forger.issuing))).on("/root", Reply::ok(der(&forger.root)));
    let mut request = json!({
        "action": "ekcert_ca", "hosts": [genuine.tpm("good", "01"), forger.tpm("evil", "01")],
        "ca_bundle": [genuine.issuing], "trusted_roots": [genuine.root], "allowed_urls": allowed(&server),
    });
    let message = fail(&request, "untrusted_ca");
    for part in ["`evil`", "CN=ACME Issuing", &server.url("/issuing"), "CN=ACME Root", "`trusted_sha256`"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("`good`"), "{message}");

    request["skip_untrusted"] = json!(true);
    let answer = succeed(&request);
    assert_eq!(answer["ekcert_allowed_cas"], json!([genuine.issuing]));
    assert_eq!(answer["unresolved"][0]["hosts"], json!(["evil"]));
}

#[test]
fn a_pin_is_for_that_certificate_and_not_for_what_it_issued() {
    let acme = Manufacturer::new("ACME");
    let fingerprint = |pem: &str| {
        let words = converted(pem, &["x509", "-noout", "-fingerprint", "-sha256"]);
        String::from_utf8(words).unwrap().trim().split_once('=').unwrap().1.to_owned()
    };
    let request = |pinned: &str| {
        json!({
            "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "fetch": false,
            "ca_bundle": [acme.issuing, acme.root], "trusted_sha256": [fingerprint(pinned)],
        })
    };
    assert_eq!(succeed(&request(&acme.issuing))["ekcert_allowed_cas"], json!([acme.issuing]));
    fail(&request(&acme.root), "untrusted_ca");
}

#[test]
fn a_dead_link_is_told_with_its_reason_and_stops_no_other_host() {
    let server = Server::http()
        .on("/gone", Reply::status(410, ""))
        .on("/endless", Reply::endless("HTTP/1.1 200 OK\r\n\r\n"));
    let acme = Manufacturer::new("ACME");
    let cases = [
        (server.url("/gone"), "status 410"),
        (server.url("/endless"), "65536"),
        ("ldap://pki.example/cn=ca".to_owned(), "only http and https"),
        ("http://10.0.0.1/ca".to_owned(), "allowed_urls"),
    ];
    for (link, why) in cases {
        let other = Manufacturer::linked("OTHER", &link, &link);
        let answer = succeed(&json!({
            "action": "ekcert_ca", "hosts": [acme.tpm("a", "01"), other.tpm("b", "01")],
            "ca_bundle": [acme.issuing], "trusted_roots": [acme.root], "allowed_urls": allowed(&server),
            "skip_untrusted": true,
        }));
        assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
        assert_eq!(answer["unresolved"][0]["hosts"], json!(["b"]));
        let reason = answer["unresolved"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&link) && reason.contains(why), "{reason}");
    }
}

#[test]
fn links_to_this_machine_are_not_followed_unless_named() {
    let server = Server::http();
    let acme = linked("ACME", &server);
    let server = server.on("/issuing", Reply::ok(der(&acme.issuing)));
    let message = fail(
        &json!({ "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "trusted_roots": [acme.root] }),
        "network",
    );
    assert!(message.contains("loopback"), "{message}");
    assert_eq!(server.count("/issuing"), 0);
}

#[test]
fn hosts_without_a_usable_certificate_are_told_apart() {
    let acme = Manufacturer::new("ACME");
    let mut wrong = acme.tpm("wrong", "01");
    wrong["ek_cert_serial"] = json!("02");
    let hash = "ab".repeat(32);
    let answer = succeed(&json!({
        "action": "ekcert_ca", "fetch": false, "ca_bundle": [acme.issuing], "trusted_roots": [acme.root],
        "skip_untrusted": true,
        "hosts": [
            { "description": "none", "ek_public_hash": hash, "ek_cert_present": false },
            wrong,
            acme.tpm("good", "03"),
        ],
    }));
    assert_eq!(answer["without_certificate"], json!(["none"]));
    assert_eq!(answer["unresolved"][0]["hosts"], json!(["wrong"]));
    assert_eq!(answer["ekcert_allowed_cas"], json!([acme.issuing]));
}

#[test]
fn bad_input_is_refused_with_what_to_do() {
    let acme = Manufacturer::new("ACME");
    let pem = acme.tpm("a", "01")["ek_cert_pem"].clone();
    let empty = tempfile::tempdir().unwrap();
    for (change, kind, part) in [
        (json!({ "ek_cert_pem": pem, "hosts": [] }), "invalid_request", "not both"),
        (json!({}), "invalid_request", "needs"),
        (json!({ "ek_cert_pem": pem, "trusted_sha256": ["ab"] }), "invalid_request", "64 hexadecimal digits"),
        (json!({ "ek_cert_pem": pem, "ca_bundle": ["roots"] }), "invalid_request", "neither PEM nor a path"),
        (
            json!({ "ek_cert_pem": pem, "ca_bundle": [empty.path()] }),
            "certificate_invalid",
            "holds no certificate",
        ),
        (json!({ "ek_cert_pem": pem, "trusted_roots": ["/nonexistent"] }), "not_found", "/nonexistent"),
        (json!({ "ek_cert_pem": pem, "allowed_urls": ["http://x/"] }), "invalid_request", "allowed_urls"),
        (json!({ "ek_cert_pem": pem, "timeout": 0 }), "invalid_request", "timeout"),
    ] {
        let mut request = json!({ "action": "ekcert_ca" });
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let message = fail(&request, kind);
        assert!(message.contains(part), "{message}");
    }
}
