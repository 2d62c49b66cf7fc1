//! Names, the string types in them, and times.

use super::super::der::{
    bits, boolean, element, generalized_time, integer, null, octets, oid, printable, sequence, set, utc_time,
    utf8,
};
use super::{Fixture, accepted, changed, disputed, name, refused};

pub fn fixtures() -> Vec<Fixture> {
    [strings(), other_values(), structure(), times()].into_iter().flatten().collect()
}

const NUMERIC: u8 = 0x12;
const T61: u8 = 0x14;
const IA5: u8 = 0x16;
const UNIVERSAL: u8 = 0x1c;
const BMP: u8 = 0x1e;

fn issuer(value: Vec<u8>) -> Vec<u8> {
    changed(|parts| parts.issuer = name(&[("2.5.4.3", value)]))
}

fn strings() -> Vec<Fixture> {
    let why = "the issuer is malformed";
    vec![
        accepted("PrintableString with all of its set", issuer(printable("Aa0 '()+,-./:=?"))),
        accepted("PrintableString with * and &", issuer(printable("*&"))),
        accepted("PrintableString empty", issuer(printable(""))),
        refused("PrintableString with _", why, issuer(printable("EK_CA"))),
        refused("PrintableString with @", why, issuer(printable("ca@example.com"))),
        refused("PrintableString with an umlaut", why, issuer(printable("ä"))),
        refused("PrintableString with ;", why, issuer(printable(";"))),
        accepted("UTF8String with umlauts and controls", issuer(utf8("ä\u{1b}\u{0}"))),
        refused("UTF8String broken", why, issuer(element(0x0c, &[0xc3]))),
        refused("UTF8String with a surrogate", why, issuer(element(0x0c, &[0xed, 0xa0, 0x80]))),
        accepted("T61String with any bytes", issuer(element(T61, &[0x00, 0x80, 0xff]))),
        accepted("IA5String", issuer(element(IA5, b"ca@example.com\x7f"))),
        refused("IA5String with a byte above 7F", why, issuer(element(IA5, &[0x80]))),
        accepted("NumericString", issuer(element(NUMERIC, b"12 34"))),
        refused("NumericString with a letter", why, issuer(element(NUMERIC, b"12a"))),
        accepted("BMPString", issuer(element(BMP, &[0x00, 0x41, 0x20, 0xac]))),
        accepted("BMPString with a terminator", issuer(element(BMP, &[0x00, 0x41, 0x00, 0x00]))),
        refused("BMPString with half a character", why, issuer(element(BMP, &[0x00]))),
        refused("BMPString with a surrogate", why, issuer(element(BMP, &[0xd8, 0x3d, 0xde, 0x00]))),
        refused("BMPString with what is no character", why, issuer(element(BMP, &[0xfd, 0xd0]))),
        refused(
            "PrintableString with _ in the subject",
            "the subject is malformed",
            changed(|parts| parts.subject = name(&[("2.5.4.3", printable("_"))])),
        ),
    ]
}

/// Values that are no strings: since Go 1.27 they pass where they are well-formed.
fn other_values() -> Vec<Fixture> {
    let why = "the issuer is malformed";
    vec![
        disputed("UniversalString in a name", issuer(element(UNIVERSAL, &[0, 0, 0, 0x41]))),
        disputed("integer in a name", issuer(integer(&[1]))),
        disputed("bit string in a name", issuer(bits(&[1]))),
        disputed("octet string in a name", issuer(octets(&[1]))),
        disputed("sequence in a name", issuer(sequence(&[null()]))),
        disputed("NULL with content in a name", issuer(element(5, &[1]))),
        disputed("string in constructed form", issuer(element(0x33, b"_"))),
        refused("integer not minimally encoded in a name", why, issuer(integer(&[0, 1]))),
        refused("integer of 9 bytes in a name", why, issuer(integer(&[1; 9]))),
        refused("boolean 01 in a name", why, issuer(boolean(1))),
        refused("malformed time in a name", why, issuer(utc_time("2501010000"))),
    ]
}

fn structure() -> Vec<Fixture> {
    let issuer = |encoded: Vec<u8>| changed(|parts| parts.issuer = encoded);
    let why = "the issuer is malformed";
    let pair = || sequence(&[oid("2.5.4.3"), printable("EK CA")]);
    vec![
        accepted("issuer empty", issuer(sequence(&[]))),
        accepted("relative name empty", issuer(sequence(&[set(&[])]))),
        accepted(
            "relative name of two attributes, unsorted",
            issuer(sequence(&[set(&[pair(), sequence(&[oid("2.5.4.3"), printable("A")])])])),
        ),
        accepted(
            "more after a value",
            issuer(sequence(&[set(&[sequence(&[oid("2.5.4.3"), printable("A"), null()])])])),
        ),
        refused("relative name that is no set", why, issuer(sequence(&[pair()]))),
        refused("attribute without a value", why, issuer(sequence(&[set(&[sequence(&[oid("2.5.4.3")])])]))),
        refused("attribute without a type", why, issuer(sequence(&[set(&[sequence(&[printable("A")])])]))),
        refused("attribute that is no sequence", why, issuer(sequence(&[set(&[printable("A")])]))),
        refused("issuer that is no sequence", why, issuer(set(&[]))),
    ]
}

fn times() -> Vec<Fixture> {
    let validity = |parts_of: &[Vec<u8>]| changed(|parts| parts.validity = sequence(parts_of));
    let from = |time: Vec<u8>| validity(&[time, utc_time("350101000000Z")]);
    let until = |time: Vec<u8>| validity(&[utc_time("250101000000Z"), time]);
    let why = "the validity is malformed";
    vec![
        accepted("UTCTime without seconds", from(utc_time("2501010000Z"))),
        accepted("UTCTime with an offset", from(utc_time("250101000000+0130"))),
        accepted("UTCTime without seconds, with an offset", from(utc_time("2501010000-0800"))),
        accepted("UTCTime with an offset of 24:59", from(utc_time("250101000000+2459"))),
        accepted("UTCTime on 29 February", from(utc_time("240229000000Z"))),
        refused("UTCTime missing Z", why, from(utc_time("250101000000"))),
        refused("UTCTime with an offset of zero", why, from(utc_time("250101000000+0000"))),
        refused("UTCTime with an offset of 60 minutes", why, from(utc_time("250101000000+0060"))),
        refused("UTCTime with an offset of 25 hours", why, from(utc_time("250101000000+2500"))),
        refused("UTCTime with a fraction", why, from(utc_time("250101000000.5Z"))),
        refused("UTCTime with second 60", why, from(utc_time("250101000060Z"))),
        refused("UTCTime with hour 24", why, from(utc_time("250101240000Z"))),
        refused("UTCTime on 29 February of another year", why, from(utc_time("250229000000Z"))),
        refused("UTCTime on day 0", why, from(utc_time("250100000000Z"))),
        refused("UTCTime in month 13", why, from(utc_time("251301000000Z"))),
        refused("UTCTime with a sign", why, from(utc_time("+50101000000Z"))),
        refused("UTCTime with a lower-case z", why, from(utc_time("250101000000z"))),
        refused("UTCTime with more after Z", why, from(utc_time("250101000000Z "))),
        accepted("GeneralizedTime before 2050", from(generalized_time("20250101000000Z"))),
        accepted("GeneralizedTime without an end", until(generalized_time("99991231235959Z"))),
        accepted(
            "GeneralizedTime with an offset beyond year 9999",
            until(generalized_time("99991231235959-0100")),
        ),
        accepted("GeneralizedTime in year 0 with an offset", from(generalized_time("00000101000000+0100"))),
        refused("GeneralizedTime without seconds", why, until(generalized_time("205001010000Z"))),
        refused("GeneralizedTime with a fraction", why, until(generalized_time("20500101000000.0Z"))),
        refused("GeneralizedTime missing Z", why, until(generalized_time("20500101000000"))),
        accepted("ends before it starts", until(utc_time("200101000000Z"))),
        accepted("expired", validity(&[utc_time("500101000000Z"), utc_time("991231235959Z")])),
        accepted(
            "more elements inside the validity",
            validity(&[utc_time("250101000000Z"), utc_time("350101000000Z"), null()]),
        ),
        refused("validity with one time", why, validity(&[utc_time("250101000000Z")])),
        refused(
            "validity with other types",
            why,
            validity(&[printable("250101000000Z"), utc_time("350101000000Z")]),
        ),
    ]
}
