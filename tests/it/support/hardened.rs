//! Hardened units, by the configuration of the service.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fail;
use super::systemd::{install, request};

/// A directory for units, and a file for a configuration.
pub struct Place {
    pub directory: TempDir,
    pub config: PathBuf,
}

impl Place {
    pub fn with(config: &str) -> Self {
        let directory = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
        let path = directory.path().join("t.yaml");
        fs::write(&path, config).unwrap();
        Self { directory, config: path }
    }

    pub fn extra(&self, extra: Value) -> Value {
        let mut all = json!({ "hardening": true, "config": self.config });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        all
    }

    pub fn install(&self, extra: Value) -> Value {
        install(self.directory.path(), self.extra(extra))
    }

    pub fn refused(&self, extra: Value, kind: &str) -> String {
        fail(&request(self.directory.path(), self.extra(extra)), kind)
    }
}

/// The values that a directive is given, one an assignment.
pub fn values(answer: &Value, name: &str) -> Vec<String> {
    let content = answer["content"].as_str().unwrap();
    let assignments = content.lines().filter_map(|line| line.split_once('='));
    assignments.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).collect()
}

pub fn value(answer: &Value, name: &str) -> String {
    let values = values(answer, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].clone()
}
