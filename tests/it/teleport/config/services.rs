//! `config`: services that `tbot` does not start with, whoever wrote them, and those that do not do what their author may think.

use std::fs;

use serde_json::{Value, json};

use crate::support::config::{base, place, place_with, request, with};
use crate::support::messages::{listed, snapshot};
use crate::support::{fail, succeed};

const FILE: &str = "version: v2\nproxy_server: a.b:443\nonboarding: {join_method: tpm, token: old}\n";

/// The message where a request gives such services, which is the same where they are in the file.
fn refused(services: &Value) -> String {
    let (_directory, path) = place();
    let given = fail(&request(&path, with(base(), json!({ "services": services }))), "invalid_request");
    assert!(!path.exists());
    let text = format!("{FILE}services: {services}\n");
    let (_directory, path) = place_with(&text);
    let stands = fail(&request(&path, json!({ "token": "web" })), "conflict");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let why = given.strip_prefix("the configuration would not be valid: ").unwrap();
    assert!(stands.contains(why), "{stands}");
    why.to_owned()
}

/// The warnings where a request gives such services, which are the same where they are in the file.
fn taken(services: &Value) -> Vec<String> {
    let (_directory, path) = place();
    let given = succeed(&request(&path, with(base(), json!({ "services": services }))));
    let text = format!("{FILE}services: {services}\n");
    let (_directory, path) = place_with(&text);
    let stands = succeed(&request(&path, json!({ "token": "web" })));
    assert_eq!(fs::read_to_string(&path).unwrap(), text.replace("token: old", "token: \"web\""));
    assert_eq!(given["warnings"], stands["warnings"]);
    serde_json::from_value(given["warnings"].clone()).unwrap()
}

/// A service in memory, with more fields.
fn identity(more: Value) -> Value {
    with(json!({ "type": "identity", "destination": { "type": "memory" } }), more)
}

fn lifetime(kind: &str, ttl: &str, interval: &str) -> Value {
    json!([{ "type": kind, "credential_ttl": ttl, "renewal_interval": interval }])
}

fn complete(ttl: &str, interval: &str) -> Value {
    json!([identity(json!({ "credential_ttl": ttl, "renewal_interval": interval }))])
}

#[test]
fn services_that_tbot_refuses_are_refused_in_a_request_and_in_a_file() {
    let said = listed(
        [
            json!([identity(json!({ "name": "web" })), { "type": "example" }, identity(json!({ "name": "web" }))]),
            json!([identity(json!({ "name": "Web" }))]),
            json!([identity(json!({ "name": "web.1" }))]),
            json!([identity(json!({ "name": "w\u{eb}b" }))]),
            json!([identity(json!({ "name": true, "x": 1 })), identity(json!({ "name": -1.5 }))]),
            json!([identity(json!({ "name": ["web"] }))]),
            json!([identity(json!({ "name": "identity" }))]),
            json!([{ "type": "indentity" }]),
            json!([{ "type": "Identity" }]),
            json!([{ "type": "ssh_host", "destination": { "type": "memory" } }]),
            json!([{ "type": "workload-identity-jwt", "name": "a" }]),
            json!([identity(json!({ "name": "a" })), { "type": "database-tunnel", "listen": null }]),
            json!([identity(json!({ "credential_ttl": "2h" }))]),
            json!([identity(json!({ "renewal_interval": "2h", "credential_ttl": null }))]),
            lifetime("identity", "1d", "1h"),
            lifetime("identity", "2h", "an hour"),
            json!([identity(json!({ "credential_ttl": 7200, "renewal_interval": "1h" }))]),
            json!([identity(json!({ "credential_ttl": ["2h"], "renewal_interval": "1h" }))]),
            lifetime("identity", "0s", "-1h"),
            lifetime("identity", "1h", "1h0m1s"),
            lifetime("identity", "24h1ns", "1h"),
            lifetime("workload-identity-jwt", "1h", "2h"),
        ],
        |services| (services.to_string(), refused(services)),
    );
    snapshot!(said, @r#"
    [{"type":"identity","destination":{"type":"memory"},"name":"web"},{"type":"example"},{"type":"identity","destination":{"type":"memory"},"name":"web"}]
        `services[0]` and `services[2]` have the same name `web`; give each its own
    [{"type":"identity","destination":{"type":"memory"},"name":"Web"}]
        `services[0].name`: "Web" is not a name: use lower-case letters, digits, - _ and +
    [{"type":"identity","destination":{"type":"memory"},"name":"web.1"}]
        `services[0].name`: "web.1" is not a name: use lower-case letters, digits, - _ and +
    [{"type":"identity","destination":{"type":"memory"},"name":"wëb"}]
        `services[0].name`: "wëb" is not a name: use lower-case letters, digits, - _ and +
    [{"type":"identity","destination":{"type":"memory"},"name":true,"x":1},{"type":"identity","destination":{"type":"memory"},"name":-1.5}]
        `services[1].name`: "-1.5" is not a name: use lower-case letters, digits, - _ and +
    [{"type":"identity","destination":{"type":"memory"},"name":["web"]}]
        `services[0].name` is a text
    [{"type":"identity","destination":{"type":"memory"},"name":"identity"}]
        `services[0].name`: tbot reserves the name `identity` for itself; use another
    [{"type":"indentity"}]
        `services[0].type`: tbot knows no service of type `indentity`; did you mean identity?
    [{"type":"Identity"}]
        `services[0].type`: tbot knows no service of type `Identity`; did you mean identity?
    [{"type":"ssh_host","destination":{"type":"memory"}}]
        `services[0]`: tbot does not start a service of type ssh_host without `principals`
    [{"type":"workload-identity-jwt","name":"a"}]
        `services[0]`: tbot does not start a service of type workload-identity-jwt without `audiences` and `destination` and `selector`
    [{"type":"identity","destination":{"type":"memory"},"name":"a"},{"type":"database-tunnel","listen":null}]
        `services[1]`: tbot does not start a service of type database-tunnel without `database` and `listen` and `service` and `username`
    [{"type":"identity","destination":{"type":"memory"},"credential_ttl":"2h"}]
        `services[0]`: `credential_ttl` and `renewal_interval` go together; give both or neither
    [{"type":"identity","destination":{"type":"memory"},"renewal_interval":"2h","credential_ttl":null}]
        `services[0]`: `credential_ttl` and `renewal_interval` go together; give both or neither
    [{"type":"identity","credential_ttl":"1d","renewal_interval":"1h"}]
        `services[0]`: `credential_ttl`: "1d" is not a duration: write it as in 1h30m
    [{"type":"identity","credential_ttl":"2h","renewal_interval":"an hour"}]
        `services[0]`: `renewal_interval`: "an hour" is not a duration: write it as in 1h30m
    [{"type":"identity","destination":{"type":"memory"},"credential_ttl":7200,"renewal_interval":"1h"}]
        `services[0]`: `credential_ttl`: 7200 is not a duration: write it as in 1h30m
    [{"type":"identity","destination":{"type":"memory"},"credential_ttl":["2h"],"renewal_interval":"1h"}]
        `services[0]`: `credential_ttl` is a text, such as 1h30m
    [{"type":"identity","credential_ttl":"0s","renewal_interval":"-1h"}]
        `services[0]`: `credential_ttl` and `renewal_interval` must be positive
    [{"type":"identity","credential_ttl":"1h","renewal_interval":"1h0m1s"}]
        `services[0]`: `credential_ttl` is shorter than `renewal_interval`
    [{"type":"identity","credential_ttl":"24h1ns","renewal_interval":"1h"}]
        `services[0]`: `credential_ttl` is longer than 24h
    [{"type":"workload-identity-jwt","credential_ttl":"1h","renewal_interval":"2h"}]
        `services[0]`: `credential_ttl` is shorter than `renewal_interval`
    "#);
}

#[test]
fn names_are_unique_among_outputs_and_services() {
    let text =
        format!("{FILE}services: [{{type: example, name: web}}]\noutputs: [{{type: example, name: web}}]\n");
    let (_directory, path) = place_with(&text);
    let message = fail(&request(&path, json!({})), "conflict");
    snapshot!(message, @"[DIR]/tbot.yaml would not be valid: `services[0]` and `outputs[0]` have the same name `web`; give each its own; it was left as it is");
    succeed(&request(&path, json!({ "services": [{ "type": "example", "name": "web" }] })));
}

#[test]
fn services_that_tbot_takes_are_taken() {
    for services in [
        json!([
            identity(json!({ "name": "a-b_c+1" })),
            identity(json!({ "name": "b" })),
            identity(json!({ "name": "" }))
        ]),
        json!([{ "type": "example" }, { "type": "example", "name": null }, { "type": "kubernetes/argo-cd", "selectors": [] }]),
        complete("1h30m", "20m0s"),
        complete("24h", ".5h"),
        complete("1h", "1h"),
        json!([with(
            lifetime("workload-identity-x509", "48h", "1h")[0].take(),
            json!({ "destination": { "type": "memory" }, "selector": {} })
        )]),
        json!([
            { "type": "application-tunnel", "app_name": "a", "listen": "tcp://127.0.0.1:1" },
            { "type": "application-tunnel", "app_name": "b", "listen": "tcp://127.0.0.1:2" },
        ]),
    ] {
        assert_eq!(taken(&services), Vec::<String>::new(), "{services}");
    }
    let mut once = with(base(), json!({ "extra": { "oneshot": true } }));
    once["services"] = complete("1h", "2h");
    let (_directory, path) = place();
    let warnings = succeed(&request(&path, once))["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
}

#[test]
fn what_services_do_that_their_author_may_not_think_is_said() {
    let directory = |path: &str| json!({ "destination": { "type": "directory", "path": path } });
    let said = listed(
        [
            json!([{ "type": "spiffe-svid" }, { "type": "spiffe-workload-api" }]),
            json!([identity(json!({ "roles": ["access"] })), identity(json!({ "roles": [] }))]),
            json!([identity(directory("opt/a")), identity(directory("./opt//a/"))]),
            json!([identity(directory("/opt/a")), { "type": "example" }, identity(directory("/opt/./a//"))]),
            json!([
                identity(directory("/opt/a")),
                identity(directory("/opt/a/b")),
                identity(directory("/opt/A"))
            ]),
            Value::from(vec![identity(json!({ "roles": ["access"] })); 12]),
            // Of a newer tbot, as far as this version can tell; a field may also be misspelt.
            json!([{ "type": "kubernetes/v3" }, { "type": "x".repeat(1000) }]),
            json!([identity(json!({ "destinaton": {}, "ssh_confg": "on", "lease": "1h" }))]),
            json!([
                identity(directory("/var/lib/teleport/bot/out")),
                identity(directory("/var/lib/teleport/bots"))
            ]),
        ],
        |services| (services.to_string().chars().take(200).collect(), taken(services).join("\n")),
    );
    snapshot!(said, @r#"
    [{"type":"spiffe-svid"},{"type":"spiffe-workload-api"}]
        tbot 19 does not start with the type spiffe-svid of `services[0]`: use workload-identity-x509 instead
        tbot 19 does not start with the type spiffe-workload-api of `services[1]`: use workload-identity-api instead
    [{"type":"identity","destination":{"type":"memory"},"roles":["access"]},{"type":"identity","destination":{"type":"memory"},"roles":[]}]
        tbot 19 does not start with `services[0].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
    [{"type":"identity","destination":{"type":"directory","path":"opt/a"}},{"type":"identity","destination":{"type":"directory","path":"./opt//a/"}}]
        `services[0].destination.path` opt/a is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path
        `services[1].destination.path` ./opt//a/ is relative: a systemd service takes it from its working directory, which is / by default; write an absolute path
        `services[0].destination` and `services[1].destination` share the directory ./opt//a/, where each overwrites files of the other: give each its own
    [{"type":"identity","destination":{"type":"directory","path":"/opt/a"}},{"type":"example"},{"type":"identity","destination":{"type":"directory","path":"/opt/./a//"}}]
        `services[0].destination` and `services[2].destination` share the directory /opt/./a//, where each overwrites files of the other: give each its own
    [{"type":"identity","destination":{"type":"directory","path":"/opt/a"}},{"type":"identity","destination":{"type":"directory","path":"/opt/a/b"}},{"type":"identity","destination":{"type":"directory","p
        
    [{"type":"identity","destination":{"type":"memory"},"roles":["access"]},{"type":"identity","destination":{"type":"memory"},"roles":["access"]},{"type":"identity","destination":{"type":"memory"},"roles
        tbot 19 does not start with `services[0].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[1].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[2].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[3].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[4].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[5].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[6].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[7].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[8].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        tbot 19 does not start with `services[9].roles`: remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)
        2 more places of the configuration are alike
    [{"type":"kubernetes/v3"},{"type":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        `services[0].type`: this version does not know the type kubernetes/v3: check that your tbot does
        `services[1].type`: this version does not know the type xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: check that your tbot does
    [{"type":"identity","destination":{"type":"memory"},"destinaton":{},"ssh_confg":"on","lease":"1h"}]
        `services[0].destinaton`: tbot may not know this field of a service of type identity; did you mean destination?
        `services[0].ssh_confg`: tbot may not know this field of a service of type identity; did you mean ssh_config?
        `services[0].lease`: tbot may not know this field of a service of type identity; did you mean name?
    [{"type":"identity","destination":{"type":"directory","path":"/var/lib/teleport/bot/out"}},{"type":"identity","destination":{"type":"directory","path":"/var/lib/teleport/bots"}}]
        `services[0].destination.path` /var/lib/teleport/bot/out lies in the bot's storage, which nobody else may enter: use a directory outside of /var/lib/teleport/bot
    "#);
    let more = json!({ "storage_path": "/srv/bot", "services": [identity(directory("/srv/bot/"))] });
    let (_directory, path) = place();
    let answer = succeed(&request(&path, with(base(), more)));
    snapshot!(answer["warnings"].to_string(), @r#"["`storage` and `services[0].destination` share the directory /srv/bot/, where each overwrites files of the other: give each its own"]"#);
}

#[test]
fn what_could_steer_a_terminal_is_escaped() {
    let steer = "\u{1b}[2J\u{202e}\n";
    let directory = json!({ "type": "directory", "path": steer });
    let services = json!([{ "type": "identity", "destination": directory }, { "type": "identity", "destination": directory }, { "type": steer }]);
    let more = json!({ "services": services, "extra": { steer: 1, "diag_addr": "0.0.0.0:1" } });
    let (_directory, path) = place();
    let warnings = succeed(&request(&path, with(base(), more)))["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 6, "{warnings}");
    for refused in
        [json!([{ "type": format!("identity{}", &steer[..1]) }]), json!([identity(json!({ "name": steer }))])]
    {
        let message = fail(&request(&path, json!({ "services": refused })), "invalid_request");
        assert!(!message.contains(['\u{1b}', '\u{202e}', '\n']), "{message}");
    }
    for warning in warnings.as_array().unwrap() {
        assert!(!warning.as_str().unwrap().contains(['\u{1b}', '\u{202e}', '\n']), "{warning}");
    }
    let text = FILE.replace("tpm", "\"\\e[2J\"").replace("token: old", "token: old, \"\\e[2J\": {a: 1}");
    let (_directory, path) = place_with(&text);
    let message = fail(&request(&path, json!({})), "invalid_request");
    let answer = succeed(&request(&path, json!({ "token": "web" })));
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(!message.contains('\u{1b}') && !warning.contains('\u{1b}'), "{message} {warning}");
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn two_services_that_listen_at_one_address_are_refused_in_a_request_and_warned_of_in_a_file() {
    let tunnel = |name: &str| json!({ "type": "application-tunnel", "app_name": name, "listen": "tcp://127.0.0.1:1234" });
    let services = json!([tunnel("a"), tunnel("b")]);
    let (_directory, path) = place();
    let given = fail(&request(&path, with(base(), json!({ "services": services }))), "invalid_request");
    snapshot!(given, @"the configuration would not be valid: `services[0]` and `services[1]` listen at the same address tcp://127.0.0.1:[PORT]; give each its own");
    let (_directory, path) = place_with(&format!("{FILE}services: {services}\n"));
    let stands = succeed(&request(&path, json!({ "token": "web" })))["warnings"].to_string();
    snapshot!(stands, @r#"["[DIR]/tbot.yaml keeps a value that may not work: `services[0]` and `services[1]` listen at the same address tcp://127.0.0.1:[PORT]; give each its own"]"#);
}
