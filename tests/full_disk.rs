//! File systems that are full, or cannot be written to: a clear error, and everything as it was.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use support::privileges::{is_root, place};
use support::scenarios::{Scenario, Stage};
use support::tree::Tree;
use support::{fail, run, succeed, tool};
use tempfile::TempDir;

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
    assert!(Tree::of(&stage.root) == before, "{}: {:?}", scenario.name, Tree::of(&stage.root));
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
        let makes_something = scenario.writes_a_file || scenario.name == "storage new";
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
