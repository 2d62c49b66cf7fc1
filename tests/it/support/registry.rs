//! Requests to `registry`, each in check mode too, and what they leave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::tokens::hash;
use super::{fail, succeed};

pub const HOST: &str = "web-1";

/// What `identify` returns for a TPM without an EK certificate.
pub fn found(digit: char) -> Value {
    json!({
        "changed": false, "ek_public_hash": hash(digit), "ek_source": "create_primary", "ek_cert_present": false,
        "ek_cert_serial": null, "ek_cert_sha256": null, "ek_cert_pem": null, "ek_cert": null, "tpm": {}, "warnings": [],
    })
}

/// The same with one.
pub fn certified(digit: char) -> Value {
    let mut found = found(digit);
    found["ek_cert_present"] = json!(true);
    found["ek_cert_serial"] = json!("0f:ff");
    found["ek_cert_sha256"] = json!(hash('f'));
    found["ek_cert_pem"] = json!("-----BEGIN CERTIFICATE-----\n");
    found
}

/// A registry in a directory that is gone with the value.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.registry()).unwrap();
        place
    }

    pub fn registry(&self) -> PathBuf {
        self.0.path().join("registry")
    }

    pub fn entry(&self, host: &str) -> PathBuf {
        self.registry().join(format!("{host}.json"))
    }

    /// The archived entry of the host's TPM with a hash of this digit.
    pub fn archived(&self, host: &str, digit: char) -> PathBuf {
        self.registry().join("archive").join(format!("{host}.{}.json", digit.to_string().repeat(16)))
    }

    pub fn request(&self, extra: Value) -> Value {
        let mut request = json!({ "action": "registry", "registry": self.registry(), "host": HOST });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        request
    }

    pub fn record(&self, identity: Value) -> Value {
        self.change(json!({ "identity": identity }))
    }

    /// The answer, which check mode must have foreseen, and after which there is nothing to do.
    pub fn change(&self, extra: Value) -> Value {
        let mut request = self.request(extra);
        request["_ansible_diff"] = json!(true);
        let mut check = request.clone();
        check["_ansible_check_mode"] = json!(true);
        let before = self.files();
        let foreseen = succeed(&check);
        assert_eq!(self.files(), before, "check mode wrote something");
        let answer = succeed(&request);
        let shown = |answer: &Value| {
            let mut answer = answer.clone();
            answer.as_object_mut().unwrap().remove("invocation");
            answer
        };
        assert_eq!(shown(&foreseen), shown(&answer));
        assert_eq!(answer["changed"], self.files() != before);
        assert_eq!(answer.get("diff").is_some(), answer["changed"] == true);
        let files = self.files();
        let again = succeed(&request);
        assert_eq!(again["changed"], false, "{again}");
        assert_eq!(self.files(), files);
        for name in ["path", "archived", "identity"] {
            assert_eq!(again[name], answer[name]);
        }
        assert_eq!(again["former_ek_public_hash"], Value::Null);
        answer
    }

    /// The message of a request that changes nothing, in check mode as in a run.
    pub fn refuse(&self, extra: Value, kind: &str) -> String {
        let mut request = self.request(extra);
        let before = self.files();
        let message = fail(&request, kind);
        assert_eq!(self.files(), before, "something was written");
        request["_ansible_check_mode"] = json!(true);
        assert_eq!(fail(&request, kind), message);
        message
    }

    /// Everything in the place, with the files' texts.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                let text = if path.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
                if path.is_dir() && !path.is_symlink() {
                    directories.push(path.clone());
                }
                files.push((path, text));
            }
        }
        files.sort();
        files
    }
}

pub fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
