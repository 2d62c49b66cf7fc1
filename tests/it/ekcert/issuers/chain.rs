//! Issuers and their chains: renewed, cross-signed, expired, too long, and of other names.

use std::slice;

use tbot_tpm::ekcert::EkCertificate;
use tbot_tpm::ekcert::issuers::{Broken, Candidates, Finding, Search, Trust};

use crate::support::certificates::{Parts, name};
use crate::support::der::{boolean, integer, printable, sequence, utc_time, utf8};
use crate::support::issuing::{BASIC_CONSTRAINTS, QuickKey, critical, noon, pem};

/// A CA with a name and a key of its own.
struct Ca {
    key: QuickKey,
    name: Vec<u8>,
}

impl Ca {
    fn new(text: &str) -> Self {
        Self { key: QuickKey::new(), name: named(text) }
    }

    /// Its certificate by an issuer, with a change.
    fn by(&self, issuer: &Self, change: impl FnOnce(&mut Parts)) -> Vec<u8> {
        let mut parts = self.key.authority();
        parts.subject.clone_from(&self.name);
        parts.issuer.clone_from(&issuer.name);
        change(&mut parts);
        issuer.key.issue(parts)
    }

    fn root(&self) -> Vec<u8> {
        self.by(self, |_| {})
    }

    /// An EK certificate.
    fn ek(&self) -> Vec<u8> {
        self.key.issue(Parts { issuer: self.name.clone(), ..Parts::valid() })
    }
}

fn named(text: &str) -> Vec<u8> {
    name(&[("2.5.4.3", printable(text))])
}

fn until(end: &str) -> impl FnOnce(&mut Parts) + use<'_> {
    move |parts| parts.validity = sequence(&[utc_time("250101000000Z"), utc_time(end)])
}

/// A CA that allows this many CAs below it.
fn path_length(most: u8) -> impl FnOnce(&mut Parts) {
    move |parts| {
        parts.extensions[0] = critical(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff), integer(&[most])]));
    }
}

/// What is found of an EK certificate among candidates, with these roots.
fn find(ek: &[u8], candidates: &[Vec<u8>], roots: &[Vec<u8>]) -> Found {
    let mut all = Candidates::default();
    for der in candidates {
        all.add(der, "bundle").unwrap();
    }
    let places: Vec<usize> = roots.iter().map(|der| all.add(der, "roots").unwrap()).collect();
    let roots = places.iter().map(|place| all.sha256(*place).to_owned()).collect();
    let trust = Trust { roots, ..Trust::default() };
    let certificate = EkCertificate::from_pem(&pem(ek)).unwrap();
    let mut search = Search::new(all, &trust, noon());
    match search.run(&[certificate], None).pop().unwrap().finding {
        Finding::Issued { issuer, chain, is_accepted } => Found::Issued {
            issuer: search.candidate(issuer).to_pem().unwrap(),
            length: chain.places.len(),
            broken: chain.broken,
            is_accepted,
        },
        Finding::Unfit(_, flaw) => Found::Unfit(flaw.to_string()),
        Finding::Refused(why) => Found::Unfit(why.to_string()),
        Finding::NotFound(_) => Found::Nothing,
    }
}

#[derive(Debug, PartialEq)]
enum Found {
    Issued { issuer: String, length: usize, broken: Option<Broken>, is_accepted: bool },
    Unfit(String),
    Nothing,
}

fn trusted(issuer: &[u8], length: usize) -> Found {
    Found::Issued { issuer: pem(issuer), length, broken: None, is_accepted: true }
}

fn untrusted(issuer: &[u8], length: usize, broken: Broken) -> Found {
    Found::Issued { issuer: pem(issuer), length, broken: Some(broken), is_accepted: true }
}

#[test]
fn chains_of_two_and_three_levels_end_at_a_root_or_nowhere() {
    let (root, middle, issuing) = (Ca::new("Root"), Ca::new("Middle"), Ca::new("Issuing"));
    let (top, below, last) = (root.root(), middle.by(&root, |_| {}), issuing.by(&middle, |_| {}));
    let bundle = [last.clone(), below.clone()];
    assert_eq!(find(&issuing.ek(), &bundle, slice::from_ref(&top)), trusted(&last, 3));
    assert_eq!(find(&middle.ek(), &bundle, slice::from_ref(&top)), trusted(&below, 2));
    assert_eq!(find(&root.ek(), &bundle, slice::from_ref(&top)), trusted(&top, 1));
    // An anchor need not be self-issued.
    assert_eq!(find(&issuing.ek(), &bundle[..1], &bundle[1..]), trusted(&last, 2));
    assert_eq!(
        find(&issuing.ek(), &bundle, &[]),
        untrusted(&last, 2, Broken::NoParent("CN=Root".to_owned()))
    );
    assert_eq!(
        find(&issuing.ek(), &[bundle.to_vec(), vec![top]].concat(), &[]),
        untrusted(&last, 3, Broken::UnknownRoot)
    );
    assert_eq!(find(&issuing.ek(), &[below], &[]), Found::Nothing);
}

#[test]
fn a_root_of_the_right_name_and_another_key_proves_nothing() {
    let (root, other, issuing) = (Ca::new("Root"), Ca::new("Root"), Ca::new("Issuing"));
    let last = issuing.by(&root, |_| {});
    let found = find(&issuing.ek(), slice::from_ref(&last), &[other.root()]);
    assert_eq!(found, untrusted(&last, 1, Broken::NoParent("CN=Root".to_owned())));
    let forged = Ca { key: QuickKey::new(), name: issuing.name.clone() };
    assert_eq!(find(&forged.ek(), &[last], &[root.root()]), Found::Nothing);
}

#[test]
fn an_issuer_renewed_with_its_key_is_found_by_the_certificate_that_is_valid_longest() {
    let (root, issuing) = (Ca::new("Root"), Ca::new("Issuing"));
    let expired = issuing.by(&root, until("260101000000Z"));
    let short = issuing.by(&root, until("280101000000Z"));
    let long = issuing.by(&root, until("340101000000Z"));
    let roots = [root.root()];
    for bundle in [[expired.clone(), short.clone(), long.clone()], [long.clone(), short, expired.clone()]] {
        assert_eq!(find(&issuing.ek(), &bundle, &roots), trusted(&long, 2));
    }
    let found = find(&issuing.ek(), &[expired], &roots);
    assert_eq!(found, Found::Unfit("expired on 2026-01-01T00:00:00Z".to_owned()));
}

#[test]
fn a_cross_signed_issuer_is_trusted_by_whichever_chain_proves_it() {
    let (old, new, issuing) = (Ca::new("Old Root"), Ca::new("New Root"), Ca::new("Issuing"));
    let (by_old, by_new) =
        (issuing.by(&old, until("340101000000Z")), issuing.by(&new, until("300101000000Z")));
    let bundle = [by_old.clone(), by_new.clone()];
    // The shorter validity counts less than trust.
    assert_eq!(find(&issuing.ek(), &bundle, &[new.root()]), trusted(&by_new, 2));
    assert_eq!(find(&issuing.ek(), &bundle, &[old.root()]), trusted(&by_old, 2));
    // The old root's key, signed by the new one and the other way round: a circle that ends.
    let circle = [bundle.to_vec(), vec![old.by(&new, |_| {}), new.by(&old, |_| {})]].concat();
    assert_eq!(find(&issuing.ek(), &circle, &[new.root()]), trusted(&by_old, 3));
    let Found::Issued { broken: Some(_), .. } = find(&issuing.ek(), &circle, &[]) else {
        panic!("a circle proves nothing");
    };
}

#[test]
fn every_certificate_of_a_chain_must_be_valid_and_a_ca() {
    let (root, middle, issuing) = (Ca::new("Root"), Ca::new("Middle"), Ca::new("Issuing"));
    let last = issuing.by(&middle, |_| {});
    let with = |middle: Vec<u8>, root: Vec<u8>| match find(&issuing.ek(), &[last.clone(), middle], &[root]) {
        Found::Issued { broken, .. } => broken.map(|why| why.to_string()).unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    assert_eq!(with(middle.by(&root, |_| {}), root.root()), "");
    let why = with(middle.by(&root, until("260101000000Z")), root.root());
    assert!(why.contains("CN=Middle, whose certificate expired on 2026-01-01"), "{why}");
    let why = with(middle.by(&root, |_| {}), root.by(&root, until("260101000000Z")));
    assert!(why.contains("CN=Root, whose certificate expired"), "{why}");
    let why = with(middle.by(&root, |parts| parts.extensions.clear()), root.root());
    assert!(why.contains("is no CA by its basicConstraints"), "{why}");
}

#[test]
fn a_path_length_allows_so_many_cas_below() {
    let (root, middle, issuing) = (Ca::new("Root"), Ca::new("Middle"), Ca::new("Issuing"));
    let bundle = |most| [issuing.by(&middle, |_| {}), middle.by(&root, path_length(most))];
    let root_of = |most| root.by(&root, path_length(most));
    let too_long = |name: &str| Some(Broken::PathLength(name.to_owned()));
    for (of_middle, of_root, expected) in
        [(1, 2, None), (1, 1, too_long("CN=Root")), (0, 2, too_long("CN=Middle"))]
    {
        let found = find(&issuing.ek(), &bundle(of_middle), &[root_of(of_root)]);
        let Found::Issued { broken, .. } = found else { panic!("{found:?}") };
        assert_eq!(broken, expected);
    }
    // A CA's own renewal, signed by its former key, does not count (RFC 5280, section 6.1.4).
    let renewed = Ca { key: QuickKey::new(), name: middle.name.clone() };
    let chain = [issuing.by(&renewed, |_| {}), renewed.by(&middle, |_| {}), middle.by(&root, path_length(1))];
    let Found::Issued { broken, length, .. } = find(&issuing.ek(), &chain, &[root.root()]) else { panic!() };
    assert_eq!((broken, length), (None, 4));
}

#[test]
fn names_above_the_issuer_may_differ_in_string_type_and_case_and_the_issuers_may_not() {
    let (root, issuing) = (Ca::new("Root CA"), Ca::new("Issuing"));
    let other = |text: &str| name(&[("2.5.4.3", utf8(text))]);
    let last = issuing.by(&root, |parts| parts.issuer = other("ROOT  ca"));
    assert_eq!(find(&issuing.ek(), slice::from_ref(&last), &[root.root()]), trusted(&last, 2));
    let ek = issuing.key.issue(Parts { issuer: other("issuing"), ..Parts::valid() });
    let found = find(&ek, slice::from_ref(&last), &[root.root()]);
    assert_eq!(found, Found::Issued { issuer: pem(&last), length: 2, broken: None, is_accepted: false });
}

#[test]
fn many_certificates_of_one_name_do_not_keep_a_search_busy() {
    let cas: Vec<Ca> = (0..12).map(|_| Ca::new("Same")).collect();
    // Each by each other: where the chain of a root ends would be clear.
    let mut bundle = Vec::new();
    for (number, ca) in cas.iter().enumerate() {
        let others = cas.iter().enumerate().filter(|(other, _)| *other != number);
        bundle.extend(others.map(|(_, issuer)| ca.by(issuer, |_| {})));
    }
    let Found::Issued { broken, .. } = find(&cas[0].ek(), &bundle, &[]) else { panic!() };
    assert_eq!(broken, Some(Broken::TooMany));
}
