//! The warnings of `identify`: what will make a join fail, or is about to, although the identity is known.
//! Each is there exactly when it should be; the other states have none.

use serde_json::{Value, json};

use crate::support::attest;
use crate::support::issued::{certificate_between, certificate_for};
use crate::support::messages::{listed, snapshot};
use crate::support::states::{
    EK_CERTIFICATE, EK_TEMPLATE, ENDORSEMENT_KEY, MANUFACTURERS, SIGNING_TEMPLATE, STORAGE_KEY,
    STORAGE_TEMPLATE, Template, identify, identify_expecting, one_warning,
};
use crate::support::{SoftwareTpm, certificate};

/// What `identify` finds, and whether the TPM joins, which must be as it says.
fn identify_and_join(tpm: &SoftwareTpm) -> Value {
    let answer = identify(tpm);
    if let Some(join) = attest::join(tpm) {
        assert_eq!(join.is_err(), attest::foretells_failure(&answer), "{join:?}: {answer}");
    }
    answer
}

/// The one warning.
fn warning(tpm: &SoftwareTpm) -> String {
    one_warning(&identify_and_join(tpm)).to_owned()
}

/// Every warning on a line of its own.
fn warnings(tpm: &SoftwareTpm) -> String {
    texts(&identify_and_join(tpm))
}

fn texts(answer: &Value) -> String {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    warnings.map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn no_warning(tpm: &SoftwareTpm) {
    assert_eq!(identify_and_join(tpm)["warnings"], json!([]));
}

fn evict(tpm: &SoftwareTpm, handle: &str) {
    tpm.tpm2("tpm2_evictcontrol", &["-C", "o", "-c", handle]);
}

fn certify(tpm: &SoftwareTpm, der: &[u8]) {
    tpm.replace_nv(EK_CERTIFICATE, MANUFACTURERS, der);
}

/// With the keys that `tbot` keeps at its first join.
fn join(tpm: &SoftwareTpm) -> String {
    tpm.keep_primary(STORAGE_KEY, "o", STORAGE_TEMPLATE);
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE)
}

#[test]
fn a_tpm_that_can_join_has_no_warnings() {
    let tpm = SoftwareTpm::start();
    let certificate = certificate_for(&tpm.default_ek(), 400);
    no_warning(&tpm);
    certify(&tpm, &certificate);
    no_warning(&tpm);
    let hash = join(&tpm);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_source"], "nv_certificate");
    tpm.tpm2("tpm2_nvundefine", &["-C", "p", EK_CERTIFICATE]);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_source"], "create_primary");
    assert_eq!(identify_expecting(&tpm, &hash)["warnings"], json!([]));
    assert!(tpm.is_parent(STORAGE_KEY), "such a storage key works");
    tpm.set_password("lockout");
    no_warning(&tpm);
}

#[test]
fn lockout_alone_is_no_warning() {
    let tpm = SoftwareTpm::start();
    join(&tpm);
    tpm.lock_out();
    assert!(tpm.is_parent(STORAGE_KEY), "a join goes on in lockout");
    no_warning(&tpm);
}

#[test]
fn an_endorsement_password_is_a_warning_with_a_certificate() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
    join(&tpm);
    tpm.set_password("endorsement");
    snapshot!(warning(&tpm), @"the TPM's endorsement hierarchy has a password, so tbot cannot join; clear it with `tpm2_changeauth -c endorsement -p PASSWORD`");
}

fn disable(tpm: &SoftwareTpm, hierarchy: &str) {
    tpm.tpm2("tpm2_hierarchycontrol", &["-C", "p", hierarchy, "clear"]);
}

#[test]
fn a_disabled_endorsement_hierarchy_is_a_warning_with_a_certificate() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
    disable(&tpm, "ehEnable");
    snapshot!(warning(&tpm), @"the TPM's endorsement hierarchy is disabled, so tbot cannot join; enable it in the firmware's settings");
}

#[test]
fn a_disabled_owner_hierarchy_is_a_warning_even_where_keys_are_kept() {
    let tpm = SoftwareTpm::start();
    disable(&tpm, "shEnable");
    snapshot!(warning(&tpm), @"the TPM's owner hierarchy is disabled, and with it the place where tbot keeps its keys, so tbot cannot join; enable it in the firmware's settings");

    let tpm = SoftwareTpm::start();
    join(&tpm);
    disable(&tpm, "shEnable");
    snapshot!(warning(&tpm), @"the TPM's owner hierarchy is disabled, and with it the place where tbot keeps its keys, so tbot cannot join; enable it in the firmware's settings");
}

#[test]
fn an_owner_password_is_a_warning_as_long_as_a_key_is_to_be_kept() {
    let tpm = SoftwareTpm::start();
    tpm.set_password("owner");
    snapshot!(warning(&tpm), @"the TPM's owner hierarchy has a password, and there is no key yet at 0x81000001 and 0x81010001, where tbot keeps one at its first join, so it cannot join; clear the password with `tpm2_changeauth -c owner -p PASSWORD`, at least until then");

    let tpm = SoftwareTpm::start();
    tpm.keep_primary(STORAGE_KEY, "o", STORAGE_TEMPLATE);
    tpm.set_password("owner");
    snapshot!(warning(&tpm), @"the TPM's owner hierarchy has a password, and there is no key yet at 0x81010001, where tbot keeps one at its first join, so it cannot join; clear the password with `tpm2_changeauth -c owner -p PASSWORD`, at least until then");

    let tpm = SoftwareTpm::start();
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    tpm.set_password("owner");
    snapshot!(warning(&tpm), @"the TPM's owner hierarchy has a password, and there is no key yet at 0x81000001, where tbot keeps one at its first join, so it cannot join; clear the password with `tpm2_changeauth -c owner -p PASSWORD`, at least until then");

    let tpm = SoftwareTpm::start();
    join(&tpm);
    tpm.set_password("owner");
    assert!(tpm.is_parent(STORAGE_KEY));
    no_warning(&tpm);
}

#[test]
fn every_warning_is_given_where_several_hold() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 10));
    tpm.keep_primary(STORAGE_KEY, "o", SIGNING_TEMPLATE);
    tpm.set_password("endorsement");
    tpm.set_password("owner");
    snapshot!(warnings(&tpm), @"
    the EK certificate expires in 9 days, on [DATE]: then a cluster that checks it (ekcert_allowed_cas) will refuse this host
    the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81000001`
    the TPM's endorsement hierarchy has a password, so tbot cannot join; clear it with `tpm2_changeauth -c endorsement -p PASSWORD`
    the TPM's owner hierarchy has a password, and there is no key yet at 0x81010001, where tbot keeps one at its first join, so it cannot join; clear the password with `tpm2_changeauth -c owner -p PASSWORD`, at least until then
    ");
}

#[test]
fn another_key_in_the_ek_s_place_is_a_warning() {
    let foreign = Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE };
    let others = [
        ("an EK with another `unique`", "e", foreign),
        ("an EK of the owner's", "o", EK_TEMPLATE),
        ("a storage key", "e", STORAGE_TEMPLATE),
        ("a signing key", "e", SIGNING_TEMPLATE),
    ];
    let said = listed(others, |(what, hierarchy, template)| {
        let tpm = SoftwareTpm::start();
        tpm.persist(ENDORSEMENT_KEY, hierarchy, *template);
        let without_certificate = warning(&tpm);
        certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
        ((*what).to_owned(), format!("{without_certificate}\n{}", warning(&tpm)))
    });
    snapshot!(said, @"
    an EK with another `unique`
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
        the EK certificate is for another key than the EK that the TPM keeps at 0x81010001, so tbot cannot join; one of them is not this TPM's own
    an EK of the owner's
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
    a storage key
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
    a signing key
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
        the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`
    ");
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_for(&tpm.default_ek(), 400));
    tpm.persist_child(ENDORSEMENT_KEY, "e", Template { unique: None, ..EK_TEMPLATE });
    snapshot!(warning(&tpm), @"the key at the TPM's persistent handle 0x81010001 is not the EK, but tbot will take it for that, so it cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81010001`");
}

/// The one at the handle works all the same where the certificate is for it.
#[test]
fn a_kept_key_that_the_certificate_is_for_is_no_warning() {
    let tpm = SoftwareTpm::start();
    let provisioned = Template { unique: Some(&[0x5a; 256]), ..EK_TEMPLATE };
    certify(&tpm, &certificate_for(&tpm.primary("e", provisioned), 400));
    let hash = tpm.persist(ENDORSEMENT_KEY, "e", provisioned);
    no_warning(&tpm);
    assert_eq!(identify(&tpm)["ek_public_hash"], hash);
}

#[test]
fn a_storage_key_that_is_no_parent_is_a_warning() {
    let tpm = SoftwareTpm::start();
    let no_parents = [
        ("a signing key", "o", SIGNING_TEMPLATE),
        ("an EK", "e", EK_TEMPLATE),
        (
            "a key that only decrypts",
            "o",
            Template {
                algorithm: "rsa2048:null:null",
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt",
                ..STORAGE_TEMPLATE
            },
        ),
        (
            "a parent with a policy only",
            "o",
            Template {
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|restricted|decrypt",
                policy: Some([0x5a; 32]),
                ..STORAGE_TEMPLATE
            },
        ),
    ];
    let said = listed(no_parents, |(what, hierarchy, template)| {
        tpm.keep_primary(STORAGE_KEY, hierarchy, *template);
        assert!(!tpm.is_parent(STORAGE_KEY));
        let warning = warning(&tpm);
        evict(&tpm, STORAGE_KEY);
        ((*what).to_owned(), warning)
    });
    snapshot!(said, @"
    a signing key
        the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81000001`
    an EK
        the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81000001`
    a key that only decrypts
        the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81000001`
    a parent with a policy only
        the key at the TPM's persistent handle 0x81000001 is no storage key that others can be made under with an empty password, so tbot cannot join; if nothing needs that key, remove it with `tpm2_evictcontrol -C o -c 0x81000001`
    ");
    for (what, hierarchy, template) in [
        ("a storage key", "o", STORAGE_TEMPLATE),
        (
            "without the exemption from lockout",
            "o",
            Template {
                attributes: "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt",
                ..STORAGE_TEMPLATE
            },
        ),
        ("of an elliptic curve", "o", Template { algorithm: "ecc256:null:aes128cfb", ..STORAGE_TEMPLATE }),
        ("of another hierarchy", "e", STORAGE_TEMPLATE),
        ("symmetric", "o", Template { algorithm: "aes128cfb", ..STORAGE_TEMPLATE }),
        ("with a policy too", "o", Template { policy: Some([0x5a; 32]), ..STORAGE_TEMPLATE }),
    ] {
        println!("{what}");
        tpm.keep_primary(STORAGE_KEY, hierarchy, template);
        assert!(tpm.is_parent(STORAGE_KEY));
        no_warning(&tpm);
        evict(&tpm, STORAGE_KEY);
    }
}

#[test]
fn a_storage_key_that_lockout_bars_is_a_warning_in_lockout() {
    let tpm = SoftwareTpm::start();
    let barred = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt";
    tpm.keep_primary(STORAGE_KEY, "o", Template { attributes: barred, ..STORAGE_TEMPLATE });
    no_warning(&tpm);
    tpm.lock_out();
    assert!(!tpm.is_parent(STORAGE_KEY));
    snapshot!(warning(&tpm), @"the TPM is in dictionary-attack lockout, and the storage key at its persistent handle 0x81000001 is not exempt from it, so tbot cannot join until the lockout ends; end it with `tpm2_dictionarylockout --clear-lockout`");
    tpm.tpm2("tpm2_dictionarylockout", &["--clear-lockout"]);
    assert!(tpm.is_parent(STORAGE_KEY));
    no_warning(&tpm);
}

#[test]
fn a_certificate_for_another_key_is_a_warning_where_that_can_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let of = |key: &[&str]| certificate(directory.path(), key, &["-days", "400"]);
    let tpm = SoftwareTpm::start();
    let warned = |key: &&[&str]| {
        certify(&tpm, &of(key));
        (key[key.len() - 1].to_owned(), warning(&tpm))
    };
    let others = [&["rsa:3072"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &["ed25519"]];
    snapshot!(listed(others, warned), @"
    rsa:3072
        the EK certificate is for another key than this TPM's EK, which is an RSA 2048 key, so tbot cannot join
    ec_paramgen_curve:P-256
        the EK certificate is for another key than this TPM's EK, which is an RSA 2048 key, so tbot cannot join
    ed25519
        the EK certificate is for another key than this TPM's EK, which is an RSA 2048 key, so tbot cannot join
    ");
    tpm.persist(ENDORSEMENT_KEY, "e", EK_TEMPLATE);
    snapshot!(listed([&["rsa:2048"][..], &["rsa:3072"], &["ed25519"]], warned), @"
    rsa:2048
        the EK certificate is for another key than the EK that the TPM keeps at 0x81010001, so tbot cannot join; one of them is not this TPM's own
    rsa:3072
        the EK certificate is for another key than the EK that the TPM keeps at 0x81010001, so tbot cannot join; one of them is not this TPM's own
    ed25519
        the EK certificate is for another key than the EK that the TPM keeps at 0x81010001, so tbot cannot join; one of them is not this TPM's own
    ");
}

/// Known: this is not foretold. Only the EK itself would show it, which takes long to make where it is not kept.
#[test]
fn a_certificate_for_another_rsa_2048_key_is_no_warning_although_it_cannot_join() {
    let directory = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate(directory.path(), &["rsa:2048"], &["-days", "400"]));
    assert_eq!(identify(&tpm)["warnings"], json!([]));
    if let Some(join) = attest::join(&tpm) {
        assert!(join.is_err(), "it joins");
    }
}

#[test]
fn a_certificate_s_validity_is_watched() {
    let tpm = SoftwareTpm::start();
    let key = tpm.default_ek();
    let said = listed([1, 89, 90, 91], |days| {
        certify(&tpm, &certificate_for(&key, *days));
        (format!("{days} days"), warnings(&tpm))
    });
    snapshot!(said, @"
    1 days
        the EK certificate expires in 0 days, on [DATE]: then a cluster that checks it (ekcert_allowed_cas) will refuse this host
    89 days
        the EK certificate expires in 88 days, on [DATE]: then a cluster that checks it (ekcert_allowed_cas) will refuse this host
    90 days
        the EK certificate expires in 89 days, on [DATE]: then a cluster that checks it (ekcert_allowed_cas) will refuse this host
    91 days
    ");
    let periods = [
        ("20200101000000Z", "20210203040506Z"),
        ("20480203040506Z", "20490101000000Z"),
        ("20480203040506Z", "99991231235959Z"),
        ("20200101000000Z", "99991231235959Z"),
    ];
    // They are for another key, so none of them joins.
    let said = listed(periods, |(from, to)| {
        certify(&tpm, &certificate_between(from, to));
        (format!("{from} to {to}"), texts(&identify(&tpm)))
    });
    snapshot!(said, @"
    20200101000000Z to 20210203040506Z
        the EK certificate expired on 2021-02-03: a cluster that checks it (ekcert_allowed_cas) will refuse this host
    20480203040506Z to 20490101000000Z
        the EK certificate is not valid before 2048-02-03: a cluster that checks it (ekcert_allowed_cas) will refuse this host until then; check this machine's clock
    20480203040506Z to 99991231235959Z
        the EK certificate is not valid before 2048-02-03: a cluster that checks it (ekcert_allowed_cas) will refuse this host until then; check this machine's clock
    20200101000000Z to 99991231235959Z
    ");
}

#[test]
fn an_identity_that_cannot_be_read_has_no_warnings_but_an_error() {
    let tpm = SoftwareTpm::start();
    certify(&tpm, &certificate_between("20200101000000Z", "20210203040506Z"));
    let parameters = json!({ "expected_ek_public_hash": "0".repeat(64) });
    let answer = crate::support::states::refused(&tpm, &parameters, "identity_changed");
    assert_eq!(answer.get("warnings"), None::<&Value>);
}
