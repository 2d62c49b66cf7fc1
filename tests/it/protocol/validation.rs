//! `_tbot_validate_only`: the controller asks by it what is wrong with a request before it sends that to a host. The answer is
//! the host's to the byte, and nothing that the parameters name is looked at, since it is the host's.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::messages::{listed, snapshot};
use crate::support::{fail, parse, run, run_raw, strace, succeed};

const HASH: &str = "4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766";

/// An action: requests that are wrong by themselves, and one that is not.
struct Case {
    action: &'static str,
    wrong: Vec<Value>,
    right: Value,
}

fn case(action: &'static str, right: Value, wrong: Vec<Value>) -> Case {
    Case { action, wrong, right }
}

fn cases() -> Vec<Case> {
    [of_one_host(), of_a_fleet()].into_iter().flatten().collect()
}

fn of_one_host() -> Vec<Case> {
    vec![
        case(
            "access",
            json!({ "user": "teleport", "tcti": "swtpm:host=127.0.0.1,port=1" }),
            vec![json!({ "tcti": "/dev/tpm0" }), json!({ "user": "-x" })],
        ),
        case(
            "cluster",
            json!({ "proxy_server": "127.0.0.1:1", "timeout": 1, "ca_file": "/no/such/ca" }),
            vec![
                json!({}),
                json!({ "proxy_server": "a", "timeout": 0 }),
                json!({ "proxy_server": "a", "require": ["version"] }),
                json!({ "proxy_server": "a", "require_enterprise": "perhaps" }),
            ],
        ),
        case(
            "config",
            json!({ "path": "/no/such/tbot.yaml", "proxy_server": "a:1", "token": "b", "owner": "nobody" }),
            vec![
                json!({ "storage_type": "memory", "storage_path": "/a" }),
                json!({ "extra": { "version": "v1" } }),
                json!({ "defaults": { "onboarding": {} } }),
            ],
        ),
        case(
            "deploy",
            json!({ "storage": { "path": "/no/such/directory" }, "service": {} }),
            vec![
                json!({}),
                json!({ "storage": { "path": "/etc/bot" } }),
                json!({ "storage": { "pth": "/var/lib/bot" } }),
                json!({ "config": { "state": "absent" } }),
                json!({ "service": { "wait": 3601 } }),
                json!({ "storage": "/var/lib/bot" }),
                json!({ "state": "gone", "storage": {} }),
                json!({ "storage": {}, "instances": [{ "name": "a", "role": "b" }] }),
            ],
        ),
        case(
            "destinations",
            json!({ "config": "/no/such/tbot.yaml", "owner": "nobody" }),
            vec![json!({ "config": "tbot.yaml" }), json!({ "ownr": "nobody" })],
        ),
        case(
            "identify",
            json!({ "tcti": "device" }),
            vec![
                json!({ "tcti": "swtpm:prot=1" }),
                json!({ "expected_ek_public_hash": "ab" }),
                json!({ "tctii": "device" }),
                json!({ "record": { "registry": "/a", "host": "b", "hosts": [] } }),
                json!({ "record": { "registry": "a" } }),
                json!({ "program": { "version": "v17" } }),
                json!({ "same_proxy": { "proxy_server": "" } }),
            ],
        ),
        case(
            "program",
            json!({ "path": "/no/such/tbot" }),
            vec![json!({ "version": "v17.5.1" }), json!({ "path": "tbot" })],
        ),
        case(
            "service",
            json!({ "config": "/no/such/tbot.yaml" }),
            vec![json!({ "wait": 3601 }), json!({ "name": "a/b" })],
        ),
        case(
            "storage",
            json!({ "path": "/no/such/directory", "owner": "nobody" }),
            vec![
                json!({ "path": "bot" }),
                json!({ "path": "/etc/bot" }),
                json!({ "path": "/var", "state": "absent" }),
                json!({ "mode": "rwx" }),
            ],
        ),
        case(
            "summary",
            json!({ "hosts": [], "path": "/no/such/directory/report.txt" }),
            vec![json!({}), json!({ "hosts": [{ "hots": "a" }] })],
        ),
        case(
            "systemd",
            json!({ "directory": "/no/such/directory", "hardening": true }),
            vec![json!({ "pid_file": "tbot.pid" })],
        ),
    ]
}

fn of_a_fleet() -> Vec<Case> {
    let host = |name: &str, hash: &str| json!({ "description": name, "ek_public_hash": hash });
    let twice = json!([host("a", HASH), host("b", HASH)]);
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----";
    let token = json!({
        "kind": "token", "version": "v2", "metadata": { "name": "a" },
        "spec": { "roles": ["Node"], "join_method": "tpm", "tpm": { "allow": [{ "ek_public_hash": HASH }] } },
    });
    vec![
        case(
            "ekcert_ca",
            json!({ "registry": "/no/such/registry", "ca_bundle": ["/no/such/ca"], "fetch": false }),
            vec![
                json!({}),
                json!({ "hosts": [], "ek_cert_pem": certificate }),
                json!({ "hosts": twice }),
                json!({ "hosts": [], "archived": ["a"] }),
                json!({ "registry": "/a", "trusted_roots": certificate }),
                json!({ "registry": "/a", "current": "- x" }),
            ],
        ),
        case(
            "enroll",
            json!({
                "name": "a", "bot_name": "b", "registry": "/no/such/registry", "path": "/no/such/file", "tctl": "/no/such/tctl",
                "trusted_roots": ["/no/such/ca"],
            }),
            vec![
                json!({ "registry": "/a" }),
                json!({ "name": "a", "hosts": twice }),
                json!({ "name": "a", "hosts": [], "tokens": "many" }),
                json!({ "name": "a", "hosts": [], "shards": 0 }),
                json!({ "name": "a", "hosts": [], "remove": [" "] }),
                json!({ "name": "a", "hosts": [], "ekcert_allowed_cas": "ca.pem" }),
                json!({ "name": "a", "hosts": [], "tctl": 3 }),
                json!({ "name": "a", "hosts": [], "bot": { "roles": ["access"] } }),
                json!({ "name": "a", "hosts": [], "all_tokens": true }),
                json!({ "name": "a", "registry": "/a", "former": [] }),
                json!({ "name": "a", "hosts": [], "former": [{ "ek_public_hash": "ab" }] }),
            ],
        ),
        case(
            "preflight",
            json!({ "token": token, "registry": "/no/such/registry" }),
            vec![
                json!({ "token": [], "hosts": [] }),
                json!({ "token": token }),
                json!({ "token": token, "hosts": twice }),
            ],
        ),
        case(
            "registry",
            json!({ "registry": "/no/such/registry", "host": "a", "state": "archived" }),
            vec![
                json!({ "registry": "/a", "host": "a" }),
                json!({ "registry": "/a", "host": "a", "hosts": [] }),
                json!({ "registry": "/a", "hosts": [{ "hots": "a" }] }),
                json!({ "registry": "/a", "host": "a", "state": "contents" }),
            ],
        ),
        case(
            "registry",
            json!({ "registry": "/no/such/registry", "hosts": [{ "host": "a/b" }, { "host": "a", "identity": {} }] }),
            vec![],
        ),
        case("registry", json!({ "registry": "/no/such/registry", "state": "contents" }), vec![]),
        case(
            "token",
            json!({ "name": "a", "registry": "/no/such/registry", "path": "/no/such/file", "ekcert_allowed_cas": "/no/such/ca" }),
            vec![
                json!({ "name": "a" }),
                json!({ "name": "a", "hosts": twice }),
                json!({ "name": "a", "hosts": [], "archived": "b" }),
                json!({ "name": "a", "hosts": [], "shards": 0 }),
                json!({ "name": "a", "remove": [" "] }),
                json!({ "name": "a", "hosts": [], "ekcert_allowed_cas": "ca.pem" }),
                json!({ "name": "a", "hosts": [], "ekcert_allowed_cas": certificate }),
                json!({ "name": "a", "hosts": [], "current": "kind: user" }),
            ],
        ),
    ]
}

/// The request of an action with these parameters, and the same that only asks whether it makes sense.
fn requests(action: &str, parameters: &Value) -> [Value; 2] {
    let mut request = parameters.clone();
    request["action"] = action.into();
    let mut question = request.clone();
    question["_tbot_validate_only"] = true.into();
    [request, question]
}

#[test]
fn every_action_has_cases() {
    let message = fail(&json!({ "action": "" }), "invalid_request");
    let (_, listed) = message.split_once("(nearest first): ").unwrap();
    let known: BTreeSet<&str> = listed.split(", ").collect();
    assert_eq!(cases().iter().map(|case| case.action).collect::<BTreeSet<_>>(), known);
}

/// What is said of the requests that are wrong by themselves, which is the same for the question.
fn said_of_wrong(cases: Vec<Case>) -> String {
    let wrong =
        cases.into_iter().flat_map(|case| case.wrong.into_iter().map(move |wrong| (case.action, wrong)));
    listed(wrong, |(action, parameters)| {
        let [request, question] = requests(action, parameters);
        let answers = [&request, &question].map(|request| run_raw(request.to_string().as_bytes()));
        assert_eq!(answers[0].stdout, answers[1].stdout, "{question}");
        let answer = parse(&answers[0]);
        assert_eq!(answer["failed"], true, "{request}: {answer}");
        (format!("{action} {parameters}"), answer["msg"].as_str().unwrap().to_owned())
    })
}

#[test]
fn what_is_wrong_by_itself_is_said_in_the_same_bytes() {
    snapshot!(said_of_wrong(of_one_host()), @r#"
    access {"tcti":"/dev/tpm0"}
        `/dev/tpm0` is no TCTI that this version knows; write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, swtpm:path=/run/tpm.sock, mssim:host=…,port=… or tabrmd
    access {"user":"-x"}
        parameter `user` of action `access`: "-x" is no name of a user or group that can be used here; give its number
    cluster {}
        action `cluster` needs parameter `proxy_server`
    cluster {"proxy_server":"a","timeout":0}
        parameter `timeout` of action `cluster`: a time limit is 1 to 3600 seconds, not 0
    cluster {"proxy_server":"a","require":["version"]}
        parameter `require[0]` of action `cluster`: `version` is none of its values: edition, server_version, cluster_name, min_client_version, auto_update
    cluster {"proxy_server":"a","require_enterprise":"perhaps"}
        parameter `require_enterprise` of action `cluster`: expected a boolean (yes or no, true or false), found the text "perhaps"
    config {"storage_type":"memory","storage_path":"/a"}
        parameter `storage_path` of action `config` has no use with `storage_type: memory`; give one of them
    config {"extra":{"version":"v1"}}
        parameter `extra`: `version` is "v1", but this action always makes it "v2"
    config {"defaults":{"onboarding":{}}}
        parameter `defaults`: this action always gives `onboarding`, so there is no default for it
    deploy {}
        action `deploy` has nothing to do; give at least one of program, access, storage, config, destinations, systemd and service, each as an object
    deploy {"storage":{"path":"/etc/bot"}}
        /etc/bot is a directory of the system; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot
    deploy {"storage":{"pth":"/var/lib/bot"}}
        action `storage` has no parameter `pth`; did you mean (nearest first): path, mode, state, owner, group
    deploy {"config":{"state":"absent"}}
        parameter `config` of action `deploy` may not have `state`: give `state` of the deployment
    deploy {"service":{"wait":3601}}
        parameter `wait` of action `service`: 3601 is more than 3600
    deploy {"storage":"/var/lib/bot"}
        parameter `storage` of action `deploy`: expected an object, as JSON or as key=value pairs, found the text "/var/lib/bot"
    deploy {"state":"gone","storage":{}}
        parameter `state` of action `deploy`: `gone` is none of its values: absent, present, compared
    deploy {"storage":{},"instances":[{"name":"a","role":"b"}]}
        action `deploy` has no parameter `instances[0].role`; did you mean (nearest first): name, group, state, hosts, user, bot_roles, leaves, readers, bot_name, services, token_name, bot_traits, diag_addr, config_extra, storage_path, config_path, service_name
    destinations {"config":"tbot.yaml"}
        parameter `config` of action `destinations`: the path "tbot.yaml" is not absolute; write it from the root (/…)
    destinations {"ownr":"nobody"}
        action `destinations` has no parameter `ownr`; did you mean (nearest first): owner, config, group, absent
    identify {"tcti":"swtpm:prot=1"}
        `swtpm:prot=1` is no TCTI that this version knows; write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, swtpm:path=/run/tpm.sock, mssim:host=…,port=… or tabrmd
    identify {"expected_ek_public_hash":"ab"}
        parameter `expected_ek_public_hash` of action `identify`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "ab"
    identify {"tctii":"device"}
        action `identify` has no parameter `tctii`; did you mean (nearest first): tcti, record, backend, timeout, program, same_proxy, expected_ek_public_hash
    identify {"record":{"registry":"/a","host":"b","hosts":[]}}
        parameter `record` of action `identify` records the identity of one host; give `registry` and `host`, and where you want `rule_description` and `accept_identity_change`
    identify {"record":{"registry":"a"}}
        parameter `registry` of action `registry`: the path "a" is not absolute; write it from the root (/…)
    identify {"program":{"version":"v17"}}
        parameter `version` of action `program`: invalid version "v17": write a whole one without a leading v, such as 17.5.1 or 18.0.0-rc.1
    identify {"same_proxy":{"proxy_server":""}}
        parameter `proxy_server` of action `config`: "" is no host:port: a host is a DNS name, an IPv4 address, or an IPv6 address in brackets
    program {"version":"v17.5.1"}
        parameter `version` of action `program`: invalid version "v17.5.1": write a whole one without a leading v, such as 17.5.1 or 18.0.0-rc.1
    program {"path":"tbot"}
        parameter `path` of action `program`: the path "tbot" is not absolute; write it from the root (/…)
    service {"wait":3601}
        parameter `wait` of action `service`: 3601 is more than 3600
    service {"name":"a/b"}
        parameter `name` of action `service`: "a/b" is no unit name: use letters, digits, and any of : - _ .
    storage {"path":"bot"}
        parameter `path` of action `storage`: the path "bot" is not absolute; write it from the root (/…); nothing was changed
    storage {"path":"/etc/bot"}
        /etc/bot is a directory of the system; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot
    storage {"path":"/var","state":"absent"}
        /var is a directory of the system; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot
    storage {"mode":"rwx"}
        parameter `mode` of action `storage`: "rwx" is no mode; write it in octal, such as "0700"
    summary {}
        action `summary` needs parameter `hosts`
    summary {"hosts":[{"hots":"a"}]}
        action `summary` has no parameter `hosts[0].hots`; did you mean (nearest first): host, problem, changed, deployed, compared, accessed, identified
    systemd {"pid_file":"tbot.pid"}
        parameter `pid_file` of action `systemd`: the path "tbot.pid" is not absolute; write it from the root (/…)
    "#);
}

#[test]
fn what_is_wrong_about_a_fleet_is_said_in_the_same_bytes() {
    snapshot!(said_of_wrong(of_a_fleet()), @r#"
    ekcert_ca {}
        action `ekcert_ca` needs `hosts` or `registry`
    ekcert_ca {"hosts":[],"ek_cert_pem":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}
        give either `ek_cert_pem` or hosts (`hosts`, `registry`), not both
    ekcert_ca {"hosts":[{"description":"a","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"},{"description":"b","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}
        `a` and `b` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other
    ekcert_ca {"hosts":[],"archived":["a"]}
        `archived` names hosts of the registry, and needs `registry`
    ekcert_ca {"registry":"/a","trusted_roots":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}
        `trusted_roots`: a text in `trusted_roots` holds no certificate: left out of a text in `trusted_roots`: the data does not start with a DER sequence; give certificates in DER, PEM or PKCS #7
    ekcert_ca {"registry":"/a","current":"- x"}
        `current` is no join token; it was left as it is
    enroll {"registry":"/a"}
        action `enroll` needs parameter `name`
    enroll {"name":"a","hosts":[{"description":"a","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"},{"description":"b","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}
        `a` and `b` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other
    enroll {"name":"a","hosts":[],"tokens":"many"}
        parameter `tokens` of action `enroll`: `********` is none of its values: shared, sharded, per_host
    enroll {"name":"a","hosts":[],"shards":0}
        `shards` is 0, and may be 1 to 10000
    enroll {"name":"a","hosts":[],"remove":[" "]}
        `remove` has an empty element
    enroll {"name":"a","hosts":[],"ekcert_allowed_cas":"ca.pem"}
        `ekcert_allowed_cas[0]` is neither PEM nor a path: the path "ca.pem" is not absolute; write it from the root (/…)
    enroll {"name":"a","hosts":[],"tctl":3}
        `tctl` is neither a list of words nor a text
    enroll {"name":"a","hosts":[],"bot":{"roles":["access"]}}
        `bot` needs `name`, or `bot_name` beside it
    enroll {"name":"a","hosts":[],"all_tokens":true}
        `all_tokens` goes with `read_only`
    enroll {"name":"a","registry":"/a","former":[]}
        `former` stands for the registry's archive: give either `registry` or `hosts` with `former`
    enroll {"name":"a","hosts":[],"former":[{"ek_public_hash":"ab"}]}
        parameter `former[0].ek_public_hash` of action `enroll`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "ab"
    preflight {"token":[],"hosts":[]}
        `token` holds no token; give what `tctl get token/NAME` shows
    preflight {"token":{"kind":"token","version":"v2","metadata":{"name":"a"},"spec":{"roles":["Node"],"join_method":"tpm","tpm":{"allow":[{"ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}}}}
        action `preflight` needs `hosts` or `registry`
    preflight {"token":{"kind":"token","version":"v2","metadata":{"name":"a"},"spec":{"roles":["Node"],"join_method":"tpm","tpm":{"allow":[{"ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}}},"hosts":[{"description":"a","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"},{"description":"b","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}
        `a` and `b` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other
    registry {"registry":"/a","host":"a"}
        action `registry` needs parameter `identity`; give what `identify` returned for the host, or `state: archived`
    registry {"registry":"/a","host":"a","hosts":[]}
        `hosts` has everything about each host: leave out `host`, `identity` and `rule_description`
    registry {"registry":"/a","hosts":[{"hots":"a"}]}
        action `registry` has no parameter `hosts[0].hots`; did you mean (nearest first): host, identity, rule_description
    registry {"registry":"/a","host":"a","state":"contents"}
        `state: contents` is about all hosts: leave out `host` and `hosts`
    token {"name":"a"}
        action `token` needs `hosts` or `registry`
    token {"name":"a","hosts":[{"description":"a","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"},{"description":"b","ek_public_hash":"4f1d6d7a8c9b0a1e2f3d4c5b6a798877665544332211ffeeddccbbaa99887766"}]}
        `a` and `b` have the same TPM (one EK public hash); a cloned virtual TPM must be replaced by a new one, since either host could join as the other
    token {"name":"a","hosts":[],"archived":"b"}
        `archived` names hosts of the registry, and needs `registry`
    token {"name":"a","hosts":[],"shards":0}
        `shards` is 0, and may be 1 to 10000
    token {"name":"a","remove":[" "]}
        `remove` has an empty element
    token {"name":"a","hosts":[],"ekcert_allowed_cas":"ca.pem"}
        `ekcert_allowed_cas[0]` is neither PEM nor a path: the path "ca.pem" is not absolute; write it from the root (/…)
    token {"name":"a","hosts":[],"ekcert_allowed_cas":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}
        `ekcert_allowed_cas[0]` holds a certificate that does not parse
    token {"name":"a","hosts":[],"current":"kind: user"}
        `current` is no join token (kind: token); it was left as it is
    "#);
}

#[test]
fn what_makes_sense_is_answered_without_looking_at_anything() {
    if !strace::is_usable() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    let places = |request: &Value| {
        fs::write(&file, request.to_string()).unwrap();
        strace::places(&file)
    };
    // What is looked at to read a request and to answer it.
    let none = places(&json!({ "action": "nonsense" }));
    for case in cases() {
        let [mut request, question] = requests(case.action, &case.right);
        let answer = succeed(&question);
        assert_eq!(answer["changed"], false);
        assert_eq!(answer["invocation"]["module_args"], request);
        let of_question: Vec<String> = places(&question).difference(&none).cloned().collect();
        assert_eq!(of_question, Vec::<String>::new(), "{question}");
        request["_ansible_check_mode"] = true.into();
        assert_ne!(places(&request), none, "{request} would touch nothing anyway, and proves nothing");
    }
}

#[test]
fn a_question_that_is_not_understood_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bot");
    let request = |name: &str, value: Value| {
        let mut request = json!({ "action": "storage", "path": path });
        request[name] = value;
        fail(&request, "invalid_request")
    };
    snapshot!(request("_tbot_validate_only", json!("perhaps")), @r#"`_tbot_validate_only` is true or false, not "perhaps""#);
    // A name of the same kind that this version does not know, as an older one does not know this.
    snapshot!(request("_tbot_something_else", json!(true)), @"action `storage` has no parameter `_tbot_something_else`; did you mean (nearest first): owner, state, path, mode, group");
    assert!(!path.exists());
}

#[test]
fn a_question_denied_is_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bot");
    let answer = run(&json!({ "action": "storage", "path": path, "_tbot_validate_only": "no" }));
    assert_eq!(answer["changed"], true, "{answer}");
    assert!(path.is_dir());
}

/// What `module_defaults` say is meant for all actions together.
#[test]
fn a_default_of_another_action_is_left_out() {
    let request = |action: &str, defaults: Value| {
        json!({
            "action": action, "path": "/srv/bot", "tcti": "device", "wait": 5, "pid_file": "no path",
            "_tbot_defaults": defaults, "_tbot_validate_only": true,
        })
    };
    let all = json!(["path", "tcti", "wait", "pid_file"]);
    let shown = |action: &str| succeed(&request(action, all.clone()))["invocation"]["module_args"].clone();
    assert_eq!(shown("storage"), json!({ "action": "storage", "path": "/srv/bot" }));
    assert_eq!(shown("identify"), json!({ "action": "identify", "tcti": "device" }));
    assert_eq!(shown("service"), json!({ "action": "service", "wait": 5 }));
    // Its own is not left out, and the value is checked.
    snapshot!(fail(&request("systemd", all.clone()), "invalid_request"), @r#"parameter `pid_file` of action `systemd`: the path "no path" is not absolute; write it from the root (/…)"#);
}

#[test]
fn what_a_task_gives_is_never_left_out() {
    let request = |name: &str, defaults: Value| {
        let mut request = json!({ "action": "storage", "path": "/srv/bot", "_tbot_validate_only": true });
        request[name] = "device".into();
        request["_tbot_defaults"] = defaults;
        fail(&request, "invalid_request")
    };
    snapshot!(request("tcti", json!([])), @"action `storage` has no parameter `tcti`; did you mean (nearest first): path, state, mode, owner, group");
    snapshot!(request("tcti", json!(["path"])), @"action `storage` has no parameter `tcti`; did you mean (nearest first): path, state, mode, owner, group");
    // No action has it.
    snapshot!(request("tctii", json!(["tctii"])), @"action `storage` has no parameter `tctii`; did you mean (nearest first): path, state, owner, group, mode");
    snapshot!(request("tcti", json!("tcti")), @"`_tbot_defaults` is a list of names of parameters");
    snapshot!(request("tcti", json!([1])), @"`_tbot_defaults` is a list of names of parameters");
}
