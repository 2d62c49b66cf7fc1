//! `identify` on TPMs whose answers have the form of answers, and make no sense: an error, never a
//! made-up identity, and no key left in the TPM.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::BACKENDS;
use crate::support::hostile::{
    COMMANDS, CREATE_PRIMARY, FLUSH_CONTEXT, GET_CAPABILITY, Hostile, NV_READ, NV_READ_PUBLIC, READ_PUBLIC,
    Reply, change_parameters, correct_size, response,
};
use crate::support::{SoftwareTpm, certificate};

/// What is done to a response: what it is called, to which command's, and how.
type Case = (&'static str, u32, fn(&mut Vec<u8>));

/// A TPM with an EK certificate that takes two reads, and with both persistent keys.
fn tpm_with_certificate_and_keys() -> SoftwareTpm {
    let tpm = tpm_with_keys();
    let der = certificate(tpm.file("nv").parent().unwrap(), &["rsa:2048"], &[]);
    let padded = [&der[..], &[0xFF; 700]].concat();
    assert!(padded.len() > 1024);
    tpm.write_nv("0x01c00002", "ppwrite|ppread|authread|platformcreate|no_da", &padded);
    tpm
}

fn tpm_with_keys() -> SoftwareTpm {
    let tpm = SoftwareTpm::start();
    let context = tpm.file("srk.ctx");
    let context = context.to_str().unwrap();
    tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", "0x81010001"]);
    tpm.tpm2("tpm2_createprimary", &["-C", "o", "-c", context]);
    tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", context, "0x81000001"]);
    tpm.tpm2("tpm2_flushcontext", &["-t"]);
    tpm
}

/// libtss2 reads an answer as far as it needs, and what lies behind it in its buffer where it is too short,
/// so that some of this passes. The identity must be the true one then.
fn must_be_refused(tpm: &SoftwareTpm, cases: &[Case]) {
    let honest = Hostile::before(tpm, |_| Reply::Honest).identify_patiently("native");
    for (what, code, alter) in cases {
        for backend in BACKENDS {
            let hostile = Hostile::altering(tpm, *code, *alter);
            let answer = hostile.identify_patiently(backend);
            assert!(hostile.count(*code) > 0, "{what}, {backend}: never asked");
            if *backend == "native" || answer["failed"] == true {
                assert_eq!(answer["error"]["kind"], "tpm_error", "{what}, {backend}: {answer}");
            } else {
                for fact in ["ek_public_hash", "ek_cert_sha256", "ek_source"] {
                    assert_eq!(answer[fact], honest[fact], "{what}, {backend}: {answer}");
                }
            }
        }
    }
}

fn warnings(answer: &Value) -> String {
    answer["warnings"].to_string()
}

#[test]
fn an_answer_without_its_parameters_is_an_error() {
    let tpm = tpm_with_certificate_and_keys();
    let without_certificate = tpm_with_keys();
    for code in COMMANDS {
        let creates = code == CREATE_PRIMARY;
        let tpm = if creates { &without_certificate } else { &tpm };
        if code == FLUSH_CONTEXT {
            // It has none; and one with any is the next test's.
            continue;
        }
        must_be_refused(tpm, &[("header alone", code, |answer| *answer = response(0, &[]))]);
        must_be_refused(
            tpm,
            &[("half of it", code, |answer| {
                answer.truncate(10 + (answer.len() - 10) / 2);
                correct_size(answer);
            })],
        );
    }
}

#[test]
fn bytes_after_an_answer_are_an_error() {
    let tpm = tpm_with_certificate_and_keys();
    let without_certificate = tpm_with_keys();
    for code in COMMANDS {
        let makes_a_key = [CREATE_PRIMARY, FLUSH_CONTEXT].contains(&code);
        let tpm = if makes_a_key { &without_certificate } else { &tpm };
        let append: fn(&mut Vec<u8>) = |answer| {
            answer.extend([0; 7]);
            correct_size(answer);
        };
        must_be_refused(tpm, &[("bytes after it", code, append)]);
        let after_refusal = Hostile::before(tpm, move |command| {
            if command.code == code { Reply::Instead(response(0x14A, &[9; 6])) } else { Reply::Honest }
        });
        let answer = after_refusal.identify_patiently("native");
        assert_eq!(answer["error"]["kind"], "tpm_error", "a refusal of {code:#x}: {answer}");
        assert!(answer["error"]["detail"].as_str().unwrap().contains("goes on"), "{code:#x}: {answer}");
    }
}

#[test]
fn a_list_of_properties_that_makes_no_sense_is_an_error() {
    // more (1), capability (4), count (4), then number and value (8) each.
    let cases: [Case; 8] = [
        ("a capability that was not asked for", GET_CAPABILITY, |answer| answer[14] = 5),
        ("more than 0 and 1", GET_CAPABILITY, |answer| answer[10] = 2),
        ("a count of one too many", GET_CAPABILITY, |answer| answer[18] += 1),
        ("a count of one too few", GET_CAPABILITY, |answer| answer[18] = answer[18].wrapping_sub(1)),
        ("a count beyond everything", GET_CAPABILITY, |answer| answer[15..19].fill(0xFF)),
        ("half a property", GET_CAPABILITY, |answer| {
            answer.truncate(answer.len() - 4);
            correct_size(answer);
        }),
        ("properties that were not asked for", GET_CAPABILITY, |answer| {
            if let Some(number) = answer.get_mut(19..23) {
                number.fill(0);
            }
        }),
        ("properties in no order", GET_CAPABILITY, |answer| {
            if answer.len() > 40 {
                let (first, second) = answer[19..35].split_at_mut(8);
                first.swap_with_slice(second);
            }
        }),
    ];
    let tpm = tpm_with_certificate_and_keys();
    for (what, code, alter) in cases {
        for backend in BACKENDS {
            let answer = Hostile::altering(&tpm, code, alter).identify_patiently(backend);
            if *backend == "native" {
                assert_eq!(answer["error"]["kind"], "tpm_error", "{what}: {answer}");
            } else {
                // libtss2 and tss-esapi let some pass; the identity has nothing of it.
                let kind = &answer["error"]["kind"];
                assert!(kind == "tpm_error" || answer["ek_source"] == "nv_certificate", "{what}: {answer}");
            }
        }
    }
}

#[test]
fn a_chain_that_cannot_be_listed_or_read_is_a_warning_and_the_identity_stays() {
    let tpm = tpm_with_certificate_and_keys();
    let der = certificate(tpm.file("nv").parent().unwrap(), &["rsa:2048"], &[]);
    for index in ["0x01c00100", "0x01c00101"] {
        tpm.write_nv(index, "ppwrite|ppread|authread|platformcreate|no_da", &der);
    }
    let honest = Hostile::before(&tpm, |_| Reply::Honest).identify_patiently("native");
    assert!(honest["ek_cert_chain_pem"].is_string() && !warnings(&honest).contains("chain"), "{honest}");
    // more (1), capability (4), count (4), then the handles.
    let lists: [Case; 6] = [
        ("another capability", GET_CAPABILITY, |answer| answer[14] = 5),
        ("a count of one too many", GET_CAPABILITY, |answer| answer[18] += 1),
        ("handles in no order", GET_CAPABILITY, |answer| answer[19..27].rotate_left(4)),
        ("the same handle for ever", GET_CAPABILITY, |answer| {
            answer[10] = 1;
            answer.truncate(23);
            answer[18] = 1;
            correct_size(answer);
        }),
        ("handles before the range", GET_CAPABILITY, |answer| answer[19..23].fill(0)),
        ("a header alone", GET_CAPABILITY, |answer| *answer = response(0, &[])),
    ];
    for (what, code, alter) in lists {
        for backend in BACKENDS {
            let answer = Hostile::before(&tpm, move |command| {
                let is_list = command.code == code && command.bytes[10..14] == [0, 0, 0, 1];
                if is_list { Reply::Altered(Box::new(alter)) } else { Reply::Honest }
            })
            .identify_patiently(backend);
            assert_eq!(answer["ek_public_hash"], honest["ek_public_hash"], "{what}, {backend}: {answer}");
            // libtss2 and tss-esapi let some pass.
            if *backend == "native" && what != "the same handle for ever" {
                assert!(warnings(&answer).contains("the certificate chain in the TPM"), "{what}: {answer}");
            }
        }
    }
}

#[test]
fn properties_that_nobody_knows_are_passed_over() {
    let tpm = SoftwareTpm::start();
    for backend in BACKENDS {
        let hostile = Hostile::altering(&tpm, GET_CAPABILITY, |answer| {
            // The last one: of a number that no specification has.
            if answer.len() > 40 {
                let last = answer.len() - 8;
                answer[last..last + 4].copy_from_slice(&0x0000_01FE_u32.to_be_bytes());
            }
        });
        let answer = hostile.identify_patiently(backend);
        assert_eq!(answer["ek_source"], "create_primary", "{backend}: {answer}");
        assert_eq!(answer["tpm"]["manufacturer"], "IBM", "{backend}: {answer}");
    }
}

#[test]
fn a_list_of_properties_without_end_ends() {
    // One property at a time, each with "more"; and none, with "more".
    let endless = |count: u32| {
        Hostile::alone(move |command| {
            if command.code != GET_CAPABILITY {
                return Reply::Instead(response(0x101, &[]));
            }
            let first = &command.bytes[14..18];
            let list = [first, &[0; 4]].concat().repeat(usize::try_from(count).unwrap());
            let head = [&[1, 0, 0, 0, 6][..], &count.to_be_bytes()].concat();
            Reply::Instead(response(0, &[head, list].concat()))
        })
    };
    for count in [0, 1] {
        for backend in BACKENDS {
            let hostile = endless(count);
            let answer = hostile.identify_patiently(backend);
            assert_eq!(answer["error"]["kind"], "tpm_error", "{backend}: {answer}");
            assert!(hostile.count(GET_CAPABILITY) < 100, "{backend}");
            assert_eq!(hostile.count(READ_PUBLIC), 1, "{backend}: it went on to the keys");
        }
    }
}

#[test]
fn an_nv_index_that_is_described_wrongly_is_an_error() {
    // NV public (2 + 14 without a policy): index (4), hash (2), attributes (4), policy (2), size (2).
    must_be_refused(
        &tpm_with_certificate_and_keys(),
        &[
            ("another index", NV_READ_PUBLIC, |answer| answer[15] = 0x03),
            ("a public area longer than the answer", NV_READ_PUBLIC, |answer| answer[10..12].fill(0xFF)),
            ("a public area shorter than its parts", NV_READ_PUBLIC, |answer| answer[11] -= 1),
            ("a policy longer than the public area", NV_READ_PUBLIC, |answer| answer[22..24].fill(0xFF)),
            ("a name longer than the answer", NV_READ_PUBLIC, |answer| answer[26..28].fill(0xFF)),
        ],
    );
}

#[test]
fn an_nv_index_that_holds_less_than_it_says_holds_no_certificate_that_can_be_read() {
    let tpm = tpm_with_certificate_and_keys();
    for backend in BACKENDS {
        let hostile = Hostile::altering(&tpm, NV_READ_PUBLIC, |answer| answer[24] += 1);
        let answer = hostile.identify_patiently(backend);
        assert_eq!(answer["ek_cert_present"], false, "{backend}: {answer}");
        assert!(warnings(&answer).contains("TPM_RC_NV_RANGE"), "{backend}: {answer}");
    }
}

#[test]
fn an_nv_read_of_another_number_of_bytes_is_an_error() {
    must_be_refused(
        &tpm_with_certificate_and_keys(),
        &[
            ("fewer bytes", NV_READ, |answer| {
                change_parameters(answer, 0, |data| {
                    data.pop();
                    let size = u16::try_from(data.len() - 2).unwrap();
                    data[..2].copy_from_slice(&size.to_be_bytes());
                });
            }),
            ("more bytes", NV_READ, |answer| {
                change_parameters(answer, 0, |data| {
                    data.push(0xFF);
                    let size = u16::try_from(data.len() - 2).unwrap();
                    data[..2].copy_from_slice(&size.to_be_bytes());
                });
            }),
            ("no bytes", NV_READ, |answer| change_parameters(answer, 0, |data| *data = vec![0, 0])),
            ("a size beyond the data", NV_READ, |answer| answer[14] = 0xFF),
            ("parameters longer than the answer", NV_READ, |answer| answer[10..14].fill(0xFF)),
            ("parameters that reach into the session", NV_READ, |answer| answer[13] += 1),
            ("no session", NV_READ, |answer| {
                answer.truncate(answer.len() - 5);
                correct_size(answer);
            }),
            ("half a session", NV_READ, |answer| {
                answer.truncate(answer.len() - 2);
                correct_size(answer);
            }),
            ("the tag of an answer without sessions", NV_READ, |answer| answer[1] = 0x01),
        ],
    );
}

#[test]
fn the_public_area_of_a_key_that_is_cut_short_is_an_error() {
    // public (2 + …), name (2 + 34), qualified name (2 + 34).
    must_be_refused(
        &tpm_with_certificate_and_keys(),
        &[
            ("a public area longer than the answer", READ_PUBLIC, |answer| answer[10..12].fill(0xFF)),
            ("a name longer than the answer", READ_PUBLIC, |answer| {
                let at = answer.len() - 2 * 36;
                answer[at..at + 2].fill(0xFF);
            }),
            ("no qualified name", READ_PUBLIC, |answer| {
                answer.truncate(answer.len() - 36);
                correct_size(answer);
            }),
            ("a qualified name longer than the answer", READ_PUBLIC, |answer| {
                let at = answer.len() - 36;
                answer[at + 1] += 1;
            }),
        ],
    );
}

#[test]
fn a_persistent_key_whose_name_is_another_s_is_an_error() {
    must_be_refused(
        &tpm_with_certificate_and_keys(),
        &[
            ("another modulus", READ_PUBLIC, |answer| answer[100] ^= 1),
            ("another name", READ_PUBLIC, |answer| {
                let name = answer.len() - 2 * 36 + 4;
                answer[name] ^= 1;
            }),
        ],
    );
}

#[test]
fn a_persistent_key_of_an_unknown_type_is_a_warning() {
    let tpm = tpm_with_certificate_and_keys();
    // Its type, and the name that the public area then has.
    let unknown = |answer: &mut Vec<u8>| {
        answer[12..14].copy_from_slice(&[0x77, 0x77]);
        let name = answer.len() - 2 * 36 + 4;
        let digest = Sha256::digest(&answer[12..name - 4]);
        answer[name..name + 32].copy_from_slice(&digest);
    };
    let answer = Hostile::altering(&tpm, READ_PUBLIC, unknown).identify_patiently("native");
    assert_eq!(answer["ek_cert_present"], true, "{answer}");
    assert!(warnings(&answer).contains("0x81010001") && warnings(&answer).contains("0x81000001"), "{answer}");
    if BACKENDS.contains(&"esapi") {
        // libtss2 cannot be brought to pass such a key on.
        let answer = Hostile::altering(&tpm, READ_PUBLIC, unknown).identify_patiently("esapi");
        assert_eq!(answer["error"]["kind"], "tpm_error", "{answer}");
    }
}

/// The answer to `TPM2_CreatePrimary`: handle (4), size of the parameters (4), public area (2 + 314), ….
#[test]
fn a_key_that_is_not_the_one_asked_for_is_an_error_and_flushed() {
    let cases: [Case; 12] = [
        ("other attributes", CREATE_PRIMARY, |answer| answer[25] ^= 0x04),
        ("another policy", CREATE_PRIMARY, |answer| answer[30] ^= 1),
        ("another exponent", CREATE_PRIMARY, |answer| answer[18 + 2 + 54] ^= 3),
        ("another modulus than in its name", CREATE_PRIMARY, |answer| answer[100] ^= 1),
        ("another name", CREATE_PRIMARY, |answer| {
            let last = answer.len() - 6;
            answer[last] ^= 1;
        }),
        ("a key of another type", CREATE_PRIMARY, |answer| answer[21] = 0x23),
        ("a public area longer than the answer", CREATE_PRIMARY, |answer| answer[18..20].fill(0xFF)),
        ("parameters cut short", CREATE_PRIMARY, |answer| {
            change_parameters(answer, 1, |parameters| parameters.truncate(100));
        }),
        ("no parameters", CREATE_PRIMARY, |answer| change_parameters(answer, 1, Vec::clear)),
        ("parameters longer than the answer", CREATE_PRIMARY, |answer| answer[14..18].fill(0xFF)),
        ("no session", CREATE_PRIMARY, |answer| {
            answer.truncate(answer.len() - 5);
            correct_size(answer);
        }),
        ("two sessions", CREATE_PRIMARY, |answer| {
            answer.extend([0, 0, 1, 0, 0]);
            correct_size(answer);
        }),
    ];
    let tpm = tpm_with_keys();
    for (what, code, alter) in cases {
        let hostile = Hostile::altering(&tpm, code, alter);
        let answer = hostile.identify_patiently("native");
        assert_eq!(answer["error"]["kind"], "tpm_error", "{what}: {answer}");
        assert_eq!(hostile.count(FLUSH_CONTEXT), 1, "{what}");
        assert_eq!(tpm.transient_handles(), "", "{what}");
        if BACKENDS.contains(&"esapi") {
            let answer = Hostile::altering(&tpm, code, alter).identify_patiently("esapi");
            // libtss2 reads one session, and leaves what follows it.
            assert!(what == "two sessions" || answer["error"]["kind"] == "tpm_error", "{what}: {answer}");
            // It forgets what it cannot read: then the key stays.
            tpm.tpm2("tpm2_flushcontext", &["-t"]);
        }
    }
}

#[test]
fn a_new_key_with_the_handle_of_something_else_is_an_error_and_nothing_else_is_flushed() {
    let tpm = tpm_with_keys();
    for backend in BACKENDS {
        let hostile = Hostile::altering(&tpm, CREATE_PRIMARY, |answer| answer[10] = 0x81);
        let answer = hostile.identify_patiently(backend);
        assert_eq!(answer["error"]["kind"], "tpm_error", "{backend}: {answer}");
        tpm.tpm2("tpm2_flushcontext", &["-t"]);
        tpm.tpm2("tpm2_readpublic", &["-c", "0x81010001"]);
    }
}
