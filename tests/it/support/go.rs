//! Go's own answers, by the small program in `tests/go/certificates`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What Go is asked. Each question takes its arguments as bytes.
#[derive(Debug, Clone, Copy)]
pub enum Question {
    /// What `tbot` takes from an index: `HASH SERIAL`, `refused` or `unsupported`.
    Identity,
    /// Whether a cluster accepts a certificate, from the time, the certificate and the CAs: `accepted`, `refused`
    /// or `unreadable`.
    Verify,
    /// What a PEM text holds: `taken` or `refused`, and the hashes of the certificates in it.
    Blocks,
}

/// Programs that give Go's answers, each built by one Go release.
pub struct Oracle {
    programs: Vec<PathBuf>,
}

impl Oracle {
    /// The program, or a word on standard error that the test is skipped.
    pub fn get_or_skip() -> Option<&'static Self> {
        let oracle = Self::get();
        if oracle.is_none() {
            // Not by a macro: the output of tests that pass is not shown.
            let skipped =
                b"SKIPPED: there is no Go here to compare with; scripts/setup.sh installs it into .venv\n";
            std::io::stderr().write_all(skipped).unwrap();
        }
        oracle
    }

    /// The program, built once for all tests of a process by every `go` that `TBOT_TPM_GO` names, separated by
    /// colons, or by the one of the project's Python environment or the search path.
    ///
    /// None where there is no Go, which is an error where `TBOT_TPM_GO` or `CI` is set: then somebody counts
    /// on it.
    fn get() -> Option<&'static Self> {
        static ORACLE: OnceLock<Option<Oracle>> = OnceLock::new();
        ORACLE.get_or_init(Self::build).as_ref()
    }

    fn build() -> Option<Self> {
        let given = std::env::var("TBOT_TPM_GO").unwrap_or_default();
        if !given.is_empty() && given != "required" {
            return Some(Self { programs: given.split(':').map(|go| compile(Path::new(go))).collect() });
        }
        program("certificates").map(|program| Self { programs: vec![program] })
    }

    /// Whether the releases are enough to see where they disagree.
    pub fn has_several(&self) -> bool {
        self.programs.len() > 1
    }

    /// For each list of arguments, every program's answer.
    pub fn ask(&self, question: Question, lists: &[Vec<Vec<u8>>]) -> Vec<Vec<String>> {
        let lines = lists.iter().fold(String::new(), |mut lines, arguments| {
            let arguments: Vec<String> = arguments.iter().map(|argument| base64(argument)).collect();
            writeln!(lines, "{}", arguments.join(" ")).unwrap();
            lines
        });
        let word = format!("{question:?}").to_lowercase();
        let answers: Vec<Vec<String>> =
            self.programs.iter().map(|program| run(program, &word, &lines)).collect();
        let of = |index: usize| answers.iter().map(|answers| answers[index].clone()).collect();
        (0..lists.len()).map(of).collect()
    }
}

/// One of the programs in `tests/go`, built once for all tests of a process.
///
/// None where there is no Go, which is an error where `TBOT_TPM_GO` or `CI` is set: then somebody counts on it.
pub fn program(name: &str) -> Option<PathBuf> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = *BUILT.get_or_init(|| {
        let runs =
            |go: &Path| Command::new(go).arg("version").output().is_ok_and(|said| said.status.success());
        let has_go = runs(&project.join(".venv/bin/go")) || runs(Path::new("go"));
        let is_counted_on = ["TBOT_TPM_GO", "CI"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(has_go || !is_counted_on, "Go is not there (scripts/setup.sh installs it)");
        if has_go {
            // The first one says that it builds; nobody reads that.
            let done = Command::new(project.join("tests/go/build.sh")).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        has_go
    });
    built.then(|| project.join(".cache/go").join(name))
}

/// The oracle as this `go` builds it, with its release's own settings, not those of another release. It imports
/// nothing but Go's own packages, so it needs none of the module's requirements.
fn compile(go: &Path) -> PathBuf {
    let version = Command::new(go).arg("version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let version = version.split(' ').nth(2).unwrap().to_owned();
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&version);
    fs::create_dir_all(&build).unwrap();
    let release: Vec<&str> = version.trim_start_matches("go").split('.').take(2).collect();
    let module = format!("module tbot_tpm.test\n\ngo {}\n", release.join("."));
    fs::write(build.join("go.mod"), module).unwrap();
    let status = Command::new(go)
        .arg("build")
        .arg(format!("-modfile={}", build.join("go.mod").display()))
        .arg("-o")
        .args([&build.join("oracle"), Path::new("./certificates")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
        .env("GOCACHE", build.join("cache"))
        // Where it would keep counts of its own use.
        .env("XDG_CONFIG_HOME", build.join("config"))
        .env("GOPATH", build.join("path"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .status()
        .unwrap();
    assert!(status.success(), "{} builds tests/go/certificates", go.display());
    build.join("oracle")
}

fn run(program: &Path, question: &str, lines: &str) -> Vec<String> {
    let mut child =
        Command::new(program).arg(question).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(lines.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let number =
            (0..3).fold(0, |number, i| number << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        let digit =
            |i: usize| if i <= chunk.len() { char::from(DIGITS[number >> (18 - 6 * i) & 63]) } else { '=' };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(digits).collect()
}
