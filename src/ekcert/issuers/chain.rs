//! Chains from an issuer up to a root that the user trusts (RFC 5280, section 6).
//!
//! A cluster does not ask for them: it takes whatever CAs its token has. So this is where a CA that anybody may
//! have made is told from the manufacturer's. Checked are signatures, validity, that each is a CA and may sign
//! certificates, path lengths, nameConstraints as Go handles them (of each CA, for what it issued itself), and that
//! no critical extension is left over. Certificate policies play no part, as nobody asks for one; nor does
//! revocation.

use std::collections::HashSet;
use std::fmt;

use time::OffsetDateTime;

use super::super::authorities::{Flaw, NotVerified};
use super::super::signature::Scheme;
use super::candidates::Candidates;

/// Certificates in a chain, at most.
const LONGEST: usize = 10;
/// Candidates that are looked at to find one chain: they can be made so that they are in each other's way.
const MOST_STEPS: usize = 200;

/// What the user trusts: SHA-256 of certificates in DER, lower-case hexadecimal.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Where chains may end.
    pub roots: HashSet<String>,
    /// Issuers that need no chain. What they issued themselves, such as another CA, does.
    pub pinned: HashSet<String>,
}

impl Trust {
    /// Whether it names this very certificate.
    pub(super) fn names(&self, sha256: &str) -> bool {
        self.roots.contains(sha256) || self.pinned.contains(sha256)
    }
}

/// Certificates from an issuer upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Where they are among the candidates, the issuer's first.
    pub places: Vec<usize>,
    /// Why it ends before something that is trusted; none where it does not.
    pub broken: Option<Broken>,
}

/// Why a chain proves nothing. As text, it continues a sentence that starts with the name of the chain's last
/// certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It is a root that is not trusted.
    UnknownRoot,
    /// It issues nothing that counts: what is wrong with it.
    Unfit(Flaw),
    /// There is no certificate of its issuer, which has this name.
    NoParent(String),
    /// Its issuer, which has this name, has a certificate that is of no use: what is wrong with it.
    Parent(String, Flaw),
    /// How it is signed is of no use, in words.
    Signature(String),
    /// Its issuer, which has this name, allows fewer CAs below it.
    PathLength(String),
    /// The chain is too long, or there are too many certificates of one name.
    TooMany,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRoot => formatter.write_str("is a root that is not among the trusted ones"),
            Self::Unfit(flaw) => flaw.fmt(formatter),
            Self::NoParent(issuer) => {
                write!(formatter, "was issued by {issuer}, of which there is no certificate here")
            }
            Self::Parent(issuer, flaw) => {
                write!(formatter, "was issued by {issuer}, whose certificate {flaw}")
            }
            Self::Signature(words) => formatter.write_str(words),
            Self::PathLength(issuer) => {
                write!(
                    formatter,
                    "was issued by {issuer}, which allows fewer CAs below it (pathLenConstraint)"
                )
            }
            Self::TooMany => {
                formatter.write_str("leads to too many certificates to look through all of their chains")
            }
        }
    }
}

/// What is wrong with how a CA's certificate is signed. As text, it continues a sentence.
fn signature_words(why: &NotVerified) -> String {
    match why {
        NotVerified::InsecureSignature(algorithm) => {
            format!("is signed with {algorithm}, which can be forged")
        }
        NotVerified::LacksPolicy => "asks for a certificate policy and has none".to_owned(),
        NotVerified::UnknownSignature(algorithm) | NotVerified::DisputedSignature(algorithm) => {
            format!("is signed with {algorithm}, with which no signatures are checked here")
        }
        other => other.to_string(),
    }
}

/// The candidates that count for one certificate: those that the user gave, and those to which its own links led. So no
/// certificate can be in another one's way.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// Those before this place were given.
    pub given: usize,
    /// Where those are to which its links led, and how many links that took.
    pub own: &'a [(usize, usize)],
    /// Those that are known to be trusted, and so can be nobody's trick.
    pub proved: &'a [usize],
}

impl View<'_> {
    pub(super) fn has(&self, place: usize) -> bool {
        place < self.given || self.own.iter().any(|(own, _)| *own == place) || self.proved.contains(&place)
    }
}

/// Which candidates issued which, as far as that was asked: by the place of what was issued.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Vec<Vec<(usize, Result<(), Flaw>)>>);

impl Verdicts {
    /// What is known of this one.
    fn of(&mut self, child: usize) -> &mut Vec<(usize, Result<(), Flaw>)> {
        if self.0.len() <= child {
            self.0.resize_with(child + 1, Vec::new);
        }
        &mut self.0[child]
    }
}

/// Where chains are looked for.
pub(super) struct Climber<'a> {
    pub candidates: &'a Candidates,
    pub trust: &'a Trust,
    pub at: OffsetDateTime,
    pub view: View<'a>,
    pub verdicts: &'a mut Verdicts,
    /// Signatures that may still be checked.
    pub signatures: &'a mut usize,
}

impl Climber<'_> {
    /// The chain of the candidate at this place: one that ends in something that is trusted, or else the longest.
    pub(super) fn chain(&mut self, issuer: usize) -> Chain {
        let candidate = self.candidates.get(issuer);
        match candidate.authority.flaw(self.at) {
            Some(flaw) if !self.trust.names(candidate.sha256()) => {
                return Chain { places: vec![issuer], broken: Some(Broken::Unfit(flaw)) };
            }
            _ => {}
        }
        let mut places = vec![issuer];
        let is_pinned = self.trust.pinned.contains(candidate.sha256());
        let best = Chain { places: Vec::new(), broken: None };
        let mut climb = Climb { climber: self, steps: 0, best };
        if is_pinned || climb.on(&mut places) {
            return Chain { places, broken: None };
        }
        climb.best
    }

    /// Whether a candidate counts as the issuer of another; none where too many signatures were checked.
    fn verdict(&mut self, parent: usize, child: usize, scheme: Scheme) -> Option<Result<(), Flaw>> {
        if let Some((_, known)) = self.verdicts.of(child).iter().find(|(known, _)| *known == parent) {
            return Some(known.clone());
        }
        *self.signatures = self.signatures.checked_sub(1)?;
        let issued = self.candidates.get(child).certificate.issued();
        let verdict = self.candidates.get(parent).authority.vouch_for(issued, scheme, self.at);
        self.verdicts.of(child).push((parent, verdict.clone()));
        Some(verdict)
    }
}

/// The search for one chain.
struct Climb<'c, 'a> {
    climber: &'c mut Climber<'a>,
    steps: usize,
    /// The longest that proves nothing.
    best: Chain,
}

impl Climb<'_, '_> {
    /// Goes on from the last of these certificates, which is fit to be where it is. Where it answers true, they are
    /// a whole chain.
    fn on(&mut self, places: &mut Vec<usize>) -> bool {
        let Some(&last) = places.last() else { return false };
        let candidates = self.climber.candidates;
        let child = candidates.get(last);
        if self.climber.trust.roots.contains(child.sha256()) {
            return true;
        }
        let issued = child.certificate.issued();
        let scheme = match issued.scheme() {
            Ok(scheme) => scheme,
            Err(why) => return self.ends(places, Broken::Signature(signature_words(&why))),
        };
        let mut why = None;
        for parent in candidates.parents(child) {
            if places.contains(parent) || !self.climber.view.has(*parent) {
                continue;
            }
            self.steps += 1;
            if self.steps > MOST_STEPS || places.len() == LONGEST {
                return self.ends(places, Broken::TooMany);
            }
            let Some(verdict) = self.climber.verdict(*parent, last, scheme) else {
                return self.ends(places, Broken::TooMany);
            };
            let authority = &candidates.get(*parent).authority;
            match verdict {
                // Not the parent: another key of the same name, or the same key in another certificate.
                Err(Flaw::OtherKey | Flaw::SameKey) => {}
                Err(flaw) => why = Some(Broken::Parent(authority.subject_text(), flaw)),
                Ok(()) if !authority.may_be_followed_by(self.not_self_issued(places)) => {
                    why = Some(Broken::PathLength(authority.subject_text()));
                }
                Ok(()) => {
                    places.push(*parent);
                    if self.on(places) {
                        return true;
                    }
                    places.pop();
                }
            }
        }
        // Most chains end well, so the name is not made before.
        let no_parent = || {
            if child.is_self_issued() { Broken::UnknownRoot } else { Broken::NoParent(issued.issuer_text()) }
        };
        let why = why.unwrap_or_else(no_parent);
        self.ends(places, why)
    }

    /// The CAs in a chain that count for a path length (RFC 5280, section 6.1.4, step l).
    fn not_self_issued(&self, places: &[usize]) -> u64 {
        let candidates = self.climber.candidates;
        places.iter().filter(|place| !candidates.get(**place).is_self_issued()).count() as u64
    }

    fn ends(&mut self, places: &[usize], why: Broken) -> bool {
        if places.len() > self.best.places.len() {
            self.best = Chain { places: places.to_vec(), broken: Some(why) };
        }
        false
    }
}
