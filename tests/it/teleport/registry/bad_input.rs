//! `registry` and what it refuses: malformed entries, files in the way, names and identities that are none.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::manufacturer::Manufacturer;
use crate::support::messages::{listed, snapshot};
use crate::support::registry::{HOST, Place, certified, found};
use crate::support::tokens::hash;

#[test]
fn a_malformed_entry_is_left_as_it_is_and_named() {
    let twice = format!(r#"{{"ek_public_hash": "{}", "ek_public_hash": "{}"}}"#, hash('c'), hash('d'));
    let said = listed(
        ["", "{", "[]", "{}", r#"{"ek_public_hash": 12}"#, r#"{"ek_public_hash": "12"}"#, &twice],
        |text| {
            let place = Place::new();
            fs::write(place.entry(HOST), text).unwrap();
            let accepted = json!({ "identity": found('a'), "accept_identity_change": true });
            let message = place.refuse(accepted, "invalid_request");
            // Other hosts are none the worse for it.
            place.change(json!({ "host": "web-2", "identity": found('a') }));
            ((*text).to_owned(), message)
        },
    );
    snapshot!(said, @r#"

        the registry's file [DIR]/registry/web-1.json is no JSON object: EOF while parsing a value at line 1 column 0; correct it, restore it from version control, or remove it and identify the host again
    {
        the registry's file [DIR]/registry/web-1.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    []
        the registry's file [DIR]/registry/web-1.json is JSON, but no JSON object; correct it, restore it from version control, or remove it and identify the host again
    {}
        the registry's file [DIR]/registry/web-1.json has no `ek_public_hash`; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": 12}
        the registry's file [DIR]/registry/web-1.json is no identity: invalid type: integer `12`, expected a string; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": "12"}
        the registry's file [DIR]/registry/web-1.json is no identity: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "12"; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", "ek_public_hash": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}
        the registry's file [DIR]/registry/web-1.json is no JSON object: the key `ek_public_hash` is there twice at line 1 column 103; correct it, restore it from version control, or remove it and identify the host again
    "#);
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
    snapshot!(message, @"the registry has other files of `web-1` than [DIR]/registry/web-1.json: [DIR]/registry/web-1.JSON; remove those that are out of date, and give what is left that name");

    let place = Place::new();
    place.record(found('a'));
    archive(&place);
    let other = json!({ "ek_public_hash": format!("{}b", &hash('a')[1..]) }).to_string();
    let said = listed([("{", "invalid_request"), (&other, "conflict")], |(text, kind)| {
        fs::write(place.archived(HOST, 'a'), text).unwrap();
        let message = place.refuse(accepted.clone(), kind);
        assert_eq!(place.refuse(json!({ "state": "archived" }), kind), message);
        ((*text).to_owned(), message)
    });
    snapshot!(said, @r#"
    {
        the registry's file [DIR]/registry/archive/web-1.aaaaaaaaaaaaaaaa.json is no JSON object: EOF while parsing an object at line 1 column 1; correct it, restore it from version control, or remove it and identify the host again
    {"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}
        [DIR]/registry/archive/web-1.aaaaaaaaaaaaaaaa.json is the archived entry of another TPM; give that file another name
    "#);

    let place = Place::new();
    place.record(found('a'));
    fs::write(place.registry().join("archive"), "").unwrap();
    snapshot!(place.refuse(json!({ "state": "archived" }), "io"), @"cannot read [DIR]/registry/archive/web-1.aaaaaaaaaaaaaaaa.json: Not a directory (os error 20); a file is where a directory is named");

    let place = Place::new();
    let no_directory = json!({ "registry": "/proc/self/status", "identity": found('a') });
    snapshot!(place.refuse(no_directory, "io"), @"cannot read /proc/self/status: Not a directory (os error 20); a file is where a directory is named");
}

#[test]
fn a_name_that_cannot_be_a_files_is_refused() {
    let place = Place::new();
    let long = "x".repeat(201);
    let said = listed(["", ".", "..", ".a", "a/b", "../a", "a b", "é", "a\n", &long], |name| {
        let change = json!({ "host": name, "identity": found('a') });
        let message = place.refuse(change, "invalid_request");
        let archive = json!({ "host": name, "state": "archived" });
        assert_eq!(place.refuse(archive, "invalid_request"), message);
        (format!("{name:?}"), message)
    });
    snapshot!(said, @r#"
    ""
        parameter `host` of action `registry`: "" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "."
        parameter `host` of action `registry`: "." cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    ".."
        parameter `host` of action `registry`: ".." cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    ".a"
        parameter `host` of action `registry`: ".a" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "a/b"
        parameter `host` of action `registry`: "a/b" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "../a"
        parameter `host` of action `registry`: "../a" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "a b"
        parameter `host` of action `registry`: "a b" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "é"
        parameter `host` of action `registry`: "é" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "a\n"
        parameter `host` of action `registry`: "a\n" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        parameter `host` of action `registry`: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" cannot name a file of the registry: use letters, digits, '.', '_' and '-' (at most 200, not '.' first), and put the address in `ansible_host`
    "#);
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
    let other = Manufacturer::new("Other").tpm(HOST, "0f:fe");
    let pem = certified()["ek_cert_pem"].as_str().unwrap().to_owned();
    let unlike = |name: &str| with(certified(), name, other[name].clone());
    let place = Place::new();
    let said = listed(
        [
            ("nothing", Value::Null),
            ("an empty one", json!({})),
            ("a hash alone", json!({ "ek_public_hash": hash('a') })),
            ("a hash that is none", with(found('a'), "ek_public_hash", json!("ab"))),
            ("no certificate that is there", with(found('a'), "ek_cert_present", json!(true))),
            ("no PEM", with(certified(), "ek_cert_pem", Value::Null)),
            ("a certificate that is not there", with(certified(), "ek_cert_present", json!(false))),
            ("a number as serial number", with(certified(), "ek_cert_serial", json!(754))),
            (
                "an endless serial number",
                with(certified(), "ek_cert_serial", json!(vec!["0f"; 200_000].join(":"))),
            ),
            ("another's hash", unlike("ek_public_hash")),
            ("another's serial number", unlike("ek_cert_serial")),
            ("another's certificate", unlike("ek_cert_pem")),
            ("another fingerprint", with(certified(), "ek_cert_sha256", json!(hash('f')))),
            ("an empty fingerprint", with(certified(), "ek_cert_sha256", json!(""))),
            ("no certificate", with(certified(), "ek_cert_pem", json!("-----BEGIN CERTIFICATE-----\n"))),
            ("two certificates", with(certified(), "ek_cert_pem", json!(pem.repeat(2)))),
            (
                "a long text",
                with(certified(), "ek_cert_pem", json!(format!("{pem}{}", "x".repeat(66399 - pem.len())))),
            ),
        ],
        |(what, identity)| {
            ((*what).to_owned(), place.refuse(json!({ "identity": identity }), "invalid_request"))
        },
    );
    snapshot!(said, @r#"
    nothing
        action `registry` needs parameter `identity`; give what `identify` returned for the host, or `state: archived`
    an empty one
        action `registry` needs parameter `identity.ek_public_hash`
    a hash alone
        action `registry` needs parameter `identity.ek_cert_present`
    a hash that is none
        parameter `identity.ek_public_hash` of action `registry`: an EK public hash is 64 hexadecimal digits (SHA-256), this has 2 characters: "ab"
    no certificate that is there
        parameter `identity` of action `registry`: it has no `ek_cert_serial`, and `ek_cert_present` says that there is one
    no PEM
        parameter `identity` of action `registry`: it has no `ek_cert_pem`, and `ek_cert_present` says that there is one
    a certificate that is not there
        parameter `identity` of action `registry`: it has `ek_cert_serial`, and `ek_cert_present` says that there is none
    a number as serial number
        parameter `identity.ek_cert_serial` of action `registry`: expected a text (quote it, as in "12:34"), found the number 754
    an endless serial number
        parameter `identity.ek_cert_serial` of action `registry`: an EK certificate serial has at most 64 pairs of hexadecimal digits, this has 200000
    another's hash
        parameter `identity` of action `registry`: its EK certificate is for another key, with the hash [HASH], than `ek_public_hash` says: identify the host again
    another's serial number
        parameter `identity` of action `registry`: its EK certificate has the serial number 0f:ff, and `ek_cert_serial` says 0f:fe: identify the host again
    another's certificate
        parameter `identity` of action `registry`: its EK certificate is for another key, with the hash [HASH], than `ek_public_hash` says: identify the host again
    another fingerprint
        parameter `identity` of action `registry`: its EK certificate has the SHA-256 [HASH], and `ek_cert_sha256` says another: identify the host again
    an empty fingerprint
        parameter `identity` of action `registry`: its EK certificate has the SHA-256 [HASH], and `ek_cert_sha256` says another: identify the host again
    no certificate
        parameter `identity` of action `registry`: its `ek_cert_pem` is no EK certificate that the cluster could read (it is not one PEM block of type CERTIFICATE): identify the host again
    two certificates
        parameter `identity` of action `registry`: its `ek_cert_pem` is no EK certificate that the cluster could read (it is not one PEM block of type CERTIFICATE): identify the host again
    a long text
        parameter `identity` of action `registry`: its `ek_cert_pem` has 66399 bytes, and at most 65536 are recorded: no TPM has room for such a certificate
    "#);
    let said = listed(
        [
            json!({ "registry": "registry", "identity": found('a') }),
            json!({ "state": "absent", "identity": found('a') }),
            json!({ "registry": null, "identity": found('a') }),
        ],
        |request| (request.to_string(), place.refuse(request.clone(), "invalid_request")),
    );
    snapshot!(said, @r#"
    {"registry":"registry","identity":{"changed":false,"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ek_source":"create_primary","ek_cert_present":false,"ek_cert_serial":null,"ek_cert_sha256":null,"ek_cert_pem":null,"ek_cert":null,"tpm":{},"warnings":[]}}
        parameter `registry` of action `registry`: the path "registry" is not absolute; write it from the root (/…)
    {"state":"absent","identity":{"changed":false,"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ek_source":"create_primary","ek_cert_present":false,"ek_cert_serial":null,"ek_cert_sha256":null,"ek_cert_pem":null,"ek_cert":null,"tpm":{},"warnings":[]}}
        parameter `state` of action `registry`: `absent` is none of its values: present, listed, contents, leaving, archived
    {"registry":null,"identity":{"changed":false,"ek_public_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ek_source":"create_primary","ek_cert_present":false,"ek_cert_serial":null,"ek_cert_sha256":null,"ek_cert_pem":null,"ek_cert":null,"tpm":{},"warnings":[]}}
        action `registry` needs parameter `registry`
    "#);
}
