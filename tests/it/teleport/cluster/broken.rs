//! Servers that answer with nonsense, too slowly or without end.

use super::{Proxy, refusal};
use crate::support::fail;
use crate::support::messages::{listed, snapshot};
use crate::support::server::Reply;
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};

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
