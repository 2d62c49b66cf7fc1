//! The stand-in for tctl, over a folder in place of a cluster.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tbot_tpm::error::Error;
use tbot_tpm::teleport::Name;
use tbot_tpm::teleport::tctl::Tctl;
use tempfile::TempDir;

use super::go;

/// A cluster of its own, which ends with the value.
pub struct Cluster {
    folder: TempDir,
    program: PathBuf,
}

impl Cluster {
    /// An empty cluster, or a word on standard error that the test is skipped.
    pub fn new_or_skip() -> Option<Self> {
        let program = go::program("tctl");
        if program.is_none() {
            super::note("SKIPPED: there is no Go here to build the stand-in for tctl with");
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), program: program? })
    }

    /// The words by which the stand-in is run for this cluster.
    pub fn command(&self) -> Vec<String> {
        let folder = format!("STAND_IN_CLUSTER={}", self.folder.path().display());
        ["env", &folder, self.program.to_str().unwrap()].map(str::to_owned).to_vec()
    }

    pub fn tctl(&self) -> Tctl {
        Tctl::new(self.command()).unwrap()
    }

    /// Makes tctl as awkward as the fields say, which tests/go/README.md has.
    pub fn be_awkward(&self, fields: &Value) {
        let status = Command::new(&self.program)
            .args(["stand-in-awkward", &fields.to_string()])
            .env("STAND_IN_CLUSTER", self.folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "{fields}");
    }

    /// Stores a resource as a cluster has it, without a check.
    pub fn store(&self, resource: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let folder = self.folder.path().join(text(&resource["kind"]));
        fs::create_dir_all(&folder).unwrap();
        let name = text(&resource["metadata"]["name"]);
        fs::write(folder.join(format!("{name}.json")), resource.to_string()).unwrap();
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A tctl that is this script, whose arguments are tctl's.
pub fn script(text: &str) -> Tctl {
    Tctl::new(["sh", "-c", text, "tctl"].map(str::to_owned).to_vec()).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

/// An error as users see it: its kind, its message and its hint.
pub fn told(error: &Error) -> String {
    let kind = serde_json::to_value(error.kind).unwrap();
    let hint = error.hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{}: {}{hint}", kind.as_str().unwrap(), error.message)
}
