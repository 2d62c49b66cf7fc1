//! Which keys hold secrets: those of Teleport's public documentation (`registration_secret`, `token`), and what such keys
//! are called elsewhere.

/// Words that make a key one of a secret wherever they stand in it.
const ANYWHERE: [&str; 8] =
    ["password", "passwd", "passphrase", "passcode", "secret", "credential", "apikey", "privatekey"];
/// Words that do so at a key's end, perhaps with one of [`VALUES`] behind them.
const LAST: [&str; 8] = ["token", "tokens", "pass", "pwd", "psk", "bearer", "cookie", "authorization"];
const VALUES: [&str; 4] = ["value", "data", "text", "raw"];
/// Words before `key` or `keys`.
const BEFORE_KEY: [&str; 12] = [
    "private",
    "api",
    "access",
    "signing",
    "encryption",
    "shared",
    "master",
    "session",
    "hmac",
    "static",
    "auth",
    "client",
];
/// Words at a key's end that make it one of something about the secret: `registration_secret_path`.
const HARMLESS: [&str; 27] = [
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "dir",
    "directory",
    "name",
    "names",
    "ttl",
    "type",
    "kind",
    "method",
    "count",
    "limit",
    "length",
    "size",
    "mode",
    "interval",
    "lifetime",
    "expires",
    "expiry",
    "enabled",
    "version",
    "namespace",
    "labels",
    "environment",
];

/// Whether a key of this name holds a secret.
pub fn is_secret(key: &str) -> bool {
    let words = words(key);
    let words: Vec<&str> =
        words.iter().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    let mut words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let Some(last) = words.last() else { return false };
    if HARMLESS.contains(last) {
        return false;
    }
    if words.iter().any(|word| ANYWHERE.iter().any(|secret| word.contains(secret))) {
        return true;
    }
    if words.len() > 1 && VALUES.contains(last) {
        words.pop();
    }
    match words.as_slice() {
        [.., before, "key" | "keys"] => BEFORE_KEY.contains(before),
        [.., last] => LAST.contains(last) || last.ends_with("token"),
        [] => false,
    }
}

/// Whether the value at a secret's key is the path of a file that holds it, as `tbot` takes a `token`.
pub fn is_path(key: &str, text: &str) -> bool {
    let is_token = words(key).last().is_some_and(|word| word == "token");
    is_token && text.starts_with('/') && !text.contains(char::is_whitespace)
}

/// The words of a key in lower case: `clientSecret`, `client-secret` and `CLIENT_SECRET` have two each.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.iter_mut().last().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn keys_of_secrets_are_known_by_their_words() {
        for key in [
            "token",
            "TOKEN",
            "auth_token",
            "authToken",
            "GITHUB_TOKEN",
            "accesstoken",
            "registration_secret",
            "client-secret",
            "clientSecret",
            "secrets",
            "password",
            "DB_PASSWORD",
            "dbpassword",
            "password2",
            "passphrase",
            "private_key",
            "privateKey",
            "private_key_data",
            "api_key",
            "apikey",
            "credentials",
            "aws_secret_access_key",
            "static_key",
            "token_value",
            "Authorization",
            "pwd",
            "onboarding.token",
            "SetCredential",
        ] {
            assert!(is_secret(key), "{key}");
        }
    }

    #[test]
    fn keys_about_secrets_and_others_are_not() {
        for key in [
            "",
            "registration_secret_path",
            "token_file",
            "credential_ttl",
            "certificate_ttl",
            "secret_name",
            "static_jwks",
            "static_key_path",
            "key",
            "ek_public_hash",
            "kubernetes_cluster",
            "join_method",
            "ca_pins",
            "tokenizer",
            "PassEnvironment",
            "bypass",
            "compass",
            "keyring",
            "public_key",
            "path",
            "tbot_path",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
