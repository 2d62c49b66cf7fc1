use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Known, MASK, mask, mask_both, mask_parameter};

#[test]
fn values_of_secret_keys_are_masked_in_every_style() {
    for (text, masked) in [
        ("password: s3cret\nx: 1\n", "password: ********\nx: 1\n"),
        ("password: s3cret # why\r\n", "password: ******** # why\r\n"),
        ("password: two s3crets", "password: ********"),
        ("  - api_key: 'it''s s3cret' # x\n", "  - api_key: '********' # x\n"),
        ("\"client_secret\": \"a\\\"s3cret\", \"x\": 1", "\"client_secret\": \"********\", \"x\": 1"),
        ("{a: 1, token: s3cret, b: 2}", "{a: 1, token: ********, b: 2}"),
        ("{\"token\":\"s3cret\"}", "{\"token\":\"********\"}"),
        ("x: {credentials: {user: s3cret, pass: [s3cret]}, y: 1}", "x: {credentials: ********, y: 1}"),
        ("secret: !!str s3cret\n", "secret: !!str ********\n"),
        ("secret: &anchor 's3cret'\n", "secret: &anchor '********'\n"),
        ("password: s3cret\n  and s3cret\nx: 1\n", "password: ********\nx: 1\n"),
        ("password: \"s3cret\n  and s3cret\"\nx: 1\n", "password: ********\nx: 1\n"),
        ("credentials: {user: s3cret,\n  b: s3cret}\nx: 1\n", "credentials: ********\nx: 1\n"),
        ("private_key: |\n  s3cret\n\n  # s3cret\nx: 1\n", "private_key: ********\nx: 1\n"),
        ("- secret: >-\n    s3cret\n  x: 1\n", "- secret: ********\n  x: 1\n"),
        ("passwords:\n- s3cret\n- s3cret\nx: 1\n", "passwords: ********\nx: 1\n"),
        ("credentials:\n  # s3cret\n  user: s3cret\nx: 1\n", "credentials: ********\nx: 1\n"),
        ("# token: s3cret\n", "# token: ********\n"),
        ("#token: s3cret # old\n", "#token: ******** # old\n"),
        ("  ## - private_key: |\n  ##     s3cret\nx: 1\n", "  ## - private_key: ********\nx: 1\n"),
        ("Environment=\"A_TOKEN=two s3crets\" B=1\n", "Environment=\"A_TOKEN=********\" B=1\n"),
        ("Environment=DB_PASSWORD=s3cret B=1\n", "Environment=DB_PASSWORD=******** B=1\n"),
        ("ExecStart=/bin/tbot start --token=s3cret -d", "ExecStart=/bin/tbot start --token=******** -d"),
        ("ExecStart=/bin/tbot start --token s3cret -d", "ExecStart=/bin/tbot start --token ******** -d"),
        (
            "x: \"{\\\"password\\\": \\\"s3cret\\\", \\\"y\\\": 1}\"",
            "x: \"{\\\"password\\\": \\\"********\\\", \\\"y\\\": 1}\"",
        ),
        ("at line 3: password: s3cret", "at line 3: password: ********"),
        ("it's the password: s3cret's\n", "it's the password: ********\n"),
        (
            "x: |\n  -----BEGIN EC PRIVATE KEY-----\n  s3cret\n  -----END EC PRIVATE KEY-----\ny: 1\n",
            "x: |\n  ********\ny: 1\n",
        ),
        ("password: \"s3cret", "password: ********"),
        ("{\"password\": [\"s3cret\"", "{\"password\": ********"),
    ] {
        assert_eq!(mask(text), masked, "{text}");
    }
}

#[test]
fn users_of_urls_and_proxies_are_masked() {
    for (text, masked) in [
        ("proxy: https://user:s3cret@proxy:1/x # a", "proxy: https://********@proxy:1/x # a"),
        ("x: 'http://user:s3/cr@et@proxy' 'y@z'", "x: 'http://********@proxy' 'y@z'"),
        ("x: http://user:s3\"cret@proxy", "x: http://********@proxy"),
        ("{\"a\":\"https://h:1\",\"b\":\"x@y\"}", "{\"a\":\"https://h:1\",\"b\":\"x@y\"}"),
        ("HTTPS_PROXY=user:s3cret@proxy:1 x", "HTTPS_PROXY=********@proxy:1 x"),
        (
            "join_uri: tbot+proxy+bound-keypair://name:s3cret@x:443",
            "join_uri: tbot+proxy+bound-keypair://********@x:443",
        ),
        ("join_uri: tbot+proxy+token://s3cret@x:443", "join_uri: tbot+proxy+token://********@x:443"),
        ("join_uri: tbot+proxy+tpm://web@x:443", "join_uri: tbot+proxy+tpm://web@x:443"),
        ("a https://x.example/y b@c", "a https://x.example/y b@c"),
    ] {
        assert_eq!(mask(text), masked, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "registration_secret_path: /x\ncredential_ttl: 1h\nca_pins: [sha256:ab]\n",
        "token:\nx: 1\n",
        "token: null\npassword: ''\nsecret: true\n",
        "onboarding:\n  token: /etc/token # a file\n",
        "onboarding: {join_method: tpm, token: web}\n",
        "onboarding:\n  join_method: tpm\n  token: web\n# token: web\n",
        "onboarding:\n  join_method: tpm\n  token: 0123\n",
        "kind: token\nmetadata:\n  name: web\n",
        "parameter `token`: \"a b\" is not a name; see token/web",
        "type: kubernetes_secret\nname: x\n",
        "",
        "\n\n",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn a_token_of_another_method_is_a_secret() {
    for text in [
        "onboarding: {join_method: token, token: s3cret}\n",
        "onboarding:\n  token: s3cret\n",
        "onboarding:\n  join_method: bound_keypair\n  token: s3cret\n  bound_keypair: {registration_secret: s3cret}\n",
        "onboarding: {join_method: tpm, token: web}\nx: {token: s3cret}\n# token: s3cret\n",
        // As far as it can be told.
        "onboarding: {join_method: tpm, token: s3cret\n  broken",
        // What a scan cannot follow.
        "x: &a s3cret\nonboarding: {join_method: token, token: *a}\n",
        "onboarding: {join_method: tpm, token: web}\n? password\n: s3cret\n",
        "onboarding: {join_method: tpm, token: web}\n\"pass\\u0077ord\": s3cret\n",
    ] {
        assert!(!mask(text).contains("s3cret"), "{}", mask(text));
    }
    assert!(mask("onboarding: {join_method: tpm, token: web}\nx: {token: s3cret}\n").contains("token: web"));
}

#[test]
fn a_changed_secret_shows_as_a_change_and_no_more() {
    let (before, after) = mask_both("password: old1\nx: 1\n", "password: new1\nx: 2\n");
    assert_eq!(
        (before.as_str(), after.as_str()),
        ("password: ********\nx: 1\n", "password: ******** (changed)\nx: 2\n")
    );
    let (before, after) = mask_both("password: \"old1\"\n", "password: \"new1\"\n");
    assert_eq!(
        (before.as_str(), after.as_str()),
        ("password: \"********\"\n", "password: \"********\" (changed)\n")
    );
    // A new key, and one that stays.
    let (_, after) = mask_both("password: old1\n", "password: old1\nsecret: new1\n");
    assert_eq!(after, "password: ********\nsecret: ********\n");
    // Exchanged ones.
    let (before, after) = mask_both("- token: one1\n- token: two2\n", "- token: two2\n- token: one1\n");
    assert_ne!(before, after);
    let (before, after) = mask_both("same: 1\n", "same: 1\n");
    assert_eq!(before, after);
    // A former secret is hidden where it is named no secret.
    let (_, after) = mask_both("password: s3cret\n", "x: s3cret\n");
    assert_eq!(after, "x: ********\n");
}

#[test]
fn parameters_are_masked_at_every_depth() {
    let parameters = json!({
        "token": "web", "services": [{ "type": "x", "password": "s3cret", "token": "s3cret" }],
        "extra": { "onboarding": { "token": "web", "registration_secret": "s3cret" }, "credentials": { "user": "s3cret" } },
        "defaults": "{\"api_key\": \"s3cret\"}", "proxy": "http://me:s3cret@x", "secret": 12345, "flags": { "secret": true },
    });
    let fields = parameters.as_object().unwrap();
    let masked: Value =
        fields.iter().map(|(name, value)| (name.clone(), mask_parameter(name, value))).collect();
    assert_eq!(
        masked,
        json!({
            "token": "web", "services": [{ "type": "x", "password": MASK, "token": MASK }],
            "extra": { "onboarding": { "token": "web", "registration_secret": MASK }, "credentials": MASK },
            "defaults": "{\"api_key\": \"********\"}", "proxy": "http://********@x", "secret": MASK, "flags": { "secret": true },
        })
    );
    let mut known = Known::default();
    fields.iter().for_each(|(name, value)| known.add_parameter(name, value));
    assert_eq!(known.hide("s3cret 12345 web"), "******** ******** web");
}

#[test]
fn how_many_tokens_there_are_and_whether_all_are_meant_is_no_secret() {
    let shown = |name: &str, value: Value| {
        let mut known = Known::default();
        known.add_parameter(name, &value);
        let is_hidden = known != Known::default();
        let masked = mask_parameter(name, &value);
        assert_eq!(is_hidden, masked != value, "{name} {value}");
        !is_hidden
    };
    for layout in ["shared", "sharded", "per_host"] {
        assert!(shown("tokens", json!(layout)));
        assert!(!shown("all_tokens", json!(layout)) && !shown("password", json!(layout)));
    }
    for truth in [json!(true), json!("True"), json!("false"), json!(null)] {
        assert!(shown("all_tokens", truth));
    }
    for secret in
        [json!("s3cret"), json!(["s3cret"]), json!("shared s3cret"), json!("True s3cret"), json!(12345)]
    {
        assert!(!shown("tokens", secret.clone()) && !shown("all_tokens", secret));
    }
}

/// Values with secrets at any depth, each with this in it, and others without.
fn values() -> impl Strategy<Value = Value> {
    let secret = prop::sample::select(vec![
        "S3CRET",
        "a S3CRET: b",
        "S3CRET # x",
        "- S3CRET",
        "it's S3CRET",
        "\"S3CRET\" {",
        "[S3CRET",
        "S3CRET\nS3CRET\n\n S3CRET",
        "S3CRET, S3CRET",
        "S3CRET\\",
        "é S3CRET\t",
        "| S3CRET",
        "#S3CRET",
        "*S3CRET",
        "S3CRET:",
        "'S3CRET",
    ]);
    let key = prop::sample::select(vec!["token", "private_key", "apiKey", "credentials", "PASSWORD"]);
    let plain = prop::sample::select(vec!["x", "it's", "a: b", "{", "x # y", "'", "\"", "two\nlines"]);
    let leaf = prop_oneof![Just(json!({})), plain.prop_map(|text| json!(text)), Just(json!(7))];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let hidden = prop_oneof![
            secret.clone().prop_map(|text| json!(text)),
            prop::collection::vec(secret.clone(), 1..3).prop_map(|texts| json!(texts)),
            secret.clone().prop_map(|text| json!({ "a": [{ "b": text }] })),
        ];
        let fields = prop::collection::vec(
            prop_oneof![(key.clone().prop_map(str::to_owned), hidden), ("k[a-c]", inner.clone())],
            0..4,
        );
        let object = fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()));
        prop_oneof![object, prop::collection::vec(inner, 0..3).prop_map(Value::from)]
    })
}

proptest! {
    #[test]
    fn no_writer_of_yaml_or_json_lets_a_secret_show(value in values()) {
        for text in [
            crate::teleport::yaml::write(&value),
            crate::teleport::yaml::write_flow(&value),
            serde_yaml::to_string(&value).unwrap(),
            value.to_string(),
            serde_json::to_string_pretty(&value).unwrap(),
            json!({ "text": value.to_string() }).to_string(),
        ] {
            let commented = format!("# {}\n", text.trim_end().replace('\n', "\n# "));
            for text in [text, commented] {
                prop_assert!(!mask(&text).contains("S3CRET"), "{}\n{}", text, mask(&text));
            }
        }
    }
}

#[test]
fn a_sentence_about_a_token_is_shown_whole_and_what_it_quotes_is_not() {
    let said = "a rule of `web-1` stays in the token: name `web-1` in `remove`";
    assert_eq!(Known::default().hide_in_message(said), said);
    let quoted = "mapping values are not allowed: \"token: abcdef123\", line 3: registration_secret: xyzzy";
    let hidden = Known::default().hide_in_message(quoted);
    assert!(!hidden.contains("abcdef123") && !hidden.contains("xyzzy"), "{hidden}");
}
