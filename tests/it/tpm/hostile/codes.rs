//! `identify` on TPMs that refuse: which refusals are an answer, which are an error, and which only mean
//! "not now".

use std::time::{Duration, Instant};

use crate::support::BACKENDS;
use crate::support::hostile::{
    COMMANDS, CREATE_PRIMARY, FLUSH_CONTEXT, GET_CAPABILITY, Hostile, NV_READ, NV_READ_PUBLIC, READ_PUBLIC,
    Reply, response,
};
use crate::support::{SoftwareTpm, certificate};

const RETRY: u32 = 0x922;
const YIELDED: u32 = 0x908;
const TESTING: u32 = 0x90A;

fn tpm_with_certificate() -> SoftwareTpm {
    let tpm = SoftwareTpm::start();
    let der = certificate(tpm.file("nv").parent().unwrap(), &["rsa:2048"], &[]);
    tpm.write_nv("0x01c00002", "ppwrite|ppread|authread|platformcreate|no_da", &der);
    tpm
}

/// A server that answers this command with this code, always.
fn refusing(tpm: &SoftwareTpm, code: u32, with: u32) -> Hostile {
    Hostile::before(tpm, move |command| {
        if command.code == code { Reply::Instead(response(with, &[])) } else { Reply::Honest }
    })
}

#[test]
fn codes_about_the_moment_or_the_connection_are_errors_at_every_command() {
    let (with, without) = (tpm_with_certificate(), SoftwareTpm::start());
    // INITIALIZE, FAILURE, NV_RATE, MEMORY; of a resource manager; of Windows.
    for code in [0x100, 0x101, 0x920, 0x904, 0x0007_0005, 0x8028_0400] {
        for command in COMMANDS {
            let makes_a_key = [CREATE_PRIMARY, FLUSH_CONTEXT].contains(&command);
            let tpm = if makes_a_key { &without } else { &with };
            for backend in BACKENDS {
                let answer = refusing(tpm, command, code).identify_patiently(backend);
                let what = format!("{code:#x} for {command:#x}, {backend}: {answer}");
                assert_eq!(answer["error"]["kind"], "tpm_error", "{what}");
                without.tpm2("tpm2_flushcontext", &["-t"]);
            }
        }
    }
}

#[test]
fn a_refused_certificate_counts_as_none_and_is_a_warning() {
    let tpm = tpm_with_certificate();
    // NV_UNINITIALIZED, NV_LOCKED, AUTH_UNAVAILABLE, AUTH_FAIL, a manufacturer's own.
    for code in [0x14A, 0x148, 0x12F, 0x98E, 0x500] {
        for command in [NV_READ, NV_READ_PUBLIC] {
            for backend in BACKENDS {
                let answer = refusing(&tpm, command, code).identify_patiently(backend);
                let what = format!("{code:#x} for {command:#x}, {backend}: {answer}");
                assert_eq!(answer["ek_source"], "create_primary", "{what}");
                assert_eq!(answer["ek_cert_present"], false, "{what}");
                let warning = answer["warnings"][0].as_str().unwrap_or_else(|| panic!("{what}"));
                assert!(warning.contains("0x01c00002") && warning.contains(&format!("{code:#x}")), "{what}");
            }
        }
    }
}

#[test]
fn a_certificate_hidden_by_lockout_is_said_to_be() {
    let tpm = tpm_with_certificate();
    for backend in BACKENDS {
        let answer = refusing(&tpm, NV_READ, 0x921).identify_patiently(backend);
        assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
        assert!(answer["warnings"][0].as_str().unwrap().contains("lockout"), "{backend}: {answer}");
    }
}

#[test]
fn an_index_that_goes_away_between_two_commands_is_absent() {
    let tpm = tpm_with_certificate();
    for backend in BACKENDS {
        let answer = refusing(&tpm, NV_READ, 0x18B).identify_patiently(backend);
        assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
    }
}

#[test]
fn a_persistent_key_that_is_not_shown_is_a_warning() {
    let tpm = SoftwareTpm::start();
    for code in [0x12F, 0x184, 0x500] {
        for backend in BACKENDS {
            let answer = refusing(&tpm, READ_PUBLIC, code).identify_patiently(backend);
            assert_eq!(answer["ek_source"], "create_primary", "{code:#x}, {backend}: {answer}");
            assert_eq!(answer["warnings"].as_array().unwrap().len(), 2, "{code:#x}, {backend}: {answer}");
        }
    }
}

#[test]
fn a_refused_command_that_cannot_be_done_without_is_an_error() {
    let tpm = SoftwareTpm::start();
    for (command, code, kind) in [
        (GET_CAPABILITY, 0x143, "tpm_error"),
        (GET_CAPABILITY, 0x500, "tpm_error"),
        (CREATE_PRIMARY, 0x143, "tpm_error"),
        (CREATE_PRIMARY, 0x500, "tpm_error"),
        // HIERARCHY: disabled.
        (CREATE_PRIMARY, 0x185, "tpm_error"),
        // AUTH_FAIL and BAD_AUTH of the first session.
        (CREATE_PRIMARY, 0x98E, "tpm_auth"),
        (CREATE_PRIMARY, 0x9A2, "tpm_auth"),
        // OBJECT_MEMORY and OBJECT_HANDLES.
        (CREATE_PRIMARY, 0x902, "tpm_busy"),
        (CREATE_PRIMARY, 0x906, "tpm_busy"),
        (FLUSH_CONTEXT, 0x1C4, "tpm_error"),
    ] {
        for backend in BACKENDS {
            let answer = refusing(&tpm, command, code).identify_patiently(backend);
            let what = format!("{code:#x} for {command:#x}, {backend}: {answer}");
            assert_eq!(answer["error"]["kind"], kind, "{what}");
            tpm.tpm2("tpm2_flushcontext", &["-t"]);
        }
    }
}

#[test]
fn a_command_is_sent_again_where_the_tpm_asks_for_that() {
    let (with, without) = (tpm_with_certificate(), SoftwareTpm::start());
    for code in [RETRY, YIELDED, TESTING] {
        for command in COMMANDS {
            let makes_a_key = [CREATE_PRIMARY, FLUSH_CONTEXT].contains(&command);
            let (tpm, source) =
                if makes_a_key { (&without, "create_primary") } else { (&with, "nv_certificate") };
            for backend in BACKENDS {
                let server = |refusals: usize| {
                    Hostile::before(tpm, move |arrived| {
                        let not_now = arrived.code == command && arrived.nth <= refusals;
                        if not_now { Reply::Instead(response(code, &[])) } else { Reply::Honest }
                    })
                };
                let honest = server(0);
                let expected = honest.identify_patiently(backend);
                let busy = server(3);
                let answer = busy.identify_patiently(backend);
                let what = format!("{code:#x} for {command:#x}, {backend}: {answer}");
                assert_eq!(answer["ek_source"], source, "{what}");
                assert_eq!(answer["ek_public_hash"], expected["ek_public_hash"], "{what}");
                assert_eq!(busy.count(command), honest.count(command) + 3, "{what}");
            }
        }
    }
    assert_eq!(without.transient_handles(), "");
}

#[test]
fn a_tpm_that_asks_to_retry_for_ever_is_busy_after_the_time_limit() {
    const LIMIT: u64 = 5;
    std::thread::scope(|scope| {
        for command in [GET_CAPABILITY, READ_PUBLIC, NV_READ_PUBLIC, NV_READ, FLUSH_CONTEXT] {
            for backend in BACKENDS {
                scope.spawn(move || {
                    let tpm = if command == NV_READ { tpm_with_certificate() } else { SoftwareTpm::start() };
                    let hostile = refusing(&tpm, command, RETRY);
                    let answer = hostile.identify_within(LIMIT, backend);
                    let what = format!("{command:#x}, {backend}: {answer}");
                    assert_eq!(answer["error"]["kind"], "tpm_busy", "{what}");
                    // Ever longer waits: neither a few times at once nor thousands of times.
                    assert!((5..100).contains(&hostile.count(command)), "{}: {what}", hostile.count(command));
                });
            }
        }
    });
}

#[test]
fn a_tpm_that_never_gets_to_making_a_key_is_busy_after_ten_times_the_time_limit() {
    const LIMIT: u64 = 2;
    std::thread::scope(|scope| {
        for backend in BACKENDS {
            scope.spawn(move || {
                let tpm = SoftwareTpm::start();
                let hostile = refusing(&tpm, CREATE_PRIMARY, YIELDED);
                let started = Instant::now();
                let answer = hostile.identify_within(LIMIT, backend);
                assert_eq!(answer["error"]["kind"], "tpm_busy", "{backend}: {answer}");
                assert!(started.elapsed() > Duration::from_secs(9 * LIMIT), "{backend}");
                assert!(hostile.count(CREATE_PRIMARY) > 10, "{backend}");
            });
        }
    });
}
