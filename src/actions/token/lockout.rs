//! Hosts that the cluster would refuse: found before anything is written.

use std::collections::{BTreeSet, HashMap};

use time::OffsetDateTime;

use crate::error::{Error, Kind, Result};
use crate::teleport::{Decision, Identity, Timestamp, Token, Wanted};

/// Hosts that a message names.
const SHOWN: usize = 5;

/// A given host that the cluster would refuse, and why.
pub(super) struct Refused<'a> {
    pub host: &'a Identity,
    pub reason: String,
}

/// The given hosts that the cluster would refuse by the token that each is to join by, and warnings about
/// the tokens' CAs.
pub(super) fn refused<'a>(
    tokens: &[Token],
    wanted: &'a Wanted,
    now: OffsetDateTime,
) -> Result<(Vec<Refused<'a>>, BTreeSet<String>)> {
    let decisions: HashMap<&str, Decision<'_>> =
        tokens.iter().map(|token| (token.name.as_str(), Decision::by(token, now))).collect();
    let mut refused = Vec::new();
    for host in &wanted.hosts {
        let name = wanted.token_of(host)?;
        let outcome = match decisions.get(name.as_str()) {
            Some(decision) => decision.on(host).map(drop),
            None => Err(format!("there is no token `{name}`")),
        };
        if let Err(reason) = outcome {
            refused.push(Refused { host, reason });
        }
    }
    let warnings = decisions.values().flat_map(Decision::ca_warnings).collect();
    Ok((refused, warnings))
}

/// Refuses to prune where no host is given, as from a registry that is the wrong one.
pub(super) fn refuse_to_prune_all(is_allowed: bool) -> Result<()> {
    if is_allowed {
        return Ok(());
    }
    Err(Error::new(
        Kind::WouldLockOut,
        "no host is given, and `prune` would remove every one that the token lets in",
    )
    .hint("see that it is the right registry, or set `allow_lockout: true`"))
}

/// Refuses to let a token end that lets anyone in, given or not.
pub(super) fn refuse_ended(tokens: &[Token], wanted: &Wanted, now: OffsetDateTime) -> Result<()> {
    let is_past = |end: &&Timestamp| end.is_past(now);
    match wanted.changes.expires.iter().flatten().find(is_past) {
        Some(end) if !tokens.is_empty() => {
            Err(Error::new(Kind::WouldLockOut, format!("the token would have ended already, on {end}"))
                .hint("give a later `expires`"))
        }
        _ => Ok(()),
    }
}

/// Refuses to go on where hosts would be locked out, or could be.
pub(super) fn refuse(refused: &[Refused<'_>], in_doubt: &[String], given: usize) -> Result<()> {
    const HINT: &str =
        "nothing was written; correct that, or set `allow_lockout: true` to go on nevertheless";
    let error = |message: String, all: Vec<String>| {
        let error = Error::new(Kind::WouldLockOut, message).hint(HINT);
        if all.len() > SHOWN { error.detail(all.join("\n")) } else { error }
    };
    if !refused.is_empty() {
        let all = sentences(refused);
        let message =
            format!("the cluster would refuse {} of {given} hosts: {}", all.len(), first(&all, "; "));
        return Err(error(message, all));
    }
    if !in_doubt.is_empty() {
        return Err(error(doubt(in_doubt), in_doubt.to_vec()));
    }
    Ok(())
}

/// The same as warnings, where that is allowed.
pub(super) fn warnings(refused: &[Refused<'_>], in_doubt: &[String]) -> Vec<String> {
    let all = sentences(refused);
    let mut warnings = Vec::new();
    if !all.is_empty() {
        warnings.push(format!("the cluster will refuse {} hosts: {}", all.len(), first(&all, "; ")));
    }
    if !in_doubt.is_empty() {
        warnings.push(doubt(in_doubt));
    }
    warnings
}

fn sentences(refused: &[Refused<'_>]) -> Vec<String> {
    refused.iter().map(|Refused { host, reason }| format!("{} ({reason})", host.label())).collect()
}

fn doubt(in_doubt: &[String]) -> String {
    format!(
        "`ekcert_allowed_cas` becomes stricter, and it is not known which CA issued the EK certificates of {} hosts that \
         are not given now: {}",
        in_doubt.len(),
        first(in_doubt, ", ")
    )
}

fn first(all: &[String], separator: &str) -> String {
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(separator);
    match all.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown}{separator}and {more} more"),
        _ => shown,
    }
}
