//! Runs that have nothing to change, and check mode: they look, and do nothing else.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::privileges::{is_root, traced};
use support::scenarios::Scenario;
use support::succeed;
use support::tree::Tree;

/// System calls that change no file system, whatever their arguments. All others are taken for changes, but for
/// opening and writing, which are looked at.
#[rustfmt::skip] // one a line is hard to read
const HARMLESS: &[&str] = &[
    "access", "arch_prctl", "brk", "clone", "clone3", "close", "connect", "dup", "dup2", "dup3", "execve", "exit", "exit_group", "faccessat",
    "faccessat2", "fcntl", "fgetxattr", "flock", "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid",
    "getgid", "getgroups", "getpid", "getppid", "getrandom", "getrlimit", "getsockopt", "gettid", "getuid", "getxattr",
    "ioctl", "lgetxattr", "lseek", "lstat", "madvise", "mmap", "mprotect", "mremap", "munmap", "newfstatat", "pipe2", "poll",
    "ppoll", "pread64", "prctl", "prlimit64", "read", "readlink", "readlinkat", "recvfrom", "recvmsg", "rseq", "rt_sigaction",
    "rt_sigprocmask", "sched_getaffinity", "sched_yield", "sendto", "set_robust_list", "set_tid_address", "sigaltstack",
    "socket", "stat", "statfs", "statx", "sysinfo", "umask", "uname", "wait4", "waitid",
];

/// The calls in a log of strace that change something, and how often it writes to standard output.
fn changes(log: &str) -> (Vec<&str>, usize) {
    let mut answers = 0;
    let is_change = |line: &&str| {
        let call = line.split_once(' ').map_or(*line, |(_, call)| call.trim_start());
        let name = call.split('(').next().unwrap();
        match name {
            _ if call.starts_with("+++") || call.starts_with("---") || call.starts_with("<...") => false,
            "write" if call.starts_with("write(1, ") => {
                answers += 1;
                false
            }
            // Where the messages of libraries go.
            "openat" if call.contains("\"/dev/null\", O_WRONLY") => false,
            "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"]
                .iter()
                .any(|flag| call.contains(flag)),
            _ => !HARMLESS.contains(&name),
        }
    };
    (log.lines().filter(is_change).collect(), answers)
}

#[test]
fn what_is_as_it_should_be_is_only_looked_at() {
    if !is_root() {
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
fn check_mode_only_looks() {
    if !is_root() {
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
    if !is_root() {
        return;
    }
    for scenario in Scenario::all() {
        let stage = scenario.stage();
        let (_, log) = traced(&[], &stage.request);
        assert!(!changes(&log).0.is_empty(), "{}", scenario.name);
        assert_eq!(succeed(&stage.request)["changed"], false);
    }
}
