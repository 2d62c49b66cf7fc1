//! `cluster`: what a Teleport proxy says of its cluster, and what anything else that answers is called.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
    for wrong in ["1.0; rm -rf", "18", "18.2.0/../../x", "18.2.0\n", "latest", "$(id)", "18.2.0 x"] {
        for name in ["server_version", "min_client_version"] {
            let mut answer = found();
            answer[name] = json!(wrong);
            let message = fail(&Proxy::answering(&answer).request(), "network");
            assert!(message.contains("is not a Teleport proxy") && message.contains(name), "{message}");
        }
    }
    let mut answer = found();
    answer["auto_update"]["agent_version"] = json!("../../evil");
    assert!(fail(&Proxy::answering(&answer).request(), "network").contains("agent_version"));
    answer = found();
    answer["server_version"] = json!(18);
    assert!(fail(&Proxy::answering(&answer).request(), "network").contains("is no text"));
}

#[test]
fn another_server_is_not_a_teleport_proxy() {
    for (reply, why) in [
        (Reply::status(404, "{}"), "status 404"),
        (Reply::status(503, found().to_string()), "status 503"),
        (Reply::ok("<!doctype html><title>Welcome</title>"), "is not JSON"),
        (Reply::ok(""), "is not JSON"),
        (Reply::ok(vec![0xff, 0xfe, 0x00]), "is not JSON"),
        (Reply::ok(r#"{"server_version": "18.2.0""#), "is not JSON"),
        (Reply::ok("[]"), "no `server_version`"),
        (Reply::ok(r#"{"version": "1.2.3"}"#), "no `server_version`"),
        (Reply::ok("null"), "no `server_version`"),
    ] {
        let message = refusal(reply);
        assert!(message.contains("is not a Teleport proxy") && message.contains(why), "{message}");
    }
}

#[test]
fn a_redirect_is_not_followed_and_told() {
    let message = refusal(Reply::redirect(302, "https://elsewhere.example/login"));
    assert!(message.contains("redirects to https://elsewhere.example/login"), "{message}");
}

#[test]
fn answers_that_are_no_http_or_break_off_are_told() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{{}}", "x".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", "X: y\r\n".repeat(5000));
    for (bytes, why) in [
        ("garbage", "not speak HTTP"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not speak HTTP"),
        ("", "breaks off"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "breaks off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"server_version\": \"18.2.0\"}", "breaks off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}", "not speak HTTP"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", "not speak HTTP"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", "breaks off"),
        (&long, "the head of the answer has more than"),
        (&many, "head"),
    ] {
        let message = refusal(Reply::raw(bytes));
        assert!(message.contains(why), "{bytes:.60}: {message}");
        assert!(!message.contains("Custom") && !message.contains("os error"), "{message}");
    }
}

#[test]
fn endless_bodies_end_at_the_limit() {
    for start in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
    ] {
        let message = refusal(Reply::endless(start));
        assert!(message.contains("more than 1048576 bytes"), "{message}");
    }
    let message = refusal(Reply::endless("HTTP/1.1 200 OK\r\nX: "));
    assert!(message.contains("the head of the answer has more than"), "{message}");
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
    assert!(fail(&request, "network").contains("no whole answer within 1 s"));
    drop(listener);
    assert!(fail(&request, "network").contains("the connection was refused (127.0.0.1:"));
    request["proxy_server"] = json!("no-such-host.invalid");
    request["timeout"] = json!(60);
    assert!(fail(&request, "network").contains("no-such-host.invalid cannot be resolved"));
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
    assert!(message.contains("does not speak TLS"), "{message}");
}

#[test]
fn a_certificate_that_is_not_trusted_says_why() {
    let authority = WebAuthority::new();
    let here = ["IP:127.0.0.1"];
    for (certified, why) in [
        (authority.certify_when(&here, Valid::Past), "it expired on 2021-01-01"),
        (authority.certify_when(&here, Valid::Future), "it is not valid before 2049-01-01"),
        (authority.certify(&["DNS:other.example", "IP:192.0.2.1"]), "it is for"),
        (authority.certify(&[]), "it names no host"),
        (WebAuthority::self_signed(&here), "no root that is trusted here issued it"),
        // Another CA of the same name.
        (WebAuthority::new().certify(&here), "its signature does not verify"),
    ] {
        let server = Server::https(&certified).on(FIND, Reply::ok(found().to_string()));
        let request = request(&server.address().to_string(), &authority.pem_file());
        let answer = run_under(&request, &[]);
        assert_eq!(answer["error"]["kind"], "network", "{answer}");
        let message = answer["msg"].as_str().unwrap();
        assert!(
            message.contains("the certificate of 127.0.0.1 is not trusted") && message.contains(why),
            "{message}"
        );
        assert!(answer["error"]["hint"].as_str().unwrap().contains("`ca_file`"), "{answer}");
        assert_eq!(server.heads().len(), 0, "nothing is said to a server that is not trusted");
    }
}

#[test]
fn p_521_is_verified_throughout() {
    let authority = WebAuthority::with_curve("P-521");
    let server =
        Server::https(&authority.certify(&["IP:127.0.0.1"])).on(FIND, Reply::ok(found().to_string()));
    let address = server.address().to_string();
    assert_eq!(succeed(&request(&address, &authority.pem_file()))["server_version"], "18.2.0");
    let stranger = WebAuthority::with_curve("P-521");
    assert!(fail(&request(&address, &stranger.pem_file()), "network").contains("not trusted"));
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
    assert!(fail(&with_file, "certificate_invalid").contains("is no PEM text"));
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
    assert!(fail(&request, "network").contains("not trusted"));
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
    for wrong in
        ["https://example.com", "example.com/web", "", "a b", "example.com:0", "2001:db8::1", "u@example.com"]
    {
        let message = fail(&json!({ "action": "cluster", "proxy_server": wrong }), "invalid_request");
        assert!(message.contains("proxy_server"), "{message}");
    }
    fail(&json!({ "action": "cluster" }), "invalid_request");
    fail(&json!({ "action": "cluster", "proxy_server": "a.invalid", "timeout": 0 }), "invalid_request");
    let message = fail(&json!({ "action": "cluster", "proxy_server": "no-such-host.invalid" }), "network");
    assert!(message.contains("no-such-host.invalid:443"), "{message}");
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
        let request = json!({ "action": "cluster", "proxy_server": host, "timeout": 2 });
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
