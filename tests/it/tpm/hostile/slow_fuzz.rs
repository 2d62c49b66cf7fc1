//! Thousands of damaged answers, made from real ones with fixed seeds: no panic, no hang, and an identity
//! only where it is the one that the bytes say.
//!
//! `TBOT_TPM_FUZZ_ROUNDS` multiplies them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tbot_tpm::ekcert::CertificateChain;
use tbot_tpm::error::{Kind, Result};
use tbot_tpm::tpm::{Backend, EkSource, EndorsementKey, PersistentKeys, Tcti, TimeLimit, Tpm};

use crate::support::hostile::{
    COMMANDS, GET_CAPABILITY, Hostile, NV_READ, Reply, correct_size, is_whole, response,
};
use crate::support::random_state::Random;
use crate::support::{SoftwareTpm, certificate};

/// Commands and their answers, as they came.
type Session = Vec<(Vec<u8>, Vec<u8>)>;

/// What `identify` on a TPM exchanges with it.
fn recorded(tpm: &SoftwareTpm) -> Session {
    let log: Arc<Mutex<Session>> = Arc::default();
    let written = Arc::clone(&log);
    let server = Hostile::before(tpm, move |command| {
        let (command, log) = (command.bytes.to_vec(), Arc::clone(&written));
        Reply::Altered(Box::new(move |answer| log.lock().unwrap().push((command.clone(), answer.clone()))))
    });
    assert!(server.identify_patiently("native").get("failed").is_none());
    log.lock().unwrap().clone()
}

/// Without a certificate, and with one that takes two reads; and what that one's NV index holds.
fn sessions() -> (Session, Session, Vec<u8>) {
    let tpm = SoftwareTpm::start();
    tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", "0x81010001"]);
    tpm.tpm2("tpm2_flushcontext", &["-t"]);
    let without = recorded(&tpm);
    let der = certificate(tpm.file("nv").parent().unwrap(), &["rsa:2048"], &[]);
    let content = [&der[..], &[0xFF; 700]].concat();
    tpm.write_nv("0x01c00002", "ppwrite|ppread|authread|platformcreate|no_da", &content);
    (without, recorded(&tpm), content)
}

/// A TPM that plays a session, but for one answer.
struct Playback {
    path: PathBuf,
    /// The command whose first answer is replaced, and by what.
    damage: Arc<Mutex<(Vec<u8>, Vec<u8>)>>,
    _server: Hostile,
    _directory: tempfile::TempDir,
}

impl Playback {
    /// What the session lacks is looked for in `others`; reads of `content` are answered from that.
    fn of(session: &Session, others: &Session, content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tpm");
        let mut answers: HashMap<Vec<u8>, Vec<u8>> = others.iter().cloned().collect();
        answers.extend(session.iter().cloned());
        let damage: Arc<Mutex<(Vec<u8>, Vec<u8>)>> = Arc::default();
        let (wanted, content) = (Arc::clone(&damage), content.to_vec());
        let server = Hostile::on_unix_socket(&path, move |command| {
            let (damaged, by) = wanted.lock().unwrap().clone();
            if command.bytes == damaged {
                return if is_whole(&by) { Reply::Instead(by) } else { Reply::Last(by) };
            }
            Reply::Instead(match answers.get(command.bytes) {
                Some(answer) => answer.clone(),
                None if command.code == NV_READ => read(&content, command.bytes),
                None => response(0x1C4, &[]),
            })
        });
        Self { path, damage, _server: server, _directory: directory }
    }

    fn identity(&self, damaged: &[u8], by: &[u8]) -> Result<EndorsementKey> {
        *self.damage.lock().unwrap() = (damaged.to_vec(), by.to_vec());
        let limit = TimeLimit::of(Duration::from_mins(1));
        let mut tpm = Tpm::connect(&Tcti::SwtpmUnix(self.path.clone()), Backend::Native, limit)?;
        let properties = tpm.properties()?;
        let persistent = PersistentKeys::read(&mut tpm)?;
        let key = EndorsementKey::read(&mut tpm, &properties, &persistent, None)?;
        // Whatever comes of that, it is no error.
        CertificateChain::read(&mut tpm, &properties);
        Ok(key)
    }
}

/// The answer to a `TPM2_NV_Read`, whose last parameters are size and offset.
fn read(content: &[u8], command: &[u8]) -> Vec<u8> {
    let (_, [a, b, c, d]) = command.split_last_chunk::<4>().unwrap();
    let (size, offset) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    let range = usize::from(offset)..usize::from(offset) + usize::from(size);
    let Some(bytes) = content.get(range) else { return response(0x146, &[]) };
    let size = size.to_be_bytes();
    let parameters = u32::try_from(bytes.len() + 2).unwrap().to_be_bytes();
    let mut answer = response(0, &[&parameters[..], &size, bytes, &[0, 0, 1, 0, 0]].concat());
    answer[1] = 2;
    answer
}

/// One of the ways in which an answer can be wrong.
fn damaged(answer: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    match random.below(6) {
        0 => {
            bytes.truncate(random.below(answer.len()));
            if bytes.len() >= 6 && random.once_in(2) {
                correct_size(&mut bytes);
            }
        }
        1 => {
            let length = 1 + random.below(64);
            bytes.extend(random.bytes(length));
            correct_size(&mut bytes);
        }
        2 => {
            // A whole piece is missing, or there twice.
            let (from, to) = (10 + random.below(answer.len() - 9), 10 + random.below(answer.len() - 9));
            bytes = [&answer[..from], &answer[to..]].concat();
            correct_size(&mut bytes);
        }
        3 => {
            // A number at its limits: most fields are of two or four bytes.
            let at = random.below(answer.len() - 3);
            let value = random.one_of(&[&[0_u8, 0][..], &[0xFF, 0xFF], &[0x7F, 0xFF], &[0; 4], &[0xFF; 4]]);
            bytes[at..at + value.len()].copy_from_slice(value);
        }
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(answer.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
    }
    bytes
}

/// The identity from the bytes of an answer that was damaged; with what the NV index then holds.
fn must_make_sense(key: &EndorsementKey, honest: &EndorsementKey, fallback: &EndorsementKey, content: &[u8]) {
    match &key.certificate {
        None => {
            // The certificate may be gone, but the EK is the true one.
            assert_eq!(key.source, EkSource::CreatePrimary);
            assert_eq!(key.public_key, fallback.public_key);
        }
        Some(found) => {
            assert_eq!(key.source, EkSource::NvCertificate);
            let der = der_of(&found.to_pem().unwrap());
            assert_eq!(der, content[..der.len()], "a certificate that is not in the NV index");
            if found == honest.certificate.as_ref().unwrap() {
                assert_eq!(key.public_key, honest.public_key);
            }
        }
    }
}

fn der_of(pem: &str) -> Vec<u8> {
    let (label, der) = der::pem::decode_vec(pem.as_bytes()).unwrap();
    assert_eq!(label, "CERTIFICATE");
    der
}

/// Whether an answer of that form can be right: neither longer nor shorter than it was, or a whole list of
/// properties. What the list of the chain's indexes says does not matter to the key.
fn could_be_right(damaged: &[u8], answer: &[u8], command: &[u8]) -> bool {
    let counted = |list: &[u8]| list.get(18).is_some_and(|count| list.len() == 19 + 8 * usize::from(*count));
    let is_list = command[6..10] == GET_CAPABILITY.to_be_bytes();
    let is_of_chain = is_list && command[10..14] == 1_u32.to_be_bytes();
    is_of_chain
        || damaged.len() == answer.len() && damaged[2..6] == answer[2..6]
        || is_list && counted(damaged)
}

/// How many were taken, and how many refused.
fn damage_all(session: &Session, others: &Session, content: &[u8], seed: u64) -> (usize, usize) {
    let rounds: usize = std::env::var("TBOT_TPM_FUZZ_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let playback = Playback::of(session, others, content);
    let honest = playback.identity(&[], &[]).unwrap();
    let fallback = Playback::of(others, session, content).identity(&[], &[]).unwrap();
    let fallback = if honest.certificate.is_some() { fallback } else { honest.clone() };
    let (mut taken, mut refused) = (0, 0);
    for (number, (command, answer)) in session.iter().enumerate() {
        let mut random = Random::new(seed + u64::try_from(number).unwrap());
        for round in 0..300 * rounds {
            let bytes = damaged(answer, &mut random);
            let what = format!("answer {number}, round {round}: {bytes:02x?} instead of {answer:02x?}");
            let outcome = catch_unwind(AssertUnwindSafe(|| playback.identity(command, &bytes)))
                .unwrap_or_else(|_| panic!("a panic at {what}"));
            match outcome {
                Ok(key) => {
                    taken += 1;
                    assert!(could_be_right(&bytes, answer, command), "{what}");
                    let content = content_as_told(content, command, &bytes);
                    catch_unwind(|| must_make_sense(&key, &honest, &fallback, &content))
                        .unwrap_or_else(|_| panic!("{key:?} of {what}"));
                }
                Err(error) => {
                    refused += 1;
                    let kinds = [Kind::TpmError, Kind::TpmNotFound, Kind::TpmBusy, Kind::EkUnsupported];
                    assert!(kinds.contains(&error.kind), "{error:?} of {what}");
                    assert_ne!(bytes, *answer, "{what}");
                }
            }
        }
    }
    (taken, refused)
}

/// What the NV index holds, going by a damaged answer to a read.
fn content_as_told(content: &[u8], command: &[u8], answer: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    if command[6..10] == NV_READ.to_be_bytes() {
        let (_, [a, b, c, d]) = command.split_last_chunk::<4>().unwrap();
        let (size, offset) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        let (size, offset) = (usize::from(size), usize::from(offset));
        content[offset..offset + size].copy_from_slice(&answer[16..16 + size]);
    }
    content
}

#[test]
fn damaged_answers_give_an_error_or_the_identity_that_they_tell() {
    let (without, with, content) = sessions();
    for code in COMMANDS {
        let is_sent =
            |session: &Session| session.iter().any(|(command, _)| command[6..10] == code.to_be_bytes());
        assert!(is_sent(&with) || is_sent(&without), "{code:#x}");
    }
    let (taken, refused) = damage_all(&with, &without, &content, 1);
    assert!(taken > 100 && refused > 1000, "{taken} taken, {refused} refused");
    let (taken, refused) = damage_all(&without, &with, &content, 1000);
    assert!(taken > 100 && refused > 1000, "{taken} taken, {refused} refused");
}
