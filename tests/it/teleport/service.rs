//! `service`: the health of what answers at `/readyz`, on machines without systemd too.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
use crate::support::privileges::is_root;
use crate::support::{fail, succeed};

/// A unit that no machine has.
const NAME: &str = "tbot-tpm-no-such-unit";

/// A server that answers every request with these pieces, a moment apart. Its address.
fn server(pieces: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let count = stream.read(&mut [0; 4096]).unwrap();
            assert!(count > 0);
            for piece in &pieces {
                if stream.write_all(piece).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
    });
    address
}

fn answering(text: &str) -> String {
    server(vec![text.as_bytes().to_vec()])
}

fn seen(address: &str) -> Value {
    succeed(&json!({ "action": "service", "name": NAME, "diag_addr": address }))
}

/// What `tbot` answers that is ready, with these fields more.
fn healthy(more: Value) -> Value {
    let mut body = json!({ "status": "healthy", "services": { "identity": { "status": "healthy" } } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Whether systemd runs here, so that a service without processes cannot have answered.
fn has_systemd() -> bool {
    succeed(&json!({ "action": "service", "name": NAME, "diag_addr": "127.0.0.1:1" }))["systemd"] == true
}

#[test]
fn a_service_that_says_it_is_healthy_is_ready() {
    if has_systemd() {
        return;
    }
    let answer = seen(&answering(&format!("HTTP/1.1 200 OK\r\n\r\n{}", healthy(json!({})))));
    assert_eq!((&answer["ready"], &answer["changed"]), (&json!(true), &json!(false)), "{answer}");
    assert_eq!((&answer["exists"], &answer["up_to_date"]), (&json!(false), &json!(false)));
    assert_eq!((&answer["status"], &answer["warnings"]), (&healthy(json!({})), &json!([])));
}

#[test]
fn what_does_not_answer_as_tbot_does_is_not_ready() {
    if has_systemd() {
        return;
    }
    let pretended = json!({ "status": "healthy", "services": { "x": { "status": "unhealthy" } } });
    let said = listed(
        [
            ("200 OK", "<html><body>ready</body></html>".to_owned()),
            ("200 OK", "ok".to_owned()),
            ("200 OK", json!({ "status": "ok" }).to_string()),
            ("200 OK", pretended.to_string()),
            ("503 Service Unavailable", healthy(json!({})).to_string()),
            ("404 Not Found", "404 page not found".to_owned()),
        ],
        |(status, body)| {
            let answer = seen(&answering(&format!("HTTP/1.1 {status}\r\n\r\n{body}")));
            assert_eq!((&answer["ready"], &answer["status"]), (&json!(false), &Value::Null), "{answer}");
            (format!("{status} {body}"), answer["health"].as_str().unwrap().to_owned())
        },
    );
    snapshot!(said, @r#"
    200 OK <html><body>ready</body></html>
        /readyz answers with status 200, but names no services: an older tbot, or another program
    200 OK ok
        /readyz answers with status 200, but names no services: an older tbot, or another program
    200 OK {"status":"ok"}
        /readyz answers with status 200, but names no services: an older tbot, or another program
    200 OK {"status":"healthy","services":{"x":{"status":"unhealthy"}}}
        /readyz answers with status 200, which contradicts what it says of its services
    503 Service Unavailable {"status":"healthy","services":{"identity":{"status":"healthy"}}}
        /readyz answers with status 503, which contradicts what it says of its services
    404 Not Found 404 page not found
        /readyz answers with status 404
    "#);
}

#[test]
fn a_process_that_says_another_number_than_its_own_is_not_the_service() {
    if has_systemd() {
        return;
    }
    let with_number = |number: Value| format!("HTTP/1.1 200 OK\r\n\r\n{}", healthy(json!({ "pid": number })));
    let answer = seen(&answering(&with_number(json!(std::process::id()))));
    assert_eq!(answer["ready"], true, "{answer}");
    if !is_root() {
        return;
    }
    for wrong in [json!(1), json!("x"), json!(-1), json!(null)] {
        let answer = seen(&answering(&with_number(wrong)));
        assert_eq!((&answer["ready"], &answer["status"]), (&json!(false), &Value::Null), "{answer}");
        assert!(answer["health"].as_str().unwrap().contains("which does not listen there"), "{answer}");
    }
}

#[test]
fn a_service_that_is_not_healthy_says_which_part() {
    let body = json!({ "status": "unhealthy", "services": {
        "identity": { "status": "healthy" }, "ssh": { "status": "unhealthy", "reason": "no route" } } });
    let address = answering(&format!("HTTP/1.0 503 Service Unavailable\r\n\r\n{body}"));
    let answer = seen(&address);
    assert_eq!(answer["ready"], false);
    if answer["systemd"] == false {
        assert_eq!(answer["status"], body);
        let request = json!({ "action": "service", "name": NAME, "diag_addr": address, "wait": 1 });
        let message = fail(&request, "not_ready");
        snapshot!(message, @r#"tbot-tpm-no-such-unit.service is not ready after 1 s: /readyz answers with status 503; unhealthy: "ssh" ("no route"); see `journalctl -u tbot-tpm-no-such-unit`"#);
        let mut check = request;
        check["_ansible_check_mode"] = json!(true);
        assert_eq!(succeed(&check)["ready"], false);
    }
}

#[test]
fn whatever_else_answers_is_not_ready() {
    let huge = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
    for text in [
        "garbage",
        "",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
        "HTTP/1.1 é\r\n\r\n",
        &huge,
    ] {
        let answer = seen(&answering(text));
        assert_eq!((&answer["ready"], &answer["status"]), (&json!(false), &Value::Null), "{text:.40}");
    }
}

#[test]
fn where_nothing_listens_it_is_not_ready() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(seen(&address)["ready"], false);
}

#[test]
fn an_answer_that_drips_is_given_up() {
    let start = Instant::now();
    assert_eq!(seen(&server(vec![b"H".to_vec(); 300]))["ready"], false);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_address_is_the_configurations_unless_one_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tbot.yaml");
    let request = json!({ "action": "service", "name": NAME, "config": path });
    assert_eq!(succeed(&request)["ready"], Value::Null);
    let body = healthy(json!({})).to_string();
    let address = answering(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    std::fs::write(&path, format!("version: v2\ndiag_addr: {address}\n")).unwrap();
    assert_eq!(succeed(&request)["ready"], !has_systemd());
    std::fs::write(&path, "diag_addr: [\n").unwrap();
    let answer = succeed(&request);
    assert_eq!((&answer["ready"], answer["warnings"].as_array().unwrap().len()), (&Value::Null, 1));
}

#[test]
fn what_is_no_wait_address_or_number_of_lines_is_refused() {
    for wrong in [
        json!({ "wait": 3601 }),
        json!({ "lines": 1001 }),
        json!({ "diag_addr": "localhost" }),
        json!({ "name": "a/b" }),
    ] {
        let mut request = json!({ "action": "service" });
        request.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        fail(&request, "invalid_request");
    }
}
