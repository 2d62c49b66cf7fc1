//! `identify` on TPMs that do not keep to the protocol: a clear error in time, never a panic or a hang.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::BACKENDS;
use crate::support::hostile::{GET_CAPABILITY, Hostile, NV_READ, Reply, identify, response};
use crate::support::messages::snapshot;
use crate::support::{SoftwareTpm, fail};

/// TPM 1.2's answer to any TPM 2.0 command: its own tag, and `TPM_BAD_TAG`.
const TPM_1_2: [u8; 10] = [0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0, 0x1E];

/// `TPM_PT_NV_BUFFER_MAX` (TPM 2.0 Library, part 2, section 6.13).
const NV_BUFFER_MAX: [u8; 4] = 0x12C_u32.to_be_bytes();

#[test]
fn a_server_that_changes_nothing_is_a_tpm_like_any_other() {
    let tpm = SoftwareTpm::start();
    for backend in BACKENDS {
        let hostile = Hostile::before(&tpm, |_| Reply::Honest);
        let answer = hostile.identify_patiently(backend);
        assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
        assert_eq!(tpm.transient_handles(), "", "{backend}");
    }
}

#[test]
fn what_is_no_response_is_an_error_at_once() {
    let with_size = |size: u32| [&[0x80, 0x01], &size.to_be_bytes()[..], &[0; 4]].concat();
    let mut cases: Vec<(String, Vec<u8>)> =
        (0..10).map(|length| (format!("{length} bytes"), response(0, &[])[..length].to_vec())).collect();
    for size in [0, 1, 9, 11, 4096, 4097, 0x7FFF_FFFF, 0xFFFF_FFFF] {
        cases.push((format!("10 bytes that announce {size}"), with_size(size)));
    }
    cases.push(("a body that ends early".to_owned(), [with_size(100), vec![0; 89]].concat()));
    cases.push(("zeros".to_owned(), vec![0; 10]));
    cases.push(("ones".to_owned(), vec![0xFF; 5000]));
    cases.push(("another protocol".to_owned(), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    cases.push(("no tag".to_owned(), [&[0x80, 0x03], &response(0, &[])[2..]].concat()));
    for (what, bytes) in cases {
        for backend in BACKENDS {
            let bytes = bytes.clone();
            let hostile = Hostile::alone(move |_| Reply::Last(bytes.clone()));
            let answer = hostile.identify_patiently(backend);
            assert_eq!(answer["error"]["kind"], "tpm_error", "{what}, {backend}: {answer}");
            let message = answer["msg"].as_str().unwrap();
            assert!(!message.contains("did not answer within"), "{what}, {backend}: {message}");
        }
    }
}

#[test]
fn a_tpm_that_stops_answering_is_given_up_after_the_time_limit() {
    let header = response(0, &[]);
    let announced = [&[0x80, 0x01, 0, 0, 0, 100], &[0; 4][..]].concat();
    let cases = [
        ("nothing", vec![]),
        ("a part of a header", header[..7].to_vec()),
        ("a header", announced.clone()),
        ("a header and a part of the body", [announced, vec![0; 89]].concat()),
    ];
    for (what, bytes) in cases {
        for backend in BACKENDS {
            let bytes = bytes.clone();
            let hostile = Hostile::alone(move |_| Reply::Stuck(bytes.clone()));
            let started = Instant::now();
            let answer = hostile.identify(backend);
            assert_eq!(answer["error"]["kind"], "tpm_error", "{what}, {backend}: {answer}");
            let message = answer["msg"].as_str().unwrap();
            assert!(message.contains("did not answer within 1 s"), "{what}, {backend}: {message}");
            assert!(message.contains(&hostile.tcti), "{what}, {backend}: {message}");
            assert!(started.elapsed() >= Duration::from_secs(1), "{what}, {backend}");
        }
    }
}

#[test]
fn a_control_channel_that_never_answers_is_given_up_too() {
    for backend in BACKENDS {
        let message = Hostile::silent().identify(backend)["msg"].as_str().unwrap().to_owned();
        assert!(message.contains("did not answer within 1 s"), "{backend}: {message}");
    }
}

#[test]
fn a_unix_socket_that_never_answers_is_given_up_and_garbage_on_it_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stuck");
    let message = Hostile::on_unix_socket(&path, |_| Reply::Stuck(vec![0x80])).identify("native");
    assert_eq!(message["error"]["kind"], "tpm_error");
    snapshot!(message["msg"].as_str().unwrap(), @"the TPM at `swtpm:path=[DIR]/stuck` did not answer within 1 s; see whether another program is using it, give it longer with `timeout`, or restart the machine");
    let path = directory.path().join("garbage");
    let answer = Hostile::on_unix_socket(&path, |_| Reply::Last(vec![7; 64])).identify_patiently("native");
    assert_eq!(answer["error"]["kind"], "tpm_error", "{answer}");
}

#[test]
fn a_slow_tpm_is_waited_for_and_one_that_drips_for_ever_is_not() {
    let tpm = SoftwareTpm::start();
    for backend in BACKENDS {
        let slow = Hostile::before(&tpm, |_| Reply::Slowly(Duration::from_micros(200)));
        let answer = slow.identify_patiently(backend);
        assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
        // One byte in a while, and some hundred of them: no single wait is long.
        let dripping = Hostile::before(&tpm, |_| Reply::Slowly(Duration::from_millis(50)));
        let message = dripping.identify(backend)["msg"].as_str().unwrap().to_owned();
        assert!(message.contains("did not answer within 1 s"), "{backend}: {message}");
    }
}

#[test]
fn a_tpm_that_makes_too_many_commands_necessary_is_given_up() {
    let tpm = SoftwareTpm::start();
    tpm.write_nv("0x01c00002", crate::support::states::MANUFACTURERS, &[0xff; 2048]);
    // It lets NV memory be read byte by byte only: more than two thousand commands, each of them quick enough.
    let hostile = Hostile::before(&tpm, |command| match command.code {
        GET_CAPABILITY => Reply::Altered(Box::new(|response| {
            let found = response.windows(4).position(|number| number == NV_BUFFER_MAX);
            if let Some(value) = found {
                response[value + 4..value + 8].copy_from_slice(&1_u32.to_be_bytes());
            }
        })),
        NV_READ => Reply::Slowly(Duration::from_millis(2)),
        _ => Reply::Honest,
    });
    let answer = hostile.identify("native");
    assert_eq!(answer["error"]["kind"], "tpm_error", "{answer}");
    assert!(answer["msg"].as_str().unwrap().contains(&hostile.tcti), "{answer}");
}

#[test]
fn a_connection_closed_between_two_commands_is_an_error() {
    let tpm = SoftwareTpm::start();
    for backend in BACKENDS {
        for closing in crate::support::hostile::COMMANDS {
            let hostile = Hostile::before(&tpm, move |command| {
                if command.code == closing { Reply::Last(Vec::new()) } else { Reply::Honest }
            });
            let answer = hostile.identify_patiently(backend);
            if closing == crate::support::hostile::NV_READ {
                // This TPM has no certificate to read.
                assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
            } else {
                assert_eq!(answer["error"]["kind"], "tpm_error", "{backend}, {closing:#x}: {answer}");
            }
        }
    }
}

#[test]
fn a_tpm_1_2_is_told_from_a_broken_one() {
    for backend in BACKENDS {
        let hostile = Hostile::alone(|_| Reply::Instead(TPM_1_2.to_vec()));
        let answer = hostile.identify_patiently(backend);
        assert_eq!(answer["error"]["kind"], "tpm_not_found", "{backend}: {answer}");
        assert!(answer["msg"].as_str().unwrap().contains("this is a TPM 1.2"), "{backend}: {answer}");
    }
}

#[test]
fn a_real_tpm_1_2_is_told_to_be_one() {
    let tpm = SoftwareTpm::start_tpm_1_2();
    for backend in BACKENDS {
        let request = json!({ "action": "identify", "tcti": tpm.tcti(), "backend": backend });
        let message = fail(&request, "tpm_not_found");
        assert!(message.contains("this is a TPM 1.2"), "{backend}: {message}");
    }
}

#[test]
fn what_accepts_connections_and_is_no_tpm_at_all_is_an_error() {
    // A web server, say: it waits for a whole request, and the TPM command is none.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tcti = format!("swtpm:host=127.0.0.1,port={}", listener.local_addr().unwrap().port());
    let answer = identify(&json!({ "action": "identify", "tcti": tcti, "timeout": 1 }));
    assert_eq!(answer["error"]["kind"], "tpm_error", "{answer}");
}
