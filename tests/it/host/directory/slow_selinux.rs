//! SELinux labels, by a kernel that has them and the policy's own tool: on a machine booted for it.

use std::process::Command;

use serde_json::json;

use crate::support::machine::{Machine, MachineTpm, Parts, Setup};

#[test]
fn the_storage_directory_gets_the_label_that_the_policy_gives_it() {
    let Some(parts) = Parts::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy");
    let compiled = Command::new(parts.program("secilc"))
        .env("LD_LIBRARY_PATH", parts.libraries())
        .args(["-c", "31", "-f", "/dev/null", "-o", policy.to_str().unwrap()])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/selinux.cil"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));

    let setup = Setup {
        files: &[("/policy", &std::fs::read(policy).unwrap())],
        programs: &[
            (&parts.program("setfiles"), "/usr/sbin/restorecon"),
            ("/usr/bin/chcon".as_ref(), "/bin/chcon"),
            ("/usr/bin/stat".as_ref(), "/bin/context-stat"),
        ],
        kernel: "security=selinux selinux=1",
    };
    let checks = include_str!("../../../machine/selinux.sh");
    let Some(machine) = Machine::boot_with(MachineTpm::None, checks, &setup) else { return };

    let made = machine.success("made");
    assert_eq!((&made["changed"], &made["created"]), (&json!(true), &json!(true)));
    let labels = |check: &str| String::from_utf8(machine.output(check).stdout.clone()).unwrap();
    let context = |kind: &str| format!("system_u:object_r:{kind}:s0\n");
    assert_eq!(labels("labels_made"), context("var_lib_t") + &context("bot_t"));
    assert_eq!(machine.success("again")["changed"], false);

    let foreseen = machine.success("foreseen");
    assert_eq!(labels("labels_foreseen"), context("tmp_t").repeat(2));
    let mended = machine.success("mended");
    assert_eq!((&foreseen["changed"], &foreseen["diff"]), (&json!(true), &mended["diff"]));
    let before = mended["diff"]["before"].as_str().unwrap();
    let after = mended["diff"]["after"].as_str().unwrap();
    for (text, kind) in [(before, "tmp_t"), (after, "bot_t")] {
        let lines = format!(
            "labels:\n  /var/lib/teleport/bot: system_u:object_r:{kind}:s0\n  \
             /var/lib/teleport/bot/tlscert: system_u:object_r:{kind}:s0\n"
        );
        assert!(text.contains(&lines), "{text}");
    }
    assert_eq!(labels("labels_mended"), context("bot_t").repeat(2));
    assert_eq!(machine.success("mended_again")["changed"], false);

    let message = machine.failure("without_restorecon", "io");
    assert!(message.contains("install policycoreutils"), "{message}");
}
