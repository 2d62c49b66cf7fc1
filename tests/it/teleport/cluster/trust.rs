//! Which certificates are trusted.

use super::{FIND, Proxy, found, request};
use crate::support::messages::{listed, snapshot};
use crate::support::server::{Reply, Server};
use crate::support::web_authority::{Certified, Valid, WebAuthority};
use crate::support::{fail, run_under, succeed};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_certificate_that_is_not_trusted_says_why() {
    let authority = WebAuthority::new();
    let here = ["IP:127.0.0.1"];
    let certificates = [
        ("expired", authority.certify_when(&here, Valid::Past)),
        ("not valid yet", authority.certify_when(&here, Valid::Future)),
        ("for others", authority.certify(&["DNS:other.example", "IP:192.0.2.1"])),
        ("for nobody", authority.certify(&[])),
        ("self-signed", WebAuthority::self_signed(&here)),
        ("by another CA of the same name", WebAuthority::new().certify(&here)),
    ];
    let said = listed(certificates, |(what, certified)| {
        let server = Server::https(certified).on(FIND, Reply::ok(found().to_string()));
        let request = request(&server.address().to_string(), &authority.pem_file());
        let answer = run_under(&request, &[]);
        assert_eq!(answer["error"]["kind"], "network", "{answer}");
        assert_eq!(server.heads().len(), 0, "nothing is said to a server that is not trusted");
        let said = |value: &Value| value.as_str().unwrap().to_owned();
        ((*what).to_owned(), format!("{}\n{}", said(&answer["msg"]), said(&answer["error"]["hint"])))
    });
    snapshot!(said, @r#"
    expired
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it expired on 2021-01-01; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    not valid yet
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is not valid before 2049-01-01; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    for others
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is for other.example, 192.0.2.1; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    for nobody
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it has no subjectAltName with a DNS name or an IP address, so it is for no host; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    self-signed
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    by another CA of the same name
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: its signature does not verify; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
        give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    "#);
}

const HERE: [&str; 1] = ["IP:127.0.0.1"];

/// What comes of asking a server that has the first certificate, where `ca_file` has the second.
fn answer(server: &Certified, given: &str) -> Value {
    let server = Server::https(server).on(FIND, Reply::ok(found().to_string()));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, given).unwrap();
    run_under(&request(&server.address().to_string(), &file), &[])
}

#[test]
fn a_self_signed_certificate_that_is_given_is_trusted_as_exactly_itself() {
    for constraints in ["CA:TRUE", "CA:FALSE"] {
        let [certified, other] =
            [(); 2].map(|()| WebAuthority::self_signed_when(constraints, &HERE, Valid::Now));
        let told = answer(&certified, &certified.pem());
        assert_eq!(told["server_version"], "18.2.0", "{constraints}: {told}");
        let among = format!("{}{}", other.pem(), certified.pem());
        assert_eq!(answer(&certified, &among)["server_version"], "18.2.0");
        assert_eq!(answer(&certified, &other.pem())["error"]["kind"], "network");
    }
    // One of a private CA may be given by itself, too.
    let issued = WebAuthority::new().certify(&HERE);
    assert_eq!(answer(&issued, &issued.pem())["server_version"], "18.2.0");
}

#[test]
fn a_certificate_that_is_given_has_to_be_for_the_host_and_valid() {
    let self_signed = WebAuthority::self_signed_when;
    let certificates = [
        ("for others", self_signed("CA:TRUE", &["DNS:other.example", "IP:192.0.2.1"], Valid::Now)),
        ("for nobody", self_signed("CA:TRUE", &[], Valid::Now)),
        ("for nobody, and of no CA", self_signed("CA:FALSE", &[], Valid::Now)),
        ("for a person", self_signed("CA:TRUE", &["email:me@example.com"], Valid::Now)),
        ("expired", self_signed("CA:TRUE", &HERE, Valid::Past)),
        ("not valid yet", self_signed("CA:FALSE", &HERE, Valid::Future)),
    ];
    let said = listed(certificates, |(what, certified)| {
        let answer = answer(certified, &certified.pem());
        assert_eq!(answer["error"]["kind"], "network", "{answer}");
        ((*what).to_owned(), answer["msg"].as_str().unwrap().to_owned())
    });
    snapshot!(said, @r"
    for others
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is for other.example, 192.0.2.1; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    for nobody
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it has no subjectAltName with a DNS name or an IP address, so it is for no host; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    for nobody, and of no CA
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it has no subjectAltName with a DNS name or an IP address, so it is for no host; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    for a person
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it has no subjectAltName with a DNS name or an IP address, so it is for no host; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    expired
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it expired on 2021-01-01; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    not valid yet
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is not valid before 2049-01-01; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`
    ");
}

#[test]
fn a_certificate_of_a_ca_that_was_not_given_is_no_servers() {
    let certified = WebAuthority::self_signed_when("CA:TRUE", &HERE, Valid::Now);
    let answer = answer(&certified, &WebAuthority::self_signed(&HERE).pem());
    snapshot!(answer["msg"].as_str().unwrap(), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is the certificate of a CA, which is only trusted as a server's own if it was given; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`");
}

#[test]
fn a_certificate_of_no_ca_vouches_for_no_other() {
    let authority = WebAuthority::new();
    let (issuer, server) = authority.misused(&HERE);
    assert_eq!(answer(&issuer, &issuer.pem())["server_version"], "18.2.0");
    let answer = answer(&server, &issuer.pem());
    snapshot!(answer["msg"].as_str().unwrap(), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`");
}

#[test]
fn p_521_is_verified_throughout() {
    let authority = WebAuthority::with_curve("P-521");
    let server =
        Server::https(&authority.certify(&["IP:127.0.0.1"])).on(FIND, Reply::ok(found().to_string()));
    let address = server.address().to_string();
    assert_eq!(succeed(&request(&address, &authority.pem_file()))["server_version"], "18.2.0");
    let stranger = WebAuthority::with_curve("P-521");
    snapshot!(fail(&request(&address, &stranger.pem_file()), "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: its signature does not verify; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`");
}

#[test]
fn a_ca_file_is_certificates_and_nothing_else() {
    let proxy = Proxy::answering(&found());
    let directory = tempfile::tempdir().unwrap();
    let (pem, key) = (
        fs::read_to_string(proxy.authority.pem_file()).unwrap(),
        fs::read_to_string(proxy.authority.key_file()).unwrap(),
    );
    let other = fs::read_to_string(WebAuthority::new().pem_file()).unwrap();
    let file = directory.path().join("ca.pem");
    let mut with_file = proxy.request();
    with_file["ca_file"] = json!(file);
    fail(&with_file, "not_found");
    let broken = pem.replacen("MII", "!!!", 1);
    for (content, why) in [
        (String::new(), "no certificate"),
        ("garbage".to_owned(), "no certificate"),
        (broken, "PEM block"),
        (format!("{pem}{key}"), "private key"),
        (key, "private key"),
    ] {
        fs::write(&file, content).unwrap();
        let message = fail(&with_file, "certificate_invalid");
        assert!(message.contains(why) && message.contains(file.to_str().unwrap()), "{message}");
    }
    fs::write(&file, [0x30, 0x82, 0xff]).unwrap();
    snapshot!(fail(&with_file, "certificate_invalid"), @"[DIR]/ca.pem is not a PEM text; convert it: openssl x509 -inform DER -in FILE -out FILE.pem");
    assert_eq!(proxy.server.connections(), 0);
    fs::write(&file, format!("{other}{pem}")).unwrap();
    assert_eq!(succeed(&with_file)["server_version"], "18.2.0");
    with_file["ca_file"] = json!("relative.pem");
    fail(&with_file, "invalid_request");
}

#[test]
fn the_systems_roots_are_trusted_wherever_they_are() {
    let proxy = Proxy::answering(&found());
    let mut request = proxy.request();
    request.as_object_mut().unwrap().remove("ca_file");
    snapshot!(fail(&request, "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it; give the CA that issued it, or a self-signed certificate itself, as `ca_file`, or correct `proxy_server`");
    let pem_file = proxy.authority.pem_file();
    let answer = run_under(&request, &[("SSL_CERT_FILE", pem_file.to_str().unwrap())]);
    assert_eq!(answer["server_version"], "18.2.0", "{answer}");
    let directory = tempfile::tempdir().unwrap();
    fs::copy(&pem_file, directory.path().join("web.pem")).unwrap();
    let answer = run_under(&request, &[("SSL_CERT_DIR", directory.path().to_str().unwrap())]);
    assert_eq!(answer["server_version"], "18.2.0", "{answer}");
    let nothing = [("SSL_CERT_FILE", "/nonexistent")];
    assert_eq!(run_under(&request, &nothing)["error"]["kind"], "network");
    assert_eq!(run_under(&proxy.request(), &nothing)["server_version"], "18.2.0");
}
