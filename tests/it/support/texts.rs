//! Certificates with texts in them that have a grammar of their own (URIs, mailboxes, domain names, times,
//! strings), put together at random from pieces that such texts are made of.

use super::certificates::{Parts, extension, name};
use super::der::{context, element, sequence, tagged, utc_time};
use super::mutation::Random;

const URIS: [&str; 44] = [
    "http",
    "https",
    "ldap",
    "urn",
    "HTTP",
    "1",
    "+",
    ":",
    ":",
    "/",
    "//",
    "//",
    "@",
    "[",
    "]",
    "[::1]",
    "fe80::1",
    "::",
    "1.2.3.4",
    "::ffff:1.2.3.4",
    "1:2:3:4:5:6:7:8",
    ":0:",
    "%25",
    "%20",
    "%c3",
    "%5B",
    "%2",
    "%",
    "a",
    "b.c",
    ".",
    "..",
    "-",
    "_",
    "?",
    "#",
    " ",
    "\n",
    "*",
    "80",
    ":80",
    "!$&'()+,;=",
    "<>\"",
    "^`{|}\\",
];
const HOSTS: [&str; 26] = [
    "a",
    "b.c",
    "example",
    ".",
    "..",
    "@",
    "@",
    "\"",
    "\"",
    "\\",
    "\\\"",
    "\\@",
    " ",
    "\t",
    "\x01",
    "\x7f",
    "!#$%&'*+-/=?^_`{|}~",
    "(",
    ",",
    ":",
    "1.2.3.4",
    "::1",
    "01.2.3.4",
    "ff::",
    "\u{80}",
    "A9",
];
const TIMES: [&str; 24] = [
    "25", "0101", "0229", "1231", "1301", "0100", "0000", "2359", "2400", "59", "60", "00", "Z", "Z", "z",
    "+0000", "+0100", "-2459", "+2500", "+0060", ".5", " ", "+", "1",
];
const STRINGS: [&[u8]; 16] = [
    b"a",
    b"Z9",
    b" ",
    b"_",
    b"@",
    b"*&",
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xc3\xa4",
    b"\xed\xa0\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80",
    b"\xff\xfe",
    b"\xfd\xd0",
];
const STRING_TAGS: [u8; 8] = [0x0c, 0x12, 0x13, 0x14, 0x16, 0x1e, 0x1c, 0x02];

/// A certificate that is valid but for one such text.
pub fn certificate(random: &mut Random) -> Vec<u8> {
    let mut parts = Parts::valid();
    let text = |pieces: &[&str], random: &mut Random| joined(pieces, random);
    match random.below(6) {
        0 => {
            let start =
                *random.pick(&["", "", "http://", "https://", "ldap://", "x:", "//", "http://[", "http://a"]);
            let uri = format!("{start}{}", text(&URIS, random));
            parts.extensions = vec![extension("2.5.29.17", &sequence(&[context(6, uri.as_bytes())]))];
        }
        1 => {
            let base = context(*random.pick(&[1, 1, 2, 6]), text(&HOSTS, random).as_bytes());
            parts.extensions = vec![extension("2.5.29.30", &sequence(&[tagged(0, &sequence(&[base]))]))];
        }
        2 => {
            let start = *random.pick(&["", "250101", "2501010000", "250101000000", "490229", "000229"]);
            let time = format!("{start}{}", text(&TIMES, random));
            parts.validity = sequence(&[utc_time(&time), utc_time("350101000000Z")]);
        }
        3 => {
            let start = *random.pick(&["", "20250101", "20250101000000", "00000229", "9999", "19000229"]);
            let time = format!("{start}{}", text(&TIMES, random));
            parts.validity = sequence(&[element(0x18, time.as_bytes()), utc_time("350101000000Z")]);
        }
        4 => {
            let addresses = [
                "0",
                "1",
                "ffff",
                "12345",
                ":",
                ":",
                "::",
                "1.2.3.4",
                "1.2.3",
                "256.1.1.1",
                "00.1.1.1",
                "%25a",
                "%25",
            ];
            let uri = format!("ldap://[{}]", text(&addresses, random));
            parts.extensions = vec![extension("2.5.29.17", &sequence(&[context(6, uri.as_bytes())]))];
        }
        _ => {
            let value: Vec<u8> = (0..random.below(4)).flat_map(|_| *random.pick(&STRINGS)).copied().collect();
            parts.issuer = name(&[("2.5.4.3", element(*random.pick(&STRING_TAGS), &value))]);
        }
    }
    parts.der()
}

fn joined(pieces: &[&str], random: &mut Random) -> String {
    (0..random.below(7)).map(|_| *random.pick(pieces)).collect()
}

/// What may stand in and around PEM blocks.
const PEM_PIECES: [&str; 24] = [
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "-",
    "-----",
    "-----BEGIN ",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN CERTIFICATE-----\n",
    "\n-----END CERTIFICATE-----",
    "\n-----END CERTIFICATE-----\n",
    "\n-----END ",
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN X-----\nA: b\n\nAAAA\n-----END X-----\n",
    "Proc-Type: 4,ENCRYPTED\n",
    ":",
    "a: b\n",
    "=",
    "==",
    "A",
    "text before\n",
    "\u{a0}",
];

/// Certificates in PEM, most of them damaged, with other texts around and in them.
pub fn pem(certificates: &[String], random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(4) {
        if random.below(3) == 0 {
            let piece = *random.pick(&PEM_PIECES);
            text.push_str(piece);
        }
        text.push_str(random.pick(certificates).as_str());
    }
    if random.below(4) == 0 {
        let line_end = *random.pick(&["\r\n", " \n", "\n\n", "\t\r\n", ""]);
        text = text.replace('\n', line_end);
    }
    for _ in 0..random.below(3) {
        // Where lines begin and end is where it matters.
        let edges: Vec<usize> = text.match_indices('\n').flat_map(|(at, _)| [at, at + 1]).collect();
        let any = random.below(text.len() + 1);
        let at = if edges.is_empty() || random.below(3) == 0 { any } else { *random.pick(&edges) };
        let at = text.floor_char_boundary(at);
        let end = text.floor_char_boundary(text.len().min(at + random.below(3) * random.below(12)));
        let piece = *random.pick(&PEM_PIECES);
        text.replace_range(at..end, if random.below(4) == 0 { "" } else { piece });
    }
    text
}
