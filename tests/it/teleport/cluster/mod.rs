//! `cluster`: what a Teleport proxy says of its cluster, and what anything else that answers is called.

mod broken;
mod fields;
mod trust;
mod ways;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
use crate::support::server::{Reply, Server};
use crate::support::web_authority::WebAuthority;
use crate::support::{fail, succeed};

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
}

#[test]
fn what_is_no_version_is_not_taken_for_one() {
    let wrong = ["1.0; rm -rf", "18", "18.2.0/../../x", "18.2.0\n", "latest", "$(id)", "18.2.0 x"];
    let said = listed(wrong, |wrong| {
        let mut answer = found();
        answer["server_version"] = json!(wrong);
        (format!("{wrong:?}"), fail(&Proxy::answering(&answer).request(), "network"))
    });
    snapshot!(said, @r#"
    "1.0; rm -rf"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "1.0; rm -rf", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "18"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "18", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "18.2.0/../../x"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "18.2.0/../../x", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "18.2.0\n"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "18.2.0\n", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "latest"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "latest", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "$(id)"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "$(id)", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "18.2.0 x"
        the answer of the proxy 127.0.0.1:[PORT] cannot be used: `server_version` is "18.2.0 x", which is not a version; give the address of the Proxy Service's web port as `proxy_server`
    "#);
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
