//! Domain names, mailboxes and IP masks in subjectAltName and nameConstraints, as loosely or strictly as
//! Go checks them.

use super::{Edition, Release};

/// Whether Go takes these bytes as a domain name: nothing at all, or labels that are not empty, of
/// visible ASCII characters. A constraint may start with a period (RFC 5280, section 4.2.1.10).
pub fn is_domain(name: &[u8], is_constraint: bool) -> bool {
    let labels = name.strip_prefix(b".").filter(|_| is_constraint).unwrap_or(name);
    name.is_empty()
        || labels
            .split(|byte| *byte == b'.')
            .all(|label| !label.is_empty() && label.iter().all(u8::is_ascii_graphic))
}

/// The local part, without quotation marks and backslashes, and the domain of what Go takes as a mailbox
/// (RFC 2821, section 4.1.2), `local@domain`.
pub fn mailbox<'a>(mailbox: &'a [u8], edition: &Edition) -> Option<(Vec<u8>, &'a [u8])> {
    let (local, rest) = match mailbox {
        [b'"', quoted @ ..] => quoted_local_part(quoted),
        plain => plain_local_part(plain),
    }?;
    let domain = rest.strip_prefix(b"@")?;
    let is_plain = edition.is(Release::Go1_25) || !domain.contains(&b'@');
    (is_domain(domain, false) && is_plain).then_some((local, domain))
}

/// What stands between the quotation marks, and what follows them. Within, as RFC 2822, section 3.2.5, has it, control
/// characters are fine except NUL, tab, line feed and carriage return, which must be escaped if at all,
/// and a space is fine too (RFC 3696, section 3).
fn quoted_local_part(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut local = Vec::new();
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some((local, after)),
            [b'\\', byte @ (1..=9 | 11 | 12 | 14..=127), after @ ..]
            | [byte @ (1..=8 | 11 | 12 | 14..=33 | 35..=91 | 93..=127), after @ ..] => {
                local.push(*byte);
                after
            }
            _ => return None,
        };
    }
}

/// The local part, and what follows it: characters that RFC 2822, section 3.2.4, calls atext, others after a
/// backslash, and single periods inside.
fn plain_local_part(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut local = Vec::new();
    loop {
        rest = match rest {
            [b'\\', escaped, after @ ..] => {
                local.push(*escaped);
                after
            }
            [b'\\'] => return None,
            [plain, after @ ..]
                if plain.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(plain) =>
            {
                local.push(*plain);
                after
            }
            _ => break,
        };
    }
    local.split(|byte| *byte == b'.').all(|atom| !atom.is_empty()).then_some((local, rest))
}

/// Whether these are one bits followed by zero bits.
pub fn is_mask(mask: &[u8]) -> bool {
    let bits = mask.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    bits.is_sorted_by(|before, after| before >= after)
}

/// Whether these are the 16 bytes of an IPv4 address mapped into IPv6 (RFC 4291, section 2.5.5.2).
pub fn is_ipv4_mapped(address: &[u8]) -> bool {
    <[u8; 16]>::try_from(address)
        .is_ok_and(|bytes| std::net::Ipv6Addr::from(bytes).to_ipv4_mapped().is_some())
}
