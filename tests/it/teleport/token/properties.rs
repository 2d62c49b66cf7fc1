//! What holds of every merge, whatever the cluster has and the request says.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;
use tbot_tpm::error::Kind;
use tbot_tpm::teleport::{Identity, Match, Merged, Rule, Token, Wanted, merge, parse_tokens};

use crate::support::fleet::{
    HASHES, Scene, fleet, is_let_in, names, reordered, scene, shards, source, texts, tpms,
};

/// As many cases as the environment variable `PROPTEST_CASES` says, else 256.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The merge, where it is not refused: ambiguous wishes are.
fn merged(current: &[Token], wanted: &Wanted) -> Result<Merged, TestCaseError> {
    merge(current, wanted).map_err(|error| TestCaseError::reject(error.message))
}

fn is_given(wanted: &Wanted, tpm: &Identity) -> bool {
    wanted.hosts.iter().any(|host| host.hash() == tpm.hash())
}

fn is_archived(wanted: &Wanted, tpm: &Identity) -> bool {
    wanted.archived.iter().any(|archived| archived.hash() == tpm.hash())
}

/// Whether a rule has the TPM's hash, in whatever case.
fn has_rule(tokens: &[Token], tpm: &Identity) -> bool {
    let is_its = |hash: &str| Some(&*hash.to_ascii_lowercase()) == tpm.hash();
    tokens.iter().flat_map(Token::rules).any(|rule| is_its(&rule.ek_public_hash))
}

/// The token of this name lets the TPM in.
fn lets_in(tokens: &[Token], name: &str, tpm: &Identity) -> bool {
    tokens.iter().any(|token| token.name.as_str() == name && is_let_in(token, tpm))
}

/// Everybody who could join, but for archived TPMs, still can by the same token; or, where rules are retired, by their own one, which
/// let them in before.
fn nobody_is_lost(before: &[Token], wanted: &Wanted, after: &[Token]) -> TestCaseResult {
    for tpm in tpms().into_iter().filter(|tpm| !is_archived(wanted, tpm)) {
        if wanted.compare == Match::HashAndSerial && is_given(wanted, &tpm) {
            continue;
        }
        let home = wanted.shards.name_of(wanted.place_of(&tpm)).unwrap();
        for token in before.iter().filter(|token| is_let_in(token, &tpm)) {
            let has_moved =
                wanted.retire && lets_in(before, home.as_str(), &tpm) && lets_in(after, home.as_str(), &tpm);
            prop_assert!(
                lets_in(after, token.name.as_str(), &tpm) || has_moved,
                "{tpm:?} joined by {} before: {:?}",
                token.name,
                texts(after)
            );
        }
    }
    Ok(())
}

/// Only those can join whom some rule named before, in whatever case, and those who are given.
fn nobody_is_added(before: &[Token], wanted: &Wanted, after: &[Token]) -> TestCaseResult {
    let was_named = |tpm: &Identity| {
        before.iter().flat_map(Token::rules).any(|rule| {
            let mut rule = rule.clone();
            rule.fold_case();
            rule.lets_in(tpm.hash(), tpm.serial())
        })
    };
    for tpm in tpms().iter().filter(|tpm| !is_given(wanted, tpm)) {
        let is_let_in = after.iter().any(|token| is_let_in(token, tpm));
        prop_assert!(!is_let_in || was_named(tpm), "{tpm:?} is let in: {:?}", texts(after));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_second_merge_changes_nothing(scene in scene()) {
        let Scene { current, mut wanted } = scene;
        let mut first = merged(&current, &wanted)?.tokens;
        if wanted.retire {
            // Rules leave the tokens that they no longer belong to a run after their own token has them.
            first = merged(&first, &wanted)?.tokens;
        }
        let second = merged(&first, &wanted)?;
        prop_assert_eq!(texts(&first), texts(&second.tokens));
        prop_assert!(second.delete.is_empty() && second.outcome.added.is_empty());
        prop_assert!(second.outcome.updated.is_empty() && second.outcome.removed.is_empty());
        // Nor does one that says nothing of the hosts.
        wanted.hosts.clear();
        wanted.remove.clear();
        wanted.prune = false;
        prop_assert_eq!(texts(&first), texts(&merged(&first, &wanted)?.tokens));
    }

    #[test]
    fn no_order_makes_a_difference(scene in scene(), seed in any::<u64>()) {
        let Scene { current, wanted } = scene;
        let other = Wanted { hosts: reordered(&wanted.hosts, seed), ..wanted.clone() };
        let (one, two) = (merge(&current, &wanted), merge(&reordered(&current, seed), &other));
        match (one, two) {
            (Ok(one), Ok(two)) => {
                prop_assert_eq!(texts(&one.tokens), texts(&two.tokens));
                prop_assert_eq!((one.delete, one.outcome), (two.delete, two.outcome));
                prop_assert_eq!((one.in_doubt, one.warnings), (two.in_doubt, two.warnings));
            }
            (one, two) => prop_assert_eq!(one.is_ok(), two.is_ok()),
        }
    }

    #[test]
    fn nobody_is_lost_or_added_by_a_run_that_removes_nothing(scene in scene()) {
        let Scene { current, wanted } = scene;
        let wanted = Wanted { prune: false, replace: false, remove: Vec::new(), ..wanted };
        let after = merged(&current, &wanted)?.tokens;
        nobody_is_lost(&current, &wanted, &after)?;
        nobody_is_added(&current, &wanted, &after)?;
    }

    #[test]
    fn nobody_is_lost_on_the_way_to_other_numbers_of_tokens(
        scene in scene(),
        steps in proptest::collection::vec((1..6_u64, any::<bool>()), 1..6),
    ) {
        let Scene { mut current, wanted } = scene;
        for (count, retire) in steps {
            let wanted = Wanted {
                shards: shards(count), retire, prune: false, replace: false, remove: Vec::new(), ..wanted.clone()
            };
            let after = merged(&current, &wanted)?.tokens;
            nobody_is_lost(&current, &wanted, &after)?;
            nobody_is_added(&current, &wanted, &after)?;
            current = after;
        }
    }

    #[test]
    fn runs_that_remove_let_nobody_in(scene in scene()) {
        let Scene { current, wanted } = scene;
        let after = merged(&current, &wanted)?;
        nobody_is_added(&current, &wanted, &after.tokens)?;
        let pruned = |tpm: &Identity| wanted.prune && tpm.serial().is_none() && !is_given(&wanted, tpm);
        for tpm in tpms().iter().filter(|tpm| pruned(tpm)) {
            prop_assert!(!after.tokens.iter().any(|token| is_let_in(token, tpm)), "{tpm:?} was not given");
        }
    }

    #[test]
    fn an_archived_tpm_has_no_rule_left_but_under_a_name_that_was_never_known(scene in scene()) {
        let Scene { current, wanted } = scene;
        let after = merged(&current, &wanted)?;
        let known = |rule: &Rule| rule.description.is_empty() || wanted.names.contains(&rule.description);
        for tpm in &wanted.archived {
            let mut rules = after.tokens.iter().flat_map(Token::rules);
            let is_left = rules.any(|rule| Some(rule.ek_public_hash.as_str()) == tpm.hash() && known(rule));
            prop_assert!(!is_left, "{tpm:?}: {:?}", texts(&after.tokens));
        }
    }

    #[test]
    fn a_rule_under_a_name_that_was_never_known_stays_as_it_is(scene in scene()) {
        let Scene { current, wanted } = scene;
        let wanted = Wanted { prune: false, remove: Vec::new(), retire: false, ..wanted };
        let after = merged(&current, &wanted)?.tokens;
        for token in &current {
            let after = after.iter().find(|it| it.name == token.name);
            for rule in token.rules() {
                let mut rule = rule.clone();
                rule.fold_case();
                let is_known = rule.description.is_empty() || wanted.names.contains(&rule.description);
                let stays = after.is_some_and(|after| after.rules().contains(&rule));
                prop_assert!(is_known || stays, "{rule:?}: {:?}", after.map(Token::to_yaml));
            }
        }
    }

    #[test]
    fn a_skipped_host_keeps_what_it_has_and_gets_nothing(scene in scene()) {
        let Scene { current, wanted } = scene;
        let mut wanted = Wanted { replace: false, remove: Vec::new(), ..wanted };
        wanted.skip(|host| host.hash().is_some_and(|hash| hash.starts_with('0')));
        let after = merged(&current, &wanted)?.tokens;
        for host in &wanted.skipped {
            prop_assert_eq!(has_rule(&current, host), has_rule(&after, host));
        }
        let skipped = Wanted { hosts: wanted.skipped.clone(), ..wanted.clone() };
        let skipped_tpms = tpms().into_iter().filter(|tpm| is_given(&skipped, tpm));
        for tpm in skipped_tpms.filter(|tpm| current.iter().any(|token| is_let_in(token, tpm))) {
            prop_assert!(after.iter().any(|token| is_let_in(token, &tpm)), "{tpm:?}: {:?}", texts(&after));
        }
    }

    #[test]
    fn a_token_that_is_there_is_written_or_to_be_deleted(scene in scene()) {
        let Scene { current, wanted } = scene;
        let after = merged(&current, &wanted)?;
        let mut all: Vec<String> = names(&after.tokens);
        all.extend(after.delete.iter().map(ToString::to_string));
        for token in names(&current) {
            prop_assert_eq!(all.iter().filter(|name| **name == token).count(), 1);
        }
    }

    #[test]
    fn what_is_written_is_a_token_that_reads_back_as_itself(scene in scene()) {
        let Scene { current, wanted } = scene;
        for token in merged(&current, &wanted)?.tokens {
            token.check().map_err(|error| TestCaseError::fail(error.message))?;
            let text = token.to_yaml();
            let back = parse_tokens(&text, source()).map_err(|error| TestCaseError::fail(error.message))?;
            prop_assert_eq!(back.len(), 1);
            prop_assert!(back[0].means_the_same(&token), "{}", text);
            prop_assert_eq!(&back[0].to_yaml(), &text);
            let value: Value = serde_yaml::from_str(&text).unwrap();
            prop_assert_eq!(value.to_string().len(), token.size());
        }
    }

    #[test]
    fn a_given_host_is_let_in_by_its_own_token(scene in scene()) {
        let Scene { current, wanted } = scene;
        let after = merged(&current, &wanted)?.tokens;
        for host in &wanted.hosts {
            let name = wanted.shards.name_of(wanted.place_of(host)).unwrap();
            // An operator's rule may demand another serial number, which is never dropped.
            let is_pinned = current.iter().flat_map(Token::rules).any(|rule| {
                let is_same = Some(rule.ek_public_hash.to_ascii_lowercase().as_str()) == host.hash();
                is_same && !rule.ek_certificate_serial.is_empty()
            });
            prop_assert!(is_pinned || lets_in(&after, name.as_str(), host), "{:?}", texts(&after));
        }
    }

    #[test]
    fn a_hosts_token_does_not_depend_on_other_hosts(
        (fleet, chosen, count) in (fleet(), 0..HASHES.len(), 1..40_u64),
    ) {
        let hash = HASHES[chosen];
        let first_64_bits = u64::from_str_radix(&hash[..16], 16).unwrap();
        let expected = if count == 1 { "web".to_owned() } else { format!("web-{}", first_64_bits % count) };
        let mut with = fleet.clone();
        with.shards = shards(count);
        with.remove.clear();
        with.archived.clear();
        with.hosts.retain(|host| host.hash() != Some(hash));
        with.hosts.push(serde_json::from_value(serde_json::json!({ "ek_public_hash": hash })).unwrap());
        for host in with.hosts.clone() {
            let alone = Wanted { hosts: vec![host.clone()], ..with.clone() };
            let names = [&alone, &with].map(|wanted| {
                let tokens = merge(&[], wanted).unwrap().tokens;
                let has = |token: &&Token| token.rules().iter().any(|rule| Some(rule.ek_public_hash.as_str()) == host.hash());
                tokens.iter().filter(has).map(|token| token.name.to_string()).collect::<Vec<_>>()
            });
            prop_assert_eq!(&names[0], &names[1]);
            if host.hash() == Some(hash) {
                prop_assert_eq!(&names[0], &vec![expected.clone()]);
            }
        }
    }

    #[test]
    fn the_number_of_tokens_that_is_advised_does(scene in scene(), max_bytes in 300..1500_usize) {
        let Scene { current, wanted } = scene;
        let wanted = Wanted { max_bytes, ..wanted };
        let Err(error) = merge(&current, &wanted) else { return Ok(()) };
        prop_assume!(error.kind == Kind::TokenTooLarge);
        let hint = error.hint.unwrap();
        if let Some((_, rest)) = hint.split_once("`shards: ") {
            let count: u64 = rest.split_once('`').unwrap().0.parse().unwrap();
            prop_assert!(count > wanted.shards.count());
            let enough = Wanted { shards: shards(count), ..wanted };
            let kind = merge(&current, &enough).err().map(|error| (error.kind, error.message));
            prop_assert_eq!(kind, None);
        }
    }
}
