//! Hosts that the cluster would refuse: found before anything is written.

use std::collections::{BTreeSet, HashMap, HashSet};

use time::OffsetDateTime;

use crate::error::{Error, Kind, Result};
use crate::parallel;
use crate::teleport::{Decision, Description, Identity, Place, Timestamp, Token, Wanted};

/// Hosts that a message names.
const SHOWN: usize = 5;

/// A given host that the cluster would refuse, and why.
pub(in crate::actions) struct Refused {
    pub host: Identity,
    pub reason: String,
}

/// The given hosts that the cluster would refuse by the token that each is to join by, and warnings about
/// the tokens' CAs.
pub(super) fn refused(
    tokens: &[Token],
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<(Vec<Refused>, BTreeSet<String>)> {
    let places = tokens.iter().filter_map(|token| Some((wanted.shards.place_of(&token.name)?, token)));
    let decisions: HashMap<Place, Decision<'_>> =
        places.map(|(place, token)| (place, Decision::by(token, now))).collect();
    let outcomes = parallel::map(&wanted.hosts, |host| {
        let place = wanted.place_of(host);
        Ok(match decisions.get(&place) {
            Some(decision) => decision.on(host).map(drop),
            None => Err(format!("there is no token `{}`", wanted.shards.name_of(place)?)),
        })
    });
    let mut refused = Vec::new();
    for (host, outcome) in wanted.hosts.iter().zip(outcomes) {
        if let Err(reason) = outcome? {
            refused.push(Refused { host: host.clone(), reason });
        }
    }
    let warnings = decisions.values().flat_map(Decision::ca_warnings).collect();
    Ok((refused, warnings))
}

/// Takes the hosts out of what is wanted that these tokens would refuse, where the cluster's do so already: nobody
/// loses anything by that.
pub(super) fn skip(
    tokens: &[Token],
    current: &[Token],
    wanted: &mut Wanted,
    now: OffsetDateTime,
) -> Result<Vec<Refused>> {
    let (mut skipped, _) = refused(tokens, wanted, now)?;
    let decisions: Vec<Decision<'_>> = current.iter().map(|token| Decision::by(token, now)).collect();
    skipped.retain(|refused| Decision::of_any(&decisions, &refused.host).is_err());
    let hosts: HashSet<&Identity> = skipped.iter().map(|refused| &refused.host).collect();
    wanted.skip(|host| hosts.contains(host));
    Ok(skipped)
}

/// Takes the hosts out of what is wanted whose hash or serial number is to be removed. A host reports these itself, so that the
/// claim of one must not stop the others. A description is the user's own word, and stays an error.
pub(super) fn skip_removed(wanted: &mut Wanted) -> Vec<Refused> {
    let removed: HashSet<String> = wanted.remove.iter().map(|name| name.to_ascii_lowercase()).collect();
    let is_removed = |host: &Identity| {
        [host.hash(), host.serial()].into_iter().flatten().any(|name| removed.contains(name))
            && ![host.name(), host.rule_text().map(Description::as_str)]
                .into_iter()
                .flatten()
                .any(|name| wanted.remove.iter().any(|removed| removed == name))
    };
    let hosts: Vec<Identity> = wanted.hosts.iter().filter(|host| is_removed(host)).cloned().collect();
    wanted.hosts.retain(|host| !hosts.contains(host));
    let reason = "`remove` names its TPM: archive the host, or take its TPM out of `remove`";
    hosts.into_iter().map(|host| Refused { host, reason: reason.to_owned() }).collect()
}

/// That hosts were left out by [`skip_removed`], in words.
pub(super) fn removed_warning(removed: &[Refused]) -> Option<String> {
    let names: Vec<String> = removed.iter().map(|refused| refused.host.label()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "left out {}: `remove` names the TPM. Archive the host, or take its TPM out of `remove`",
            first(&names, ", ")
        )
    })
}

/// That hosts were skipped, in words.
pub(super) fn skipped_warning(skipped: &[Refused]) -> Option<String> {
    let all = sentences(skipped);
    (!all.is_empty()).then(|| {
        format!(
            "left out {} hosts, which the cluster would refuse as it does now: {}",
            all.len(),
            first(&all, "; ")
        )
    })
}

/// A warning about archived TPMs that the tokens let in all the same, as by a rule with a serial number alone.
pub(super) fn still_let_in(tokens: &[Token], archived: &[Identity], now: OffsetDateTime) -> Option<String> {
    let is_without_hash = |token: &Token| token.rules().iter().any(|rule| rule.ek_public_hash.is_empty());
    if !tokens.iter().any(is_without_hash) {
        // Rules with their hashes are gone.
        return None;
    }
    let decisions: Vec<Decision<'_>> = tokens.iter().map(|token| Decision::by(token, now)).collect();
    let let_in = |tpm: &Identity| {
        let (token, rule) = Decision::of_any(&decisions, tpm).ok()?;
        Some(format!("{} by the rule `{}` of token `{token}`", tpm.label(), rule.label()))
    };
    let all: Vec<String> = archived.iter().filter_map(let_in).collect();
    (!all.is_empty()).then(|| {
        format!(
            "the cluster will still let archived TPMs in (name these rules in `remove` where they are nobody else's): {}",
            first(&all, "; ")
        )
    })
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
pub(super) fn refuse(refused: &[Refused], in_doubt: &[String], given: usize) -> Result<()> {
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
pub(super) fn warnings(refused: &[Refused], in_doubt: &[String]) -> Vec<String> {
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

fn sentences(refused: &[Refused]) -> Vec<String> {
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
