//! Parameters of RSASSA-PSS signatures against Go's `crypto/x509`, which reads them by rules of their own.

use crate::support::certificates::Parts;
use crate::support::der::{element, integer, null, oid, sequence, tagged};
use crate::support::go::Oracle;
use crate::support::issuing::{
    Algorithm, Case, OpensslKey, SHA256, SHA384, SHA512, authority, compare, compare_expected, pss,
};
use crate::support::mutation::{self, Random, mutated};

#[test]
fn pss_parameters_of_every_kind_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = OpensslKey::new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let plain = pss(SHA256, "-sha256", 32);
    let hash = |parameters: &[Vec<u8>]| sequence(&[&[oid(SHA256)], parameters].concat());
    let mask = |hash: Vec<u8>| sequence(&[oid("1.2.840.113549.1.1.8"), hash]);
    let usual = || vec![tagged(0, &hash(&[null()])), tagged(1, &mask(hash(&[]))), tagged(2, &integer(&[32]))];
    let with = |more: Vec<u8>| [usual(), vec![more]].concat();
    let replaced = |place: usize, field: Vec<u8>| {
        let mut fields = usual();
        fields[place] = field;
        fields
    };
    let odd_length = |place: usize, change: u8| {
        let mut field = usual()[place].clone();
        field[1] = field[1].wrapping_add(change);
        replaced(place, field)
    };
    let cases = [
        ("usual", usual(), "accepted"),
        ("hash without NULL", replaced(0, tagged(0, &hash(&[]))), "accepted"),
        ("hash with parameters", replaced(0, tagged(0, &hash(&[integer(&[1])]))), "refused"),
        ("more after the hash's parameters", replaced(0, tagged(0, &hash(&[null(), null()]))), "accepted"),
        ("no hash", usual()[1..].to_vec(), "refused"),
        ("another hash for the mask", replaced(1, tagged(1, &mask(sequence(&[oid(SHA384)])))), "refused"),
        ("another mask", replaced(1, tagged(1, &sequence(&[oid("1.2.3"), hash(&[])]))), "refused"),
        ("no salt length", usual()[..2].to_vec(), "refused"),
        ("salt length not minimally encoded", replaced(2, tagged(2, &integer(&[0, 32]))), "refused"),
        ("the usual trailer", with(tagged(3, &integer(&[1]))), "accepted"),
        ("another trailer", with(tagged(3, &integer(&[2]))), "refused"),
        ("an empty trailer", with(tagged(3, &[])), "refused"),
        ("an empty trailer, and more", [with(tagged(3, &[])), vec![integer(&[1])]].concat(), "refused"),
        ("a trailer of another type", with(tagged(3, &null())), "accepted"),
        ("a trailer without an explicit tag", with(element(0x83, &[1])), "accepted"),
        ("a trailer that is not minimally encoded", with(tagged(3, &integer(&[0, 1]))), "refused"),
        ("another field at the end", with(null()), "refused"),
        ("another field with content at the end", with(integer(&[1])), "accepted"),
        ("a tag's length too large", odd_length(0, 1), "accepted"),
        ("a tag's length too small", odd_length(2, 0xff), "accepted"),
        ("a tag's length zero", odd_length(2, 0xfd), "refused"),
    ];
    let cases = cases.into_iter().map(|(name, fields, expected)| {
        let identifier = sequence(&[oid("1.2.840.113549.1.1.10"), sequence(&fields)]);
        let issued = key.issue(Parts::valid(), &Algorithm { identifier, ..plain.clone() });
        (Case::new(name, issued.der(), &[authority(&key.public).der()]), expected)
    });
    compare_expected(oracle, cases.collect());
}

#[test]
fn damaged_pss_parameters_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = OpensslKey::new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let mut random = Random::new(u64::try_from(mutation::setting("TBOT_TPM_SEED", 1)).unwrap());
    let originals = [pss(SHA256, "-sha256", 32), pss(SHA384, "-sha384", 48), pss(SHA512, "-sha512", 64)];
    let count = mutation::setting("TBOT_TPM_MUTATIONS", 20_000) / 50;
    let cases: Vec<Case> = (0..count)
        .map(|_| {
            let mut algorithm = random.pick(&originals).clone();
            let other = random.pick(&originals).identifier.clone();
            algorithm.identifier = mutated(&algorithm.identifier, &other, &mut random);
            Case::new("PSS", key.issue(Parts::valid(), &algorithm).der(), &[authority(&key.public).der()])
        })
        .collect();
    let answers = compare(oracle, &cases);
    for answer in ["accepted", "refused", "unreadable"] {
        assert!(answers.contains(&answer), "none is {answer}");
    }
}
