//! Locks: what a cluster keeps out although a token lets it in.

use serde_json::Value;
use time::OffsetDateTime;

use super::Timestamp;
use crate::message::shortened;

/// Warnings about the locks that keep everybody out who joins as this user, or by one of these tokens. Locks of a single bot
/// instance are left out: it does not stop a TPM from joining as another one.
#[must_use]
pub fn warnings(locks: &[Value], user: Option<&str>, tokens: &[&str], now: OffsetDateTime) -> Vec<String> {
    let warning = |lock: &Value| {
        let (spec, name) = (&lock["spec"], lock["metadata"]["name"].as_str()?);
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let end = text(&spec["expires"]);
        if end.clone().is_some_and(|end| Timestamp::try_from(end).is_ok_and(|end| end.is_past(now))) {
            return None;
        }
        let target = &spec["target"];
        let locked_user = text(&target["user"]).filter(|locked| Some(locked.as_str()) == user);
        let locked_token = text(&target["join_token"]).filter(|locked| tokens.contains(&locked.as_str()));
        let whom = match (locked_user, locked_token) {
            (Some(user), _) => format!("the bot's user `{user}`"),
            (None, Some(token)) => format!("the token `{token}`"),
            (None, None) => return None,
        };
        let why = text(&spec["message"]).map(|why| format!(" ({})", shortened(&why))).unwrap_or_default();
        let until = end.map(|end| format!(" until {}", shortened(&end))).unwrap_or_default();
        Some(format!(
            "the cluster has locked {whom}{until}{why}: no host joins by it until you remove the lock with `tctl rm locks/{}`",
            shortened(name)
        ))
    };
    locks.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Timestamp, warnings};

    fn of(lock: &Value) -> Vec<String> {
        let now = Timestamp::try_from("2026-01-01T00:00:00Z".to_owned()).unwrap().instant();
        warnings(std::slice::from_ref(lock), Some("bot-web"), &["web", "web-1"], now)
    }

    fn lock(spec: &Value) -> Value {
        json!({ "kind": "lock", "version": "v2", "metadata": { "name": "aa" }, "spec": spec })
    }

    #[test]
    fn locks_of_the_bot_and_its_tokens_are_told() {
        let user = lock(&json!({ "target": { "user": "bot-web" }, "message": "stolen" }));
        assert_eq!(
            of(&user),
            [
                "the cluster has locked the bot's user `bot-web` (stolen): no host joins by it until you remove the lock with `tctl \
              rm locks/aa`"
            ]
        );
        let token = lock(&json!({ "target": { "join_token": "web-1" }, "expires": "2026-02-01T00:00:00Z" }));
        assert_eq!(
            of(&token),
            [
                "the cluster has locked the token `web-1` until 2026-02-01T00:00:00Z: no host joins by it until you remove the lock \
              with `tctl rm locks/aa`"
            ]
        );
    }

    #[test]
    fn other_locks_and_those_that_ended_are_not() {
        for spec in [
            json!({ "target": { "user": "alice" } }),
            json!({ "target": { "join_token": "db" } }),
            json!({ "target": { "bot_instance_id": "web" } }),
            json!({ "target": {} }),
            json!({}),
            json!({ "target": { "user": "" } }),
            json!({ "target": { "user": "bot-web" }, "expires": "2025-12-31T23:59:59Z" }),
        ] {
            assert!(of(&lock(&spec)).is_empty(), "{spec}");
        }
        assert!(of(&json!(null)).is_empty());
    }
}
