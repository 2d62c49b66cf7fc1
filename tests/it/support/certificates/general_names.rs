//! The general names in subjectAltName and nameConstraints (RFC 5280, sections 4.2.1.6 and 4.2.1.10).

use super::super::der::{context, hex, null, oid, printable, sequence, tagged, utf8};
use super::extensions::with;
use super::{Fixture, accepted, disputed, name, refused};

pub const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const NAME_CONSTRAINTS: &str = "2.5.29.30";

pub fn fixtures() -> Vec<Fixture> {
    [alternative_names(), uris(), name_constraints()].into_iter().flatten().collect()
}

fn alternative_names() -> Vec<Fixture> {
    let names = |names: &[Vec<u8>]| with(SUBJECT_ALT_NAME, &sequence(names));
    let why = "the subjectAltName extension is malformed";
    let mapped = hex("00000000000000000000ffff01020304");
    vec![
        accepted("subjectAltName empty", names(&[])),
        accepted(
            "subjectAltName with every kind of name",
            names(&[
                tagged(0, &oid("1.2.3.4")),
                context(1, b"ek@example.com"),
                context(2, b"example.com"),
                tagged(4, &name(&[("2.23.133.2.1", utf8("id:49465800"))])),
                context(6, b"https://example.com"),
                context(7, &[192, 0, 2, 1]),
                context(7, &[0x20; 16]),
                context(8, &[0x2a, 3]),
            ]),
        ),
        // These are not looked into, or only as far as their characters.
        accepted("subjectAltName with a malformed directoryName", names(&[tagged(4, &printable("_"))])),
        accepted("subjectAltName with an odd DNS name", names(&[context(2, b" .. \x00")])),
        accepted("subjectAltName with an unknown kind", names(&[context(9, b"x"), null()])),
        refused(
            "subjectAltName with an e-mail address beyond ASCII",
            why,
            names(&[context(1, "ä".as_bytes())]),
        ),
        refused("subjectAltName with a DNS name beyond ASCII", why, names(&[context(2, &[0x80])])),
        refused("subjectAltName with an address of 5 bytes", why, names(&[context(7, &[0; 5])])),
        disputed("subjectAltName with an IPv4-mapped address", names(&[context(7, &mapped)])),
        refused("subjectAltName with a name cut short", why, names(&[vec![0x82, 9, b'x']])),
        refused("subjectAltName with a tag of two bytes", why, names(&[hex("9f2000")])),
        refused(
            "subjectAltName that is no sequence",
            why,
            with(SUBJECT_ALT_NAME, &context(2, b"example.com")),
        ),
    ]
}

fn uris() -> Vec<Fixture> {
    let uri = |text: &str| with(SUBJECT_ALT_NAME, &sequence(&[context(6, text.as_bytes())]));
    let why = "the subjectAltName extension is malformed";
    vec![
        accepted("URI that is a URN", uri("urn:ek:1%zz")),
        accepted("URI with everything", uri("https://u:p%40@example.com:443/a%20b?%zz#f")),
        accepted("URI with an IPv6 address and a zone", uri("http://[fe80::1%25eth0]:80/")),
        refused("URI beyond ASCII", why, uri("https://exämple.com")),
        refused("URI with a control character", why, uri("https://example.com/\n")),
        refused("URI with a host that ends with a period", why, uri("https://example.com./")),
        refused("URI with a space in the host", why, uri("https://exam ple.com")),
        refused("URI with a port that is no number", why, uri("https://example.com:x")),
        refused("URI with broken percent encoding", why, uri("https://example.com/%2")),
        refused("URI without a scheme before the colon", why, uri("://example.com")),
        refused("URI with an IPv4 address in brackets", why, uri("http://[192.0.2.1]/")),
        disputed("URI with several colons in an HTTP host", uri("http://a:b:80/")),
        disputed("URI with a bracket inside the host", uri("ldap://a[::1]/")),
    ]
}

fn name_constraints() -> Vec<Fixture> {
    let subtrees = |names: &[Vec<u8>]| {
        names.iter().map(|name| sequence(std::slice::from_ref(name))).collect::<Vec<_>>().concat()
    };
    let permitted = |names: &[Vec<u8>]| with(NAME_CONSTRAINTS, &sequence(&[tagged(0, &subtrees(names))]));
    let excluded = |names: &[Vec<u8>]| with(NAME_CONSTRAINTS, &sequence(&[tagged(1, &subtrees(names))]));
    let why = "the nameConstraints extension is malformed";
    let network = |hexadecimal: &str| context(7, &hex(hexadecimal));
    let bad = |name, base: Vec<u8>| refused(name, why, permitted(&[base]));
    vec![
        accepted(
            "nameConstraints of each kind",
            permitted(&[
                context(2, b".example.com"),
                context(1, b"\"a \\\" b\"@example.com"),
                context(1, b"a.b\\@c@example.com"),
                context(1, b"example.com"),
                context(6, b".example.com"),
                network("c0000200ffffff00"),
                tagged(4, &name(&[("2.5.4.3", printable("x"))])),
            ]),
        ),
        accepted(
            "nameConstraints that excludes all",
            excluded(&[context(2, b""), network("0000000000000000")]),
        ),
        accepted("nameConstraints with a mailbox at no domain", excluded(&[context(1, b"a@")])),
        refused("nameConstraints empty", why, with(NAME_CONSTRAINTS, &sequence(&[]))),
        refused(
            "nameConstraints with empty lists",
            why,
            with(NAME_CONSTRAINTS, &sequence(&[tagged(0, &[]), tagged(1, &[])])),
        ),
        refused(
            "nameConstraints with more in it",
            why,
            with(NAME_CONSTRAINTS, &sequence(&[tagged(0, &subtrees(&[context(2, b"a")])), null()])),
        ),
        refused(
            "nameConstraints with more after it",
            why,
            with(
                NAME_CONSTRAINTS,
                &[sequence(&[tagged(0, &subtrees(&[context(2, b"a")]))]), null()].concat(),
            ),
        ),
        refused(
            "nameConstraints in the wrong order",
            why,
            with(
                NAME_CONSTRAINTS,
                &sequence(&[
                    tagged(1, &subtrees(&[context(2, b"a")])),
                    tagged(0, &subtrees(&[context(2, b"a")])),
                ]),
            ),
        ),
        bad("nameConstraints with an empty label", context(2, b"a..b")),
        bad("nameConstraints with a period at the end", context(2, b"a.")),
        bad("nameConstraints with a space", context(2, b"a b")),
        bad("nameConstraints with a domain beyond ASCII", context(2, "ä".as_bytes())),
        bad("nameConstraints with a gap in the mask", network("c0000200ff00ff00")),
        bad("nameConstraints with a bare address", network("c0000200")),
        bad("nameConstraints with a URI that is an address", context(6, b"192.0.2.1")),
        bad("nameConstraints with a URI that is an IPv6 address", context(6, b"::1")),
        disputed("nameConstraints with two @", permitted(&[context(1, b"a@b@c")])),
        bad("nameConstraints with two periods in a mailbox", context(1, b"a..b@c")),
        bad("nameConstraints with an open quotation", context(1, b"\"a@b")),
        disputed(
            "nameConstraints with an IPv4-mapped network",
            permitted(&[network(&format!("00000000000000000000ffff01020304{}", "f".repeat(32)))]),
        ),
    ]
}
