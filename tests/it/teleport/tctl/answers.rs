//! Answers of tctl among other output, and what is none.

use serde_json::{Value, json};
use tbot_tpm::error::Result;
use tbot_tpm::teleport::tctl::{Resource, Tctl};

use crate::support::messages::{listed, snapshot};
use crate::support::stand_in::{Cluster, name, script, told};

fn token(name: &str) -> Value {
    json!({
        "kind": "token",
        "version": "v2",
        "metadata": { "name": name, "labels": {} },
        "spec": { "roles": ["Bot"], "join_method": "tpm", "tpm": { "allow": [] } },
    })
}

fn get(tctl: &Tctl) -> Result<Option<Value>> {
    tctl.get(Resource::Token(&name("test-hosts")))
}

#[test]
fn noise_of_every_kind_does_not_matter() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.store(&token("test-hosts"));
    // The variable that keeps tctl from updates does not always reach it.
    let mut command = cluster.command();
    command.splice(2..2, ["sh", "-c", "unset TELEPORT_TOOLS_VERSION; exec \"$0\" \"$@\""].map(str::to_owned));
    let tctl = Tctl::new(command).unwrap();
    for progress in ["line", "same-line", ""] {
        for deprecation in ["stdout", "stderr", ""] {
            for logs in [true, false] {
                let awkward = json!({ "progress": progress, "deprecation": deprecation, "logs": logs });
                cluster.be_awkward(&awkward);
                assert_eq!(get(&tctl).unwrap(), Some(token("test-hosts")), "{awkward}");
                assert_eq!(tctl.tokens().unwrap(), [token("test-hosts")], "{awkward}");
                assert_eq!(tctl.locks().unwrap(), Some(Vec::new()), "{awkward}");
                let other = tctl.get(Resource::Token(&name("another")));
                assert_eq!(other.unwrap(), None, "{awkward}");
            }
        }
    }
}

#[test]
fn the_environment_keeps_tctl_from_updates() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.be_awkward(&json!({ "progress": "same-line" }));
    let log = cluster.file("output");
    let mut command = vec!["sh".to_owned(), "-c".to_owned()];
    command.push(format!("\"$@\" | tee {}", log.display()));
    command.push("sh".to_owned());
    command.extend(cluster.command());
    Tctl::new(command).unwrap().tokens().unwrap();
    assert_eq!(std::fs::read_to_string(log).unwrap(), "[]\n");
}

#[test]
fn what_is_cut_off_is_no_answer() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.store(&token("test-hosts"));
    let said = listed(["exit", "signal"], |cut| {
        cluster.be_awkward(&json!({ "cut": cut }));
        let errors = [get(&cluster.tctl()).unwrap_err(), cluster.tctl().tokens().unwrap_err()];
        ((*cut).to_owned(), errors.map(|error| error.message).join("\n"))
    });
    snapshot!(said, @"
    exit
        `tctl get token/test-hosts --format=json` gave no usable answer: its output is cut off. It said: (99 characters that may hold secrets, and are not shown)
        `tctl get tokens --format=json` gave no usable answer: its output is cut off. It said: (99 characters that may hold secrets, and are not shown)
    signal
        `tctl get token/test-hosts --format=json` was ended by signal 9
        `tctl get tokens --format=json` was ended by signal 9
    ");
}

#[test]
fn what_is_no_answer_is_quoted_without_secrets() {
    let long = "word ".repeat(500);
    let cases = [
        "",
        "null",
        "[]",
        "[{}]",
        r#"[{"metadata": {"name": "s3cret-token"}}]"#,
        r#"[{"metadata": {"name": "test-hosts"}}, {"metadata": {"name": "s3cret-token"}}]"#,
        r#"[{"metadata": {"name": "test-hosts"}}] [{"metadata": {"name": "test-hosts"}}]"#,
        r#"[{"metadata": {"name": "s3cret-tok"#,
        r#"{"kind": "token", "metadata": {"name": "s3cret-token"}}"#,
        "metadata:\n  name: s3cret-token",
        "Welcome to https://me:s3cret@proxy/, password=s3cret",
        &long,
    ];
    let said = listed(cases, |text| {
        let tctl = script(&format!("cat <<'END'\n{text}\nEND"));
        let shown = if text.len() > 100 { "a long text" } else { text };
        (shown.to_owned(), told(&get(&tctl).unwrap_err()).lines().next().unwrap().to_owned())
    });
    assert!(!said.lines().any(|line| line.starts_with("    ") && line.contains("s3cret")), "{said}");
    snapshot!(said, @r#"

        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed nothing
    null
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed null. It said: null
    []
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed an empty list. It said: []
    [{}]
        io: `tctl get token/test-hosts --format=json` gave no usable answer: its list has something without `metadata.name`. It said: [{}]
    [{"metadata": {"name": "s3cret-token"}}]
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed a resource of another name. It said: (40 characters that may hold secrets, and are not shown)
    [{"metadata": {"name": "test-hosts"}}, {"metadata": {"name": "s3cret-token"}}]
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed more than one resource. It said: (78 characters that may hold secrets, and are not shown)
    [{"metadata": {"name": "test-hosts"}}] [{"metadata": {"name": "test-hosts"}}]
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed more than one list. It said: (77 characters that may hold secrets, and are not shown)
    [{"metadata": {"name": "s3cret-tok
        io: `tctl get token/test-hosts --format=json` gave no usable answer: its list is not valid JSON. It said: (34 characters that may hold secrets, and are not shown)
    {"kind": "token", "metadata": {"name": "s3cret-token"}}
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed no JSON list. It said: (55 characters that may hold secrets, and are not shown)
    metadata:
      name: s3cret-token
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed no JSON list. It said: (28 characters that may hold secrets, and are not shown)
    Welcome to https://me:s3cret@proxy/, password=s3cret
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed no JSON list. It said: Welcome to https://********@proxy/, password=********
    a long text
        io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed no JSON list. It said: word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word … (2499 characters) …rd word word word word word word word
    "#);
    let error = get(&script("echo who is there >&2")).unwrap_err();
    snapshot!(told(&error), @"
    io: `tctl get token/test-hosts --format=json` gave no usable answer: it printed nothing. It said: who is there
    hint: run `sh -c 'echo who is there >&2' tctl get token/test-hosts '--format=json'` by hand where tctl runs: it must print a JSON list to standard output
    ");
}

#[test]
fn no_tokens_at_all_may_be_null() {
    for text in ["null", "[]"] {
        assert_eq!(script(&format!("echo '{text}'")).tokens().unwrap(), Vec::<Value>::new());
    }
    for text in ["", "{}", "[ ]", "Update: [] done"] {
        assert!(script(&format!("echo '{text}'")).tokens().is_err(), "{text}");
    }
}
