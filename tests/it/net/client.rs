//! The HTTP client: within its limits, only where it may go, and never past what it was told.

use std::fs;
use std::time::{Duration, Instant};

use tbot_tpm::net::{Client, Destinations, HostPattern, Limits, Response};

use crate::support::server::{Reply, Server};
use crate::support::web_authority::{Valid, WebAuthority};

fn limits() -> Limits {
    Limits {
        request: Duration::from_secs(20),
        deadline: Instant::now() + Duration::from_mins(1),
        bytes: 65536,
        redirects: 3,
    }
}

fn get(server: &Server, path: &str) -> Result<Response, String> {
    Client::local().get(&server.url(path), None, &limits()).map_err(|failure| failure.to_string())
}

#[test]
fn an_answer_comes_with_its_status_and_last_url() {
    let server = Server::http()
        .on("/a", Reply::ok("content"))
        .on("/moved", Reply::redirect(302, "/a"))
        .on("/gone", Reply::status(410, "was here"));
    let answer = get(&server, "/a").unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"content"[..]));
    assert_eq!(get(&server, "/moved").unwrap().url, server.url("/a"));
    assert_eq!(get(&server, "/gone").unwrap().status, 410);
    assert_eq!(get(&server, "/none").unwrap().status, 404);
    let head = &server.heads()[0];
    assert!(head.contains("user-agent: tbot_tpm/") && head.contains("accept-encoding: identity"), "{head}");
}

#[test]
fn https_needs_a_trusted_certificate() {
    let authority = WebAuthority::new();
    let server = Server::https(&authority.certify(&["IP:127.0.0.1"])).on("/", Reply::ok("safe"));
    let client = Client::new(Destinations::Any, Some(&authority.pem_file())).unwrap();
    assert_eq!(client.get(&server.url("/"), None, &limits()).unwrap().body, b"safe");
    let stranger = Client::new(Destinations::Any, None).unwrap();
    let failure = stranger.get(&server.url("/"), None, &limits()).unwrap_err();
    assert!(failure.is_untrusted, "{failure}");
}

#[test]
fn a_server_that_wants_a_clients_certificate_is_told() {
    let authority = WebAuthority::new();
    let known = WebAuthority::self_signed_when("CA:TRUE", &["IP:127.0.0.1"], Valid::Now);
    for certified in [known, authority.certify(&["IP:127.0.0.1"])] {
        let server = Server::tls(certified.server_config_for_known_clients()).on("/", Reply::ok("safe"));
        let file = authority.pem_file().with_file_name("given.pem");
        fs::write(&file, certified.pem()).unwrap();
        let client = Client::new(Destinations::Any, Some(&file)).unwrap();
        let failure = client.get(&server.url("/"), None, &limits()).unwrap_err();
        let words = "127.0.0.1 refused TLS: it wants a certificate of the client, and there is none to show";
        assert_eq!(failure.to_string(), words);
        assert!(!failure.is_untrusted);
    }
}

#[test]
fn only_public_addresses_are_asked_unless_a_pattern_names_the_host() {
    let server = Server::http().on("/", Reply::ok("inside"));
    let public = Client::new(Destinations::Public, None).unwrap();
    let failure = public.get(&server.url("/"), None, &limits()).unwrap_err().to_string();
    assert!(failure.contains("a loopback address") && failure.contains("allowed_urls"), "{failure}");
    assert_eq!(server.connections(), 0);
    let pattern = HostPattern::try_from(format!("127.0.0.1:{}", server.port())).unwrap();
    let allowed = Client::new(Destinations::Hosts(vec![pattern]), None).unwrap();
    assert_eq!(allowed.get(&server.url("/"), None, &limits()).unwrap().body, b"inside");
}
