//! Requests to `registry`, each in check mode too, and what they leave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tbot_tpm::ekcert::EkCertificate;
use tempfile::TempDir;

use super::manufacturer::Manufacturer;
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

/// What `identify` returns for a TPM with an EK certificate: always the same one.
pub fn certified() -> Value {
    static IDENTITY: OnceLock<Value> = OnceLock::new();
    let make = || {
        let tpm = Manufacturer::new("Acme").tpm(HOST, "0f:ff");
        let mut found = found('0');
        for name in ["ek_public_hash", "ek_cert_present", "ek_cert_serial", "ek_cert_pem"] {
            found[name] = tpm[name].clone();
        }
        let certificate = EkCertificate::from_pem(tpm["ek_cert_pem"].as_str().unwrap()).unwrap();
        found["ek_cert_sha256"] = json!(certificate.sha256());
        found
    };
    IDENTITY.get_or_init(make).clone()
}

/// The same TPM without its certificate.
pub fn uncertified() -> Value {
    let mut found = found('0');
    found["ek_public_hash"] = certified()["ek_public_hash"].clone();
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
        self.archived_of(host, &found(digit))
    }

    /// The archived entry of the host's TPM with this identity.
    pub fn archived_of(&self, host: &str, identity: &Value) -> PathBuf {
        let digits = &identity["ek_public_hash"].as_str().unwrap()[..16];
        self.registry().join("archive").join(format!("{host}.{digits}.json"))
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
                let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                let text = String::from_utf8_lossy(&bytes).into_owned();
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
