//! `cluster`: what a Teleport proxy says of its cluster, and what anything else that answers is called.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
use crate::support::server::{Reply, Server};
use crate::support::web_authority::{Valid, WebAuthority};
use crate::support::{fail, note, run_under, succeed};

const FIND: &str = "/v1/webapi/find";

/// What a proxy answers, cut short.
fn found() -> Value {
    json!({
        "auth": { "type": "local" }, "server_version": "18.2.0", "min_client_version": "17.0.0-aa",
        "cluster_name": "example.teleport.sh", "edition": "ent",
        "auto_update": { "tools_version": "18.2.1", "tools_auto_update": true, "agent_version": "18.1.5" },
    })
}

/// A proxy whose CA is known by a file.
struct Proxy {
    authority: WebAuthority,
    server: Server,
}

impl Proxy {
    fn new(reply: Reply) -> Self {
        let authority = WebAuthority::new();
        let server = Server::https(&authority.certify(&["IP:127.0.0.1", "DNS:localhost"])).on(FIND, reply);
        Self { authority, server }
    }

    fn answering(answer: &Value) -> Self {
        Self::new(Reply::ok(answer.to_string()))
    }

    fn request(&self) -> Value {
        request(&self.server.address().to_string(), &self.authority.pem_file())
    }
}

fn request(address: &str, ca_file: &Path) -> Value {
    json!({ "action": "cluster", "proxy_server": address, "ca_file": ca_file, "timeout": 30 })
}

/// Why the proxy that answers so is refused.
fn refusal(reply: Reply) -> String {
    fail(&Proxy::new(reply).request(), "network")
}

#[test]
fn a_proxy_tells_the_clusters_version_and_name() {
    let proxy = Proxy::answering(&found());
    let answer = succeed(&proxy.request());
    let mut expected = found();
    expected.as_object_mut().unwrap().remove("auth");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[name], value);
    }
    assert_eq!(answer["changed"], false);
    let head = &proxy.server.heads()[0];
    assert!(head.contains("\r\naccept: application/json"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}", proxy.server.address())), "{head}");

    let mut check = proxy.request();
    check["_ansible_check_mode"] = json!(true);
    assert_eq!(succeed(&check)["server_version"], "18.2.0");
}

#[test]
fn what_a_proxy_does_not_say_is_null() {
    let answer = succeed(
        &Proxy::answering(&json!({ "server_version": "v16.5.18", "auto_update": {
        "agent_version": "v16.5.18", "tools_version": "" } }))
        .request(),
    );
    assert_eq!(answer["server_version"], "16.5.18");
    assert_eq!(answer["auto_update"], json!({ "agent_version": "16.5.18", "tools_version": null }));
    for name in ["min_client_version", "cluster_name", "edition"] {
        assert_eq!(answer.get(name), Some(&Value::Null));
    }
    let bare = json!({ "server_version": "18.2.0", "cluster_name": 7, "auto_update": "yes" });
    let answer = succeed(&Proxy::answering(&bare).request());
    assert_eq!((&answer["cluster_name"], &answer["auto_update"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_is_no_version_is_not_taken_for_one() {
    let wrong = ["1.0; rm -rf", "18", "18.2.0/../../x", "18.2.0\n", "latest", "$(id)", "18.2.0 x"];
    let wrong = wrong.iter().flat_map(|wrong| [(wrong, "server_version"), (wrong, "min_client_version")]);
    let said = listed(wrong, |(wrong, name)| {
        let mut answer = found();
        answer[*name] = json!(wrong);
        (format!("{name}: {wrong:?}"), fail(&Proxy::answering(&answer).request(), "network"))
    });
    snapshot!(said, @r#"
    server_version: "1.0; rm -rf"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "1.0; rm -rf", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "1.0; rm -rf"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "1.0; rm -rf", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "18"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "18", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "18"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "18", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "18.2.0/../../x"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "18.2.0/../../x", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "18.2.0/../../x"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "18.2.0/../../x", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "18.2.0\n"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "18.2.0\n", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "18.2.0\n"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "18.2.0\n", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "latest"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "latest", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "latest"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "latest", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "$(id)"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "$(id)", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "$(id)"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "$(id)", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    server_version: "18.2.0 x"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is "18.2.0 x", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    min_client_version: "18.2.0 x"
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `min_client_version` is "18.2.0 x", which is no version; give the address of the Proxy Service's web port as `proxy_server`
    "#);
    let mut answer = found();
    answer["auto_update"]["agent_version"] = json!("../../evil");
    snapshot!(fail(&Proxy::answering(&answer).request(), "network"), @r#"what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `agent_version` is "../../evil", which is no version; give the address of the Proxy Service's web port as `proxy_server`"#);
    answer = found();
    answer["server_version"] = json!(18);
    snapshot!(fail(&Proxy::answering(&answer).request(), "network"), @"what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its `server_version` is no text; give the address of the Proxy Service's web port as `proxy_server`");
}

#[test]
fn another_server_is_not_a_teleport_proxy() {
    let replies = [
        ("404", Reply::status(404, "{}")),
        ("503", Reply::status(503, found().to_string())),
        ("HTML", Reply::ok("<!doctype html><title>Welcome</title>")),
        ("nothing", Reply::ok("")),
        ("bytes", Reply::ok(vec![0xff, 0xfe, 0x00])),
        ("half", Reply::ok(r#"{"server_version": "18.2.0""#)),
        ("[]", Reply::ok("[]")),
        ("another server's version", Reply::ok(r#"{"version": "1.2.3"}"#)),
        ("null", Reply::ok("null")),
    ];
    snapshot!(listed(replies, |(name, reply)| ((*name).to_owned(), refusal(reply.clone()))), @"
    404
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: it answers with status 404; give the address of the Proxy Service's web port as `proxy_server`
    503
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: it answers with status 503; give the address of the Proxy Service's web port as `proxy_server`
    HTML
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer is not JSON; give the address of the Proxy Service's web port as `proxy_server`
    nothing
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer is not JSON; give the address of the Proxy Service's web port as `proxy_server`
    bytes
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer is not JSON; give the address of the Proxy Service's web port as `proxy_server`
    half
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer is not JSON; give the address of the Proxy Service's web port as `proxy_server`
    []
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer has no `server_version`; give the address of the Proxy Service's web port as `proxy_server`
    another server's version
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer has no `server_version`; give the address of the Proxy Service's web port as `proxy_server`
    null
        what answers at 127.0.0.1:[PORT] is not a Teleport proxy: its answer has no `server_version`; give the address of the Proxy Service's web port as `proxy_server`
    ");
}

#[test]
fn a_redirect_is_not_followed_and_told() {
    let message = refusal(Reply::redirect(302, "https://elsewhere.example/login"));
    snapshot!(message, @"the proxy 127.0.0.1:[PORT] cannot be asked: it redirects to https://elsewhere.example/login, which is not followed; check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
}

#[test]
fn answers_that_are_no_http_or_break_off_are_told() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{{}}", "x".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", "X: y\r\n".repeat(5000));
    let said = listed(
        [
            "garbage",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"server_version\": \"18.2.0\"}",
            "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
            &long,
            &many,
        ],
        |bytes| {
            let message = refusal(Reply::raw(*bytes));
            assert!(!message.contains("Custom") && !message.contains("os error"), "{message}");
            (format!("{:?}", bytes.chars().take(60).collect::<String>()), message)
        },
    );
    snapshot!(said, @r#"
    "garbage"
        the proxy 127.0.0.1:[PORT] cannot be asked: what answers does not speak HTTP (http parse fail: invalid HTTP version); check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "SSH-2.0-OpenSSH_9.2\r\n\r\n"
        the proxy 127.0.0.1:[PORT] cannot be asked: what answers does not speak HTTP (http parse fail: invalid HTTP version); check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    ""
        the proxy 127.0.0.1:[PORT] cannot be asked: the answer breaks off; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nContent-Le"
        the proxy 127.0.0.1:[PORT] cannot be asked: the answer breaks off; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"server_version\": \""
        the proxy 127.0.0.1:[PORT] cannot be asked: the answer breaks off; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}"
        the proxy 127.0.0.1:[PORT] cannot be asked: what answers does not speak HTTP (content-length header not a number); check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"
        the proxy 127.0.0.1:[PORT] cannot be asked: what answers does not speak HTTP (chunk length cannot be read as a number); check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"
        the proxy 127.0.0.1:[PORT] cannot be asked: the answer breaks off; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        the proxy 127.0.0.1:[PORT] cannot be asked: the head of the answer has more than 32768 bytes; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX"
        the proxy 127.0.0.1:[PORT] cannot be asked: what answers does not speak HTTP (http parse resulted in too many headers); check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "#);
}

#[test]
fn endless_bodies_end_at_the_limit() {
    let starts = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ];
    let said = listed(starts, |start| (format!("{start:?}"), refusal(Reply::endless(start))));
    snapshot!(said, @r#"
    "HTTP/1.1 200 OK\r\n\r\n"
        the proxy 127.0.0.1:[PORT] cannot be asked: more than 1048576 bytes; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
        the proxy 127.0.0.1:[PORT] cannot be asked: more than 1048576 bytes; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"
        the proxy 127.0.0.1:[PORT] cannot be asked: more than 1048576 bytes; check `proxy_server`, the way there, and the variables https_proxy and no_proxy
    "#);
    let message = refusal(Reply::endless("HTTP/1.1 200 OK\r\nX: "));
    snapshot!(message, @"the proxy 127.0.0.1:[PORT] cannot be asked: the head of the answer has more than 32768 bytes; check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
}

#[test]
fn slow_answers_end_in_time() {
    let drip = |start: &str| {
        let mut pieces = vec![start.as_bytes().to_vec()];
        pieces.extend(vec![b"x".to_vec(); 1000]);
        Reply::slow(pieces, Duration::from_millis(100))
    };
    for reply in [drip("HTTP/1.1 200 OK\r\nX: "), drip("HTTP/1.1 200 OK\r\n\r\n"), Reply::silence()] {
        let proxy = Proxy::new(reply);
        let mut request = proxy.request();
        request["timeout"] = json!(1);
        let start = Instant::now();
        let message = fail(&request, "network");
        assert!(message.contains("no whole answer within 1 s"), "{message}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_server_that_shakes_no_hands_ends_in_time() {
    // The kernel takes the connection, and nobody reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request =
        json!({ "action": "cluster", "proxy_server": listener.local_addr().unwrap(), "timeout": 1 });
    snapshot!(fail(&request, "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: no whole answer within 1 s; check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
    drop(listener);
    snapshot!(fail(&request, "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: the connection was refused (127.0.0.1:[PORT]); check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
    request["proxy_server"] = json!("no-such-host.invalid");
    request["timeout"] = json!(60);
    snapshot!(fail(&request, "network"), @"the proxy no-such-host.invalid:443 cannot be asked: the name no-such-host.invalid cannot be resolved ([WHY]); check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
}

#[test]
fn a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let message = fail(&json!({ "action": "cluster", "proxy_server": address }), "network");
    snapshot!(message, @"the proxy 127.0.0.1:[PORT] cannot be asked: 127.0.0.1 does not speak TLS there; check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
}

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
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it expired on 2021-01-01; give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    not valid yet
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is not valid before 2049-01-01; give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    for others
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it is for DnsName("other.example"), IpAddress(192.0.2.1); give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    for nobody
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: it names no host (in its subject alternative names); give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    self-signed
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it; give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    by another CA of the same name
        the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: its signature does not verify; give the CA that issued it as `ca_file`, or correct `proxy_server`
        give the CA that issued it as `ca_file`, or correct `proxy_server`
    "#);
}

#[test]
fn p_521_is_verified_throughout() {
    let authority = WebAuthority::with_curve("P-521");
    let server =
        Server::https(&authority.certify(&["IP:127.0.0.1"])).on(FIND, Reply::ok(found().to_string()));
    let address = server.address().to_string();
    assert_eq!(succeed(&request(&address, &authority.pem_file()))["server_version"], "18.2.0");
    let stranger = WebAuthority::with_curve("P-521");
    snapshot!(fail(&request(&address, &stranger.pem_file()), "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: its signature does not verify; give the CA that issued it as `ca_file`, or correct `proxy_server`");
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
    snapshot!(fail(&with_file, "certificate_invalid"), @"[DIR]/ca.pem is no PEM text; convert it: openssl x509 -inform DER -in FILE -out FILE.pem");
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
    snapshot!(fail(&request, "network"), @"the proxy 127.0.0.1:[PORT] cannot be asked: the certificate of 127.0.0.1 is not trusted: no root that is trusted here issued it; give the CA that issued it as `ca_file`, or correct `proxy_server`");
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

#[test]
fn ipv6_and_names_are_addresses_too() {
    let authority = WebAuthority::new();
    let certified = authority.certify(&["IP:::1", "DNS:localhost"]);
    if TcpListener::bind("[::1]:0").is_err() {
        note("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::start("[::1]:0", Some(&certified)).on(FIND, Reply::ok(found().to_string()));
    let by_address = request(&server.address().to_string(), &authority.pem_file());
    assert_eq!(succeed(&by_address)["server_version"], "18.2.0");
    let v4 = Server::https(&certified).on(FIND, Reply::ok(found().to_string()));
    let by_name = request(&format!("LOCALHOST:{}", v4.port()), &authority.pem_file());
    assert_eq!(succeed(&by_name)["server_version"], "18.2.0");
}

#[test]
fn an_address_is_a_host_and_perhaps_a_port() {
    let wrong = [
        "https://example.com",
        "example.com/web",
        "",
        "a b",
        "example.com:0",
        "2001:db8::1",
        "u@example.com",
    ];
    let said = listed(wrong, |wrong| {
        let message = fail(&json!({ "action": "cluster", "proxy_server": wrong }), "invalid_request");
        (format!("{wrong:?}"), message)
    });
    snapshot!(said, @r#"
    "https://example.com"
        parameter `proxy_server` of action `cluster`: "https://example.com" is no host:port: leave out the scheme, as in example.teleport.sh:443
    "example.com/web"
        parameter `proxy_server` of action `cluster`: "example.com/web:443" is no host:port: leave out the path, as in example.teleport.sh:443
    ""
        parameter `proxy_server` of action `cluster`: ":443" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    "a b"
        parameter `proxy_server` of action `cluster`: "a b:443" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    "example.com:0"
        parameter `proxy_server` of action `cluster`: "example.com:0" is no host:port: a port is a number from 1 to 65535
    "2001:db8::1"
        parameter `proxy_server` of action `cluster`: "2001:db8::1" is no host:port: put the IPv6 address into brackets, as in [2001:db8::1]:443
    "u@example.com"
        parameter `proxy_server` of action `cluster`: "u@example.com:443" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    "#);
    fail(&json!({ "action": "cluster" }), "invalid_request");
    fail(&json!({ "action": "cluster", "proxy_server": "a.invalid", "timeout": 0 }), "invalid_request");
    let message = fail(&json!({ "action": "cluster", "proxy_server": "no-such-host.invalid" }), "network");
    snapshot!(message, @"the proxy no-such-host.invalid:443 cannot be asked: the name no-such-host.invalid cannot be resolved ([WHY]); check `proxy_server`, the way there, and the variables https_proxy and no_proxy");
}

#[test]
fn a_proxy_on_the_way_is_asked_to_connect() {
    let target = Proxy::answering(&found());
    let name = format!("localhost:{}", target.server.port());
    let way = Server::http().on(&name, Reply::tunnel(target.server.address()));
    let request = request(&name, &target.authority.pem_file());
    let variable = format!("http://us%65r:p%40ss@{}/", way.address());
    let answer = run_under(&request, &[("https_proxy", &variable)]);
    assert_eq!(answer["server_version"], "18.2.0", "{answer}");
    let head = &way.heads()[0];
    assert!(head.starts_with(&format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpwQHNz"), "{head}");
    assert!(!target.server.heads()[0].to_lowercase().contains("proxy-"), "{:?}", target.server.heads());

    for (environment, connections) in [
        (vec![("HTTPS_PROXY", variable.as_str())], 2),
        (vec![("ALL_PROXY", &variable)], 3),
        (vec![("http_proxy", &variable)], 3),
        (vec![("https_proxy", &variable), ("no_proxy", "localhost")], 3),
        (vec![("https_proxy", &variable), ("NO_PROXY", "*")], 3),
    ] {
        assert_eq!(run_under(&request, &environment)["server_version"], "18.2.0", "{environment:?}");
        assert_eq!(way.connections(), connections, "{environment:?}");
    }
}

#[test]
fn a_proxy_on_the_way_that_refuses_is_told() {
    let way = Server::http()
        .on("a.invalid:443", Reply::status(407, ""))
        .on("b.invalid:443", Reply::raw("garbage\r\n\r\n"))
        .on("c.invalid:443", Reply::raw("HTTP/1.1 200"))
        .on("d.invalid:443", Reply::endless("HTTP/1.1 200 OK\r\nX: "))
        .on("e.invalid:443", Reply::slow(vec![b"H".to_vec(); 100], Duration::from_millis(100)))
        .on("f.invalid:443", Reply::raw("HTTP/1.1 200 OK\r\n\r\nplain"));
    let proxy = format!("http://{}", way.address());
    let ask = |host: &str, proxy: &str| {
        // One of them never ends; the others have time to answer on a busy machine.
        let timeout = if host == "e.invalid" { 2 } else { 60 };
        let request = json!({ "action": "cluster", "proxy_server": host, "timeout": timeout });
        let answer = run_under(&request, &[("https_proxy", proxy)]);
        assert_eq!(answer["error"]["kind"], "network", "{answer}");
        answer["msg"].as_str().unwrap().to_owned()
    };
    for (host, why) in [
        ("a.invalid", "refuses to connect to a.invalid:443 (status 407)"),
        ("b.invalid", "does not speak HTTP"),
        ("c.invalid", "does not answer CONNECT"),
        ("d.invalid", "does not answer CONNECT"),
        ("e.invalid", "no whole answer within 2 s"),
        ("f.invalid", "does not speak TLS"),
    ] {
        let message = ask(host, &proxy);
        assert!(message.contains(why), "{message}");
    }
    assert!(ask("a.invalid", "socks5h://127.0.0.1:1").contains("SOCKS is not supported"));
    assert!(ask("a.invalid", "http://127.0.0.1:1").contains("refused (127.0.0.1:1, the proxy)"));
    assert!(ask("a.invalid", "http://[").contains("https_proxy names no proxy"));
    assert!(ask("a.invalid", "http://no-proxy.invalid:1").contains("no-proxy.invalid cannot be resolved"));
}
