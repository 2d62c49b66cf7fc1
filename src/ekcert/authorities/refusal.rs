//! Why a cluster does not accept an EK certificate, in words a person can act on.

use std::fmt;

use time::OffsetDateTime;

use super::super::description::timestamp;
use super::MOST_CANDIDATES;

/// Names of CAs that are shown.
const MOST_NAMES: usize = 3;

/// Why a cluster does not accept a certificate, by the CAs of a token. Names are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotVerified {
    /// Releases of Teleport disagree about the certificate.
    Disputed,
    /// It has a critical extension, in dotted numbers, that the cluster does not handle.
    Unhandled(String),
    /// It is valid from this second on only.
    NotYetValid(OffsetDateTime),
    /// It was valid up to this second.
    Expired(OffsetDateTime),
    /// It asks for a certificate policy and names none.
    LacksPolicy,
    /// It is signed with an algorithm of this name that can be forged.
    InsecureSignature(String),
    /// It is signed with an algorithm of this name that the cluster does not know, or not with these
    /// parameters.
    UnknownSignature(String),
    /// It is signed with an algorithm of this name that only recent releases of Teleport know.
    DisputedSignature(String),
    /// No CA has its issuer's name.
    NoIssuer {
        /// The issuer's name.
        issuer: String,
        /// The names of the CAs, and whether each is self-issued, as a root is.
        allowed: Vec<(String, bool)>,
        /// Where the certificate says that its issuer's certificate is.
        link: Option<String>,
    },
    /// A CA has its issuer's name, but in other bytes (another string type, say).
    IssuerInOtherBytes {
        /// The issuer's name.
        issuer: String,
    },
    /// There are CAs of its issuer's name, and something is wrong with each.
    Issuer {
        /// The issuer's name.
        issuer: String,
        /// What is wrong with the one that comes closest.
        flaw: Flaw,
        /// How many there are.
        candidates: usize,
    },
}

/// What is wrong with a CA, the more telling the later it stands here. As text, it continues a sentence
/// that starts with the CA's name ("expired on 2026-01-01T00:00:00Z").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Its key did not make the certificate's signature.
    OtherKey,
    /// It holds a key, of this type, with which the cluster checks no signatures.
    UnknownKey(String),
    /// It holds a key, of this type, whose signatures the cluster checks and this version cannot.
    UnsupportedKey(String),
    /// It holds a key that is too weak, as these words say.
    WeakKey(&'static str),
    /// It has the name and key of the certificate itself, and is another certificate.
    SameKey,
    /// Its basicConstraints do not say that it is a CA.
    NotACa,
    /// Its keyUsage does not let it sign certificates.
    MayNotSign,
    /// It has a critical extension, in dotted numbers, that the cluster does not handle.
    Unhandled(String),
    /// It is valid from this second on only.
    NotYetValid(OffsetDateTime),
    /// It was valid up to this second.
    Expired(OffsetDateTime),
    /// Releases of Teleport disagree about it.
    Disputed,
    /// Its nameConstraints do not allow this name of the certificate.
    NotItsName(String),
}

impl fmt::Display for NotVerified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WITHOUT: &str = "give this host a token without `ekcert_allowed_cas`";
        match self {
            Self::Disputed => write!(
                formatter,
                "versions of Teleport disagree about the EK certificate, so it is not certain that the cluster accepts it: {WITHOUT}"
            ),
            Self::Unhandled(extension) => write!(
                formatter,
                "the EK certificate has a critical extension that the cluster does not handle ({extension}), whatever CAs are allowed: {WITHOUT}"
            ),
            Self::NotYetValid(from) => write!(
                formatter,
                "the EK certificate is not valid before {}: check this machine's clock, or wait",
                timestamp(*from)
            ),
            Self::Expired(until) => write!(
                formatter,
                "the EK certificate expired on {}, and the cluster refuses it from then on: {WITHOUT}",
                timestamp(*until)
            ),
            Self::LacksPolicy => write!(
                formatter,
                "the EK certificate asks for a certificate policy and has none (policyConstraints), which the cluster refuses: {WITHOUT}"
            ),
            Self::InsecureSignature(algorithm) => write!(
                formatter,
                "the EK certificate is signed with {algorithm}, which can be forged, so the cluster refuses it: {WITHOUT}"
            ),
            Self::UnknownSignature(algorithm) => write!(
                formatter,
                "the EK certificate is signed with {algorithm}, with which, or with whose parameters, the cluster checks no signatures: {WITHOUT}"
            ),
            Self::DisputedSignature(algorithm) => write!(
                formatter,
                "the EK certificate is signed with {algorithm}, which only recent versions of Teleport know: {WITHOUT}"
            ),
            Self::NoIssuer { issuer, allowed, link } => {
                write_no_issuer(formatter, issuer, allowed, link.as_deref())
            }
            Self::IssuerInOtherBytes { issuer } => write!(
                formatter,
                "the EK certificate was issued by {issuer}; the token allows a CA of that name, but its certificate writes the name in other bytes (another string type, or other letter case), and the cluster compares bytes: look for another certificate of that CA, or {WITHOUT}"
            ),
            Self::Issuer { issuer, flaw, candidates } => {
                write!(formatter, "the EK certificate was issued by {issuer}, ")?;
                match candidates {
                    ..=1 => {
                        write!(formatter, "and the certificate of that name in `ekcert_allowed_cas` {flaw}")
                    }
                    ..=MOST_CANDIDATES => write!(
                        formatter,
                        "and none of the {candidates} certificates of that name in `ekcert_allowed_cas` lets it in: the closest one {flaw}"
                    ),
                    _ => write!(
                        formatter,
                        "and `ekcert_allowed_cas` has {candidates} certificates of that name, of which the cluster tries {MOST_CANDIDATES}; none of these lets it in: the closest one {flaw}"
                    ),
                }
            }
        }
    }
}

fn write_no_issuer(
    formatter: &mut fmt::Formatter<'_>,
    issuer: &str,
    allowed: &[(String, bool)],
    link: Option<&str>,
) -> fmt::Result {
    write!(formatter, "the EK certificate was issued by {issuer}, and the token allows ")?;
    if allowed.is_empty() {
        write!(formatter, "no CA that the cluster can read")?;
    } else {
        let name =
            |(name, is_root): &(String, bool)| format!("{}{name}", if *is_root { "the root " } else { "" });
        let shown: Vec<String> = allowed.iter().take(MOST_NAMES).map(name).collect();
        let more = allowed.len() - shown.len();
        match (shown.split_last(), more) {
            (Some((last, [_, ..])), 0) => {
                write!(formatter, "only {} and {last}", shown[..shown.len() - 1].join("; "))?;
            }
            (_, 0) => write!(formatter, "only {}", shown.join("; "))?,
            (_, more) => write!(formatter, "only {} and {more} more", shown.join("; "))?,
        }
    }
    write!(
        formatter,
        "; a cluster wants the direct issuer: add the certificate of {issuer} to `ekcert_allowed_cas`"
    )?;
    match link {
        Some(link) => {
            write!(formatter, " (the EK certificate links to it: {link}; check it before you trust it)")
        }
        None => Ok(()),
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey => write!(
                formatter,
                "holds another key than the one that signed it (a manufacturer may have several CAs of one name): add the certificate with the key that did"
            ),
            Self::UnknownKey(kind) => {
                write!(formatter, "holds a key with which the cluster checks no signatures ({kind})")
            }
            Self::UnsupportedKey(kind) => {
                write!(formatter, "holds a key whose signatures this version cannot verify ({kind})")
            }
            Self::WeakKey(what) => write!(formatter, "holds {what}, which the cluster refuses"),
            Self::SameKey => {
                write!(formatter, "is another certificate of the same name and key, not its issuer's")
            }
            Self::NotACa => write!(
                formatter,
                "is no CA by its basicConstraints, so it lets in nothing but that very certificate"
            ),
            Self::MayNotSign => write!(
                formatter,
                "may not sign certificates by its keyUsage, so it lets in nothing but that very certificate"
            ),
            Self::Unhandled(extension) => {
                write!(formatter, "has a critical extension that the cluster does not handle ({extension})")
            }
            Self::NotYetValid(from) => write!(formatter, "is not valid before {}", timestamp(*from)),
            Self::Expired(until) => write!(formatter, "expired on {}", timestamp(*until)),
            Self::Disputed => write!(formatter, "is one that versions of Teleport disagree about"),
            Self::NotItsName(name) => {
                write!(formatter, "has nameConstraints that do not let it issue for {name}")
            }
        }
    }
}

impl std::error::Error for NotVerified {}
