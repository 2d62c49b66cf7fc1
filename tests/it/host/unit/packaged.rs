//! `systemd` where a package, or anyone, has a unit of that name in a directory of the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::support::privileges::is_root;
use crate::support::systemd::{PACKAGED, install, request, warnings};
use crate::support::{fail, succeed, tool};

/// A unit in a directory of the system, under a name that no one else uses, which goes with the value.
struct SystemUnit {
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl SystemUnit {
    fn place(directory: &str, name: &str) -> Self {
        let directory = Path::new(directory);
        let mut made: Vec<PathBuf> =
            directory.ancestors().filter(|path| !path.exists()).map(Path::to_path_buf).collect();
        fs::create_dir_all(directory).unwrap();
        let path = directory.join(format!("{name}.service"));
        fs::write(&path, PACKAGED).unwrap();
        made.insert(0, path.clone());
        Self { path, made }
    }
}

impl Drop for SystemUnit {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        for directory in &self.made[1..] {
            let _ = fs::remove_dir(directory);
        }
    }
}

#[test]
fn a_unit_anywhere_else_gets_a_drop_in_and_ours_goes() {
    if !is_root() {
        return;
    }
    let name = format!("tbot-tpm-test-{}", std::process::id());
    let directory = tempfile::tempdir().unwrap();
    let extra = |mode: &str| json!({ "name": name, "mode": mode });
    assert_eq!(install(directory.path(), extra("auto"))["mode"], "unit");
    let unit = directory.path().join(format!("{name}.service"));
    {
        let theirs = SystemUnit::place("/usr/local/lib/systemd/system", &name);
        // A person's own beside it changes nothing about that.
        let ours = fs::read_to_string(&unit).unwrap();
        fs::write(&unit, PACKAGED).unwrap();
        assert_eq!(succeed(&request(directory.path(), extra("auto")))["mode"], "drop_in");
        fs::remove_dir_all(unit.with_extension("service.d")).unwrap();
        fs::write(&unit, ours).unwrap();
        let answer = install(directory.path(), extra("auto"));
        assert_eq!(
            (&answer["mode"], &answer["changed"], warnings(&answer)),
            (&json!("drop_in"), &json!(true), vec![])
        );
        let before = answer["diff"]["before"].as_str().unwrap();
        assert!(before.contains("[Install]") && !unit.exists(), "{answer}");
        let again = install(directory.path(), extra("auto"));
        assert_eq!((&again["mode"], &again["changed"]), (&json!("drop_in"), &json!(false)));
        assert_eq!(install(directory.path(), extra("unit"))["mode"], "unit");
        assert_eq!(install(directory.path(), extra("drop_in"))["mode"], "drop_in");
        let absent = request(directory.path(), json!({ "name": name, "state": "absent" }));
        let removed = succeed(&absent);
        let expected = format!(
            "{} stays: it is in another directory than {}",
            theirs.path.display(),
            directory.path().display()
        );
        assert_eq!((&removed["changed"], &removed["warnings"]), (&json!(true), &json!([expected])));
        assert_eq!(fs::read_to_string(&theirs.path).unwrap(), PACKAGED);
        // Where it is the directory itself, a unit there is no other.
        fail(&request(theirs.path.parent().unwrap(), extra("auto")), "conflict");
    }
    assert_eq!(install(directory.path(), extra("auto"))["mode"], "unit");
}

/// A package with one file, installed, which goes with the value.
struct Package {
    name: String,
    _folder: TempDir,
}

impl Package {
    fn install(name: &str, file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        let place = tree.join(file.strip_prefix("/").unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, PACKAGED).unwrap();
        fs::create_dir(tree.join("DEBIAN")).unwrap();
        let control = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: tests <tests@example.com>\nDescription: a test's\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let archive = folder.path().join("package.deb");
        let (tree, archive) = (tree.to_str().unwrap(), archive.to_str().unwrap());
        tool("dpkg-deb", &["--root-owner-group", "--build", tree, archive]);
        let package = Self { name: name.to_owned(), _folder: folder };
        tool("dpkg", &["--install", archive]);
        package
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = Command::new("dpkg").args(["--purge", &self.name]).output();
    }
}

#[test]
fn a_packages_unit_gets_a_drop_in_and_stays() {
    if !is_root() {
        return;
    }
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        crate::support::note("skipped: there is no dpkg");
        return;
    }
    let name = format!("tbot-tpm-test-package-{}", std::process::id());
    let folder = PathBuf::from(format!("/var/lib/{name}"));
    // Both mean something in dpkg-query's patterns.
    let directory = folder.join("a*[b]");
    let unit = directory.join("tbot.service");
    let package = Package::install(&name, &unit);
    let answer = install(&directory, json!({}));
    assert_eq!((&answer["mode"], warnings(&answer)), (&json!("drop_in"), vec![]));
    assert_eq!(install(&directory, json!({}))["changed"], false);
    fail(&request(&directory, json!({ "mode": "unit" })), "conflict");
    for force in [false, true] {
        install(&directory, json!({}));
        let absent = request(&directory, json!({ "state": "absent", "force": force }));
        let removed = succeed(&absent);
        let expected = format!(
            "{} stays: tbot_tpm did not write it; remove it, or its package, yourself where it is to go",
            unit.display()
        );
        assert_eq!((&removed["changed"], &removed["warnings"]), (&json!(true), &json!([expected])));
        assert_eq!(fs::read_to_string(&unit).unwrap(), PACKAGED);
        let forced = request(&directory, json!({ "state": "absent", "mode": "unit", "force": true }));
        assert_eq!(succeed(&forced)["changed"], false);
    }
    // A unit beside it that no package has is not the package's.
    fs::write(directory.join("other.service"), PACKAGED).unwrap();
    fail(&request(&directory, json!({ "name": "other" })), "conflict");
    fs::remove_file(directory.join("other.service")).unwrap();
    drop(package);
    assert!(!folder.exists(), "the package left something");
}
