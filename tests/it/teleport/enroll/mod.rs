//! `enroll` against the stand-in for tctl.

mod answers;
mod awkward;
mod elsewhere;
mod instances;
mod layouts;
mod lost;
mod reading;
mod scoped;
mod shared;
mod slow_lives;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::stand_in::Cluster;
use crate::support::{fail, run, succeed};

/// A registry, files of tokens, and a cluster.
pub struct Fleet {
    pub cluster: Cluster,
    folder: TempDir,
}

impl Fleet {
    /// An empty one, or a word on standard error that the test is skipped.
    pub fn new_or_skip() -> Option<Self> {
        let fleet = Self { cluster: Cluster::new_or_skip()?, folder: tempfile::tempdir().unwrap() };
        fs::create_dir(fleet.path("registry")).unwrap();
        Some(fleet)
    }

    /// With these hosts in the registry.
    pub fn of(hosts: &[&str]) -> Option<Self> {
        let fleet = Self::new_or_skip()?;
        for host in hosts {
            fleet.add(host);
        }
        Some(fleet)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn add(&self, host: &str) {
        self.add_tpm(host, &hash(host));
    }

    pub fn add_tpm(&self, host: &str, hash: &str) {
        fs::write(self.path(&format!("registry/{host}.json")), json!({ "ek_public_hash": hash }).to_string())
            .unwrap();
    }

    pub fn archive(&self, host: &str) {
        succeed(
            &json!({ "action": "registry", "registry": self.path("registry"), "host": host, "state": "archived" }),
        );
    }

    /// A request with these parameters besides the usual ones.
    pub fn request(&self, parameters: &Value) -> Value {
        let mut request = json!({
            "action": "enroll", "tctl": self.cluster.command(), "settle_seconds": 0, "name": "hosts", "bot_name": "deploy",
            "registry": self.path("registry"), "path": self.path("token.yaml"),
        });
        for (name, value) in parameters.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    }

    pub fn enroll(&self, parameters: &Value) -> Value {
        succeed(&self.request(parameters))
    }

    pub fn refuse(&self, parameters: &Value, kind: &str) -> String {
        fail(&self.request(parameters), kind)
    }

    pub fn try_to(&self, parameters: &Value) -> Value {
        run(&self.request(parameters))
    }

    /// The descriptions and hashes of each token's rules.
    pub fn tokens(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let Ok(files) = fs::read_dir(self.cluster.file("token")) else { return BTreeMap::new() };
        let read =
            |path: PathBuf| -> Value { serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
        files
            .map(|file| read(file.unwrap().path()))
            .map(|token| (text(&token["metadata"]["name"]), rules(&token)))
            .collect()
    }

    /// Those of one token; none where it is not there.
    pub fn hosts_of(&self, token: &str) -> Vec<String> {
        self.tokens().remove(token).unwrap_or_default().into_keys().collect()
    }

    pub fn stored(&self, kind: &str, name: &str) -> Value {
        let file = self.cluster.file(&format!("{kind}/{name}.json"));
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    /// The first words of what tctl was asked, since the last time.
    pub fn asked(&self) -> Vec<String> {
        let file = self.cluster.file("commands");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        text.lines().map(|line| line.split(" --format").next().unwrap().to_owned()).collect()
    }
}

/// A hash that is the host's own.
pub fn hash(host: &str) -> String {
    let sum = host
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{sum:016x}").repeat(4)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn rules(token: &Value) -> BTreeMap<String, String> {
    let rules = token["spec"]["tpm"]["allow"].as_array().unwrap();
    rules.iter().map(|rule| (text(&rule["description"]), text(&rule["ek_public_hash"]))).collect()
}
