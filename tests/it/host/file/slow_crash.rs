//! What a crash leaves behind, whenever it comes: the process is killed at every one of its system calls, and at
//! random moments.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::privileges::is_root;
use crate::support::scenarios::{Scenario, Stage};
use crate::support::tree::Tree;
use crate::support::{strace, succeed};

const SIGKILL: i32 = 9;

#[test]
fn a_process_killed_at_any_system_call_leaves_the_old_or_the_new() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    // Before the first change there is nothing to see. A signal that comes at the entrance of a call keeps it from
    // being made: so each call is the last one made where the next is the one that is hit.
    Scenario::for_each_traced(|scenario, stage, request, calls| {
        // What is made too open shows with the one umask, and what is made too closed with the other.
        for umask in ["000", "077"] {
            let mut seen = Seen::default();
            for call in calls {
                stage.old.restore(&stage.root);
                let died = call.tampered("signal=KILL", umask, request).status.signal() == Some(SIGKILL);
                let context = format!("{}: umask {umask}, killed at {call:?}", scenario.name);
                assert!(died, "{context}: no such call");
                seen.after(stage, died, &context);
            }
            println!("{}, umask {umask}: {seen:?}", scenario.name);
            assert!(seen.old > 0 && seen.new > 0, "{}: {seen:?}", scenario.name);
        }
    });
}

/// The rule of a TPM that is out of use can go only as long as something says which it was.
#[test]
fn a_former_tpm_is_known_whenever_the_process_is_killed() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    let former = "a".repeat(64);
    let is_known = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&former));
    Scenario::for_each_traced(|scenario, stage, request, calls| {
        if !["registry changed", "registry archived"].contains(&scenario.name) {
            return;
        }
        for call in calls {
            stage.old.restore(&stage.root);
            call.tampered("signal=KILL", "022", request);
            let (entry, archived) =
                ("registry/web-1.json", format!("registry/archive/web-1.{}.json", &former[..16]));
            let is_known = [entry, &archived].iter().any(|path| is_known(&stage.root.join(path)));
            assert!(is_known, "{}: killed at {call:?}: {:?}", scenario.name, Tree::of(&stage.root));
        }
    });
}

/// What a power failure leaves, as far as the order of calls tells: fsync(2).
#[test]
fn what_changes_is_brought_to_the_disk() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    Scenario::for_each_traced(|scenario, _stage, _request, calls| {
        let names: Vec<&str> =
            calls.iter().filter(|call| !call.is_answer()).map(|call| &*call.name).collect();
        let last = |wanted: &[&str], names: &[&str]| names.iter().rposition(|name| wanted.contains(name));
        if let Some(at) = last(&["rename", "renameat", "renameat2"], &names) {
            let (written, synced) = (last(&["write"], &names[..at]), last(&["fsync"], &names[..at]));
            assert!(synced > written, "{}: a file is there before its content is: {names:?}", scenario.name);
        }
        let changed =
            last(&["rename", "renameat", "unlinkat", "mkdirat", "mkdir", "fchown", "fchmod"], &names);
        assert!(last(&["fsync"], &names) > changed, "{}: {names:?}", scenario.name);
    });
}

#[test]
fn a_process_killed_at_random_moments_leaves_the_old_or_the_new() {
    const KILLS: usize = 500;
    /// A number that nothing else repeats after.
    const PARTS: u32 = 97;
    if !is_root() {
        return;
    }
    let names = ["config changed", "unit changed", "storage wrong", "token changed"];
    let scenarios: Vec<Scenario> =
        Scenario::all().into_iter().filter(|scenario| names.contains(&scenario.name)).collect();
    assert_eq!(scenarios.len(), names.len());
    for scenario in scenarios {
        let stage = scenario.stage();
        let (_place, request) = stage.request_file();
        // As long as a run takes here and now: a busy machine may take ten times as long for one, and no more for the
        // next. Where one ended before it was to be killed, the next are killed sooner, and the other way round.
        let mut length = Duration::from_millis(20);
        let mut seen = Seen::default();
        let mut tries = 0;
        while seen.killed < KILLS {
            stage.old.restore(&stage.root);
            let mut child = binary(&request).spawn().unwrap();
            // Evenly over the run.
            std::thread::sleep(length * (tries % PARTS) / PARTS);
            tries += 1;
            child.kill().unwrap();
            let was_killed = child.wait().unwrap().signal() == Some(SIGKILL);
            length = if was_killed { length.mul_f64(1.02) } else { length.mul_f64(0.95) };
            seen.after(&stage, was_killed, &format!("{}: killed at a random moment", scenario.name));
        }
        println!("{}: {} killed of {tries}; {} found changed", scenario.name, seen.killed, seen.new);
    }
}

/// The binary with a request in a file, as Ansible starts it.
fn binary(request: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tbot_tpm"));
    command.arg(request).stdout(Stdio::null());
    command
}

/// What the deaths of a scenario left.
#[derive(Debug, Default)]
struct Seen {
    killed: usize,
    old: usize,
    new: usize,
}

impl Seen {
    /// Looks at what a death has left, and lets a later run finish the change, or find it not wanted any more.
    fn after(&mut self, stage: &Stage, was_killed: bool, context: &str) {
        let left = Tree::of(&stage.root);
        left.assert_between(&stage.old, &stage.new, &context);
        self.killed += usize::from(was_killed);
        self.old += usize::from(left == stage.old);
        self.new += usize::from(left == stage.new);
        if let Some(back) = &stage.back {
            let answer = succeed(back);
            assert!(answer["changed"] == false || !left.has_temporary(), "{context}: then {answer}");
            let then = Tree::of(&stage.root);
            assert!(then.is_in_effect(&stage.old), "{context}: then back\n{then:?}");
            left.restore(&stage.root);
        }
        succeed(&stage.request);
        let then = Tree::of(&stage.root);
        assert!(then.is_in_effect(&stage.new), "{context}: then run again\n{then:?}");
    }
}
