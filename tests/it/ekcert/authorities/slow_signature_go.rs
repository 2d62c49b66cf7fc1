//! Signatures of EK certificates against Go's `crypto/x509`, which decides what a cluster accepts.

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use crate::support::certificates::Parts;
use crate::support::der::{bits, element, hex, integer, null, oid, sequence};
use crate::support::go::Oracle;
use crate::support::issuing::{
    Algorithm, Case, OpensslKey, QuickKey, SHA256, SHA384, SHA512, authority, compare, compare_expected, pss,
    rsa, words,
};

const P521_ORDER: &str = "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa5186\
                          8783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";

fn ecdsa(dotted: &str, digest: &str) -> Algorithm {
    Algorithm { identifier: sequence(&[oid(dotted)]), openssl: words(&format!("dgst {digest}")) }
}

/// What can be said of a signature by a key.
#[derive(Clone, Copy)]
enum Key {
    /// Whether it is one.
    Verified,
    /// Nothing, although a cluster verifies it.
    Unsupported,
    /// That a cluster refuses the key.
    Refused,
}

/// Name, algorithm, and whether Go checks it.
type Named = (&'static str, Algorithm, bool);

fn rsa_algorithms() -> Vec<Named> {
    vec![
        ("SHA-256", rsa(RSA_SHA256, "-sha256"), true),
        ("SHA-384", rsa("1.2.840.113549.1.1.12", "-sha384"), true),
        ("SHA-512", rsa("1.2.840.113549.1.1.13", "-sha512"), true),
        ("PSS SHA-256", pss(SHA256, "-sha256", 32), true),
        ("PSS SHA-384", pss(SHA384, "-sha384", 48), true),
        ("PSS SHA-512", pss(SHA512, "-sha512", 64), true),
        ("PSS with another salt", pss(SHA256, "-sha256", 20), false),
        ("SHA-224", rsa("1.2.840.113549.1.1.14", "-sha224"), false),
        ("SHA-1", rsa("1.2.840.113549.1.1.5", "-sha1"), false),
        ("SHA-1, by its older identifier", rsa("1.3.14.3.2.29", "-sha1"), false),
        ("MD5", rsa("1.2.840.113549.1.1.4", "-md5"), false),
    ]
}

fn ecdsa_algorithms() -> Vec<Named> {
    vec![
        ("SHA-256", ecdsa("1.2.840.10045.4.3.2", "-sha256"), true),
        ("SHA-384", ecdsa("1.2.840.10045.4.3.3", "-sha384"), true),
        ("SHA-512", ecdsa("1.2.840.10045.4.3.4", "-sha512"), true),
        ("SHA-224", ecdsa("1.2.840.10045.4.3.1", "-sha224"), false),
        ("SHA-1", ecdsa("1.2.840.10045.4.1", "-sha1"), false),
    ]
}

/// What each algorithm makes with this key, and the same with one bit of the certificate changed.
fn combinations(
    kind: &str,
    key: &OpensslKey,
    algorithms: &[Named],
    usable: Key,
) -> Vec<(Case, &'static str)> {
    let ca = authority(&key.public).der();
    let mut cases = Vec::new();
    for (name, algorithm, is_checked) in algorithms {
        let mut issued = key.issue(Parts::valid(), algorithm);
        let name = format!("{kind} with {name}");
        let (expected, of_changed) = match usable {
            Key::Verified if *is_checked => ("accepted", "refused"),
            Key::Unsupported if *is_checked => ("unsupported", "unsupported"),
            _ => ("refused", "refused"),
        };
        cases.push((Case::new(&name, issued.der(), std::slice::from_ref(&ca)), expected));
        issued.serial = integer(&[7]);
        cases.push((
            Case::new(format!("{name}, changed"), issued.der(), std::slice::from_ref(&ca)),
            of_changed,
        ));
    }
    cases
}

#[test]
fn every_rsa_size_and_algorithm_gets_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = |arguments: &str| {
        let arguments: Vec<String> =
            words(arguments).iter().flat_map(|word| ["-pkeyopt".to_owned(), word.clone()]).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        OpensslKey::new(&[&["-algorithm", "RSA"], &arguments[..]].concat())
    };
    let algorithms = rsa_algorithms();
    let mut cases = Vec::new();
    for (kind, arguments, usable) in [
        ("RSA 1023", "rsa_keygen_bits:1023", Key::Refused),
        ("RSA 1024", "rsa_keygen_bits:1024", Key::Unsupported),
        ("RSA 1025", "rsa_keygen_bits:1025", Key::Unsupported),
        ("RSA 1031", "rsa_keygen_bits:1031", Key::Unsupported),
        ("RSA 1536", "rsa_keygen_bits:1536", Key::Unsupported),
        ("RSA 2047", "rsa_keygen_bits:2047", Key::Unsupported),
        ("RSA 2048", "rsa_keygen_bits:2048", Key::Verified),
        ("RSA 2049", "rsa_keygen_bits:2049", Key::Verified),
        ("RSA 3072", "rsa_keygen_bits:3072", Key::Verified),
        ("RSA 4096", "rsa_keygen_bits:4096", Key::Verified),
        ("RSA 8192", "rsa_keygen_bits:8192 rsa_keygen_primes:5", Key::Verified),
        ("RSA 8200", "rsa_keygen_bits:8200 rsa_keygen_primes:5", Key::Unsupported),
        ("RSA 2048, exponent 3", "rsa_keygen_bits:2048 rsa_keygen_pubexp:3", Key::Verified),
        ("RSA 1024, exponent 3", "rsa_keygen_bits:1024 rsa_keygen_pubexp:3", Key::Unsupported),
        ("RSA 2048, exponent 2^31 - 1", "rsa_keygen_bits:2048 rsa_keygen_pubexp:2147483647", Key::Verified),
        ("RSA 2048, exponent 2^31 + 11", "rsa_keygen_bits:2048 rsa_keygen_pubexp:2147483659", Key::Refused),
        ("RSA 1536, exponent 2^32 + 1", "rsa_keygen_bits:1536 rsa_keygen_pubexp:4294967297", Key::Refused),
    ] {
        // The longest hash and a salt as long do not fit into the smallest moduli.
        let is_small = ["1023", "1024", "1025", "1031"].iter().any(|size| kind.contains(size));
        let fitting: Vec<Named> =
            algorithms.iter().filter(|(name, ..)| !is_small || *name != "PSS SHA-512").cloned().collect();
        cases.extend(combinations(kind, &key(arguments), &fitting, usable));
    }
    compare_expected(oracle, cases);
}

#[test]
fn every_curve_and_hash_gets_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let mut cases = Vec::new();
    for (curve, usable) in [
        ("P-224", Key::Unsupported),
        ("P-256", Key::Verified),
        ("P-384", Key::Verified),
        ("P-521", Key::Verified),
    ] {
        let option = format!("ec_paramgen_curve:{curve}");
        let key = OpensslKey::new(&["-algorithm", "EC", "-pkeyopt", &option]);
        cases.extend(combinations(curve, &key, &ecdsa_algorithms(), usable));
        // An identifier of RSA, and a signature of ECDSA.
        let wrong = Algorithm { openssl: words("dgst -sha256"), ..rsa(RSA_SHA256, "-sha256") };
        cases.extend(combinations(curve, &key, &[("RSA's identifier", wrong, false)], usable));
    }
    let key = OpensslKey::new(&["-algorithm", "ED25519"]);
    let openssl = words("pkeyutl -sign -rawin");
    let plain = Algorithm { identifier: sequence(&[oid("1.3.101.112")]), openssl: openssl.clone() };
    let with_null = Algorithm { identifier: sequence(&[oid("1.3.101.112"), null()]), openssl };
    let algorithms = [("Ed25519", plain, true), ("Ed25519 with parameters", with_null, false)];
    cases.extend(combinations("Ed25519", &key, &algorithms, Key::Verified));
    compare_expected(oracle, cases);
}

/// The certificate with this algorithm and signature, before a CA with this key.
fn forged(name: &str, key: &[u8], identifier: &[u8], signature: &[u8]) -> Case {
    let mut parts = Parts::valid();
    parts.inner_algorithm = identifier.to_vec();
    parts.outer_algorithm = identifier.to_vec();
    parts.signature = bits(signature);
    Case::new(name, parts.der(), &[authority(key).der()])
}

/// With exponent 1 the padded hash is its own signature, so that nothing but the rule keeps it out.
#[test]
fn rsa_keys_that_would_let_anything_pass_are_refused_as_go_refuses_them() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let identifier = sequence(&[oid(RSA_SHA256), null()]);
    let mut parts = Parts::valid();
    parts.inner_algorithm.clone_from(&identifier);
    let digest = Sha256::digest(sequence(&parts.body()));
    let info = hex("3031300d060960864801650304020105000420");
    let mut cases = Vec::new();
    for bytes in [256, 192] {
        let filling = vec![0xff; bytes - 3 - info.len() - digest.len()];
        let padded = [&[0, 1][..], &filling, &[0], &info, &digest].concat();
        for (exponent, last) in [(1_u8, 0xc5), (2, 0xc5), (1, 0xc4), (3, 0xc4), (3, 0xc5)] {
            let modulus = [&[0][..], &vec![0xc5; bytes - 1], &[last]].concat();
            let key = sequence(&[
                sequence(&[oid("1.2.840.113549.1.1.1"), null()]),
                bits(&sequence(&[integer(&modulus), integer(&[exponent])])),
            ]);
            let name = format!("{bytes} bytes, exponent {exponent}, modulus ends with {last:x}");
            // The one that is not too weak, and too short for this version.
            let is_unsupported = bytes == 192 && (exponent, last) == (3, 0xc5);
            let expected = if is_unsupported { "unsupported" } else { "refused" };
            cases.push((forged(&name, &key, &identifier, &padded), expected));
        }
    }
    compare_expected(oracle, cases);
}

/// Signatures in one encoding more than there should be.
#[test]
fn odd_rsa_signatures_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let mut cases = Vec::new();
    for size in ["rsa_keygen_bits:2048", "rsa_keygen_bits:2049"] {
        let key = OpensslKey::new(&["-algorithm", "RSA", "-pkeyopt", size]);
        let modulus = modulus(&key.public);
        for algorithm in [rsa(RSA_SHA256, "-sha256"), pss(SHA256, "-sha256", 32)] {
            let issued = key.issue(Parts::valid(), &algorithm);
            let signature = issued.signature[issued.signature.len() - modulus.to_bytes_be().len()..].to_vec();
            let larger = (BigUint::from_bytes_be(&signature) + &modulus).to_bytes_be();
            for (name, signature) in [
                ("with a zero before it", [&[0][..], &signature].concat()),
                ("with a zero after it", [&signature[..], &[0]].concat()),
                ("cut short", signature[1..].to_vec()),
                ("larger by the modulus", larger),
                ("empty", Vec::new()),
                ("zero", vec![0; signature.len()]),
                ("the modulus", modulus.to_bytes_be()),
            ] {
                cases.push((forged(name, &key.public, &algorithm.identifier, &signature), "refused"));
            }
        }
    }
    compare_expected(oracle, cases);
}

/// From a `SubjectPublicKeyInfo` that openssl wrote, whose exponent is 65537.
fn modulus(public: &[u8]) -> BigUint {
    let key = public.strip_suffix(&[2, 3, 1, 0, 1]).unwrap();
    let start = (0..key.len())
        .find(|start| key[*start..].starts_with(&[2, 0x82]) || key[*start..].starts_with(&[2, 0x81]));
    let start = start.unwrap();
    let header = if key[start + 1] == 0x82 { 4 } else { 3 };
    BigUint::from_bytes_be(&key[start + header..])
}

#[test]
fn odd_ecdsa_signatures_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let curves = [
        ("P-256", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            "P-384",
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
        ("P-521", P521_ORDER),
    ];
    let algorithm = ecdsa("1.2.840.10045.4.3.3", "-sha384");
    let mut cases = Vec::new();
    for (curve, order) in curves {
        let order = BigUint::from_bytes_be(&hex(order));
        let option = format!("ec_paramgen_curve:{curve}");
        let key = OpensslKey::new(&["-algorithm", "EC", "-pkeyopt", &option]);
        let issued = key.issue(Parts::valid(), &algorithm);
        let (r, s) = numbers(&issued.signature);
        let zero = BigUint::from(0_u8);
        let both = |r: &BigUint, s: &BigUint| sequence(&[number(r), number(s)]);
        let plain = both(&r, &s);
        let padded = |encoded: &[u8]| element(2, &[&[0][..], &encoded[2..]].concat());
        let negative = |value: &BigUint| element(2, &[&[0xff][..], &value.to_bytes_be()].concat());
        let signatures = [
            ("plain", plain.clone(), "accepted"),
            ("the other s", both(&r, &(&order - &s)), "accepted"),
            ("s zero", both(&r, &zero), "refused"),
            ("r zero", both(&zero, &s), "refused"),
            ("both zero", both(&zero, &zero), "refused"),
            ("s larger by the order", both(&r, &(&s + &order)), "refused"),
            ("r larger by the order", both(&(&r + &order), &s), "refused"),
            ("s the order", both(&r, &order), "refused"),
            ("r with a zero too many", sequence(&[padded(&number(&r)), number(&s)]), "refused"),
            ("s negative", sequence(&[number(&r), negative(&s)]), "refused"),
            ("bytes after it", [&plain[..], &[0]].concat(), "refused"),
            ("a third number", sequence(&[number(&r), number(&s), number(&s)]), "refused"),
            ("indefinite length", [&[0x30, 0x80], &number(&r)[..], &number(&s), &[0, 0]].concat(), "refused"),
            (
                "length in a byte too many",
                [&[0x30, 0x82, 0], &plain[plain.len() - number(&r).len() - number(&s).len() - 1..]].concat(),
                "refused",
            ),
            ("only one number", sequence(&[number(&r)]), "refused"),
            ("fixed width", [r.to_bytes_be(), s.to_bytes_be()].concat(), "refused"),
            ("empty", Vec::new(), "refused"),
        ];
        for (name, signature, expected) in signatures {
            let case = forged(&format!("{curve}: {name}"), &key.public, &algorithm.identifier, &signature);
            cases.push((case, expected));
        }
    }
    compare_expected(oracle, cases);
}

/// The two numbers in a BIT STRING with an `ECDSA-Sig-Value`.
fn numbers(signature: &[u8]) -> (BigUint, BigUint) {
    let header = |bytes: &[u8]| if bytes[1] == 0x81 { 3 } else { 2 };
    let inside = &signature[header(signature) + 1..];
    let inside = &inside[header(inside)..];
    let (first, second) = inside.split_at(2 + usize::from(inside[1]));
    (BigUint::from_bytes_be(&first[2..]), BigUint::from_bytes_be(&second[2..]))
}

fn number(value: &BigUint) -> Vec<u8> {
    let bytes = value.to_bytes_be();
    integer(&if bytes[0] & 0x80 == 0 { bytes } else { [&[0][..], &bytes].concat() })
}

/// Points of small order, with which one signature fits many messages.
const SMALL_POINTS: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];
/// The same in encodings that RFC 8032, section 5.1.3, does not allow.
const ODD_POINTS: [&str; 6] = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// Signatures, made without a private key, that may fit the key of this point.
fn ed25519_forgeries(key: &str) -> Vec<Case> {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let identifier = sequence(&[oid("1.3.101.112")]);
    let public = sequence(&[identifier.clone(), bits(&hex(key))]);
    let signatures = SMALL_POINTS
        .iter()
        .chain(&ODD_POINTS)
        .flat_map(|point| [&"0".repeat(64), order].map(|scalar| hex(&format!("{point}{scalar}"))));
    signatures.map(|signature| forged(key, &public, &identifier, &signature)).collect()
}

#[test]
fn odd_ed25519_keys_and_signatures_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let no_point = "0200000000000000000000000000000000000000000000000000000000000000";
    let keys = SMALL_POINTS.iter().chain([&no_point]);
    let cases: Vec<Case> = keys.flat_map(|key| ed25519_forgeries(key)).collect();
    let answers = compare(oracle, &cases);
    assert!(answers.contains(&"accepted"), "Go takes keys of small order");
}

/// Go takes them; no honest CA can have such a key, for which everybody can sign.
#[test]
fn ed25519_keys_in_an_encoding_that_the_rfc_forbids_verify_nothing() {
    for key in ODD_POINTS {
        assert!(ed25519_forgeries(key).iter().all(|case| case.answer() == "refused"), "{key}");
    }
}

#[test]
fn signatures_of_another_key_are_refused() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let (one, other) = (QuickKey::new(), QuickKey::new());
    let certificate = one.issue(Parts::valid());
    let both = [other.authority().der(), one.authority().der()];
    compare_expected(
        oracle,
        vec![
            (Case::new("its issuer", certificate.clone(), &both[1..]), "accepted"),
            (Case::new("another of that name", certificate.clone(), &both[..1]), "refused"),
            (Case::new("both", certificate, &both), "accepted"),
        ],
    );
}
