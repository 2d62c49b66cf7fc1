//! nameConstraints of a CA (RFC 5280, section 4.2.1.10), as Go holds a certificate's alternative names
//! against them.
//!
//! The extensions have been checked when the certificates were parsed, so that what does not read here
//! cannot be there.

use std::net::Ipv4Addr;

use super::super::der::{self, Element, Reader};
use super::super::description::general_name;
use super::super::strict::{is_domain, mailbox, uri_host};

const EMAIL: u8 = der::context(1);
const DNS: u8 = der::context(2);
const URI: u8 = der::context(6);
const IP: u8 = der::context(7);

/// What names a CA may issue certificates for.
#[derive(Debug, Default)]
pub struct NameConstraints {
    /// Where there are any of a kind, a name of that kind must be within one.
    permitted: Vec<Subtree>,
    /// No name may be within one of these.
    excluded: Vec<Subtree>,
    /// Whether there are names of other kinds, which Go does not handle.
    pub has_other_names: bool,
}

/// The tag of a general name, and what a name of that kind is within.
type Subtree = (u8, Vec<u8>);

impl NameConstraints {
    /// Reads the extension's value.
    pub fn read(value: &[u8]) -> Option<Self> {
        let mut lists = Reader::new(value).enter(der::SEQUENCE)?;
        let [permitted, excluded] = [0, 1].map(|number| {
            lists.optional(der::constructed(number)).flatten().map(subtrees).unwrap_or_default()
        });
        let is_other = |(tag, _): &Subtree| ![EMAIL, DNS, URI, IP].contains(tag);
        let has_other_names = permitted.iter().chain(&excluded).any(is_other);
        Some(Self { permitted, excluded, has_other_names })
    }

    /// Whether all names in a subjectAltName are allowed; the first one that is not, for people.
    pub fn check(&self, subject_alt_name: &[u8]) -> Result<(), String> {
        let Some(mut names) = Reader::new(subject_alt_name).enter(der::SEQUENCE) else { return Ok(()) };
        while let Some(name) = names.element() {
            let of_kind = |subtrees: &[Subtree]| -> Vec<Vec<u8>> {
                let kind = subtrees.iter().filter(|(tag, _)| *tag == name.tag);
                kind.map(|(_, base)| base.clone()).collect()
            };
            if !is_allowed(&name, &of_kind(&self.permitted), &of_kind(&self.excluded)) {
                return Err(general_name(&name));
            }
        }
        Ok(())
    }
}

fn subtrees(list: &[u8]) -> Vec<Subtree> {
    let mut list = Reader::new(list);
    let next = || list.enter(der::SEQUENCE)?.element().map(|base| (base.tag, base.content.to_vec()));
    std::iter::from_fn(next).collect()
}

/// Whether a name is within one of the permitted subtrees of its kind, if there are any, and within no
/// excluded one. What Go cannot compare is not allowed, even where nothing of its kind is constrained.
fn is_allowed(name: &Element<'_>, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> bool {
    let judge = |within: &dyn Fn(&[u8], bool) -> bool| {
        (permitted.is_empty() || permitted.iter().any(|base| within(base, false)))
            && !excluded.iter().any(|base| within(base, true))
    };
    match name.tag {
        IP => judge(&|base, _| is_in_network(name.content, base)),
        DNS => {
            is_domain(name.content, false)
                && judge(&|base, is_excluded| is_within(name.content, base, is_excluded))
        }
        URI => uri_domain(name.content)
            .is_some_and(|domain| judge(&|base, is_excluded| is_within(&domain, base, is_excluded))),
        EMAIL => mailbox(name.content).is_some_and(|(local, domain)| {
            judge(&|base, is_excluded| match mailbox(base).filter(|_| base.contains(&b'@')) {
                Some((base_local, base_domain)) => {
                    local == base_local && domain.eq_ignore_ascii_case(base_domain)
                }
                None => is_within(domain, base, is_excluded),
            })
        }),
        _ => true,
    }
}

/// Whether an address is in a network, which is an address and a mask.
fn is_in_network(address: &[u8], network: &[u8]) -> bool {
    let (base, mask) = network.split_at(network.len() / 2);
    address.len() == base.len()
        && address.iter().zip(base).zip(mask).all(|((byte, base), mask)| byte & mask == base & mask)
}

/// Whether a domain is the base or below it; with a leading period, only below. Everything is within the
/// empty base. A wildcard is also within an excluded base that it could stand for.
fn is_within(domain: &[u8], base: &[u8], is_excluded: bool) -> bool {
    if base.is_empty() {
        return true;
    }
    let is_suffix =
        domain.split_at_checked(domain.len().wrapping_sub(base.len())).is_some_and(|(before, end)| {
            end.eq_ignore_ascii_case(base)
                && (base.starts_with(b".") || before.is_empty() || before.ends_with(b"."))
        });
    let is_covered = || match (from_first_period(domain), from_first_period(base)) {
        (Some(of_domain), Some(of_base)) => of_domain.eq_ignore_ascii_case(of_base),
        _ => false,
    };
    is_suffix || is_excluded && domain.starts_with(b"*") && is_covered()
}

fn from_first_period(domain: &[u8]) -> Option<&[u8]> {
    domain.iter().position(|byte| *byte == b'.').map(|period| &domain[period..])
}

/// The domain of a URI's host; none where it has no host, or an address for one.
fn uri_domain(uri: &[u8]) -> Option<Vec<u8>> {
    let host = uri_host(std::str::from_utf8(uri).ok()?).filter(|host| !host.is_empty())?;
    let domain = match host.iter().rposition(|byte| *byte == b':') {
        None => host,
        Some(_) if host.iter().any(|byte| b"[]".contains(byte)) => return None,
        Some(colon) => host[..colon].to_vec(),
    };
    let is_address = std::str::from_utf8(&domain).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
    (!is_address && !domain.contains(&b':') && is_domain(&domain, false)).then_some(domain)
}
