//! The extensions that Go looks into (RFC 5280, section 4.2). A malformed one makes it refuse the
//! certificate; all others pass, critical or not.
//!
//! What follows the outermost element of an extension passes too, except in nameConstraints.

use super::super::der::{self, Element, Reader};
use super::super::oid;
use super::domain::{is_domain, is_ipv4_mapped, is_mask, mailbox};
use super::{Checked, Edition, Extension, NotACertificate, OrBecause, Release, uri};

/// Refuses an extension that Go knows and would not take.
pub fn check(extension: &Extension<'_>, edition: &Edition) -> Checked<()> {
    let Extension { oid, value, is_critical } = extension;
    let reader = Reader::new(value);
    let (taken, why) = match oid.bytes() {
        oid::SUBJECT_KEY_IDENTIFIER => {
            (key_identifier(reader), "the subjectKeyIdentifier extension is malformed")
        }
        oid::KEY_USAGE => (key_usage(reader), "the keyUsage extension is malformed"),
        oid::SUBJECT_ALT_NAME => {
            (alternative_names(reader, edition), "the subjectAltName extension is malformed")
        }
        oid::BASIC_CONSTRAINTS => (basic_constraints(reader), "the basicConstraints extension is malformed"),
        oid::NAME_CONSTRAINTS => {
            (name_constraints(reader, edition), "the nameConstraints extension is malformed")
        }
        oid::CRL_DISTRIBUTION_POINTS => {
            (distribution_points(reader), "the cRLDistributionPoints extension is malformed")
        }
        oid::CERTIFICATE_POLICIES => (policies(reader), "the certificatePolicies extension is malformed"),
        oid::POLICY_MAPPINGS => (policy_mappings(reader), "the policyMappings extension is malformed"),
        oid::AUTHORITY_KEY_IDENTIFIER => {
            (authority_key_identifier(reader), "the authorityKeyIdentifier extension is malformed")
        }
        oid::POLICY_CONSTRAINTS => {
            (policy_constraints(reader), "the policyConstraints extension is malformed")
        }
        oid::EXTENDED_KEY_USAGE => (key_purposes(reader), "the extKeyUsage extension is malformed"),
        oid::INHIBIT_ANY_POLICY => {
            (inhibit_any_policy(reader), "the inhibitAnyPolicy extension is malformed")
        }
        oid::AUTHORITY_INFO_ACCESS => {
            (authority_information(reader), "the authorityInfoAccess extension is malformed")
        }
        _ => (Some(()), ""),
    };
    taken.or_because(why)?;
    match oid.bytes() {
        oid::SUBJECT_KEY_IDENTIFIER | oid::AUTHORITY_KEY_IDENTIFIER | oid::AUTHORITY_INFO_ACCESS
            if *is_critical =>
        {
            Err(NotACertificate("an extension is critical that must not be"))
        }
        _ => Ok(()),
    }
}

/// Section 4.2.1.2.
fn key_identifier(mut value: Reader<'_>) -> Option<()> {
    value.read(der::OCTET_STRING).map(drop)
}

/// Section 4.2.1.3.
fn key_usage(mut value: Reader<'_>) -> Option<()> {
    value.bit_string().map(drop)
}

/// Section 4.2.1.6, of whose names Go looks into four kinds.
fn alternative_names(mut value: Reader<'_>, edition: &Edition) -> Option<()> {
    let mut names = value.enter(der::SEQUENCE)?;
    while !names.is_empty() {
        let name = names.element()?;
        alternative_name(&name, edition).then_some(())?;
    }
    Some(())
}

const EMAIL: u8 = der::context(1);
const DNS: u8 = der::context(2);
const URI: u8 = der::context(6);
const IP: u8 = der::context(7);

fn alternative_name(name: &Element<'_>, edition: &Edition) -> bool {
    match name.tag {
        EMAIL | DNS => name.content.is_ascii(),
        URI => ascii(name).is_some_and(|text| uri::is_acceptable(text, edition)),
        IP => match name.content.len() {
            4 => true,
            16 => edition.is(Release::Go1_25) || !is_ipv4_mapped(name.content),
            _ => false,
        },
        _ => true,
    }
}

fn ascii<'a>(name: &Element<'a>) -> Option<&'a str> {
    std::str::from_utf8(name.content).ok().filter(|text| text.is_ascii())
}

/// Section 4.2.1.9.
fn basic_constraints(mut value: Reader<'_>) -> Option<()> {
    let mut constraints = value.enter(der::SEQUENCE)?;
    if constraints.peeks(der::BOOLEAN) {
        constraints.boolean()?;
    }
    if constraints.peeks(der::INTEGER) {
        constraints.small_integer(der::INTEGER).filter(|length| *length >= 0)?;
    }
    Some(())
}

/// Section 4.2.1.10. At least one of the two lists must hold something.
fn name_constraints(mut value: Reader<'_>, edition: &Edition) -> Option<()> {
    let mut constraints = value.enter(der::SEQUENCE)?;
    let permitted = constraints.optional(der::constructed(0))?.unwrap_or_default();
    let excluded = constraints.optional(der::constructed(1))?.unwrap_or_default();
    let is_complete = value.is_empty() && constraints.is_empty();
    (is_complete && !(permitted.is_empty() && excluded.is_empty())).then_some(())?;
    for subtrees in [permitted, excluded] {
        let mut subtrees = Reader::new(subtrees);
        while !subtrees.is_empty() {
            let base = subtrees.enter(der::SEQUENCE)?.element()?;
            is_constraint(&base, edition).then_some(())?;
        }
    }
    Some(())
}

fn is_constraint(base: &Element<'_>, edition: &Edition) -> bool {
    let content = base.content;
    match base.tag {
        EMAIL if content.contains(&b'@') => content.is_ascii() && mailbox(content, edition).is_some(),
        EMAIL | DNS => is_domain(content, true),
        URI => {
            let is_address = ascii(base).is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
            !is_address && is_domain(content, true)
        }
        IP => {
            let (address, mask) = content.split_at(content.len() / 2);
            let is_taken = edition.is(Release::Go1_25) || !is_ipv4_mapped(address);
            [8, 32].contains(&content.len()) && is_mask(mask) && is_taken
        }
        _ => true,
    }
}

/// Section 4.2.1.13. A point must be named by general names, not relative to the CRL's issuer.
fn distribution_points(mut value: Reader<'_>) -> Option<()> {
    let mut points = value.enter(der::SEQUENCE)?;
    while !points.is_empty() {
        let mut point = points.enter(der::SEQUENCE)?;
        let Some(name) = point.optional(der::constructed(0))? else { continue };
        let mut names = Reader::new(name).enter(der::constructed(0))?;
        while names.peeks(URI) {
            names.read(URI)?;
        }
    }
    Some(())
}

/// Section 4.2.1.4. No policy may appear twice; its numbers may be of any size.
fn policies(mut value: Reader<'_>) -> Option<()> {
    let mut policies = value.enter(der::SEQUENCE)?;
    let mut seen = Vec::new();
    while !policies.is_empty() {
        let policy = policies.enter(der::SEQUENCE)?.read(der::OBJECT_IDENTIFIER)?;
        let mut arcs = policy.split_inclusive(|byte| byte & 0x80 == 0);
        let is_complete = policy.last().is_some_and(|last| last & 0x80 == 0);
        let is_minimal = arcs.all(|arc| arc.first() != Some(&0x80));
        (is_complete && is_minimal && !seen.contains(&policy)).then_some(())?;
        seen.push(policy);
    }
    Some(())
}

/// Section 4.2.1.5. Go does not look into these object identifiers.
fn policy_mappings(mut value: Reader<'_>) -> Option<()> {
    let mut mappings = value.enter(der::SEQUENCE)?;
    while !mappings.is_empty() {
        let mut mapping = mappings.enter(der::SEQUENCE)?;
        mapping.read(der::OBJECT_IDENTIFIER)?;
        mapping.read(der::OBJECT_IDENTIFIER)?;
    }
    Some(())
}

/// Section 4.2.1.1.
fn authority_key_identifier(mut value: Reader<'_>) -> Option<()> {
    value.enter(der::SEQUENCE)?.optional(der::context(0)).map(drop)
}

/// Section 4.2.1.11.
fn policy_constraints(mut value: Reader<'_>) -> Option<()> {
    let mut constraints = value.enter(der::SEQUENCE)?;
    for tag in [der::context(0), der::context(1)] {
        if constraints.peeks(tag) {
            constraints.small_integer(tag)?;
        }
    }
    Some(())
}

/// Section 4.2.1.12.
fn key_purposes(mut value: Reader<'_>) -> Option<()> {
    let mut purposes = value.enter(der::SEQUENCE)?;
    while !purposes.is_empty() {
        purposes.oid()?;
    }
    Some(())
}

/// Section 4.2.1.14.
fn inhibit_any_policy(mut value: Reader<'_>) -> Option<()> {
    value.small_integer(der::INTEGER).map(drop)
}

/// Section 4.2.2.1.
fn authority_information(mut value: Reader<'_>) -> Option<()> {
    let mut descriptions = value.enter(der::SEQUENCE)?;
    while !descriptions.is_empty() {
        let mut description = descriptions.enter(der::SEQUENCE)?;
        description.oid()?;
        description.optional(URI)?;
    }
    Some(())
}
