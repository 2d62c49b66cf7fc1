//! Runs that have nothing to change, and check mode: they look, and do nothing else.

use serde_json::json;

use crate::support::privileges::{is_root, traced};
use crate::support::scenarios::Scenario;
use crate::support::strace::{self, Call};
use crate::support::succeed;
use crate::support::tree::Tree;

/// The calls of a run that change something, and how often it writes to standard output.
fn changes(log: &str) -> (Vec<Call>, usize) {
    let calls = Call::all_in(log);
    let answers = calls.iter().filter(|call| call.is_answer()).count();
    (calls.into_iter().filter(Call::is_change).collect(), answers)
}

#[test]
fn what_is_as_it_should_be_is_only_looked_at() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    for scenario in Scenario::all() {
        let stage = scenario.stage();
        stage.new.restore(&stage.root);
        let (answer, log) = traced(&[], &stage.request);
        assert_eq!(answer["changed"], false, "{}: {answer}", scenario.name);
        assert_eq!(changes(&log), (vec![], 1), "{}", scenario.name);
    }
}

#[test]
fn the_unit_that_tbot_installed_takes_no_other_program_to_be_known() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tbot.service"), crate::support::systemd::BY_TBOT).unwrap();
    let (answer, log) = traced(&[], &crate::support::systemd::request(directory.path(), json!({})));
    assert_eq!(answer["changed"], false, "{answer}");
    assert_eq!(changes(&log), (vec![], 1));
    // But for getent, where the machine has no user and group `teleport`.
    let is_other = |call: &&Call| call.name == "execve" && !call.text.contains("/getent\"");
    assert_eq!(Call::all_in(&log).iter().filter(is_other).count(), 1, "{log}");
}

#[test]
fn check_mode_only_looks() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    for scenario in Scenario::all() {
        let mut stage = scenario.stage();
        stage.request["_ansible_check_mode"] = json!(true);
        let (answer, log) = traced(&[], &stage.request);
        assert_eq!(answer["changed"], true, "{}: {answer}", scenario.name);
        assert_eq!(changes(&log), (vec![], 1), "{}", scenario.name);
        assert!(Tree::of(&stage.root) == stage.old, "{}", scenario.name);
    }
}

#[test]
fn a_change_does_show_in_a_trace() {
    if !is_root() || !strace::is_usable() {
        return;
    }
    for scenario in Scenario::all() {
        let stage = scenario.stage();
        let (_, log) = traced(&[], &stage.request);
        assert!(!changes(&log).0.is_empty(), "{}", scenario.name);
        assert_eq!(succeed(&stage.request)["changed"], false);
    }
}
