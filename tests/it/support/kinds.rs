//! CAs and EK certificates of every kind that makes a difference to a cluster.

use super::certificates::{Parts, extension, name};
use super::der::{
    bits, boolean, context, element, hex, integer, null, oid, printable, sequence, tagged, utc_time, utf8,
};
use super::issuing::{BASIC_CONSTRAINTS, KEY_USAGE, NAME_CONSTRAINTS, SUBJECT_ALT_NAME, critical};

/// A change to the parts of a certificate.
pub type Change = fn(&mut Parts);

fn extensions(parts: &mut Parts, extensions: &[Vec<u8>]) {
    parts.extensions = extensions.to_vec();
}

pub fn is_ca() -> Vec<u8> {
    critical(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff)]))
}

fn without_extensions(parts: &mut Parts, version: Vec<u8>) {
    parts.version = version;
    parts.extensions.clear();
}

/// CAs with something particular, and whether a cluster accepts what they issued.
pub fn authorities() -> Vec<(&'static str, &'static str, Change)> {
    vec![
        ("a usual CA", "accepted", |_| ()),
        ("version 1", "accepted", |ca| without_extensions(ca, Vec::new())),
        ("version 2", "accepted", |ca| without_extensions(ca, tagged(0, &integer(&[1])))),
        ("version 3 without extensions", "refused", |ca| ca.extensions.clear()),
        ("version 2^63", "accepted", |ca| ca.version = tagged(0, &integer(&hex("7fffffffffffffff")))),
        ("basicConstraints alone", "accepted", |ca| extensions(ca, &[is_ca()])),
        ("basicConstraints not critical", "accepted", |ca| {
            extensions(ca, &[extension(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff)]))]);
        }),
        ("CA false", "refused", |ca| {
            extensions(ca, &[critical(BASIC_CONSTRAINTS, &sequence(&[boolean(0)]))]);
        }),
        ("CA left out", "refused", |ca| extensions(ca, &[critical(BASIC_CONSTRAINTS, &sequence(&[]))])),
        ("path length zero", "accepted", |ca| {
            extensions(ca, &[critical(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff), integer(&[0])]))]);
        }),
        ("path length without CA", "refused", |ca| {
            extensions(ca, &[critical(BASIC_CONSTRAINTS, &sequence(&[integer(&[0])]))]);
        }),
        ("keyUsage without keyCertSign", "refused", |ca| {
            extensions(ca, &[is_ca(), critical(KEY_USAGE, &element(3, &[7, 0x80]))]);
        }),
        ("keyUsage decipherOnly", "refused", |ca| {
            extensions(ca, &[is_ca(), critical(KEY_USAGE, &element(3, &[7, 0, 0x80]))]);
        }),
        ("keyUsage of bits that nobody knows", "accepted", |ca| {
            extensions(ca, &[is_ca(), critical(KEY_USAGE, &element(3, &[0, 0, 0x7f]))]);
        }),
        ("keyUsage zero", "accepted", |ca| {
            extensions(ca, &[is_ca(), critical(KEY_USAGE, &element(3, &[0, 0]))]);
        }),
        ("keyUsage empty", "accepted", |ca| {
            extensions(ca, &[is_ca(), critical(KEY_USAGE, &element(3, &[0]))]);
        }),
        ("other key purposes", "accepted", |ca| {
            let purposes = sequence(&[oid("1.3.6.1.5.5.7.3.1")]);
            extensions(ca, &[is_ca(), critical("2.5.29.37", &purposes)]);
        }),
        ("an unknown critical extension", "refused", |ca| ca.extensions.push(critical("1.2.3.4", b"x"))),
        ("an unknown extension", "accepted", |ca| ca.extensions.push(extension("1.2.3.4", b"x"))),
        ("critical policies and their like", "accepted", |ca| {
            ca.extensions.push(critical("2.5.29.32", &sequence(&[sequence(&[oid("1.2.3")])])));
            ca.extensions.push(critical("2.5.29.33", &sequence(&[])));
            ca.extensions.push(critical("2.5.29.36", &sequence(&[context(0, &[0])])));
            ca.extensions.push(critical("2.5.29.54", &integer(&[0])));
            ca.extensions.push(critical("2.5.29.31", &sequence(&[])));
        }),
        ("a critical directory name", "refused", |ca| {
            ca.extensions.push(critical(SUBJECT_ALT_NAME, &sequence(&[tagged(4, &sequence(&[]))])));
        }),
        ("a critical DNS name", "accepted", |ca| {
            ca.extensions.push(critical(SUBJECT_ALT_NAME, &sequence(&[context(2, b"a.b")])));
        }),
        ("critical nameConstraints of directory names", "refused", |ca| {
            ca.extensions.push(critical(NAME_CONSTRAINTS, &directory_constraint()));
        }),
        ("nameConstraints of directory names", "accepted", |ca| {
            ca.extensions.push(extension(NAME_CONSTRAINTS, &directory_constraint()));
        }),
        ("expired", "refused", |ca| ca.validity = validity("250101000000Z", "260101000000Z")),
        ("not yet valid", "refused", |ca| ca.validity = validity("300101000000Z", "350101000000Z")),
        ("the name in another string type", "refused", |ca| {
            ca.subject = name(&[("2.5.4.6", printable("DE")), ("2.5.4.3", utf8("EK CA"))]);
        }),
        ("the name in other letters", "refused", |ca| {
            ca.subject = name(&[("2.5.4.6", printable("DE")), ("2.5.4.3", printable("ek ca"))]);
        }),
        ("self-issued", "accepted", |ca| ca.issuer.clone_from(&ca.subject)),
        ("a key of an unknown type", "refused", |ca| {
            ca.key = sequence(&[sequence(&[oid("1.2.840.113549.1.1.10")]), bits(&[])]);
        }),
        ("a key of another type", "refused", |ca| ca.key = Parts::valid().key),
        ("a certificate that does not parse", "refused", |ca| ca.serial = integer(&[0xff])),
        ("a name that only newer releases take", "disputed", |ca| {
            ca.issuer = name(&[("2.5.4.3", integer(&[1]))]);
        }),
    ]
}

fn directory_constraint() -> Vec<u8> {
    sequence(&[tagged(0, &sequence(&[tagged(4, &sequence(&[]))]))])
}

pub fn validity(from: &str, until: &str) -> Vec<u8> {
    sequence(&[utc_time(from), utc_time(until)])
}

/// EK certificates with something particular, and whether a cluster accepts them.
pub fn certificates() -> Vec<(&'static str, &'static str, Change)> {
    vec![
        ("a usual one", "accepted", |_| ()),
        ("version 1", "accepted", |ek| without_extensions(ek, Vec::new())),
        ("no extensions", "accepted", |ek| ek.extensions.clear()),
        ("an unknown critical extension", "refused", |ek| ek.extensions.push(critical("1.2.3.4", b"x"))),
        ("a critical TCG attribute", "refused", |ek| {
            ek.extensions.push(critical("2.5.29.9", &sequence(&[])));
        }),
        ("a critical directory name", "accepted", |ek| {
            extensions(ek, &[critical(SUBJECT_ALT_NAME, &sequence(&[tagged(4, &sequence(&[]))]))]);
        }),
        ("two critical directory names", "accepted", |ek| {
            let one = tagged(4, &sequence(&[]));
            extensions(ek, &[critical(SUBJECT_ALT_NAME, &sequence(&[one.clone(), one]))]);
        }),
        ("critical directory and other names", "refused", |ek| {
            let names = [tagged(4, &sequence(&[])), tagged(0, &oid("1.2.3"))];
            extensions(ek, &[critical(SUBJECT_ALT_NAME, &sequence(&names))]);
        }),
        ("critical directory and DNS names", "accepted", |ek| {
            let names = [tagged(4, &sequence(&[])), context(2, b"a.b")];
            extensions(ek, &[critical(SUBJECT_ALT_NAME, &sequence(&names))]);
        }),
        ("a critical subjectAltName without names", "refused", |ek| {
            extensions(ek, &[critical(SUBJECT_ALT_NAME, &sequence(&[]))]);
        }),
        ("a critical directory name, and something unknown", "refused", |ek| {
            ek.extensions.push(critical("1.2.3.4", b"x"));
        }),
        ("critical nameConstraints of directory names", "refused", |ek| {
            ek.extensions.push(critical(NAME_CONSTRAINTS, &directory_constraint()));
        }),
        ("its own nameConstraints play no part", "accepted", |ek| {
            let constraint = sequence(&[tagged(0, &sequence(&[context(2, b"c")]))]);
            let names = sequence(&[context(2, b"a.b")]);
            extensions(ek, &[critical(NAME_CONSTRAINTS, &constraint), extension(SUBJECT_ALT_NAME, &names)]);
        }),
        ("a CA", "accepted", |ek| extensions(ek, &[is_ca()])),
        ("policies asked for at once, and none there", "refused", |ek| {
            extensions(ek, &[critical("2.5.29.36", &sequence(&[context(0, &[0])]))]);
        }),
        ("policies asked for later", "accepted", |ek| {
            extensions(ek, &[critical("2.5.29.36", &sequence(&[context(0, &[1]), context(1, &[0])]))]);
        }),
        ("policies asked for and there", "accepted", |ek| {
            let policies = sequence(&[sequence(&[oid("1.2.3")])]);
            let asks = critical("2.5.29.36", &sequence(&[context(0, &[0])]));
            extensions(ek, &[asks, extension("2.5.29.32", &policies)]);
        }),
        ("any policy", "accepted", |ek| {
            let policies = sequence(&[sequence(&[oid("2.5.29.32.0")])]);
            let asks = critical("2.5.29.36", &sequence(&[context(0, &[0])]));
            let inhibits = critical("2.5.29.54", &integer(&[0]));
            extensions(ek, &[asks, inhibits, extension("2.5.29.32", &policies)]);
        }),
        ("an empty list of policies", "refused", |ek| {
            let asks = critical("2.5.29.36", &sequence(&[context(0, &[0])]));
            extensions(ek, &[asks, extension("2.5.29.32", &sequence(&[]))]);
        }),
        ("expired", "refused", |ek| ek.validity = validity("250101000000Z", "260101000000Z")),
        ("not yet valid", "refused", |ek| ek.validity = validity("300101000000Z", "350101000000Z")),
        ("valid for ever", "accepted", |ek| {
            ek.validity = sequence(&[utc_time("250101000000Z"), element(0x18, b"99991231235959Z")]);
        }),
        ("self-issued by name", "accepted", |ek| ek.subject.clone_from(&ek.issuer)),
        ("issued by somebody else", "refused", |ek| ek.issuer = name(&[("2.5.4.3", printable("Root"))])),
        ("a key that has no hash", "accepted", |ek| {
            ek.key = sequence(&[sequence(&[oid("1.2.840.113549.1.1.7"), null()]), bits(&[])]);
        }),
        ("no certificate", "unreadable", |ek| ek.serial = integer(&[0xff])),
        ("a name that only newer releases take", "disputed", |ek| {
            ek.subject = name(&[("2.5.4.3", integer(&[1]))]);
        }),
    ]
}
