//! What tokens become, before anything is written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::known::Known;
use super::lockout::{self, Refused};
use super::output::Output;
use super::parameters::Asked;
use super::without_cas;
use crate::error::{Error, Result};
use crate::teleport::{self, Merged, Place, Role, Token, Wanted};

/// What can be said of tokens before they are written, with what the user should know.
pub(in crate::actions) enum Outlook {
    /// Nothing: earlier tasks would have recorded the hosts.
    Unknown(Vec<String>),
    Planned(Box<Plan>, Vec<String>),
}

impl Outlook {
    /// Decides what the tokens become. It fails where a host would be locked out by that.
    pub(in crate::actions) fn of(
        asked: Asked,
        mut known: Known,
        output: &Output<'_>,
        check_mode: bool,
    ) -> Result<Self> {
        let mut warnings = std::mem::take(&mut known.warnings);
        let knows_nobody = known.is_about_nobody(output.current());
        if knows_nobody && check_mode && !asked.only_takes_away {
            warnings.push(
                "no host is known yet; earlier tasks would have recorded some, so the token cannot be foreseen"
                    .to_owned(),
            );
            return Ok(Self::Unknown(warnings));
        }
        if knows_nobody && asked.given.remove.is_empty() {
            return Err(Error::invalid("there are no hosts, and a cluster refuses a token without a rule"));
        }
        if asked.given.prune && known.would_prune_all(output.current()) {
            lockout::refuse_to_prune_all(asked.given.allow_lockout)?;
        }
        warnings.extend(Role::warnings(asked.given.roles.as_deref().unwrap_or_default()));
        let mut plan = Plan::of(asked, known, output)?;
        warnings.append(&mut plan.merged.warnings);
        warnings.append(&mut plan.warnings);
        warnings.extend(output.check_file(&plan.merged, &plan.wanted)?);
        Ok(Self::Planned(Box::new(plan), warnings))
    }
}

/// What the tokens become, once it is sure that no host is locked out by that.
pub(in crate::actions) struct Plan {
    pub merged: Merged,
    pub wanted: Wanted,
    /// The hosts that the cluster will refuse.
    pub refused: Vec<Refused>,
    warnings: Vec<String>,
}

impl Plan {
    fn of(asked: Asked, known: Known, output: &Output<'_>) -> Result<Self> {
        let (allow_lockout, skip_refused) = (asked.given.allow_lockout, asked.given.skip_refused);
        let allow_without_cas = asked.given.allow_without_cas;
        // One of several tokens may be for nobody, and so may one that TPMs are taken out of.
        let takes_away = !asked.given.remove.is_empty() || !known.archived.is_empty();
        let may_be_empty = asked.given.only.is_some() || takes_away;
        let mut wanted = asked.wanted(known)?;
        let removed = if skip_refused { lockout::skip_removed(&mut wanted) } else { Vec::new() };
        if !removed.is_empty() && wanted.hosts.is_empty() && wanted.prune && !allow_lockout {
            lockout::refuse(&removed, &[], removed.len())?;
        }
        let mut merged = merge(output.current(), &wanted)?;
        let now = OffsetDateTime::now_utc();
        let mut skipped = Vec::new();
        if skip_refused {
            skipped = lockout::skip(&merged.tokens, output.current(), &mut wanted, now)?;
        }
        if !skipped.is_empty() {
            merged = merge(output.current(), &wanted)?;
            let is_nobody_left = wanted.hosts.is_empty() && merged.tokens.is_empty() && !may_be_empty;
            if is_nobody_left || (wanted.hosts.is_empty() && wanted.prune && !allow_lockout) {
                lockout::refuse(&skipped, &[], skipped.len())?;
            }
        }
        without_cas::refuse(&merged, &wanted, output, allow_without_cas)?;
        let (refused, ca_warnings) = lockout::refused(&merged.tokens, &wanted, now)?;
        if !allow_lockout {
            lockout::refuse_ended(&merged.tokens, &wanted, now)?;
            lockout::refuse(&refused, &merged.in_doubt, wanted.hosts.len())?;
        }
        let mut warnings: Vec<String> = ca_warnings.into_iter().collect();
        warnings.extend(without_cas::warnings(&merged.tokens));
        warnings.extend(lockout::warnings(&refused, &merged.in_doubt));
        warnings.extend(lockout::removed_warning(&removed));
        warnings.extend(lockout::skipped_warning(&skipped));
        warnings.extend(lockout::still_let_in(&merged.tokens, &wanted.archived, now));
        skipped.extend(removed.into_iter().chain(refused));
        Ok(Self { merged, wanted, refused: skipped, warnings })
    }
}

/// The tokens as they should be, each of which a cluster would take.
fn merge(current: &[Token], wanted: &Wanted) -> Result<Merged> {
    let mut merged = teleport::merge(current, wanted)?;
    for token in &merged.tokens {
        token.check()?;
        merged.warnings.extend(check_serial_rules(token, current, wanted)?);
    }
    Ok(merged)
}

/// Refuses rules without a hash where there are no CAs, but only warns of those that the cluster has so.
fn check_serial_rules(token: &Token, current: &[Token], wanted: &Wanted) -> Result<Option<String>> {
    let Err(problem) = token.check_serial_rules() else { return Ok(None) };
    let was_so = |old: &Token| old.name == token.name && old.check_serial_rules().is_err();
    let are_given = wanted.hosts.iter().any(|host| host.ek_public_hash.is_none());
    if current.iter().any(was_so) && !are_given { Ok(Some(problem.message)) } else { Err(problem) }
}

impl Plan {
    /// The token that each host is to join by, by the host's name, or else its hash.
    pub(in crate::actions) fn host_tokens(&self) -> Result<Map<String, Value>> {
        let mut host_tokens = Map::with_capacity(self.wanted.hosts.len());
        let mut names: HashMap<Place, Value> = HashMap::new();
        for host in &self.wanted.hosts {
            let name =
                host.description.clone().map(String::from).or(host.ek_public_hash.clone().map(String::from));
            let token = match names.entry(self.wanted.place_of(host)) {
                Entry::Occupied(token) => token.into_mut(),
                Entry::Vacant(place) => {
                    let name = self.wanted.shards.name_of(*place.key())?;
                    place.insert(json!(name))
                }
            };
            host_tokens.insert(name.unwrap_or_default(), token.clone());
        }
        Ok(host_tokens)
    }
}
