//! Addresses, and proxies on the way.

use super::{FIND, Proxy, found, request};
use crate::support::messages::{listed, snapshot};
use crate::support::server::{Reply, Server};
use crate::support::web_authority::WebAuthority;
use crate::support::{fail, note, run_under, succeed};
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

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
        parameter `proxy_server` of action `cluster`: "example.com/web" is no host:port: leave out the path, as in example.teleport.sh:443
    ""
        parameter `proxy_server` of action `cluster`: "" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    "a b"
        parameter `proxy_server` of action `cluster`: "a b" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    "example.com:0"
        parameter `proxy_server` of action `cluster`: "example.com:0" is no host:port: a port is a number from 1 to 65535
    "2001:db8::1"
        parameter `proxy_server` of action `cluster`: "2001:db8::1" is no host:port: put the IPv6 address into brackets, as in [2001:db8::1]:443
    "u@example.com"
        parameter `proxy_server` of action `cluster`: "u@example.com" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
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
    for port in ["99999", "abc", "0", ""] {
        let message = ask("a.invalid", &format!("http://127.0.0.1:{port}"));
        let why = "the variable https_proxy names no proxy: its port is not a number from 1 to 65535";
        assert!(message.contains(why), "{message}");
    }
    assert!(ask("a.invalid", "http://[").contains("https_proxy names no proxy"));
    assert!(ask("a.invalid", "http://no-proxy.invalid:1").contains("no-proxy.invalid cannot be resolved"));
}
