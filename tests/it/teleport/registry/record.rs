//! `registry`: one host's identity recorded, brought up to date, replaced and archived.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::registry::{HOST, Place, certified, found, mode, read, uncertified};
use crate::support::tokens::hash;
use crate::support::{fail, run, succeed, tool};

#[test]
fn a_new_host_is_recorded_with_what_stays_the_same_as_long_as_its_tpm_does() {
    let place = Place::new();
    let identity = certified();
    let answer = place.record(identity.clone());
    let expected = format!(
        r#"{{
  "description": "web-1",
  "ek_cert_pem": {},
  "ek_cert_present": true,
  "ek_cert_serial": "0f:ff",
  "ek_cert_sha256": {},
  "ek_public_hash": {}
}}
"#,
        identity["ek_cert_pem"], identity["ek_cert_sha256"], identity["ek_public_hash"]
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
    place.record(uncertified());
    let path = place.entry(HOST);
    let mut entry = read(&path);
    entry["rack"] = json!({ "row": 7, "é": [1.5, null] });
    let other_form = entry.to_string();
    fs::write(&path, &other_form).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.record(uncertified())["changed"], false);
    assert_eq!(fs::read_to_string(&path).unwrap(), other_form, "it says the same");

    let answer = place.record(certified());
    assert_eq!((&answer["changed"], &answer["archived"]), (&json!(true), &json!([])));
    assert_eq!(read(&path)["rack"], entry["rack"]);
    assert_eq!(read(&path)["ek_cert_serial"], "0f:ff");
    let accepted = json!({ "identity": found('b'), "accept_identity_change": true });
    place.change(accepted);
    assert_eq!(read(&path)["rack"], entry["rack"]);
    assert_eq!((mode(&path), mode(&place.archived_of(HOST, &certified()))), (0o600, 0o600));
}

#[test]
fn another_tpm_is_refused_until_it_is_accepted() {
    let place = Place::new();
    let identity = certified();
    place.record(identity.clone());
    let former = fs::read_to_string(place.entry(HOST)).unwrap();
    let message = place.refuse(json!({ "identity": found('b') }), "identity_changed");
    let path = place.entry(HOST);
    for expected in [
        "`web-1`",
        identity["ek_public_hash"].as_str().unwrap(),
        &hash('b'),
        path.to_str().unwrap(),
        r#"--extra-vars '{"tbot_accept_identity_change": ["web-1"]}'"#,
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let answer = place.change(json!({ "identity": found('b'), "accept_identity_change": true }));
    assert_eq!(answer["former_ek_public_hash"], identity["ek_public_hash"]);
    let archived = place.archived_of(HOST, &identity);
    assert_eq!(answer["archived"], json!([archived]));
    assert_eq!(fs::read_to_string(&archived).unwrap(), former);
    assert_eq!((mode(&archived), mode(archived.parent().unwrap())), (0o644, 0o755));
    assert_eq!(read(&path)["ek_public_hash"], hash('b'));
    assert_eq!(place.record(found('b'))["archived"], json!([archived]));
}

#[test]
fn an_ek_certificate_that_is_gone_is_refused_until_that_is_accepted() {
    let place = Place::new();
    place.record(certified());
    let message = place.refuse(json!({ "identity": uncertified() }), "identity_changed");
    for expected in [
        "`web-1`",
        certified()["ek_public_hash"].as_str().unwrap(),
        "tpm2_dictionarylockout --clear-lockout",
        "--extra-vars",
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let answer = place.change(json!({ "identity": uncertified(), "accept_identity_change": true }));
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
    place.change(json!({ "host": "web-3", "identity": found('a'), "accept_identity_change": true }));
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
    place.record(certified());
    let entry = fs::read_to_string(place.entry(HOST)).unwrap();
    let answer = place.change(json!({ "state": "archived" }));
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["former_ek_public_hash"], certified()["ek_public_hash"]);
    assert_eq!((&answer["identity"], &answer["diff"]["after"]), (&Value::Null, &json!("")));
    assert_eq!(answer["archived"], json!([place.archived_of(HOST, &certified())]));
    assert_eq!(fs::read_to_string(place.archived_of(HOST, &certified())).unwrap(), entry);
    assert!(!place.entry(HOST).exists());
}

#[test]
fn a_host_that_comes_back_is_archived_anew_and_others_files_are_not_its_own() {
    let place = Place::new();
    place.record(uncertified());
    place.change(json!({ "state": "archived" }));
    place.record(certified());
    let answer = place.change(json!({ "state": "archived" }));
    assert_eq!(answer["archived"], json!([place.archived_of(HOST, &certified())]));
    assert_eq!(read(&place.archived_of(HOST, &certified()))["ek_cert_serial"], "0f:ff", "the newer one");
    place.record(found('b'));
    place.change(json!({ "state": "archived" }));
    // A name that looks like another host's archived entry.
    let other = format!("{HOST}.{}", "c".repeat(16));
    place.change(json!({ "host": other, "identity": found('d') }));
    place.change(json!({ "host": other, "state": "archived" }));
    let mut archived = [place.archived_of(HOST, &certified()), place.archived(HOST, 'b')];
    archived.sort();
    let archived = json!(archived);
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
fn a_chain_is_kept_as_long_as_the_certificate_is_the_same() {
    let place = Place::new();
    let chain = certified()["ek_cert_pem"].clone();
    let mut with = certified();
    with["ek_cert_chain_pem"] = chain.clone();
    let changed = |identity: Value| place.record(identity)["changed"].clone();
    assert_eq!(changed(certified()), true);
    assert!(read(&place.entry(HOST)).get("ek_cert_chain_pem").is_none());
    assert_eq!(changed(with.clone()), true);
    assert_eq!(changed(with), false);
    // What is not read today is not forgotten.
    let mut without = certified();
    without["ek_cert_chain_pem"] = Value::Null;
    assert_eq!(changed(without), false);
    assert_eq!(read(&place.entry(HOST))["ek_cert_chain_pem"], chain);
    let other = json!({ "identity": found('a'), "accept_identity_change": true });
    succeed(&place.request(other));
    assert!(read(&place.entry(HOST)).get("ek_cert_chain_pem").is_none());
}

#[test]
fn a_chain_that_no_tpm_has_is_not_recorded() {
    let place = Place::new();
    let mut identity = certified();
    let pem = identity["ek_cert_pem"].as_str().unwrap().to_owned();
    for (chain, why) in [
        (pem.repeat(10_000), "bytes, and may have 24576"),
        ("x".to_owned(), "its `ek_cert_chain_pem` holds no certificate"),
        (pem.replace("MII", "AII"), "has a damaged certificate"),
    ] {
        identity["ek_cert_chain_pem"] = json!(chain);
        let message = fail(&place.request(json!({ "identity": identity })), "invalid_request");
        assert!(message.contains(why), "{message}");
    }
    let mut uncertified = uncertified();
    uncertified["ek_cert_chain_pem"] = json!(pem);
    let message = fail(&place.request(json!({ "identity": uncertified })), "invalid_request");
    assert!(message.contains("no EK certificate that this could be above"), "{message}");
    assert!(!place.entry(HOST).exists());
}
