//! `identify` through the kernel's TPM devices, on machines booted for it.

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::machine::{Machine, MachineTpm};
use crate::support::{SoftwareTpm, certificate, hash_by_openssl, tool};

const IDENTIFY_ONCE: &str = r#"check default request '{"action": "identify"}'"#;
/// How manufacturers provision the index: readable with the index's own empty password.
const MANUFACTURERS: &str = "ppwrite|ppread|ownerread|authread|platformcreate|no_da";

/// A machine with a TPM 2.0 that has no EK certificate, and the hash of the TPM's default EK.
static TPM_2_0: LazyLock<Option<(Machine, String)>> = LazyLock::new(|| {
    let mut tpm = SoftwareTpm::start();
    let hash = default_ek_hash(&tpm);
    let checks = include_str!("../../machine/tpm_2_0.sh");
    Some((Machine::boot(MachineTpm::Tpm20(&mut tpm), checks, &[])?, hash))
});

fn tpm_2_0() -> Option<(&'static Machine, &'static str)> {
    TPM_2_0.as_ref().map(|(machine, hash)| (machine, hash.as_str()))
}

/// By tpm2-tools and openssl alone.
fn default_ek_hash(tpm: &SoftwareTpm) -> String {
    let (pem, context) = (tpm.file("ek.pem"), tpm.file("ek.ctx"));
    let (pem, context) = (pem.to_str().unwrap(), context.to_str().unwrap());
    tpm.tpm2("tpm2_createek", &["-G", "rsa", "-c", context, "-f", "pem", "-u", pem]);
    hash_by_openssl(&fs::read(pem).unwrap())
}

/// Of many runs' output, counted: they all succeeded with one and the same answer, which has this hash.
fn assert_all_alike(machine: &Machine, check: &str, runs: usize, hash: &str) {
    let text = String::from_utf8_lossy(&machine.output(check).stdout);
    let mut lines = text.lines().map(|line| line.trim_start().split_once(' ').unwrap());
    assert_eq!(lines.next(), Some((runs.to_string().as_str(), "exit status 0")), "{text}");
    let (count, answer) = lines.next().unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!((count, &answer["ek_public_hash"]), (runs.to_string().as_str(), &hash.into()), "{text}");
    assert_eq!(lines.next(), None, "{text}");
}

#[test]
fn this_machines_own_tpm_is_found() {
    let Some((machine, hash)) = tpm_2_0() else { return };
    let answer = machine.success("default");
    assert_eq!(answer["ek_public_hash"], hash);
    assert_eq!(answer["ek_cert_present"], false);
}

#[test]
fn an_ek_certificate_is_read_from_the_device() {
    let directory = tempfile::tempdir().unwrap();
    let der = certificate(directory.path(), &["rsa:2048"], &["-set_serial", "0xf5a5a5a5"]);
    let mut tpm = SoftwareTpm::start();
    tpm.write_nv("0x01c00002", MANUFACTURERS, &der);
    let Some(machine) = Machine::boot(MachineTpm::Tpm20(&mut tpm), IDENTIFY_ONCE, &[]) else { return };
    let answer = machine.success("default");
    let file = directory.path().join("certificate.der");
    let key =
        tool("openssl", &["x509", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", "-pubkey"]);
    assert_eq!(answer["ek_public_hash"], hash_by_openssl(&key));
    assert_eq!(answer["ek_cert_serial"], "f5:a5:a5:a5");
}

#[cfg(feature = "tss")]
#[test]
fn both_backends_read_the_same_from_the_device() {
    let Some((machine, hash)) = tpm_2_0() else { return };
    let [native, esapi] = ["native", "esapi"].map(|backend| {
        let mut answer = machine.success(backend);
        // The request, which differs.
        answer.as_object_mut().unwrap().remove("invocation");
        answer
    });
    assert_eq!(native["ek_public_hash"], hash);
    assert_eq!(native, esapi);
}

#[test]
fn many_processes_share_the_tpm_and_leave_nothing_in_it() {
    let Some((machine, hash)) = tpm_2_0() else { return };
    assert_all_alike(machine, "many_at_once", 32, hash);
    // Past the resource manager, where the TPM has room for three keys only, whoever made them.
    assert_all_alike(machine, "many_one_by_one", 40, hash);
}

#[test]
fn a_raw_device_that_another_process_holds_is_busy_and_its_resource_manager_is_not() {
    let Some((machine, hash)) = tpm_2_0() else { return };
    let message = machine.failure("raw_while_held", "tpm_busy");
    assert!(message.contains("/dev/tpm0") && message.contains("/dev/tpmrm0"), "{message}");
    assert_eq!(machine.success("default_while_raw_is_held")["ek_public_hash"], hash);
    assert_eq!(machine.success("raw_after_it_was_held")["ek_public_hash"], hash);
}

#[test]
fn a_user_who_may_not_use_the_device_is_told_how_to_get_at_it() {
    let Some((machine, hash)) = tpm_2_0() else { return };
    let message = machine.failure("nobody", "tpm_permission");
    assert!(message.contains("/dev/tpmrm0") && message.contains("udev rule"), "{message}");
    let message = machine.failure("nobody_where_a_group_has_the_device", "tpm_permission");
    assert!(message.contains("/dev/tpmrm0") && message.contains("group `tss`"), "{message}");
    assert_eq!(machine.success("member_of_the_group")["ek_public_hash"], hash);
}

#[test]
fn the_bots_access_is_the_groups_and_without_udev_no_other_is_given() {
    let Some((machine, _)) = tpm_2_0() else { return };
    let message = machine.failure("access_without_udev", "tpm_permission");
    assert!(message.contains("/dev/tpmrm0 stays root:root 0600"), "{message}");
    let answer = machine.success("access_by_the_group");
    assert_eq!((&answer["changed"], &answer["verified"]), (&false.into(), &true.into()), "{answer}");
    assert_eq!((&answer["device"], &answer["udev_rule"]), (&"/dev/tpmrm0".into(), &Value::Null));
}

#[test]
fn the_raw_device_is_no_way_round_the_resource_manager() {
    let Some((machine, _)) = tpm_2_0() else { return };
    let message = machine.failure("nobody_where_the_raw_device_is_open_to_all", "tpm_permission");
    assert!(message.contains("/dev/tpmrm0"), "{message}");
    let message = machine.failure("without_the_resource_managers_node", "tpm_not_found");
    assert!(message.contains("/dev/tpmrm0"), "{message}");
}

#[test]
fn what_hardened_units_allow_are_resource_managers_and_no_raw_device() {
    let Some((machine, _)) = tpm_2_0() else { return };
    let driver = |check: &str| String::from_utf8_lossy(&machine.output(check).stdout).trim().to_owned();
    assert_eq!(driver("driver_of_the_resource_manager"), "tpm");
    assert_eq!(driver("driver_of_the_raw_device"), "misc");
}

#[test]
fn a_tpm_1_2_is_not_taken_for_a_2_0() {
    let Some(machine) = Machine::boot(MachineTpm::Tpm12, IDENTIFY_ONCE, &[]) else { return };
    let message = machine.failure("default", "tpm_not_found");
    assert!(message.contains("only a TPM 1.2"), "{message}");
}

#[test]
fn a_machine_without_a_tpm_is_told_so() {
    let Some(machine) = Machine::boot(MachineTpm::None, IDENTIFY_ONCE, &[]) else { return };
    let message = machine.failure("default", "tpm_not_found");
    assert!(message.contains("no TPM"), "{message}");
}
