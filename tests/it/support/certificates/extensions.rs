//! Extensions, as RFC 5280, section 4.2, defines them, and as Go takes them.

use super::super::der::{
    bits, boolean, context, element, hex, integer, null, octets, oid, sequence, tagged, utf8,
};
use super::general_names::SUBJECT_ALT_NAME;
use super::{Fixture, accepted, changed, extension, name, refused};

const SUBJECT_KEY_IDENTIFIER: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const DISTRIBUTION_POINTS: &str = "2.5.29.31";
const POLICIES: &str = "2.5.29.32";
const POLICY_MAPPINGS: &str = "2.5.29.33";
const AUTHORITY_KEY_IDENTIFIER: &str = "2.5.29.35";
const POLICY_CONSTRAINTS: &str = "2.5.29.36";
const KEY_PURPOSES: &str = "2.5.29.37";
const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
const AUTHORITY_INFORMATION: &str = "1.3.6.1.5.5.7.1.1";

pub fn fixtures() -> Vec<Fixture> {
    [general(), small(), lists(), policies()].into_iter().flatten().collect()
}

/// What EK certificates usually have (TCG EK Credential Profile 2.0, section 3.2).
pub fn usual() -> Vec<Vec<u8>> {
    let tpm = name(&[
        ("2.23.133.2.1", utf8("id:49465800")),
        ("2.23.133.2.2", utf8("SLB 9670")),
        ("2.23.133.2.3", utf8("id:00070055")),
    ]);
    let link = sequence(&[oid("1.3.6.1.5.5.7.48.2"), context(6, b"https://example.com/ca.crt")]);
    vec![
        critical(SUBJECT_ALT_NAME, &sequence(&[tagged(4, &tpm)])),
        critical(BASIC_CONSTRAINTS, &sequence(&[])),
        critical(KEY_USAGE, &element(3, &[5, 0x20])),
        extension(AUTHORITY_INFORMATION, &sequence(&[link])),
        extension(AUTHORITY_KEY_IDENTIFIER, &sequence(&[context(0, &[7; 20])])),
        extension(KEY_PURPOSES, &sequence(&[oid("2.23.133.8.1")])),
    ]
}

fn critical(kind: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), boolean(0xff), octets(value)])
}

/// A certificate with nothing but this extension.
pub fn with(kind: &str, value: &[u8]) -> Vec<u8> {
    only(extension(kind, value))
}

fn only(extension: Vec<u8>) -> Vec<u8> {
    changed(|parts| parts.extensions = vec![extension])
}

fn general() -> Vec<Fixture> {
    let malformed = "the extensions are malformed";
    let unknown = || oid("1.2.3.4");
    let in_place_of_all = |elements: Vec<u8>| {
        changed(|parts| {
            parts.extensions.clear();
            parts.unique_identifiers = elements;
        })
    };
    vec![
        accepted("no extensions", changed(|parts| parts.extensions.clear())),
        accepted("an empty list of extensions", in_place_of_all(tagged(3, &sequence(&[])))),
        accepted("an unknown extension", with("1.2.3.4", b"anything")),
        accepted("an unknown critical extension", only(critical("1.2.3.4", b"anything"))),
        accepted(
            "an extension that says that it is not critical",
            only(sequence(&[unknown(), boolean(0), octets(&[])])),
        ),
        accepted("more after an extension's value", only(sequence(&[unknown(), octets(&[]), null()]))),
        accepted("certificate transparency, malformed", with("1.3.6.1.4.1.11129.2.4.2", b"anything")),
        refused("critical as 01", malformed, only(sequence(&[unknown(), boolean(1), octets(&[])]))),
        refused(
            "critical in two bytes",
            malformed,
            only(sequence(&[unknown(), element(1, &[0, 0xff]), octets(&[])])),
        ),
        refused("an extension without a value", malformed, only(sequence(&[unknown()]))),
        refused("an extension's value of another type", malformed, only(sequence(&[unknown(), bits(&[])]))),
        refused("an extension without a type", malformed, only(sequence(&[octets(&[])]))),
        refused("an extension that is no sequence", malformed, only(octets(&[]))),
        refused("extensions that are no list", malformed, in_place_of_all(tagged(3, &octets(&[])))),
        refused(
            "an extension twice",
            "an extension is there twice",
            changed(|parts| parts.extensions.push(usual()[1].clone())),
        ),
        refused(
            "an unknown extension twice",
            "an extension is there twice",
            changed(|parts| {
                parts.extensions = vec![extension("1.2.3.4", b"a"), extension("1.2.3.4", b"b")];
            }),
        ),
    ]
}

fn small() -> Vec<Fixture> {
    let usage = "the keyUsage extension is malformed";
    let constraints = "the basicConstraints extension is malformed";
    let authority = "the authorityKeyIdentifier extension is malformed";
    let critical_where = "an extension is critical that must not be";
    let identifier = sequence(&[context(0, &[7; 20])]);
    vec![
        accepted("keyUsage of two bytes", with(KEY_USAGE, &element(3, &[7, 0x80, 0x80]))),
        accepted("keyUsage empty", with(KEY_USAGE, &bits(&[]))),
        accepted("keyUsage with more after it", with(KEY_USAGE, &[bits(&[1]), null()].concat())),
        refused("keyUsage with unused bits that are set", usage, with(KEY_USAGE, &element(3, &[5, 0x21]))),
        refused("keyUsage without content", usage, with(KEY_USAGE, &element(3, &[]))),
        refused("keyUsage that is no bit string", usage, with(KEY_USAGE, &octets(&[0]))),
        accepted(
            "basicConstraints with a path length",
            with(BASIC_CONSTRAINTS, &sequence(&[boolean(0xff), integer(&[0])])),
        ),
        accepted("basicConstraints with more in it", with(BASIC_CONSTRAINTS, &sequence(&[null()]))),
        refused(
            "basicConstraints with TRUE as 01",
            constraints,
            with(BASIC_CONSTRAINTS, &sequence(&[boolean(1)])),
        ),
        refused(
            "basicConstraints with a negative path length",
            constraints,
            with(BASIC_CONSTRAINTS, &sequence(&[integer(&[0xff])])),
        ),
        refused(
            "basicConstraints with a path length of 64 bits",
            constraints,
            with(BASIC_CONSTRAINTS, &sequence(&[integer(&hex("008000000000000000"))])),
        ),
        refused("basicConstraints that is no sequence", constraints, with(BASIC_CONSTRAINTS, &boolean(0xff))),
        accepted("subjectKeyIdentifier", with(SUBJECT_KEY_IDENTIFIER, &octets(&[7; 20]))),
        refused(
            "subjectKeyIdentifier not wrapped",
            "the subjectKeyIdentifier extension is malformed",
            with(SUBJECT_KEY_IDENTIFIER, &[7; 20]),
        ),
        refused(
            "subjectKeyIdentifier critical",
            critical_where,
            only(critical(SUBJECT_KEY_IDENTIFIER, &octets(&[7; 20]))),
        ),
        accepted(
            "authorityKeyIdentifier without an identifier",
            with(AUTHORITY_KEY_IDENTIFIER, &sequence(&[context(2, &[1])])),
        ),
        refused(
            "authorityKeyIdentifier critical",
            critical_where,
            only(critical(AUTHORITY_KEY_IDENTIFIER, &identifier)),
        ),
        refused(
            "authorityKeyIdentifier that is no sequence",
            authority,
            with(AUTHORITY_KEY_IDENTIFIER, &octets(&[7; 20])),
        ),
        refused(
            "authorityKeyIdentifier cut short",
            authority,
            with(AUTHORITY_KEY_IDENTIFIER, &sequence(&[vec![0x80, 20, 7]])),
        ),
    ]
}

fn lists() -> Vec<Fixture> {
    let point = |content: &[Vec<u8>]| with(DISTRIBUTION_POINTS, &sequence(&[sequence(content)]));
    let named = |names: &[u8]| point(&[tagged(0, &tagged(0, names))]);
    let points = "the cRLDistributionPoints extension is malformed";
    let purposes = "the extKeyUsage extension is malformed";
    let information = "the authorityInfoAccess extension is malformed";
    let access = |content: &[Vec<u8>]| with(AUTHORITY_INFORMATION, &sequence(&[sequence(content)]));
    vec![
        accepted("cRLDistributionPoints", named(&context(6, b"any \xff bytes"))),
        accepted("cRLDistributionPoints with a directoryName", named(&tagged(4, b"nonsense"))),
        accepted("cRLDistributionPoints without a name", point(&[context(1, &[0])])),
        refused("cRLDistributionPoints relative to the issuer", points, point(&[tagged(0, &tagged(1, &[]))])),
        refused("cRLDistributionPoints with an empty name", points, point(&[tagged(0, &[])])),
        refused("cRLDistributionPoints with a URI cut short", points, named(&[0x86, 9, b'x'])),
        refused("cRLDistributionPoints that is no sequence", points, with(DISTRIBUTION_POINTS, &null())),
        accepted("extKeyUsage empty", with(KEY_PURPOSES, &sequence(&[]))),
        refused("extKeyUsage with something else", purposes, with(KEY_PURPOSES, &sequence(&[null()]))),
        refused(
            "extKeyUsage with a number too large",
            purposes,
            with(KEY_PURPOSES, &sequence(&[element(6, &hex("2a8880808000"))])),
        ),
        accepted(
            "authorityInfoAccess with a directoryName",
            access(&[oid("1.3.6.1.5.5.7.48.2"), tagged(4, &[])]),
        ),
        accepted("authorityInfoAccess without a location", access(&[oid("1.3.6.1.5.5.7.48.2")])),
        refused(
            "authorityInfoAccess without a method",
            information,
            access(&[context(6, b"https://example.com")]),
        ),
        refused(
            "authorityInfoAccess critical",
            "an extension is critical that must not be",
            only(critical(AUTHORITY_INFORMATION, &sequence(&[]))),
        ),
        refused("authorityInfoAccess that is no sequence", information, with(AUTHORITY_INFORMATION, &null())),
    ]
}

fn policies() -> Vec<Fixture> {
    let policies = |policies: &[Vec<u8>]| {
        with(
            POLICIES,
            &sequence(
                &policies.iter().map(|policy| sequence(std::slice::from_ref(policy))).collect::<Vec<_>>(),
            ),
        )
    };
    let why = "the certificatePolicies extension is malformed";
    let constraints = "the policyConstraints extension is malformed";
    let mappings = "the policyMappings extension is malformed";
    let any = "the inhibitAnyPolicy extension is malformed";
    vec![
        accepted(
            "certificatePolicies with a large number",
            policies(&[element(6, &hex("2affffffffffffffffffff7f"))]),
        ),
        refused("certificatePolicies with one twice", why, policies(&[oid("1.2.3"), oid("1.2.3")])),
        refused("certificatePolicies with an empty one", why, policies(&[element(6, &[])])),
        refused("certificatePolicies with a padded number", why, policies(&[element(6, &hex("2a8001"))])),
        refused("certificatePolicies with one cut short", why, policies(&[element(6, &hex("2a81"))])),
        accepted(
            "policyMappings with nonsense",
            with(POLICY_MAPPINGS, &sequence(&[sequence(&[element(6, &[]), element(6, &[0x80])])])),
        ),
        refused(
            "policyMappings with one policy",
            mappings,
            with(POLICY_MAPPINGS, &sequence(&[sequence(&[oid("1.2.3")])])),
        ),
        accepted(
            "policyConstraints with negative numbers",
            with(POLICY_CONSTRAINTS, &sequence(&[context(0, &[0xff]), context(1, &[0x80])])),
        ),
        refused(
            "policyConstraints of 9 bytes",
            constraints,
            with(POLICY_CONSTRAINTS, &sequence(&[context(0, &[1; 9])])),
        ),
        refused(
            "policyConstraints without content",
            constraints,
            with(POLICY_CONSTRAINTS, &sequence(&[context(1, &[])])),
        ),
        accepted("inhibitAnyPolicy", with(INHIBIT_ANY_POLICY, &integer(&[0]))),
        refused("inhibitAnyPolicy of 9 bytes", any, with(INHIBIT_ANY_POLICY, &integer(&[1; 9]))),
        refused("inhibitAnyPolicy not minimally encoded", any, with(INHIBIT_ANY_POLICY, &integer(&[0, 0]))),
    ]
}
