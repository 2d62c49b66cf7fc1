//! Which unit of a name a host has besides ours, and whose it is.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::UnitName;
use crate::error::{Error, Result};

/// Where the system's manager looks for units (systemd.unit(5), "Unit File Load Path").
pub const LOAD_PATH: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    // Another directory than the one before on some distributions.
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The first unit of this name in the directories of `load_path`, but for `directory`, whatever name that
/// has there. What masks a unit is none.
pub fn elsewhere(load_path: &[&str], directory: &Path, name: &UnitName) -> Result<Option<PathBuf>> {
    let ours = look(directory, fs::metadata)?.map(|found| identity(&found));
    for candidate in load_path.iter().map(Path::new) {
        let Some(found) = look(candidate, fs::metadata)? else { continue };
        let unit = candidate.join(name.file_name());
        let is_other = Some(identity(&found)) != ours;
        if is_other && look(&unit, fs::symlink_metadata)?.is_some() && !is_masked(&unit)? {
            return Ok(Some(unit));
        }
    }
    Ok(None)
}

/// Whether the unit at `path` is masked: a link that leads to `/dev/null` (systemctl(1), `mask`).
pub fn is_masked(path: &Path) -> Result<bool> {
    let null = look(Path::new("/dev/null"), fs::metadata)?;
    let device = |found: &Metadata| found.file_type().is_char_device().then(|| found.rdev());
    let leads_to = look(path, fs::metadata)?.as_ref().and_then(device);
    Ok(leads_to.is_some() && leads_to == null.as_ref().and_then(device))
}

fn look(path: &Path, how: fn(PathBuf) -> io::Result<Metadata>) -> Result<Option<Metadata>> {
    match how(path.to_owned()) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::io(&format!("look at {}", path.display()), &error)),
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Whether a package owns the file, by whichever package managers the host has. One that fails counts as
/// "no": most of them say it by failing.
pub fn is_packaged(path: &Path) -> bool {
    let names = names(path);
    let by_dpkg = || {
        let patterns: Vec<OsString> = names.iter().map(|name| literal_pattern(name)).collect();
        ask("/usr/bin/dpkg-query", &["--search", "--"], &patterns)
            .is_some_and(|said| names.iter().any(|name| dpkg_names_owner(&said, name)))
    };
    let one_by_one = |program: &str, arguments: &[&str]| {
        names.iter().any(|name| ask(program, arguments, &[name.clone().into_os_string()]).is_some())
    };
    by_dpkg() || one_by_one("/usr/bin/rpm", &["-qf"]) || one_by_one("/usr/bin/pacman", &["-Qo"])
}

/// The file's path by every name that a package may have it under: where `/lib` is a link to `/usr/lib`,
/// either.
fn names(path: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let short = real.strip_prefix("/usr").map(|below| Path::new("/").join(below));
    let mut names = vec![path.to_owned(), real];
    names.extend(short);
    names.sort();
    names.dedup();
    names
}

/// A pattern of dpkg-query(1) that only this path matches.
fn literal_pattern(path: &Path) -> OsString {
    let mut pattern = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if b"*?[]\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    OsString::from_vec(pattern)
}

/// `package[, package]: path`, and not `diversion by package from: path`, which names none that has the file.
fn dpkg_names_owner(said: &[u8], path: &Path) -> bool {
    let end = [b": ", path.as_os_str().as_bytes()].concat();
    said.split(|byte| *byte == b'\n').any(|line| {
        let is_diversion = line.starts_with(b"diversion by ") || line.starts_with(b"local diversion ");
        line.ends_with(&end) && !is_diversion
    })
}

/// What a program says where it succeeds, or says anything at all. It sees nothing of this process's
/// environment.
fn ask(program: &str, arguments: &[&str], paths: &[OsString]) -> Option<Vec<u8>> {
    let output = Command::new(program)
        .args(arguments)
        .args(paths)
        .env_clear()
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    // dpkg-query fails where it does not know one of several paths.
    let is_dpkg = program.ends_with("dpkg-query");
    (output.status.success() || is_dpkg).then_some(output.stdout)
}
