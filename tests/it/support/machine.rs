//! Whole machines with a TPM device, booted in QEMU with Debian's own kernel: what only a kernel
//! can show, such as its resource manager, permissions and a device that is held.
//!
//! `scripts/machine.sh` fetches the kernel and QEMU. A machine has no disk, only an initial RAM file
//! system with busybox, the binary, and `tests/machine/init`, which runs a script of checks. Each
//! check's exit status and output come back over a serial port.

mod initramfs;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stderr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use self::initramfs::Initramfs;
use super::SoftwareTpm;

/// A machine boots in seconds, and in minutes where others keep the processors busy; only one that hangs takes this long.
const TIME_LIMIT: Duration = Duration::from_mins(20);

/// Which TPM a machine has.
pub enum MachineTpm<'a> {
    None,
    /// A fresh TPM 1.2.
    Tpm12,
    /// A TPM 2.0 as it was left; it is ended first, since only one process can have its state.
    Tpm20(&'a mut SoftwareTpm),
}

/// What a machine has besides the binary and busybox.
#[derive(Default)]
pub struct Setup<'a> {
    /// Files: absolute path and content.
    pub files: &'a [(&'a str, &'a [u8])],
    /// Programs of the machine that runs the tests, or fetched ones, and where they are to be.
    pub programs: &'a [(&'a Path, &'a str)],
    /// Further arguments for the kernel.
    pub kernel: &'a str,
}

/// What a machine's checks brought.
pub struct Machine {
    outputs: BTreeMap<String, Output>,
    console: String,
}

impl Machine {
    /// Boots a machine, runs these checks on it (a shell script, see `tests/machine/init`) and powers
    /// it off. `files` are further ones that the checks want: absolute path and content.
    ///
    /// None, and a note, where `scripts/machine.sh` fetched no kernel, unless that is required.
    pub fn boot(tpm: MachineTpm, checks: &str, files: &[(&str, &[u8])]) -> Option<Self> {
        Self::boot_with(tpm, checks, &Setup { files, ..Setup::default() })
    }

    /// The same with more than files.
    pub fn boot_with(tpm: MachineTpm, checks: &str, setup: &Setup) -> Option<Self> {
        let parts = Parts::find()?;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);

        let mut initramfs =
            Initramfs::with_program(Path::new(env!("CARGO_BIN_EXE_tbot_tpm")), "/bin/tbot_tpm");
        initramfs.add("/bin/busybox", 0o755, &fs::read(&parts.busybox).unwrap());
        initramfs.add("/init", 0o755, include_bytes!("../../machine/init"));
        initramfs.add("/checks", 0o644, checks.as_bytes());
        for (path, content) in setup.files {
            initramfs.add(path, 0o644, content);
        }
        for (program, path) in setup.programs {
            initramfs.add_program(program, path, &parts.libraries());
        }
        fs::write(at("initramfs"), initramfs.finish()).unwrap();

        // Always emulated: hardware virtualisation, where there is any, fails in other ways on each machine. Without
        // cmpxchg16b, after which QEMU 7.2 now and then gets the flags wrong, so that the kernel panics. Nor is the emulated
        // timer checked, which on a busy machine ticks too late for that.
        let mut qemu = Command::new(&parts.qemu);
        qemu.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max,-cx16", "-smp", "2", "-m", "512"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(&parts.kernel)
            .arg("-initrd")
            .arg(at("initramfs"))
            .args(["-append", &format!("console=ttyS0 quiet panic=-1 no_timer_check {}", setup.kernel)])
            .args(["-serial", "file:console", "-serial", "file:results"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(at("qemu.log")).unwrap())
            .stderr(fs::File::options().append(true).open(at("qemu.log")).unwrap());
        let _tpm = EmulatedTpm::start(tpm, directory.path(), &mut qemu);
        let status = wait(&mut qemu.spawn().unwrap());

        let read = |name: &str| String::from_utf8_lossy(&fs::read(at(name)).unwrap_or_default()).into_owned();
        let console = format!("{}{}", read("qemu.log"), read("console"));
        let (outputs, finished) = outputs(&read("results"));
        assert!(
            status.is_some_and(|status| status.success()) && finished,
            "the machine did not run all of its checks ({status:?}); finished: {:?}\n{console}",
            outputs.keys()
        );
        Some(Self { outputs, console })
    }

    /// Exit status and output of a check, by its name.
    pub fn output(&self, check: &str) -> &Output {
        self.outputs.get(check).unwrap_or_else(|| panic!("no check {check}\n{}", self.console))
    }

    /// The answer of a check that ran the binary; its output must be one line of JSON and nothing else.
    pub fn answer(&self, check: &str) -> Value {
        super::parse(self.output(check))
    }

    /// The answer of a check that must have succeeded.
    pub fn success(&self, check: &str) -> Value {
        let answer = self.answer(check);
        assert!(answer.get("failed").is_none(), "{check}: {answer}");
        answer
    }

    /// The message of a check that must have failed with this kind.
    pub fn failure(&self, check: &str, kind: &str) -> String {
        let answer = self.answer(check);
        assert_eq!(answer["error"]["kind"], kind, "{check}: {answer}");
        answer["msg"].as_str().unwrap().to_owned()
    }
}

/// What `scripts/machine.sh` fetched.
pub struct Parts {
    kernel: PathBuf,
    qemu: PathBuf,
    busybox: PathBuf,
    root: PathBuf,
}

impl Parts {
    pub fn find() -> Option<Self> {
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/machine");
        if fetched.join("stamp").exists() {
            let at = |name: &str| fetched.join(name);
            let root = at("root");
            return Some(Self { kernel: at("vmlinuz"), qemu: at("qemu"), busybox: at("busybox"), root });
        }
        let required = std::env::var_os("TBOT_TPM_MACHINE").is_some_and(|value| value == "required");
        assert!(!required, "there is no kernel to boot: run scripts/machine.sh");
        // Not by `eprintln!`, which the test runner keeps to itself.
        stderr()
            .write_all(b"skipped: there is no kernel to boot; on Debian scripts/machine.sh fetches one\n")
            .unwrap();
        None
    }
}

impl Parts {
    /// A fetched program.
    pub fn program(&self, name: &str) -> PathBuf {
        let places = ["usr/sbin", "sbin", "usr/bin", "bin"].map(|place| self.root.join(place).join(name));
        places.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{name} was not fetched"))
    }

    /// Where its libraries are, as `LD_LIBRARY_PATH` lists them.
    pub fn libraries(&self) -> String {
        let places = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|place| self.root.join(place));
        places.map(|place| place.display().to_string()).join(":")
    }
}

/// The software TPM behind a machine's device; ends with the value.
struct EmulatedTpm {
    process: Option<Child>,
    /// Of a TPM that is not the caller's.
    _state: Option<TempDir>,
}

impl EmulatedTpm {
    /// Starts it, and gives it to the machine.
    fn start(tpm: MachineTpm, directory: &Path, qemu: &mut Command) -> Self {
        let (flags, state, own): (&[&str], _, _) = match tpm {
            MachineTpm::None => return Self { process: None, _state: None },
            MachineTpm::Tpm12 => {
                let own = tempfile::tempdir().unwrap();
                (&[], own.path().to_owned(), Some(own))
            }
            MachineTpm::Tpm20(tpm) => {
                let _ = tpm.process.kill();
                let _ = tpm.process.wait();
                (&["--tpm2"], tpm.directory.path().to_owned(), None)
            }
        };
        let socket = directory.join("swtpm.sock");
        let process = Command::new("swtpm")
            .arg("socket")
            .args(flags)
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--ctrl", &format!("type=unixio,path={}", socket.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("swtpm.log")).unwrap())
            .spawn()
            .expect("swtpm is installed");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            let log = || fs::read_to_string(directory.join("swtpm.log")).unwrap();
            assert!(Instant::now() < deadline, "swtpm does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        qemu.args(["-chardev", &format!("socket,id=tpm,path={}", socket.display())]).args([
            "-tpmdev",
            "emulator,id=tpm0,chardev=tpm",
            "-device",
            "tpm-tis,tpmdev=tpm0",
        ]);
        Self { process: Some(process), _state: own }
    }
}

impl Drop for EmulatedTpm {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The process's exit status, or none where it had to be ended.
fn wait(process: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + TIME_LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

/// What `tests/machine/init` wrote, by the checks' names, and whether it came to its end.
fn outputs(results: &str) -> (BTreeMap<String, Output>, bool) {
    let mut outputs = BTreeMap::new();
    let mut finished = false;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for line in results.lines() {
        let line = line.trim_end_matches('\r');
        match line.split_once(' ') {
            Some(("out", text)) => writeln!(stdout, "{text}").unwrap(),
            Some(("err", text)) => writeln!(stderr, "{text}").unwrap(),
            Some(("check", text)) => {
                let (name, status) = text.split_once(' ').unwrap();
                let status = ExitStatus::from_raw(status.parse::<i32>().unwrap() << 8);
                let output = Output {
                    status,
                    stdout: std::mem::take(&mut stdout),
                    stderr: std::mem::take(&mut stderr),
                };
                assert!(outputs.insert(name.to_owned(), output).is_none(), "two checks are named {name}");
            }
            _ => finished |= line == "end",
        }
    }
    (outputs, finished)
}
