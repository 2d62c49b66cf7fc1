//! What is around the certificate, its version, serial number, algorithm and signature.

use super::super::der::{
    bits, boolean, context, element, hex, integer, null, octets, oid, printable, sequence, tagged,
};
use super::keys::RSA_2048_HASH;
use super::{Fixture, Parts, accepted, changed, identity, refused};

pub fn fixtures() -> Vec<Fixture> {
    [around(), lengths(), versions(), serials(), algorithms(), unique_identifiers()]
        .into_iter()
        .flatten()
        .collect()
}

/// A TCG header, and what follows the certificate.
fn around() -> Vec<Fixture> {
    let valid = Parts::valid().der();
    let header =
        |length: usize| [&[0x10, 0x01, 0x00][..], &u16::try_from(length).unwrap().to_be_bytes()].concat();
    let with_header = |length: usize, after: &[u8]| [&header(length), &valid[..], after].concat();
    let beyond = "the TCG header's length reaches beyond the data";
    let no_sequence = "the data does not start with a DER sequence";
    vec![
        accepted("a valid certificate", valid.clone()),
        accepted("padded with 00", [&valid[..], &[0x00; 40]].concat()),
        accepted("padded with FF", [&valid[..], &[0xff; 40]].concat()),
        accepted("followed by anything", [&valid[..], b"anything"].concat()),
        accepted("TCG header", with_header(valid.len(), &[])),
        accepted("TCG header and padding", with_header(valid.len(), &[0xff; 40])),
        accepted("TCG header with a length that includes padding", with_header(valid.len() + 10, &[0; 40])),
        refused("TCG header with a length beyond the data", beyond, with_header(valid.len() + 1, &[])),
        refused("TCG header that cuts the certificate", no_sequence, with_header(valid.len() - 1, &[])),
        refused("TCG header with length zero", no_sequence, with_header(0, &[])),
        refused("TCG header and nothing else", no_sequence, header(0)),
        refused(
            "TCG header of another type",
            no_sequence,
            [&hex("100101"), &header(valid.len())[3..], &valid].concat(),
        ),
        refused("empty", no_sequence, Vec::new()),
        refused("all FF", no_sequence, vec![0xff; 900]),
        refused("all 00", no_sequence, vec![0; 900]),
        refused("padding before the certificate", no_sequence, [&[0x00][..], &valid].concat()),
        refused("cut short", no_sequence, valid[..valid.len() - 1].to_vec()),
        refused("an empty sequence", "the DER sequence is no certificate inside", hex("3000")),
        refused(
            "something else in DER",
            "the DER sequence is no certificate inside",
            sequence(&[integer(&[1])]),
        ),
    ]
}

/// Lengths that DER has a shorter form for, and elements where none should be.
fn lengths() -> Vec<Fixture> {
    let valid = Parts::valid();
    let certificate = |body: Vec<u8>, rest: &[Vec<u8>]| sequence(&[vec![body], rest.to_vec()].concat());
    let rest = [valid.outer_algorithm.clone(), valid.signature.clone()];
    let body = sequence(&valid.body());
    let extended = sequence(&[valid.body(), vec![octets(b"more")]].concat());
    let content = &valid.der()[4..];
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    vec![
        accepted("more elements at the end of the signed part", certificate(extended, &rest)),
        accepted(
            "more elements after the signature",
            certificate(body.clone(), &[&rest[..], &[octets(b"more")]].concat()),
        ),
        accepted(
            "no element after the signature, only bytes",
            certificate(body, &[&rest[..], &[vec![0xff]]].concat()),
        ),
        refused(
            "indefinite length",
            "the data does not start with a DER sequence",
            [&[0x30, 0x80], content, &[0, 0]].concat(),
        ),
        refused(
            "a length in one byte more than it needs",
            "the data does not start with a DER sequence",
            [&[0x30, 0x83, 0][..], &length, content].concat(),
        ),
        refused(
            "a short length in long form",
            "the serial number is malformed",
            changed(|parts| parts.serial = hex("02810103")),
        ),
    ]
}

fn versions() -> Vec<Fixture> {
    let version = |content: &[u8]| changed(|parts| parts.version = tagged(0, content));
    let why = "the version is not 1, 2 or 3";
    let plain = |encoded: Vec<u8>| {
        changed(|parts| {
            parts.version = encoded;
            parts.extensions.clear();
        })
    };
    vec![
        accepted("version 1, left out", plain(Vec::new())),
        accepted("version 1, written out", plain(tagged(0, &integer(&[0])))),
        accepted("version 2", plain(tagged(0, &integer(&[1])))),
        // Extensions are for version 3; here they are not looked at.
        accepted(
            "version 1 with a malformed extension",
            changed(|parts| {
                parts.version.clear();
                parts.extensions = vec![null()];
            }),
        ),
        accepted("version 2^63, which overflows in Go", version(&integer(&hex("7fffffffffffffff")))),
        refused("version 4", why, version(&integer(&[3]))),
        refused("version 0", why, version(&integer(&[0xff]))),
        refused("version not minimally encoded", why, version(&integer(&[0, 2]))),
        refused("version that is no integer", why, version(&null())),
        refused("version with more after it", why, version(&[integer(&[2]), null()].concat())),
    ]
}

fn serials() -> Vec<Fixture> {
    let serial = |content: &[u8]| changed(|parts| parts.serial = integer(content));
    let known = |name, content: &[u8], expected| identity(name, serial(content), RSA_2048_HASH, expected);
    let malformed = "the serial number is malformed";
    vec![
        known("serial 1", &[1], "01"),
        known("serial 4095", &hex("0fff"), "0f:ff"),
        known("serial 0", &[0], "00"),
        known("serial with a high bit", &hex("00f5a5a5a5"), "f5:a5:a5:a5"),
        known(
            "serial of 20 bytes",
            &[0x7f; 20],
            "7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f",
        ),
        known(
            "serial of 21 bytes, longer than RFC 5280 allows",
            &[0x7f; 21],
            "7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f",
        ),
        refused("serial -1", "the serial number is negative", serial(&[0xff])),
        refused("serial negative, several bytes", "the serial number is negative", serial(&hex("f5a5a5a5"))),
        refused("serial not minimally encoded", malformed, serial(&hex("0001"))),
        refused("serial negative and not minimally encoded", malformed, serial(&hex("ff80"))),
        refused("serial empty", malformed, serial(&[])),
        refused("serial of another type", malformed, changed(|parts| parts.serial = octets(&[1]))),
    ]
}

fn algorithms() -> Vec<Fixture> {
    let both = |algorithm: Vec<u8>| {
        changed(|parts| {
            parts.inner_algorithm.clone_from(&algorithm);
            parts.outer_algorithm = algorithm;
        })
    };
    let outer = |algorithm: Vec<u8>| changed(|parts| parts.outer_algorithm = algorithm);
    let sha256 = || oid("1.2.840.113549.1.1.11");
    let malformed = "the signature algorithm is malformed";
    vec![
        accepted("unknown signature algorithm", both(sequence(&[oid("1.2.3.4")]))),
        accepted("signature algorithm with odd parameters", both(sequence(&[sha256(), octets(b"odd")]))),
        accepted(
            "signature algorithm with more after its parameters",
            both(sequence(&[sha256(), null(), null()])),
        ),
        refused(
            "outer algorithm without the inner's NULL",
            "the two signature algorithms differ",
            outer(sequence(&[sha256()])),
        ),
        refused(
            "outer algorithm is another",
            "the two signature algorithms differ",
            outer(sequence(&[oid("1.2.840.113549.1.1.5"), null()])),
        ),
        refused("signature algorithm empty", malformed, both(sequence(&[]))),
        refused("signature algorithm not an identifier", malformed, both(sequence(&[null()]))),
        refused(
            "signature algorithm with an identifier cut short",
            malformed,
            both(sequence(&[element(6, &[0x2a, 0x86])])),
        ),
        refused(
            "signature algorithm with a number too large",
            malformed,
            both(sequence(&[element(6, &hex("2a8880808000"))])),
        ),
        refused(
            "signature algorithm with broken parameters",
            malformed,
            both(sequence(&[sha256(), vec![5, 1]])),
        ),
        accepted("signature empty", changed(|parts| parts.signature = bits(&[]))),
        accepted("signature with unused bits", changed(|parts| parts.signature = element(3, &[4, 0xf0]))),
        refused(
            "signature with unused bits that are set",
            "the signature is malformed",
            changed(|parts| parts.signature = element(3, &[4, 0xff])),
        ),
        refused(
            "signature of another type",
            "the signature is malformed",
            changed(|parts| parts.signature = octets(&[0])),
        ),
    ]
}

fn unique_identifiers() -> Vec<Fixture> {
    let with = |elements: Vec<u8>| changed(|parts| parts.unique_identifiers = elements);
    vec![
        accepted("both unique identifiers", with([context(1, &[0, 1]), context(2, &[0, 2])].concat())),
        accepted("a unique identifier with nonsense in it", with(context(2, b"nonsense"))),
        // What should come later hides the extensions, of which one is malformed here.
        accepted(
            "a unique identifier in constructed form",
            changed(|parts| {
                parts.unique_identifiers = tagged(1, &printable("x"));
                parts.extensions = vec![boolean(1)];
            }),
        ),
        refused(
            "a unique identifier beyond the end",
            "one of the unique identifiers is malformed",
            changed(|parts| {
                parts.unique_identifiers = vec![0x81, 0x05, 0];
                parts.extensions.clear();
            }),
        ),
    ]
}
