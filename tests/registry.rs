//! `registry`: one host's identity recorded, brought up to date, replaced and archived.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::tokens::hash;
use support::{fail, run, succeed, tool};
use tempfile::TempDir;

const HOST: &str = "web-1";

/// What `identify` returns for a TPM without an EK certificate.
fn found(digit: char) -> Value {
    json!({
        "changed": false, "ek_public_hash": hash(digit), "ek_source": "create_primary", "ek_cert_present": false,
        "ek_cert_serial": null, "ek_cert_sha256": null, "ek_cert_pem": null, "ek_cert": null, "tpm": {}, "warnings": [],
    })
}

/// The same with one.
fn certified(digit: char) -> Value {
    let mut found = found(digit);
    found["ek_cert_present"] = json!(true);
    found["ek_cert_serial"] = json!("0f:ff");
    found["ek_cert_sha256"] = json!(hash('f'));
    found["ek_cert_pem"] = json!("-----BEGIN CERTIFICATE-----\n");
    found
}

/// A registry in a directory that is gone with the value.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.registry()).unwrap();
        place
    }

    fn registry(&self) -> PathBuf {
        self.0.path().join("registry")
    }

    fn entry(&self, host: &str) -> PathBuf {
        self.registry().join(format!("{host}.json"))
    }

    /// The archived entry of the host's TPM with a hash of this digit.
    fn archived(&self, host: &str, digit: char) -> PathBuf {
        self.registry().join("archive").join(format!("{host}.{}.json", digit.to_string().repeat(16)))
    }

    fn request(&self, extra: Value) -> Value {
        let mut request = json!({ "action": "registry", "registry": self.registry(), "host": HOST });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        request
    }

    fn record(&self, identity: Value) -> Value {
        self.change(json!({ "identity": identity }))
    }

    /// The answer, which check mode must have foreseen, and after which there is nothing to do.
    fn change(&self, extra: Value) -> Value {
        let mut request = self.request(extra);
        request["_ansible_diff"] = json!(true);
        let mut check = request.clone();
        check["_ansible_check_mode"] = json!(true);
        let before = self.files();
        let foreseen = succeed(&check);
        assert_eq!(self.files(), before, "check mode wrote something");
        let answer = succeed(&request);
        let shown = |answer: &Value| {
            let mut answer = answer.clone();
            answer.as_object_mut().unwrap().remove("invocation");
            answer
        };
        assert_eq!(shown(&foreseen), shown(&answer));
        assert_eq!(answer["changed"], self.files() != before);
        assert_eq!(answer.get("diff").is_some(), answer["changed"] == true);
        let files = self.files();
        let again = succeed(&request);
        assert_eq!(again["changed"], false, "{again}");
        assert_eq!(self.files(), files);
        for name in ["path", "archived", "identity"] {
            assert_eq!(again[name], answer[name]);
        }
        assert_eq!(again["former_ek_public_hash"], Value::Null);
        answer
    }

    /// The message of a request that changes nothing, in check mode as in a run.
    fn refuse(&self, extra: Value, kind: &str) -> String {
        let mut request = self.request(extra);
        let before = self.files();
        let message = fail(&request, kind);
        assert_eq!(self.files(), before, "something was written");
        request["_ansible_check_mode"] = json!(true);
        assert_eq!(fail(&request, kind), message);
        message
    }

    /// Everything in the place, with the files' texts.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                let text = if path.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
                if path.is_dir() && !path.is_symlink() {
                    directories.push(path.clone());
                }
                files.push((path, text));
            }
        }
        files.sort();
        files
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_host_is_recorded_with_what_stays_the_same_as_long_as_its_tpm_does() {
    let place = Place::new();
    let answer = place.record(certified('a'));
    let expected = format!(
        r#"{{
  "description": "web-1",
  "ek_cert_pem": "-----BEGIN CERTIFICATE-----\n",
  "ek_cert_present": true,
  "ek_cert_serial": "0f:ff",
  "ek_cert_sha256": "{}",
  "ek_public_hash": "{}"
}}
"#,
        hash('f'),
        hash('a')
    );
    assert_eq!(fs::read_to_string(place.entry(HOST)).unwrap(), expected);
    assert_eq!(answer["path"], place.entry(HOST).to_str().unwrap());
    assert_eq!((&answer["archived"], &answer["former_ek_public_hash"]), (&json!([]), &Value::Null));
    assert_eq!(answer["identity"], read(&place.entry(HOST)));
    assert_eq!(answer["diff"]["before"], "");
    assert_eq!(answer["diff"]["after"], expected);
    let token = json!({ "action": "token", "name": "web", "bot_name": "web", "registry": place.registry() });
    assert_eq!(succeed(&token)["tokens"][0]["rules"], 1);
}

#[test]
fn a_registry_that_is_not_there_is_made_whatever_the_umask() {
    let place = Place::new();
    let registry = place.registry().join("a/b");
    let request = json!({ "registry": registry, "identity": found('a') });
    let mut foreseen = place.request(request.clone());
    foreseen["_ansible_check_mode"] = json!(true);
    assert_eq!(succeed(&foreseen)["changed"], true);
    assert!(!registry.exists());
    let file = place.0.path().join("the-request");
    fs::write(&file, place.request(request).to_string()).unwrap();
    let command = format!("umask 077; exec {} {}", env!("CARGO_BIN_EXE_tbot_tpm"), file.display());
    tool("sh", &["-c", &command]);
    assert_eq!((mode(&registry), mode(registry.parent().unwrap())), (0o755, 0o755));
    assert_eq!(mode(&registry.join("web-1.json")), 0o644);
}

#[test]
fn what_a_person_added_stays_and_a_file_keeps_its_mode() {
    let place = Place::new();
    place.record(found('a'));
    let path = place.entry(HOST);
    let mut entry = read(&path);
    entry["rack"] = json!({ "row": 7, "é": [1.5, null] });
    let other_form = entry.to_string();
    fs::write(&path, &other_form).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.record(found('a'))["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), other_form, "it says the same");

    let answer = place.record(certified('a'));
    assert_eq!((&answer["changed"], &answer["archived"]), (&json!(true), &json!([])));
    assert_eq!(read(&path)["rack"], entry["rack"]);
    assert_eq!(read(&path)["ek_cert_serial"], "0f:ff");
    let accepted = json!({ "identity": found('b'), "accept_identity_change": true });
    place.change(accepted);
    assert_eq!(read(&path)["rack"], entry["rack"]);
    assert_eq!((mode(&path), mode(&place.archived(HOST, 'a'))), (0o600, 0o600));
}

#[test]
fn another_tpm_is_refused_until_it_is_accepted() {
    let place = Place::new();
    place.record(certified('a'));
    let former = fs::read_to_string(place.entry(HOST)).unwrap();
    let message = place.refuse(json!({ "identity": found('b') }), "identity_changed");
    let path = place.entry(HOST);
    for expected in [
        "`web-1`",
        &hash('a'),
        &hash('b'),
        path.to_str().unwrap(),
        r#"--extra-vars '{"tbot_accept_identity_change": ["web-1"]}'"#,
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let answer = place.change(json!({ "identity": found('b'), "accept_identity_change": true }));
    assert_eq!(answer["former_ek_public_hash"], hash('a'));
    let archived = place.archived(HOST, 'a');
    assert_eq!(answer["archived"], json!([archived]));
    assert_eq!(fs::read_to_string(&archived).unwrap(), former);
    assert_eq!((mode(&archived), mode(archived.parent().unwrap())), (0o644, 0o755));
    assert_eq!(read(&path)["ek_public_hash"], hash('b'));
    assert_eq!(place.record(found('b'))["archived"], json!([archived]));
}

#[test]
fn an_ek_certificate_that_is_gone_is_refused_until_that_is_accepted() {
    let place = Place::new();
    place.record(certified('a'));
    let message = place.refuse(json!({ "identity": found('a') }), "identity_changed");
    for expected in ["`web-1`", &hash('a'), "tpm2_dictionarylockout --clear-lockout", "--extra-vars"] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let answer = place.change(json!({ "identity": found('a'), "accept_identity_change": true }));
    assert_eq!((&answer["former_ek_public_hash"], &answer["archived"]), (&Value::Null, &json!([])));
    assert_eq!(read(&place.entry(HOST))["ek_cert_pem"], Value::Null);
}

#[test]
fn two_hosts_cannot_have_one_tpm() {
    let place = Place::new();
    place.record(found('a'));
    let clone = json!({ "host": "web-2", "identity": found('a') });
    let message = place.refuse(clone.clone(), "conflict");
    assert!(message.contains("`web-1`") && message.contains("`web-2`"), "{message}");
    place.change(json!({ "host": "web-2", "identity": found('b') }));
    let accepted = json!({ "host": "web-2", "identity": found('a'), "accept_identity_change": true });
    place.refuse(accepted, "conflict");
    place.change(json!({ "state": "archived" }));
    place.change(json!({ "host": "web-3", "identity": found('a') }));
}

#[test]
fn clones_that_are_recorded_at_the_same_time_do_not_get_in_both() {
    for _ in 0..10 {
        let place = Place::new();
        fs::remove_dir(place.registry()).unwrap();
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let record = |index: usize| {
                let digit = char::from_digit(u32::try_from(index / 2).unwrap(), 10).unwrap();
                let request = place.request(json!({ "host": format!("h{index}"), "identity": found(digit) }));
                scope.spawn(move || run(&request))
            };
            let threads: Vec<_> = (0..16).map(record).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |name: &str, value: Value| answers.iter().filter(|answer| answer[name] == value).count();
        assert_eq!((count("changed", json!(true)), count("failed", json!(true))), (8, 8), "{answers:?}");
        assert_eq!(fs::read_dir(place.registry()).unwrap().count(), 8);
    }
}

#[test]
fn an_archived_entry_moves_as_it_is() {
    let place = Place::new();
    place.change(json!({ "state": "archived" }));
    place.record(certified('a'));
    let entry = fs::read_to_string(place.entry(HOST)).unwrap();
    let answer = place.change(json!({ "state": "archived" }));
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["former_ek_public_hash"], hash('a'));
    assert_eq!((&answer["identity"], &answer["diff"]["after"]), (&Value::Null, &json!("")));
    assert_eq!(answer["archived"], json!([place.archived(HOST, 'a')]));
    assert_eq!(fs::read_to_string(place.archived(HOST, 'a')).unwrap(), entry);
    assert!(!place.entry(HOST).exists());
}

#[test]
fn a_host_that_comes_back_is_archived_anew_and_others_files_are_not_its_own() {
    let place = Place::new();
    place.record(found('a'));
    place.change(json!({ "state": "archived" }));
    place.record(certified('a'));
    let answer = place.change(json!({ "state": "archived" }));
    assert_eq!(answer["archived"], json!([place.archived(HOST, 'a')]));
    assert_eq!(read(&place.archived(HOST, 'a'))["ek_cert_serial"], "0f:ff", "the newer one");
    place.record(found('b'));
    place.change(json!({ "state": "archived" }));
    // A name that looks like another host's archived entry.
    let other = format!("{HOST}.{}", "c".repeat(16));
    place.change(json!({ "host": other, "identity": found('d') }));
    place.change(json!({ "host": other, "state": "archived" }));
    let archived = json!([place.archived(HOST, 'a'), place.archived(HOST, 'b')]);
    assert_eq!(place.change(json!({ "state": "archived" }))["archived"], archived);
}

#[test]
fn a_registry_that_is_not_there_has_nothing_to_archive() {
    let place = Place::new();
    fs::remove_dir(place.registry()).unwrap();
    assert_eq!(place.change(json!({ "state": "archived" }))["changed"], false);
    assert!(!place.registry().exists());
}

#[test]
fn an_interrupted_change_is_finished() {
    let place = Place::new();
    place.record(found('a'));
    fs::create_dir(place.registry().join("archive")).unwrap();
    fs::copy(place.entry(HOST), place.archived(HOST, 'a')).unwrap();
    let accepted = json!({ "identity": found('b'), "accept_identity_change": true });
    assert_eq!(place.change(accepted)["former_ek_public_hash"], hash('a'));
    fs::copy(place.entry(HOST), place.archived(HOST, 'b')).unwrap();
    assert_eq!(place.change(json!({ "state": "archived" }))["former_ek_public_hash"], hash('b'));
}

#[test]
fn a_malformed_entry_is_left_as_it_is_and_named() {
    let twice = format!(r#"{{"ek_public_hash": "{}", "ek_public_hash": "{}"}}"#, hash('c'), hash('d'));
    for (text, why) in [
        ("", "is no JSON object"),
        ("{", "is no JSON object"),
        ("[]", "no JSON object"),
        ("{}", "has no `ek_public_hash`"),
        (r#"{"ek_public_hash": 12}"#, "is no identity"),
        (r#"{"ek_public_hash": "12"}"#, "64 hexadecimal digits"),
        (&twice, "twice"),
    ] {
        let place = Place::new();
        fs::write(place.entry(HOST), text).unwrap();
        for change in [
            json!({ "identity": found('a'), "accept_identity_change": true }),
            json!({ "state": "archived" }),
        ] {
            let message = place.refuse(change, "invalid_request");
            let is_clear = message.contains(why)
                && message.contains(place.entry(HOST).to_str().unwrap())
                && message.contains("restore it");
            assert!(is_clear, "{message}");
        }
        // Other hosts are none the worse for it.
        place.change(json!({ "host": "web-2", "identity": found('a') }));
    }
}

#[test]
fn files_that_are_in_the_way_are_left_as_they_are() {
    let archive = |place: &Place| fs::create_dir(place.registry().join("archive")).unwrap();
    let accepted = json!({ "identity": found('b'), "accept_identity_change": true });

    let place = Place::new();
    symlink("nowhere", place.entry(HOST)).unwrap();
    place.refuse(json!({ "identity": found('a') }), "unsafe_path");

    let place = Place::new();
    fs::write(place.registry().join("web-1.JSON"), json!({ "ek_public_hash": hash('a') }).to_string())
        .unwrap();
    let message = place.refuse(json!({ "identity": found('a') }), "conflict");
    assert!(message.contains("web-1.JSON"), "{message}");

    let place = Place::new();
    place.record(found('a'));
    archive(&place);
    for (text, kind) in [("{", "invalid_request"), (r#"{"ek_public_hash": "HASH"}"#, "conflict")] {
        let other = format!("{}b", &hash('a')[1..]);
        fs::write(place.archived(HOST, 'a'), text.replace("HASH", &other)).unwrap();
        for change in [accepted.clone(), json!({ "state": "archived" })] {
            let message = place.refuse(change, kind);
            assert!(message.contains("archive/web-1."), "{message}");
        }
    }

    let place = Place::new();
    place.record(found('a'));
    fs::write(place.registry().join("archive"), "").unwrap();
    place.refuse(json!({ "state": "archived" }), "io");

    let place = Place::new();
    place.refuse(json!({ "registry": "/proc/self/status", "identity": found('a') }), "io");
}

#[test]
fn a_name_that_cannot_be_a_files_is_refused() {
    let place = Place::new();
    for name in ["", ".", "..", ".a", "a/b", "../a", "a b", "é", "a\n", &"x".repeat(201)] {
        for state in [json!({ "identity": found('a') }), json!({ "state": "archived" })] {
            let mut change = state;
            change["host"] = json!(name);
            let message = place.refuse(change, "invalid_request");
            assert!(message.contains("ansible_host"), "{message}");
        }
    }
    place.change(json!({ "host": "x".repeat(200), "identity": found('a') }));
    place.change(json!({ "host": "x".repeat(200), "state": "archived" }));
    place.change(json!({ "host": "-A_b.example.com", "identity": found('b') }));
}

#[test]
fn an_identity_that_says_too_little_or_contradicts_itself_is_refused() {
    let with = |identity: Value, name: &str, value: Value| {
        let mut identity = identity;
        identity[name] = value;
        identity
    };
    let place = Place::new();
    for (identity, why) in [
        (Value::Null, "needs parameter `identity`"),
        (json!({}), "needs parameter `identity.ek_public_hash`"),
        (json!({ "ek_public_hash": hash('a') }), "needs parameter `identity.ek_cert_present`"),
        (with(found('a'), "ek_public_hash", json!("ab")), "64 hexadecimal digits"),
        (with(found('a'), "ek_cert_present", json!(true)), "has no `ek_cert_serial`"),
        (with(certified('a'), "ek_cert_pem", Value::Null), "has no `ek_cert_pem`"),
        (with(certified('a'), "ek_cert_present", json!(false)), "says that there is none"),
        (with(certified('a'), "ek_cert_serial", json!(754)), "ek_cert_serial"),
    ] {
        let message = place.refuse(json!({ "identity": identity }), "invalid_request");
        assert!(message.contains(why), "{message}");
    }
    place.refuse(json!({ "registry": "registry", "identity": found('a') }), "invalid_request");
    place.refuse(json!({ "state": "absent", "identity": found('a') }), "invalid_request");
    place.refuse(json!({ "registry": null, "identity": found('a') }), "invalid_request");
}
