//! A token without CAs lets TPMs in by their hashes alone. So it takes an explicit word where it could be an oversight.

use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::teleport::{Merged, Rule, Token, Wanted};

const HINT: &str = "give the CAs (`ekcert_ca` finds them), or set `allow_without_cas: true` if TPMs may join \
                    without a manufacturer's certificate";

/// Refuses an empty list, as from a search that found nothing.
pub(super) fn refuse_empty(cas: Option<&[String]>, is_allowed: Option<bool>) -> Result<()> {
    if cas.is_some_and(<[String]>::is_empty) && is_allowed != Some(true) {
        let message = "`ekcert_allowed_cas` is empty, and a token without CAs checks no EK certificate";
        return Err(Error::invalid(message)
            .hint(format!("leave the parameter out to keep the CAs that the token has; {HINT}")));
    }
    Ok(())
}

/// Refuses to make a token anew without the CAs that its file has, unless that is allowed; and any token without CAs that
/// lets hosts in, where that is ruled out. One that the cluster has so may still lose rules.
pub(super) fn refuse(
    merged: &Merged,
    wanted: &Wanted,
    output: &Output<'_>,
    is_allowed: Option<bool>,
) -> Result<()> {
    if is_allowed == Some(true) {
        return Ok(());
    }
    for token in merged.tokens.iter().filter(|token| token.settings.ekcert_allowed_cas.is_empty()) {
        let is_same = |other: &&Token| other.name == token.name;
        let is_new = !output.current().iter().any(|other| is_same(&other));
        let had_cas = |file: &Token| !file.settings.ekcert_allowed_cas.is_empty();
        if is_new && output.in_file().iter().find(is_same).is_some_and(had_cas) {
            let message = format!(
                "token `{}` is not in the cluster, and it has `ekcert_allowed_cas` in its file: it would be made without them",
                token.name
            );
            return Err(Error::new(Kind::Conflict, message).hint(HINT));
        }
        if is_allowed == Some(false) && (is_new || !wanted.hosts.is_empty()) {
            let message = format!(
                "token `{}` would have no `ekcert_allowed_cas`, and `allow_without_cas: false` rules that out",
                token.name
            );
            return Err(Error::invalid(message).hint(HINT));
        }
    }
    Ok(())
}

/// What to say of rules that compare a serial number beside the hash where there are no CAs: any CA could issue that number.
pub(super) fn warnings(tokens: &[Token]) -> Vec<String> {
    let has_both = |rule: &&Rule| !rule.ek_public_hash.is_empty() && !rule.ek_certificate_serial.is_empty();
    let without = tokens.iter().filter(|token| token.settings.ekcert_allowed_cas.is_empty());
    let warning = |token: &Token| {
        let count = token.rules().iter().filter(has_both).count();
        (count > 0).then(|| {
            format!(
                "token `{}` compares serial numbers in {count} of its rules without `ekcert_allowed_cas`: any CA could \
                 issue them, and newer clusters may refuse that; give the CAs, or use `match: hash`",
                token.name
            )
        })
    };
    without.filter_map(warning).collect()
}
