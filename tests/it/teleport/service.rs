//! `service`: the health of what answers at `/readyz`, on machines without systemd too.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::messages::snapshot;
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

#[test]
fn a_service_that_answers_200_is_ready() {
    let answer = seen(&answering("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"healthy\"}"));
    assert_eq!((&answer["ready"], &answer["changed"]), (&json!(true), &json!(false)));
    assert_eq!((&answer["exists"], &answer["up_to_date"]), (&json!(false), &json!(false)));
    assert_eq!(answer["status"], json!({ "status": "healthy" }));
}

#[test]
fn a_service_that_is_not_healthy_says_which_part() {
    let body = json!({ "status": "unhealthy", "services": {
        "identity": { "status": "healthy" }, "ssh": { "status": "unhealthy", "reason": "no route" } } });
    let address = answering(&format!("HTTP/1.0 503 Service Unavailable\r\n\r\n{body}"));
    let answer = seen(&address);
    assert_eq!((&answer["ready"], &answer["status"]), (&json!(false), &body));
    if answer["systemd"] == false {
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
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    std::fs::write(&path, format!("version: v2\ndiag_addr: {address}\n")).unwrap();
    assert_eq!(succeed(&request)["ready"], true);
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
