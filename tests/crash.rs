//! What a crash leaves behind, whenever it comes: the process is killed at every one of its system calls, and at
//! random moments.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::privileges::is_root;
use support::scenarios::{Scenario, Stage};
use support::succeed;
use support::tree::Tree;

const SIGKILL: i32 = 9;

/// One system call of a run: its name, and which of that name it is, from 1.
type Call = (String, usize);

#[test]
fn a_process_killed_at_any_system_call_leaves_the_old_or_the_new() {
    if !is_root() || !can_trace() {
        return;
    }
    let scenarios = Mutex::new(Scenario::all());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = scenarios.lock().unwrap().pop();
                    let Some(scenario) = next else { break };
                    kill_at_every_call(&scenario);
                }
            });
        }
    });
}

fn kill_at_every_call(scenario: &Scenario) {
    let stage = scenario.stage();
    let (_place, request) = stage.request_file();
    let calls = calls(&stage, &request);
    assert!(calls.len() > 20, "{}: {calls:?}", scenario.name);
    let mut seen = Seen::default();
    for (name, number) in &calls {
        stage.old.restore(&stage.root);
        // A signal that comes at the entrance of a call keeps it from being made: so each call is the last one made
        // where the next is the one that is hit.
        let status = strace(&["-e", &format!("trace={name}")])
            .arg("-e")
            .arg(format!("inject={name}:signal=KILL:when={number}"))
            .args(["-o", "/dev/null", env!("CARGO_BIN_EXE_tbot_tpm")])
            .arg(&request)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        // strace ends as its child does. A call or two less in this run, and it is not hit.
        let was_killed = status.signal() == Some(SIGKILL);
        seen.after(&stage, was_killed, &format!("{}: killed at {name} {number}", scenario.name));
    }
    seen.check(scenario.name, calls.len() * 9 / 10);
}

/// The system calls of an undisturbed run, from where it reads its request.
fn calls(stage: &Stage, request: &Path) -> Vec<Call> {
    stage.old.restore(&stage.root);
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let done = strace(&["-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_tbot_tpm")).arg(request).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let text = fs::read_to_string(log).unwrap();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    let mut has_begun = false;
    for line in text.lines() {
        // The process's number, then the call; what is resumed was begun before.
        let Some((name, _)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            continue;
        };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        has_begun |= name == "openat" && line.contains("the-request");
        let number = numbers.entry(name.to_owned()).or_default();
        *number += 1;
        if has_begun {
            calls.push((name.to_owned(), *number));
        }
    }
    calls
}

fn strace(options: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(options).stderr(Stdio::null());
    command
}

/// Whether processes can be traced here; where not, a line says so.
fn can_trace() -> bool {
    let done = strace(&["-o", "/dev/null", "true"]).status();
    let can = done.is_ok_and(|status| status.success());
    if !can {
        support::note("skipped: processes cannot be traced by strace here");
    }
    can
}

#[test]
fn a_process_killed_at_random_moments_leaves_the_old_or_the_new() {
    const KILLS: u32 = 500;
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
        let mut longest = Duration::ZERO;
        for _ in 0..5 {
            stage.old.restore(&stage.root);
            let started = Instant::now();
            assert!(binary(&request).status().unwrap().success());
            longest = longest.max(started.elapsed());
        }
        let mut seen = Seen::default();
        let mut tries = 0;
        while seen.killed < KILLS as usize {
            stage.old.restore(&stage.root);
            let mut child = binary(&request).spawn().unwrap();
            // Evenly over the run.
            std::thread::sleep(longest * (tries % KILLS) / KILLS);
            tries += 1;
            child.kill().unwrap();
            let was_killed = child.wait().unwrap().signal() == Some(SIGKILL);
            seen.after(&stage, was_killed, &format!("{}: killed at a random moment", scenario.name));
            assert!(tries < 20 * KILLS, "{}: it ends before it is killed", scenario.name);
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
#[derive(Default)]
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
        if let Some(back) = stage.back.as_ref().filter(|_| left.has_temporary()) {
            assert_eq!(succeed(back)["changed"], false, "{context}");
            assert!(
                Tree::of(&stage.root) == stage.old,
                "{context}: then unchanged\n{:?}",
                Tree::of(&stage.root)
            );
            left.restore(&stage.root);
        }
        succeed(&stage.request);
        assert!(Tree::of(&stage.root) == stage.new, "{context}: then run again\n{:?}", Tree::of(&stage.root));
    }

    fn check(&self, name: &str, expected: usize) {
        println!("{name}: {} deaths; {} found unchanged, {} changed", self.killed, self.old, self.new);
        assert!(self.killed >= expected, "{name}: only {} of {expected} died", self.killed);
        assert!(self.old > 0 && self.new > 0, "{name}: {} old, {} new", self.old, self.new);
    }
}
