//! `identify` and the certificates above the EK certificate, in NV indexes 0x01c00100 to 0x01c001ff.

use std::sync::LazyLock;

use serde_json::{Value, json};
use tbot_tpm::ekcert::pem_encode;

use crate::support::messages::snapshot;
use crate::support::states::{EK_CERTIFICATE, MANUFACTURERS, identify, one_warning};
use crate::support::{SoftwareTpm, certificate};

const FIRST: &str = "0x01c00100";
const SECOND: &str = "0x01c00101";

/// An EK certificate and three others, in DER.
fn certificates() -> &'static [Vec<u8>; 4] {
    static ALL: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
        [&["rsa:2048"][..], &curve, &curve, &curve]
            .map(|key| certificate(directory.path(), key, &["-days", "400"]))
    });
    &ALL
}

fn tpm() -> SoftwareTpm {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(EK_CERTIFICATE, MANUFACTURERS, &certificates()[0]);
    tpm
}

fn pem(certificates: &[Vec<u8>]) -> Value {
    let blocks: Vec<String> =
        certificates.iter().map(|der| pem_encode("CERTIFICATE", der).unwrap()).collect();
    json!(blocks.concat())
}

#[test]
fn a_chain_is_read_whole_over_as_many_indexes_as_it_spans() {
    let tpm = tpm();
    assert_eq!(identify(&tpm)["ek_cert_chain_pem"], Value::Null);
    let [_, chain @ ..] = certificates();
    let whole = chain.concat();
    let padded = chain.iter().map(|der| [&der[..], &[0xff; 7]].concat()).collect::<Vec<_>>().concat();
    let middle = chain[0].len() + 100;
    for parts in [
        vec![(FIRST, &whole[..])],
        vec![(FIRST, &whole[..middle]), (SECOND, &whole[middle..])],
        vec![(FIRST, &whole[..9]), (SECOND, &whole[9..middle]), ("0x01c001ff", &whole[middle..])],
        vec![("0x01c00180", &padded[..])],
        // These are not in the range.
        vec![(FIRST, &whole[..]), ("0x01c00200", &b"x"[..]), ("0x01c000ff", &b"x"[..])],
    ] {
        for (index, content) in &parts {
            tpm.write_nv(index, MANUFACTURERS, content);
        }
        let answer = identify(&tpm);
        assert_eq!(answer["ek_cert_chain_pem"], pem(chain), "{answer}");
        assert_eq!(answer["ansible_facts"]["tbot_tpm"]["ek_cert_chain_pem"], pem(chain));
        assert_eq!(answer["warnings"], json!([]));
        for (index, _) in &parts {
            tpm.tpm2("tpm2_nvundefine", &["-C", "p", index]);
        }
    }
    for padding in [0x00, 0xff] {
        tpm.replace_nv(FIRST, MANUFACTURERS, &[padding; 99]);
        let answer = identify(&tpm);
        assert_eq!((&answer["ek_cert_chain_pem"], &answer["warnings"]), (&Value::Null, &json!([])));
    }
}

#[test]
fn what_cannot_be_read_of_a_chain_is_a_warning_and_what_comes_before_it_counts() {
    let tpm = tpm();
    let [_, chain @ ..] = certificates();
    tpm.write_nv(FIRST, MANUFACTURERS, &chain[..2].concat());
    let warning = |attributes: &str, content: &[u8], arguments: &[&str], known: usize| {
        tpm.can("tpm2_nvundefine", &["-C", "p", SECOND]);
        tpm.define_nv(SECOND, attributes, content.len(), arguments);
        tpm.fill_nv(SECOND, content);
        let answer = identify(&tpm);
        assert_eq!(answer["ek_cert_chain_pem"], pem(&chain[..known]), "{answer}");
        one_warning(&answer).to_owned()
    };
    let cut = &chain[2][..chain[2].len() - 1];
    snapshot!(warning(MANUFACTURERS, cut, &[], 2), @"the certificate chain in the TPM is not read to its end: other data follow certificate 2");
    snapshot!(warning(MANUFACTURERS, b"x", &[], 2), @"the certificate chain in the TPM is not read to its end: other data follow certificate 2");
    snapshot!(warning(MANUFACTURERS, b"\x30\x03\x02\x01\x05", &[], 2), @"the certificate chain in the TPM is not read to its end: the DER sequence is no certificate inside");
    let protected = warning(MANUFACTURERS, &chain[2], &["-p", "secret"], 2);
    assert!(protected.contains("could not let NV index 0x01c00101 be read"), "{protected}");
    // A wrong password would bring the TPM closer to lockout, for which a second run would be enough.
    tpm.tpm2("tpm2_dictionarylockout", &["-s", "-n", "2", "-t", "100000", "-l", "100000"]);
    for attributes in
        ["ppwrite|ppread|authread|platformcreate", "ppwrite|ppread|ownerread|platformcreate|no_da"]
    {
        let warned = warning(attributes, &chain[2], &["-p", "secret"], 2);
        assert!(
            warned.ends_with(
                "NV index 0x01c00101 is not one that anyone may try to read (authread, no_da, ordinary)"
            ),
            "{warned}"
        );
    }
    assert_eq!(identify(&tpm)["tpm"]["in_lockout"], false);
}

#[test]
fn a_chain_that_no_tpm_has_is_not_read_to_its_end() {
    let tpm = tpm();
    let [_, one, ..] = certificates();
    // Of other certificates there would be too many before there were too many bytes.
    let large = certificate(tempfile::tempdir().unwrap().path(), &["rsa:4096"], &[]);
    for index in 0..12 {
        tpm.write_nv(&format!("0x01c001{index:02x}"), MANUFACTURERS, &[&large[..], &[0; 500]].concat());
    }
    let warning = one_warning(&identify(&tpm)).to_owned();
    assert!(warning.ends_with("makes it longer than a chain is"), "{warning}");
    for index in 0..12 {
        tpm.replace_nv(&format!("0x01c001{index:02x}"), MANUFACTURERS, one);
    }
    // One certificate is listed once.
    assert_eq!(identify(&tpm)["ek_cert_chain_pem"], pem(std::slice::from_ref(one)));
}

#[test]
fn without_an_ek_certificate_there_is_nothing_to_be_a_chain_of() {
    let tpm = SoftwareTpm::start();
    tpm.write_nv(FIRST, MANUFACTURERS, &certificates()[1]);
    let answer = identify(&tpm);
    assert_eq!((&answer["ek_cert_chain_pem"], &answer["warnings"]), (&Value::Null, &json!([])));
}
