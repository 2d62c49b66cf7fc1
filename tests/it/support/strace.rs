//! The binary's system calls, as strace(1) shows them, and one of them made to go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// System calls that change no file system, whatever their arguments. All others are taken for changes, but for
/// opening and writing, which are looked at.
#[rustfmt::skip] // one a line is hard to read
const HARMLESS: &[&str] = &[
    "access", "arch_prctl", "brk", "chdir", "clone", "clone3", "close", "connect", "dup", "dup2", "dup3", "execve", "exit", "exit_group", "faccessat",
    "faccessat2", "fcntl", "fgetxattr", "flock", "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid",
    "getgid", "getgroups", "getpid", "getppid", "getrandom", "getrlimit", "getsockopt", "gettid", "getuid", "getxattr",
    "ioctl", "lgetxattr", "lseek", "lstat", "madvise", "mmap", "mprotect", "mremap", "munmap", "newfstatat", "pipe2", "poll",
    "ppoll", "pread64", "prctl", "prlimit64", "read", "readlink", "readlinkat", "recvfrom", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigprocmask", "sched_getaffinity", "sched_yield", "sendto", "set_robust_list", "set_tid_address", "sigaltstack",
    "socket", "stat", "statfs", "statx", "sysinfo", "umask", "uname", "wait4", "waitid",
];
/// Calls that only arrange the process's own memory: how many there are differs from run to run.
const MEMORY: [&str; 6] = ["brk", "madvise", "mmap", "mprotect", "mremap", "munmap"];

/// One system call of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// Which of that name it is in its process, from 1, as strace counts.
    number: usize,
    /// With its arguments and result.
    pub text: String,
}

impl Call {
    /// Those in a log of `strace -f`.
    pub fn all_in(log: &str) -> Vec<Self> {
        let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut call = |line| {
            let (process, text) = str::split_once(line, ' ')?;
            let text = text.trim_start();
            let (name, _) = text.split_once('(')?;
            // Signals, ends, and what is resumed, which was begun before.
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return None;
            }
            let number = numbers.entry((process, name)).or_default();
            *number += 1;
            Some(Self { name: name.to_owned(), number: *number, text: text.to_owned() })
        };
        log.lines().filter_map(&mut call).collect()
    }

    /// Whether it writes to standard output.
    pub fn is_answer(&self) -> bool {
        self.text.starts_with("write(1, ")
    }

    /// Whether it changes a file system.
    pub fn is_change(&self) -> bool {
        match self.name.as_str() {
            "write" => !self.is_answer(),
            // Where the messages of libraries go.
            "openat" if self.text.contains("\"/dev/null\", O_WRONLY") => false,
            "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"]
                .iter()
                .any(|flag| self.text.contains(flag)),
            name => !HARMLESS.contains(&name),
        }
    }

    /// Runs the binary with this umask, and lets strace do this as it enters the call: `signal=KILL`, `error=EIO`.
    /// The call itself is not made then.
    pub fn tampered(&self, how: &str, umask: &str, request: &Path) -> Output {
        let Self { name, number, .. } = self;
        let options = [format!("trace={name}"), format!("inject={name}:{how}:when={number}")];
        strace(&["-e", &options[0], "-e", &options[1], "-o", "/dev/null"], umask, request)
    }
}

/// The system calls of an undisturbed run, from the first one that changes something to the end.
pub fn calls_from_first_change(request: &Path) -> Vec<Call> {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let done = strace(&["-o", log.to_str().unwrap()], "022", request);
    assert!(done.status.success(), "{done:?}");
    let calls = Call::all_in(&fs::read_to_string(log).unwrap());
    let from_first = calls.into_iter().skip_while(|call| !call.is_change());
    from_first.filter(|call| !MEMORY.contains(&call.name.as_str())).collect()
}

/// The calls of a run that name a file or have to do with a network, whatever comes of them: each by its name and what it
/// names.
pub fn places(request: &Path) -> BTreeSet<String> {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    strace(&["-e", "trace=%file,%network", "-o", log.to_str().unwrap()], "022", request);
    let named = |call: Call| {
        let quoted = call.text.split('"').skip(1).step_by(2);
        [call.name.as_str()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
    };
    Call::all_in(&fs::read_to_string(log).unwrap()).into_iter().map(named).collect()
}

/// Runs the binary under strace, which ends as the binary does.
fn strace(options: &[&str], umask: &str, request: &Path) -> Output {
    Command::new("sh")
        .args(["-c", "umask $0; exec strace -f -qq \"$@\"", umask])
        .args(options)
        .arg(env!("CARGO_BIN_EXE_tbot_tpm"))
        .arg(request)
        .output()
        .unwrap()
}

/// Whether processes can be traced here. Where not, a line says so, but where `TBOT_TPM_STRACE` is `required` that
/// is an error.
pub fn is_usable() -> bool {
    let done = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let is_usable = done.is_ok_and(|status| status.success());
    if !is_usable {
        let is_required = std::env::var_os("TBOT_TPM_STRACE").is_some_and(|value| value == "required");
        assert!(!is_required, "strace cannot trace processes here; scripts/setup.sh installs it");
        super::note("skipped: strace cannot trace processes here");
    }
    is_usable
}
