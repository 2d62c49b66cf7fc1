//! What a cluster makes of EK certificates because of its token's CAs, against Go's `crypto/x509`.

use time::Duration;

use crate::support::certificates::{Parts, extension};
use crate::support::der::{element, integer, sequence};
use crate::support::go::Oracle;
use crate::support::issuing::{Case, QuickKey, SUBJECT_ALT_NAME, compare_expected, noon};
use crate::support::kinds::{Change, authorities, certificates, is_ca, validity};

#[test]
fn cas_of_every_kind_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = QuickKey::new();
    let certificate = key.issue(Parts::valid());
    let cases = authorities().into_iter().map(|(name, expected, change)| {
        let mut ca = key.authority();
        change(&mut ca);
        (Case::new(name, certificate.clone(), &[ca.der()]), expected)
    });
    compare_expected(oracle, cases.collect());
}

#[test]
fn ek_certificates_of_every_kind_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = QuickKey::new();
    let ca = [key.authority().der()];
    let mut cases = Vec::new();
    for (name, expected, change) in certificates() {
        let mut parts = Parts::valid();
        change(&mut parts);
        let certificate = key.issue(parts);
        cases.push((Case::new(name, certificate.clone(), &ca), expected));
        // Among the CAs itself, it needs no issuer and no signature.
        let expected = match name {
            "issued by somebody else"
            | "policies asked for at once, and none there"
            | "an empty list of policies" => "accepted",
            _ => expected,
        };
        let itself = std::slice::from_ref(&certificate);
        cases.push((Case::new(format!("{name}, among the CAs"), certificate.clone(), itself), expected));
    }
    cases.push((Case::new("no CA", key.issue(Parts::valid()), &[]), "refused"));
    compare_expected(oracle, cases);
}

#[test]
fn several_cas_of_one_name_get_the_answer_that_go_gives() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let (key, other) = (QuickKey::new(), QuickKey::new());
    let certificate = key.issue(Parts::valid());
    let numbered = |key: &QuickKey, number: u8, change: Change| {
        let mut ca = key.authority();
        ca.serial = integer(&[1, number]);
        change(&mut ca);
        ca.der()
    };
    let good = numbered(&key, 0, |_| ());
    let expired = numbered(&key, 1, |ca| ca.validity = validity("250101000000Z", "260101000000Z"));
    let many: Vec<Vec<u8>> = (0..101).map(|number| numbered(&other, number, |_| ())).collect();
    // The key identifier of the EK certificate.
    let identified = numbered(&key, 2, |ca| {
        ca.extensions.push(extension("2.5.29.14", &element(4, &[7; 20])));
    });
    let misidentified = numbered(&key, 3, |ca| {
        ca.extensions.push(extension("2.5.29.14", &element(4, &[8; 20])));
    });
    let with = |many: &[Vec<u8>], one: &Vec<u8>| [many, std::slice::from_ref(one)].concat();
    let twice = [&many[..60], &many[..60], std::slice::from_ref(&good)].concat();
    let reissued = {
        let mut parts = Parts::valid();
        parts.subject.clone_from(&parts.issuer);
        parts.key = key.public();
        parts.extensions = vec![is_ca()];
        parts
    };
    let renewed = Parts { serial: integer(&[9]), ..Parts::valid() };
    let renewed = Parts { subject: reissued.subject.clone(), key: reissued.key.clone(), ..renewed };
    let renewed = Parts { extensions: reissued.extensions.clone(), ..renewed };
    let named =
        Parts { extensions: vec![is_ca(), extension(SUBJECT_ALT_NAME, &sequence(&[]))], ..Parts::valid() };
    let named = Parts { subject: reissued.subject.clone(), key: reissued.key.clone(), ..named };
    let reissued = key.issue(reissued);
    compare_expected(
        oracle,
        vec![
            (Case::new("expired first", certificate.clone(), &[expired.clone(), good.clone()]), "accepted"),
            (Case::new("expired last", certificate.clone(), &[good.clone(), expired.clone()]), "accepted"),
            (Case::new("expired only", certificate.clone(), &[expired]), "refused"),
            (Case::new("the hundredth", certificate.clone(), &with(&many[..99], &good)), "accepted"),
            (Case::new("beyond a hundred", certificate.clone(), &with(&many[..100], &good)), "refused"),
            (Case::new("beyond by far", certificate.clone(), &with(&many, &good)), "refused"),
            (
                Case::new("first by its key identifier", certificate.clone(), &with(&many, &identified)),
                "accepted",
            ),
            (Case::new("last by it", certificate.clone(), &with(&many, &misidentified)), "refused"),
            (Case::new("another identifier alone", certificate.clone(), &[misidentified]), "accepted"),
            (Case::new("the same CAs twice", certificate.clone(), &twice), "accepted"),
            (
                Case::new("another certificate of the same key", reissued.clone(), &[key.issue(renewed)]),
                "refused",
            ),
            (Case::new("with an alternative name", reissued, &[key.issue(named)]), "accepted"),
        ],
    );
}

#[test]
fn the_edges_of_validity_are_those_of_go() {
    let Some(oracle) = Oracle::get_or_skip() else { return };
    let key = QuickKey::new();
    let mut short = Parts::valid();
    short.validity = validity("260101000000Z", "270101000000Z");
    let mut ca = key.authority();
    ca.validity = short.validity.clone();
    let pairs = [(key.issue(short), key.authority().der()), (key.issue(Parts::valid()), ca.der())];
    let mut cases = Vec::new();
    for (certificate, ca) in pairs {
        let (from, until) = (1_767_225_600, 1_798_761_600);
        for (seconds, nanoseconds, expected) in [
            (from - 1, 999_999_999, "refused"),
            (from, 0, "accepted"),
            (until, 0, "accepted"),
            (until, 1, "refused"),
            (until + 1, 0, "refused"),
        ] {
            let mut case = Case::new("", certificate.clone(), std::slice::from_ref(&ca));
            case.at = noon() - Duration::seconds(noon().unix_timestamp() - seconds);
            case.at += Duration::nanoseconds(nanoseconds);
            case.name = case.at.to_string();
            cases.push((case, expected));
        }
    }
    compare_expected(oracle, cases);
}
