//! Go's YAML readers, by the small program in `tests/go/yaml`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where Debian's packages of Go sources put them.
const GO_PATH: &str = "/usr/share/gocode";
const SOURCES: [&str; 3] = ["gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "github.com/ghodss/yaml"];

/// The program, built once for all tests of a process by the first `go` that `TBOT_TPM_GO` names, or by the
/// one of the project's Python environment or the search path.
///
/// None where Go or the sources of its YAML readers are missing, which is an error where `TBOT_TPM_GO` or `CI`
/// is set: then somebody counts on it.
pub fn readers() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let given = std::env::var("TBOT_TPM_GO").unwrap_or_default();
    let candidates: Vec<PathBuf> = match given.split(':').next() {
        None | Some("" | "required") => {
            vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/go"), "go".into()]
        }
        Some(go) => vec![go.into()],
    };
    let has_sources = SOURCES.iter().all(|source| Path::new(GO_PATH).join("src").join(source).is_dir());
    let built = candidates.iter().filter(|_| has_sources).find_map(|go| compile(go));
    let is_counted_on = !given.is_empty() || std::env::var_os("CI").is_some();
    assert!(
        built.is_some() || !is_counted_on,
        "Go, or the sources of its YAML readers, are not there (scripts/setup.sh installs both)"
    );
    if built.is_none() {
        // Not by a macro: the output of tests that pass is not shown.
        let skipped = b"SKIPPED: no Go, or no sources of its YAML readers; scripts/setup.sh installs both\n";
        std::io::stderr().write_all(skipped).unwrap();
    }
    built
}

/// The program as this `go` builds it; none where that one cannot be run.
fn compile(go: &Path) -> Option<PathBuf> {
    let is_there = Command::new(go).arg("version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        return None;
    }
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-yaml");
    fs::create_dir_all(&build).unwrap();
    // Without modules, which would have to be downloaded: GOPATH is what Debian's packages are made for.
    let status = Command::new(go)
        .args(["build", "-o"])
        .arg(build.join("readers"))
        .arg("main.go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/yaml"))
        .env("GO111MODULE", "off")
        .env("GOPATH", GO_PATH)
        .env("GOCACHE", build.join("cache"))
        // Where it would keep counts of its own use.
        .env("XDG_CONFIG_HOME", build.join("config"))
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .status()
        .unwrap();
    assert!(status.success(), "{} builds tests/go/yaml", go.display());
    Some(build.join("readers"))
}
