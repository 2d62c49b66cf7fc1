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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::Command;

    use super::{LOAD_PATH, dpkg_names_owner, elsewhere, is_masked, literal_pattern, names};
    use crate::host::unit::UnitName;

    const NAME: &UnitName = &UnitName::known("tbot");

    #[test]
    fn a_unit_elsewhere_is_found_by_the_directory_and_not_its_name() {
        let root = tempfile::tempdir().unwrap();
        let [ours, alias, theirs, missing] =
            ["ours", "alias", "theirs", "missing"].map(|name| root.path().join(name));
        fs::create_dir(&ours).unwrap();
        fs::create_dir(&theirs).unwrap();
        symlink(&ours, &alias).unwrap();
        fs::write(ours.join("tbot.service"), "").unwrap();
        fs::write(theirs.join("other.service"), "").unwrap();
        let load_path = [&missing, &alias, &theirs, &ours].map(|path| path.to_str().unwrap());
        let found = |directory: &Path| elsewhere(&load_path, directory, NAME).unwrap();
        assert_eq!(found(&ours), None);
        assert_eq!(found(&alias), None);
        assert_eq!(found(&missing), Some(alias.join("tbot.service")));
        assert_eq!(found(&theirs), Some(alias.join("tbot.service")));
        symlink("/nowhere", theirs.join("tbot.service")).unwrap();
        assert_eq!(found(&ours), Some(theirs.join("tbot.service")));
    }

    #[test]
    fn units_are_looked_for_where_systemd_does() {
        let asked = Command::new("systemd-analyze").args(["--system", "unit-paths"]).output();
        let Ok(said) = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else {
            eprintln!("skipped: there is no systemd-analyze here");
            return;
        };
        assert!(said.lines().count() > 5, "{said}");
        for path in said.lines() {
            assert!(LOAD_PATH.contains(&path), "{path}");
        }
    }

    #[test]
    fn a_mask_is_no_unit() {
        let root = tempfile::tempdir().unwrap();
        let mask = root.path().join("tbot.service");
        symlink("/dev/null", &mask).unwrap();
        assert!(is_masked(&mask).unwrap());
        let load_path = [root.path().to_str().unwrap()];
        assert_eq!(elsewhere(&load_path, Path::new("/nowhere"), NAME).unwrap(), None);
        fs::remove_file(&mask).unwrap();
        for other in ["/dev/zero", "/nowhere", "/etc/passwd"] {
            symlink(other, &mask).unwrap();
            assert!(!is_masked(&mask).unwrap(), "{other}");
            fs::remove_file(&mask).unwrap();
        }
        assert!(!is_masked(&mask).unwrap());
    }

    #[test]
    fn dpkg_is_asked_for_one_path_and_understood() {
        let path = Path::new("/usr/lib/a*b\\c.service");
        assert_eq!(literal_pattern(path), "/usr/lib/a\\*b\\\\c.service");
        assert!(dpkg_names_owner(b"one, two:amd64: /usr/lib/a*b\\c.service\n", path));
        for said in [
            &b""[..],
            b"one: /usr/lib/other.service\n",
            b"one: /usr/lib/a*b\\c.service.d\n",
            b"diversion by one from: /usr/lib/a*b\\c.service\n",
            b"local diversion to: /usr/lib/a*b\\c.service\n",
        ] {
            assert!(!dpkg_names_owner(said, path), "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn a_file_has_a_name_with_usr_and_one_without() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        symlink("/usr/bin/env", &link).unwrap();
        let found = names(&link);
        for name in ["/usr/bin/env", "/bin/env"] {
            assert!(found.contains(&name.into()), "{found:?}");
        }
    }
}
