//! Root's privileges, and doing without them: other users' files, the binary run as one of them, and mounts that
//! nobody else sees.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A user that owns nothing, and that nobody trusts.
pub const NOBODY: u32 = 65534;

/// Whether the tests run as root. Where not, a line says that one is skipped, but where `TBOT_TPM_ROOT` is `required`
/// that is an error.
pub fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        let is_required = std::env::var_os("TBOT_TPM_ROOT").is_some_and(|value| value == "required");
        assert!(!is_required, "this test needs root");
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        super::note(&format!("skipped: {name} needs root"));
    }
    is_root
}

/// A new directory that everybody may look into.
pub fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    place
}

/// The same where every directory on the way is root's, as in `/tmp` it is not. Needs root.
pub fn roots_place() -> TempDir {
    let place = tempfile::Builder::new().prefix("tbot-tpm-test.").tempdir_in("/run").unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    place
}

/// The number of a user of the system.
pub fn user(name: &str) -> u32 {
    nix::unistd::User::from_name(name).unwrap().unwrap().uid.as_raw()
}

/// The number of a group of the system.
pub fn group(name: &str) -> u32 {
    nix::unistd::Group::from_name(name).unwrap().unwrap().gid.as_raw()
}

/// Makes a directory of this owner, group and mode.
pub fn directory(path: impl AsRef<Path>, user: u32, group: u32, mode: u32) -> PathBuf {
    let path = path.as_ref();
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(path, Some(user), Some(group)).unwrap();
    }
    path.to_owned()
}

/// Makes a file of this owner, group and mode.
pub fn file(path: impl AsRef<Path>, user: u32, group: u32, mode: u32) -> PathBuf {
    let path = path.as_ref();
    fs::write(path, "secret").unwrap();
    if nix::unistd::geteuid().is_root() {
        lchown(path, Some(user), Some(group)).unwrap();
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    path.to_owned()
}

/// Owner, group and mode of what is there itself, not of what a link leads to.
pub fn owned(path: impl AsRef<Path>) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

/// The answer of the binary as `command` starts it, which reads the request from its standard input.
pub fn answer_of(command: &mut Command, request: &Value) -> Value {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    super::parse(&child.wait_with_output().unwrap())
}

/// The answer of the binary with another umask than the tests'.
pub fn with_umask(umask: &str, request: &Value) -> Value {
    let script = format!("umask {umask}; exec \"$0\"");
    answer_of(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_tbot_tpm")]), request)
}

/// The answer of the binary as another user and group, without further groups. Where the build is may be closed
/// to them, so they get a copy.
pub fn run_as(user: u32, group: u32, request: &Value) -> Value {
    let (_place, binary) = binary_for_everybody();
    answer_of(Command::new(binary).uid(user).gid(group), request)
}

/// A copy of the binary in a place that everybody may look into.
pub fn binary_for_everybody() -> (TempDir, PathBuf) {
    let place = place();
    let binary = place.path().join("tbot_tpm");
    // By another process: a file that this one writes stays open in whatever it starts meanwhile, and what is
    // open to be written cannot be run.
    super::tool("cp", &[env!("CARGO_BIN_EXE_tbot_tpm"), binary.to_str().unwrap()]);
    (place, binary)
}

/// The lines that a shell script prints whose mounts end with it. `$TBOT_TPM` is the binary.
pub fn in_own_mounts<S: AsRef<OsStr>>(script: &str, arguments: &[S]) -> Vec<String> {
    let (_place, binary) = binary_for_everybody();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-euc", script, "sh"])
        .args(arguments)
        .env("TBOT_TPM", binary)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The answer of the binary under strace(1) with these options, and what strace wrote.
pub fn traced(options: &[&str], request: &Value) -> (Value, String) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = Command::new("strace");
    command.arg("-f").arg("-o").arg(&log).args(options).arg(env!("CARGO_BIN_EXE_tbot_tpm"));
    let answer = answer_of(&mut command, request);
    (answer, fs::read_to_string(log).unwrap())
}

/// What the user and group 4242 get to hear, where the system's users and groups have these lines more.
pub fn as_user_known_as(passwd: &str, group: &str, request: &Value) -> Value {
    let place = place();
    let files = [("passwd", passwd), ("group", group)].map(|(name, line)| {
        let path = place.path().join(name);
        let all = fs::read_to_string(Path::new("/etc").join(name)).unwrap();
        fs::write(&path, format!("{all}{line}\n")).unwrap();
        path.display().to_string()
    });
    let script = r#"
        mount --bind "$1" /etc/passwd
        mount --bind "$2" /etc/group
        echo "$3" | HOME=/ setpriv --reuid 4242 --regid 4242 --clear-groups "$TBOT_TPM" || true
    "#;
    let [passwd, group] = files;
    serde_json::from_str(&in_own_mounts(script, &[passwd, group, request.to_string()])[0]).unwrap()
}
