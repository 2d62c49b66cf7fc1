//! Following links to issuers: redirects, proxies, names that lead to this machine, and limits.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::snapshot;
use crate::support::server::{Reply, Server};
use crate::support::web_authority::WebAuthority;
use crate::support::{note, run_under, tool};

fn der(pem: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), pem).unwrap();
    tool("openssl", &["x509", "-outform", "DER", "-in", file.path().to_str().unwrap()])
}

/// A request for the issuer of one host, which its certificate says is at this URL.
fn request(acme: &Manufacturer) -> Value {
    json!({ "action": "ekcert_ca", "hosts": [acme.tpm("a", "01")], "trusted_roots": [acme.root] })
}

/// What is answered where links may lead to hosts of these patterns.
fn answer(acme: &Manufacturer, patterns: &[&str]) -> Value {
    let mut request = request(acme);
    request["allowed_urls"] = json!(patterns);
    run_under(&request, &[])
}

fn is_found(answer: &Value, acme: &Manufacturer) -> bool {
    answer["ekcert_allowed_cas"] == json!([acme.issuing])
}

/// Why the only host has no CA.
fn reason(answer: &Value) -> &str {
    assert_eq!(answer["error"]["kind"], "network", "{answer}");
    answer["error"]["detail"].as_str().unwrap()
}

#[test]
fn redirects_are_followed_three_times_and_only_where_links_may_lead() {
    let server = Server::http();
    let (link, fourth) = (server.url("/1"), server.url("/4"));
    let acme = Manufacturer::linked("ACME", &link, &link);
    let server = server
        .on("/1", Reply::redirect(301, "/2"))
        .on("/2", Reply::redirect(302, "3"))
        .on("/3", Reply::redirect(307, &fourth))
        .on("/4", Reply::ok(der(&acme.issuing)));
    assert!(is_found(&answer(&acme, &["127.0.0.1"]), &acme));

    server.set("/4", Reply::redirect(308, "/5"));
    server.set("/5", Reply::ok(der(&acme.issuing)));
    let found = answer(&acme, &["127.0.0.1"]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/1: it redirects to http://127.0.0.1:[PORT]/4: more than 3 redirects, the last to http://127.0.0.1:[PORT]/5");
    assert_eq!(server.count("/5"), 0);

    server.set("/2", Reply::redirect(302, "/1"));
    snapshot!(reason(&answer(&acme, &["127.0.0.1"])), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/1: it redirects to http://127.0.0.1:[PORT]/2: more than 3 redirects, the last to http://127.0.0.1:[PORT]/1");

    server.set("/1", Reply::redirect(302, &server.url_by("localhost", "/5")));
    let found = answer(&acme, &["127.0.0.1"]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/1: it redirects to http://localhost:[PORT]/5: localhost is none of `allowed_urls`");
    server.set("/1", Reply::redirect(302, "ftp://127.0.0.1/5"));
    snapshot!(reason(&answer(&acme, &["127.0.0.1"])), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/1: it redirects to ftp://127.0.0.1/5: ftp is not supported, only http and https");
    assert_eq!(server.count("/5"), 0);
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let authority = WebAuthority::new();
    let plain = Server::http();
    let server = Server::https(&authority.certify(&["IP:127.0.0.1"]));
    let link = server.url("/issuing");
    let acme = Manufacturer::linked("ACME", &link, &link);
    let plain = plain.on("/issuing", Reply::ok(der(&acme.issuing)));
    let server = server.on("/issuing", Reply::redirect(302, &plain.url("/issuing")));
    let mut request = request(&acme);
    request["allowed_urls"] = json!(["127.0.0.1"]);
    request["ca_file"] = json!(authority.pem_file());
    let found = run_under(&request, &[]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: https://127.0.0.1:[PORT]/issuing: it redirects from https to http://127.0.0.1:[PORT]/issuing");
    assert_eq!(plain.connections(), 0);

    server.set("/issuing", Reply::ok(der(&acme.issuing)));
    assert!(is_found(&run_under(&request, &[]), &acme));
    request.as_object_mut().unwrap().remove("ca_file");
    snapshot!(reason(&run_under(&request, &[])), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: https://127.0.0.1:[PORT]/issuing: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it");
}

#[test]
fn spaces_in_links_and_redirects_are_encoded() {
    let server = Server::http();
    let link = server.url("/NTC TPM Root CA.cer");
    let acme = Manufacturer::linked("ACME", &link, &link);
    let server = server
        .on("/NTC%20TPM%20Root%20CA.cer", Reply::redirect(302, "/moved here.cer"))
        .on("/moved%20here.cer", Reply::ok(der(&acme.issuing)));
    let found = answer(&acme, &["127.0.0.1"]);
    assert!(is_found(&found, &acme), "{found}");
    assert_eq!(server.count("/moved%20here.cer"), 1);
}

#[test]
fn a_malformed_link_is_shown_and_not_followed() {
    let server = Server::http();
    for (path, shown) in [("/ä b.cer", "/ä b.cer"), (r"\\\\a.cer", r"\5C\5Ca.cer")] {
        let link = server.url(path);
        let found = answer(&Manufacturer::linked("ACME", &link, &link), &["127.0.0.1"]);
        assert_eq!(found["error"]["kind"], "untrusted_ca", "{found}");
        let detail = found["error"]["detail"].as_str().unwrap();
        let expected =
            format!("{shown}: it is malformed: download what it means, and give that in `ca_bundle`");
        assert!(detail.ends_with(&expected), "{detail}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_proxy_is_asked_for_the_whole_url_of_http() {
    let link = "http://pki.acme.example/issuing.cer?v=1";
    let acme = Manufacturer::linked("ACME", link, link);
    let whole = "http://pki.acme.example:80/issuing.cer?v=1";
    let proxy = Server::http().on(whole, Reply::ok(der(&acme.issuing)));
    let variable = proxy.url_by("user:p%40ss@127.0.0.1", "");
    let found = run_under(&request(&acme), &[("http_proxy", &variable)]);
    assert!(is_found(&found, &acme), "{found}");
    let head = proxy.heads()[0].to_ascii_lowercase();
    assert!(head.contains("host: pki.acme.example\r\n"), "{head}");
    // printf 'user:p@ss' | base64
    assert!(head.contains("proxy-authorization: basic dxnlcjpwqhnz"), "{head}");

    // Through a proxy too, what the URL itself says is checked.
    let link = "http://192.168.0.1/issuing";
    let found = run_under(&request(&Manufacturer::linked("ACME", link, link)), &[("http_proxy", &variable)]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://192.168.0.1/issuing: 192.168.0.1 is a private address, where only public addresses are asked: name the host in `allowed_urls`");
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn a_name_that_leads_to_this_machine_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        note("SKIPPED: only root can give a process its own /etc/hosts");
        return;
    }
    let server = Server::http();
    let link = server.url_by("pki.acme.example", "/issuing");
    let acme = Manufacturer::linked("ACME", &link, &link);
    let server = server.on("/issuing", Reply::ok(der(&acme.issuing)));
    let with_hosts = |lines: &str, request: &Value| -> Value {
        let hosts = tempfile::NamedTempFile::new().unwrap();
        fs::write(hosts.path(), lines).unwrap();
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c", "mount --bind \"$1\" /etc/hosts && exec \"$2\"", "sh"])
            .args([hosts.path().as_os_str(), env!("CARGO_BIN_EXE_tbot_tpm").as_ref()])
            .env_remove("http_proxy")
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        serde_json::to_writer(child.stdin.take().unwrap(), request).unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    };
    let mut request = request(&acme);
    for lines in [
        "127.0.0.1 pki.acme.example\n",
        "::1 pki.acme.example\n",
        // One public address makes it no better.
        "198.41.0.4 pki.acme.example\n127.0.0.1 pki.acme.example\n",
    ] {
        let found = with_hosts(lines, &request);
        assert!(reason(&found).contains("pki.acme.example leads to"), "{found}");
        assert!(reason(&found).contains("a loopback address"), "{found}");
    }
    assert_eq!(server.connections(), 0);

    request["allowed_urls"] = json!(["*.acme.example"]);
    assert!(is_found(&with_hosts("127.0.0.1 pki.acme.example\n", &request), &acme));
}

#[test]
fn the_time_for_all_requests_ends_them_and_says_so() {
    let server = Server::http().on("/issuing", Reply::silence());
    let link = server.url("/issuing");
    let acme = Manufacturer::linked("ACME", &link, &link);
    let mut request = request(&acme);
    request["allowed_urls"] = json!(["127.0.0.1"]);
    request["total_timeout"] = json!(1);
    let found = run_under(&request, &[]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/issuing: no whole answer within 1 s, which were left of the time for all");
    request["total_timeout"] = json!(60);
    request["timeout"] = json!(1);
    let found = run_under(&request, &[]);
    snapshot!(reason(&found), @"a: the certificate of its issuer is not in `ca_bundle`, nor where the EK certificate links to: http://127.0.0.1:[PORT]/issuing: no whole answer within 1 s");
}
