//! No answer repeats a secret: not of a file that is changed, nor of the request, whether it succeeds or fails.

use std::fs;

use serde_json::{Value, json};

use crate::support::config::{base, place_with, request, with};
use crate::support::messages::snapshot;
use crate::support::run;
use crate::support::systemd;
use crate::support::tokens::hash;

/// What each secret here contains.
const SECRET: &str = "S3CRET";

/// The answer, of which no part has a secret, in check mode as in a run.
fn without_secrets(mut request: Value) -> Value {
    let mut answer = Value::Null;
    for (check_mode, verbosity) in [(true, 0), (false, 0), (false, 4)] {
        request["_ansible_check_mode"] = json!(check_mode);
        request["_ansible_verbosity"] = json!(verbosity);
        let said = run(&request);
        assert!(!said.to_string().contains(SECRET), "{said:#}");
        if !check_mode && verbosity == 0 {
            answer = said;
        }
    }
    answer
}

const FORMER: &str = "\
version: v2
proxy_server: old.example:443
onboarding:
  join_method: bound_keypair
  token: S3CRET-token # S3CRET-token was it
  bound_keypair:
    registration_secret: S3CRET-old
# token: S3CRET-commented
storage: {type: memory}
services:
- type: application-tunnel
  listen: tcp://me:S3CRET-listen@127.0.0.1:1
  client_secret: 'S3CRET-service'
- {type: x, api_key: S3CRET-flow, kept: yes}
unknown:
  private_key: |
    -----BEGIN PRIVATE KEY-----
    S3CRETabcdefghijklmnop
    -----END PRIVATE KEY-----
  again: S3CRET-old
";

#[test]
fn a_configurations_former_and_new_secrets_are_masked() {
    let (_directory, path) = place_with(FORMER);
    let wanted = json!({
        "services": [{ "type": "example", "api_key": "S3CRET-new", "proxy": "https://me:S3CRET@proxy:1" }],
        "extra": { "onboarding": { "bound_keypair": { "registration_secret": "S3CRET-new-too" } } },
        "defaults": { "x": { "password": "S3CRET-default" } },
    });
    let answer =
        run(&with(request(&path, with(base(), wanted.clone())), json!({ "_ansible_check_mode": true })));
    snapshot!(answer["diff"]["before"].as_str().unwrap(), @r#"
    version: v2
    proxy_server: old.example:443
    onboarding:
      join_method: bound_keypair
      token: ******** # ******** was it
      bound_keypair:
        registration_secret: ********
    # token: ********
    storage: {type: memory}
    services:
    - type: application-tunnel
      listen: tcp://********@127.0.0.1:[PORT]
      client_secret: '********'
    - {type: x, api_key: ********, kept: yes}
    unknown:
      private_key: ********
      again: ********
    "#);
    snapshot!(answer["diff"]["after"].as_str().unwrap(), @r#"
    version: v2
    proxy_server: "example.teleport.sh:443"
    onboarding:
      join_method: tpm
      token: web # ******** was it
      bound_keypair:
        registration_secret: ******** (changed)
    # token: ********
    storage: {type: memory}
    services:
    - type: example
      api_key: ******** (changed)
      proxy: "https://******** (changed)@proxy:1"
    unknown:
      private_key: ********
      again: ********
    x:
      password: ********
    "#);
    snapshot!(answer["invocation"]["module_args"].to_string(), @r#"{"action":"config","path":"[DIR]/tbot.yaml","group":0,"proxy_server":"example.teleport.sh:443","token":"web","services":[{"type":"example","api_key":"********","proxy":"https://********@proxy:1"}],"extra":{"onboarding":{"bound_keypair":{"registration_secret":"********"}}},"defaults":{"x":{"password":"********"}}}"#);
    let answer = without_secrets(request(&path, with(base(), wanted)));
    assert_eq!(answer["changed"], true, "{answer}");
    let written = fs::read_to_string(&path).unwrap();
    for secret in ["S3CRET-new", "S3CRET-new-too", "S3CRET-default", "# token: S3CRET-commented"] {
        assert!(written.contains(secret), "{written}");
    }
    let removed = without_secrets(request(&path, json!({ "state": "absent" })));
    assert_eq!(removed["changed"], true);
}

#[test]
fn a_secret_alone_shows_as_changed() {
    let (_directory, path) = place_with("");
    let services = |secret: &str| json!({ "services": [{ "type": "example", "password": secret }] });
    run(&request(&path, with(base(), services("S3CRET-1"))));
    let answer = without_secrets(request(&path, with(base(), services("S3CRET-2"))));
    let (before, after) = (&answer["diff"]["before"], answer["diff"]["after"].as_str().unwrap());
    assert!(
        after.contains("password: \"********\" (changed)") || after.contains("password: ******** (changed)"),
        "{after}"
    );
    assert_eq!(after.replace(" (changed)", ""), before.as_str().unwrap());
    // The content is for display as well.
    assert!(answer["content"].as_str().unwrap().contains("********"), "{answer}");
}

#[test]
fn the_name_of_a_tpms_token_is_shown() {
    let (_directory, path) = place_with("");
    let answer = run(&request(&path, base()));
    assert!(answer["content"].as_str().unwrap().contains("token: web"), "{answer}");
    assert!(answer["diff"]["after"].as_str().unwrap().contains("token: web"), "{answer}");
    assert_eq!(answer["invocation"]["module_args"]["token"], "web");
}

#[test]
fn failures_of_config_repeat_no_secrets() {
    for text in [
        "onboarding:\n  join_method: token\n  token: S3CRET\n broken: [S3CRET",
        "onboarding: {join_method: token, token: \"S3CRET}\n",
        "onboarding:\n\ttoken: S3CRET\n",
        "token: S3CRET\ntoken: S3CRET\n",
        "S3CRET-alone: &a [*a]\npassword: *b\n",
        "version: v1\nonboarding: {token: S3CRET}\n",
        "version: S3CRET-no\npassword: S3CRET-no\n",
        "proxy_server: https://me:S3CRET@example.com:443\nonboarding: {join_method: token, token: S3CRET}\n",
        "proxy_server: x.example:443\ndiag_addr: me:S3CRET@x:1\npassword: 'me:S3CRET@x:1'\n",
        "proxy_server: x.example:443\nonboarding: {join_method: token, token: S3CRET, ca_pins: S3CRET}\n",
        "proxy_server: x.example:443\nonboarding: {join_method: token, token: {x: S3CRET}}\n",
        "proxy_server: x.example:443\nstorage: {type: directory, path: S3CRET, password: S3CRET}\n",
        "secret: S3CRET\n",
    ] {
        for wanted in [json!({}), base(), json!({ "state": "absent" })] {
            // What is no secret's key or value may be named.
            if text.starts_with("S3CRET-alone") {
                continue;
            }
            let (_directory, path) = place_with(text);
            without_secrets(request(&path, wanted));
        }
        let (_directory, path) = place_with(text);
        if !text.starts_with("S3CRET-alone") {
            without_secrets(json!({ "action": "service", "config": path }));
            without_secrets(systemd::request(
                path.parent().unwrap(),
                json!({ "config": path, "hardening": true }),
            ));
        }
    }
    let (_directory, path) = place_with("");
    fs::write(&path, b"token: S3CRET\nx: \xff\n").unwrap();
    for action in ["config", "service"] {
        without_secrets(json!({ "action": action, "path": path, "config": path }));
    }
    without_secrets(request(&path, base()));
    without_secrets(json!({ "action": "service", "config": path }));
}

#[test]
fn failures_about_the_request_repeat_no_secrets() {
    let (_directory, path) = place_with("");
    for wrong in [
        json!({ "services": [{ "password": "S3CRET" }] }),
        json!({ "services": "[{\"type\": \"identity\", \"password\": \"S3CRET\"" }),
        json!({ "services": "password=S3CRET" }),
        json!({ "extra": "{\"password\": \"S3CRET\"" }),
        json!({ "extra": "password=S3CRET broken" }),
        json!({ "extra": { "proxy_server": "https://me:S3CRET@x:1" } }),
        json!({ "extra": { "debug": "S3CRET", "password": "S3CRET" } }),
        json!({ "extra": { "storage": "S3CRET", "secret": "S3CRET" } }),
        json!({ "defaults": { "onboarding": { "registration_secret": "S3CRET" } } }),
        json!({ "proxy_server": "https://me:S3CRET@x.example:443" }),
        json!({ "ca_pins": ["S3CRET"], "extra": { "secret": "S3CRET" } }),
        json!({ "passwort": "x", "password": "S3CRET" }),
        json!({ "password=S3CRET": 1 }),
        json!({ "mode": { "password": "S3CRET" } }),
    ] {
        without_secrets(request(&path, with(base(), wrong)));
    }
}

#[test]
fn units_of_others_are_shown_without_their_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("tbot.service");
    let theirs = "[Service]\nEnvironment=\"HTTPS_PROXY=http://me:S3CRET@proxy:1\" 'API_TOKEN=a S3CRET'\nSetCredential=x:S3CRET\n\
                  Environment=NO=1 DB_PASSWORD=S3CRET\nExecStart=/bin/tbot start --token S3CRET --registration-secret=S3CRET\n";
    fs::write(&unit, theirs).unwrap();
    without_secrets(systemd::request(directory.path(), json!({})));
    without_secrets(systemd::request(directory.path(), json!({ "state": "absent" })));
    let forced = without_secrets(systemd::request(directory.path(), json!({ "force": true })));
    let before = forced["diff"]["before"].as_str().unwrap();
    assert!(before.contains("--token ******** --registration-secret=********"), "{before}");
}

#[test]
fn tokens_of_other_methods_are_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token.yaml");
    let token = |method: &str| {
        json!({
            "kind": "token", "version": "v2", "metadata": { "name": "S3CRET" },
            "spec": { "roles": ["Bot"], "bot_name": "b", "join_method": method },
        })
    };
    let hosts = json!([{ "description": "web-1", "ek_public_hash": hash('a') }]);
    let request =
        json!({ "action": "token", "name": "t", "bot_name": "b", "hosts": hosts, "_ansible_diff": true });
    for current in [
        token("token"),
        json!([token("token")]),
        json!(token("iam").to_string()),
        json!("kind: token\n S3CRET: ["),
    ] {
        without_secrets(with(request.clone(), json!({ "current": current })));
        without_secrets(json!({ "action": "preflight", "token": current, "hosts": hosts }));
        without_secrets(json!({ "action": "ekcert_ca", "hosts": [], "fetch": false, "current": current }));
        let leaving = json!({ "action": "registry", "registry": directory.path(), "state": "leaving", "only": [], "name": "t" });
        without_secrets(with(leaving, json!({ "current": current })));
    }
    fs::write(&path, token("token").to_string()).unwrap();
    without_secrets(with(request, json!({ "path": path })));
}

#[test]
fn with_no_log_an_answer_does_not_repeat_the_request() {
    let (_directory, path) = place_with("");
    let answer = run(&request(&path, with(base(), json!({ "_ansible_no_log": true }))));
    assert_eq!((answer.get("invocation"), &answer["changed"]), (None, &json!(true)));
}
