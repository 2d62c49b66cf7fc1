//! File systems that are full, cannot be written to, or fail: a clear error, and no file that is not whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::privileges::{is_root, place};
use crate::support::scenarios::{Scenario, Stage};
use crate::support::tree::Tree;
use crate::support::{fail, parse, run, strace, succeed, tool};

/// A small file system in memory, gone with the value.
struct Small(TempDir);

impl Small {
    fn mount(options: &str) -> Self {
        let small = Self(place());
        tool("mount", &["-t", "tmpfs", "-o", &format!("mode=755,{options}"), "tbot-tpm-test", small.path()]);
        small
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn remount(&self, options: &str) {
        tool("mount", &["-o", &format!("remount,{options}"), self.path()]);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        tool("umount", &[self.path()]);
    }
}

/// A request that cannot be served now: an error that says why and what to do, nothing changed, and the same
/// request served once `mend` has made that possible.
fn assert_refused(scenario: &Scenario, stage: &Stage, why: &str, what_to_do: &str, mend: impl FnOnce()) {
    let before = Tree::of(&stage.root);
    let foreseen = succeed(&in_check_mode(&stage.request));
    assert_eq!(foreseen["changed"], true, "{}: check mode has no need of room", scenario.name);
    let message = fail(&stage.request, "io");
    assert!(message.contains(why) && message.contains(what_to_do), "{}: {message}", scenario.name);
    let left = Tree::of(&stage.root);
    let is_in_effect = takes_steps(scenario) && left.is_in_effect(&before);
    assert!(left == before || is_in_effect, "{}: {left:?}", scenario.name);
    mend();
    assert_eq!(succeed(&stage.request)["changed"], true, "{}", scenario.name);
    assert!(Tree::of(&stage.root) == stage.new, "{}: {:?}", scenario.name, Tree::of(&stage.root));
}

fn in_check_mode(request: &Value) -> Value {
    let mut request = request.clone();
    request["_ansible_check_mode"] = json!(true);
    request
}

#[test]
fn a_read_only_file_system_is_said_to_be_one() {
    if !is_root() {
        return;
    }
    for scenario in Scenario::all() {
        let small = Small::mount("size=1m");
        let root = small.0.path().join("root");
        fs::create_dir(&root).unwrap();
        let stage = scenario.stage_in(&root);
        small.remount("ro");
        assert_refused(&scenario, &stage, "Read-only file system", "mount that file system writable", || {
            small.remount("rw");
        });
    }
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    if !is_root() {
        return;
    }
    for scenario in Scenario::all() {
        let small = Small::mount("size=64k");
        let root = small.0.path().join("root");
        fs::create_dir(&root).unwrap();
        let stage = scenario.stage_in(&root);
        let filling = small.0.path().join("filling");
        fill_with_bytes(&filling);
        if scenario.writes_a_file {
            assert_refused(&scenario, &stage, "No space left on device", "make room", || {
                fs::remove_file(&filling).unwrap();
            });
        } else {
            // What takes no room is done.
            assert_eq!(succeed(&stage.request)["changed"], true, "{}", scenario.name);
            assert!(Tree::of(&stage.root) == stage.new, "{}", scenario.name);
        }
    }
}

#[test]
fn a_file_system_without_room_for_another_name_leaves_the_old_file() {
    if !is_root() {
        return;
    }
    for scenario in Scenario::all() {
        let small = Small::mount("size=1m,nr_inodes=40");
        let root = small.0.path().join("root");
        fs::create_dir(&root).unwrap();
        let stage = scenario.stage_in(&root);
        let filling = small.0.path().join("filling");
        fs::create_dir(&filling).unwrap();
        fill_with_files(&filling);
        let makes_something = scenario.writes_a_file || scenario.name.ends_with(" new");
        if makes_something {
            assert_refused(&scenario, &stage, "No space left on device", "make room", || {
                fs::remove_dir_all(&filling).unwrap();
            });
        } else {
            assert_eq!(run(&stage.request)["changed"], true, "{}", scenario.name);
            assert!(Tree::of(&stage.root) == stage.new, "{}", scenario.name);
        }
    }
}

#[test]
fn a_disk_that_fails_at_any_system_call_leaves_the_old_or_the_new() {
    /// Calls that reach a disk. Closing is not one: what it reports, nobody can act on.
    const REACHING: [&str; 19] = [
        "chmod",
        "fchmod",
        "fchown",
        "fchownat",
        "fsync",
        "getdents64",
        "mkdir",
        "mkdirat",
        "open",
        "openat",
        "openat2",
        "read",
        "rename",
        "renameat",
        "rmdir",
        "statx",
        "unlink",
        "unlinkat",
        "write",
    ];
    if !is_root() || !strace::is_usable() {
        return;
    }
    Scenario::for_each_traced(|scenario, stage, request, calls| {
        let mut failures = 0;
        for call in calls.iter().filter(|call| REACHING.contains(&&*call.name) && !call.is_answer()) {
            stage.old.restore(&stage.root);
            let context = format!("{}: {call:?} fails", scenario.name);
            let answer = parse(&call.tampered("error=EIO", "022", request));
            let left = Tree::of(&stage.root);
            left.assert_between(&stage.old, &stage.new, &context);
            assert!(!left.has_temporary(), "{context}: {left:?}");
            // Some only fetch names for the answer.
            if answer["failed"] == true {
                failures += 1;
                assert_eq!(answer["error"]["kind"], "io", "{context}: {answer}");
                let message = answer["msg"].as_str().unwrap();
                assert!(message.contains("Input/output error"), "{context}: {message}");
                let is_whole = left == stage.old || left == stage.new;
                assert!(is_whole || takes_steps(scenario), "{context}: {left:?}");
            }
            succeed(&stage.request);
            let then = Tree::of(&stage.root);
            assert!(then.is_in_effect(&stage.new), "{context}: {then:?}");
        }
        assert!(failures > 1, "{}: {failures} failures", scenario.name);
    });
}

/// Whether a change is made of several that are each whole.
fn takes_steps(scenario: &Scenario) -> bool {
    !scenario.writes_a_file || scenario.name == "drop-in to unit" || scenario.action() == "registry"
}

fn fill_with_bytes(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

fn fill_with_files(directory: &Path) {
    let mut count = 0;
    while File::create(directory.join(count.to_string())).is_ok() {
        count += 1;
        assert!(count < 1000, "the file system has no end");
    }
}
