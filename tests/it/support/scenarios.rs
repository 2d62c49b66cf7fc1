//! Every change that an action makes to a host, each in a directory of its own: how it begins, and the request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::strace::{self, Call};

use super::privileges::{directory, file};
use super::succeed;
use super::tree::Tree;

/// The user and group `daemon`, which every system has: one that it does not is looked for by another program.
const BOT: u32 = 1;

/// One change, by the state before it and the request that makes it.
pub struct Scenario {
    pub name: &'static str,
    /// Makes what is there before, in an empty directory.
    before: fn(&Path),
    /// The request that changes it.
    request: fn(&Path) -> Value,
    /// A request that finds the state before as it should be.
    back: Option<fn(&Path) -> Value>,
    /// Whether it writes a file, and so needs room.
    pub writes_a_file: bool,
}

/// A scenario in a directory of its own.
pub struct Stage {
    pub root: PathBuf,
    _directory: Option<TempDir>,
    pub request: Value,
    pub back: Option<Value>,
    pub old: Tree,
    pub new: Tree,
}

impl Scenario {
    /// All of them. They need root.
    pub fn all() -> Vec<Self> {
        vec![
            writing(
                "config new",
                |root| _ = directory(root.join("etc"), 0, 0, 0o755),
                |root| config(root, "new"),
            )
            .back(
                |root| json!({ "action": "config", "path": root.join("etc/tbot.yaml"), "state": "absent" }),
            ),
            writing("config changed", config_before, |root| config(root, "new"))
                .back(|root| config(root, "old")),
            taking(
                "config absent",
                config_before,
                |root| json!({ "action": "config", "path": root.join("etc/tbot.yaml"), "state": "absent" }),
            ),
            writing("unit new", |_| (), |root| unit(root, json!({ "user": "bin" })))
                .back(|root| unit(root, json!({ "state": "absent" }))),
            writing("unit changed", unit_before, |root| unit(root, json!({ "user": "bin" })))
                .back(|root| unit(root, json!({ "user": "sys" }))),
            taking("unit absent", unit_before, |root| unit(root, json!({ "state": "absent" }))),
            writing("hardened unit new", config_before, hardened)
                .back(|root| unit(root, json!({ "state": "absent" }))),
            writing("drop-in new", packaged, |root| unit(root, json!({ "mode": "drop_in" })))
                .back(|root| unit(root, json!({ "mode": "drop_in", "state": "absent" }))),
            writing("drop-in changed", drop_in_before, |root| {
                unit(root, json!({ "mode": "drop_in", "user": "bin" }))
            })
            .back(|root| unit(root, json!({ "mode": "drop_in", "user": "sys" }))),
            writing("drop-in to unit", drop_in_alone, |root| unit(root, json!({ "mode": "unit" }))),
            taking("drop-in absent", drop_in_before, |root| {
                unit(root, json!({ "mode": "drop_in", "state": "absent" }))
            }),
            taking("drop-in absent by itself", drop_in_before, |root| {
                unit(root, json!({ "state": "absent" }))
            }),
            taking("storage new", |_| (), storage),
            taking("storage wrong", storage_before, storage),
            taking(
                "storage absent",
                storage_before,
                |root| json!({ "action": "storage", "path": root.join("lib/teleport/bot"), "state": "absent" }),
            ),
            taking("destinations new", |root| outputs(root, &["opt/a", "opt/b"]), destinations),
            taking("destinations of root's", destinations_before, destinations),
            taking(
                "destinations absent",
                unused_before,
                |root| json!({ "action": "destinations", "config": root.join("tbot.yaml"), "owner": BOT, "group": BOT, "absent": [root.join("old")] }),
            ),
            writing("token new", |_| (), |root| token(root, "new")).back(token_absent),
            writing("token changed", |root| _ = succeed(&token(root, "old")), |root| token(root, "new"))
                .back(|root| token(root, "old")),
            taking("token removed", |root| _ = succeed(&token(root, "old")), token_absent),
            writing("registry new", |_| (), |root| registry(root, 'a')),
            writing("registry changed", registry_before, |root| registry(root, 'b')),
            writing("registry archived", registry_before, registry_archived),
        ]
    }

    /// Does this for all of them, as many at a time as there are processors.
    pub fn for_each(test: impl Fn(&Self) + Sync) {
        let scenarios = Mutex::new(Self::all());
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    loop {
                        let next = scenarios.lock().unwrap().pop();
                        let Some(scenario) = next else { break };
                        test(&scenario);
                    }
                });
            }
        });
    }

    /// The same with what is to be done, and the calls that this makes from the first change on.
    pub fn for_each_traced(test: impl Fn(&Self, &Stage, &Path, &[Call]) + Sync) {
        Self::for_each(|scenario| {
            let stage = scenario.stage();
            let (_place, request) = stage.request_file();
            let calls = strace::calls_from_first_change(&request);
            test(scenario, &stage, &request, &calls);
        });
    }

    /// The action that makes the change.
    pub fn action(&self) -> String {
        (self.request)(Path::new("/"))["action"].as_str().unwrap().to_owned()
    }

    /// Sets the stage in a new directory.
    pub fn stage(&self) -> Stage {
        let place = super::privileges::place();
        let stage = self.stage_in(place.path());
        Stage { _directory: Some(place), ..stage }
    }

    /// Sets the stage in an empty directory: it is left as it is before the change.
    pub fn stage_in(&self, root: &Path) -> Stage {
        (self.before)(root);
        let (request, old) = ((self.request)(root), Tree::of(root));
        let answer = succeed(&request);
        assert_eq!(answer["changed"], true, "{}: {answer}", self.name);
        let new = Tree::of(root);
        assert_ne!(old, new, "{}", self.name);
        old.restore(root);
        let back = self.back.map(|back| back(root));
        Stage { root: root.to_owned(), _directory: None, request, back, old, new }
    }

    fn back(self, request: fn(&Path) -> Value) -> Self {
        Self { back: Some(request), ..self }
    }
}

impl Stage {
    /// The request in a file beside the stage, as Ansible gives it.
    pub fn request_file(&self) -> (TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("the-request");
        fs::write(&path, self.request.to_string()).unwrap();
        (place, path)
    }
}

fn writing(name: &'static str, before: fn(&Path), request: fn(&Path) -> Value) -> Scenario {
    Scenario { name, before, request, back: None, writes_a_file: true }
}

fn taking(name: &'static str, before: fn(&Path), request: fn(&Path) -> Value) -> Scenario {
    Scenario { writes_a_file: false, ..writing(name, before, request) }
}

fn config(root: &Path, token: &str) -> Value {
    let path = root.join("etc/tbot.yaml");
    json!({ "action": "config", "path": path, "proxy_server": "a.example:443", "token": token, "group": BOT })
}

fn config_before(root: &Path) {
    directory(root.join("etc"), 0, 0, 0o755);
    succeed(&config(root, "old"));
}

fn unit(root: &Path, extra: Value) -> Value {
    let mut request = json!({
        "action": "systemd", "name": "tbot-scenario", "directory": root, "user": "daemon", "group": "daemon",
    });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// A unit that is made from what the configuration says.
fn hardened(root: &Path) -> Value {
    unit(root, json!({ "hardening": true, "config": root.join("etc/tbot.yaml") }))
}

fn unit_before(root: &Path) {
    succeed(&unit(root, json!({ "user": "sys" })));
}

/// A unit of somebody else's.
fn packaged(root: &Path) {
    let path = file(root.join("tbot-scenario.service"), 0, 0, 0o644);
    fs::write(path, super::systemd::PACKAGED).unwrap();
}

fn drop_in_before(root: &Path) {
    packaged(root);
    succeed(&unit(root, json!({ "mode": "drop_in", "user": "sys" })));
}

fn drop_in_alone(root: &Path) {
    drop_in_before(root);
    fs::remove_file(root.join("tbot-scenario.service")).unwrap();
}

fn storage(root: &Path) -> Value {
    json!({ "action": "storage", "path": root.join("lib/teleport/bot"), "owner": BOT, "group": BOT })
}

fn storage_before(root: &Path) {
    directory(root.join("lib"), 0, 0, 0o755);
    directory(root.join("lib/teleport"), 0, 0, 0o755);
    let bot = directory(root.join("lib/teleport/bot"), 0, 0, 0o755);
    for name in ["key", "tlscert", "tokenhash"] {
        file(bot.join(name), 0, 0, 0o600);
    }
}

fn destinations(root: &Path) -> Value {
    json!({ "action": "destinations", "config": root.join("tbot.yaml"), "owner": BOT, "group": BOT })
}

/// A configuration with outputs in these directories.
fn outputs(root: &Path, paths: &[&str]) {
    let output =
        |path| json!({ "type": "identity", "destination": { "type": "directory", "path": root.join(path) } });
    let services: Vec<Value> = paths.iter().map(output).collect();
    fs::write(root.join("tbot.yaml"), json!({ "services": services }).to_string()).unwrap();
}

fn destinations_before(root: &Path) {
    outputs(root, &["out"]);
    directory(root.join("out"), 0, 0, 0o755);
}

fn unused_before(root: &Path) {
    outputs(root, &[]);
    let old = directory(root.join("old"), 0, 0, 0o700);
    for name in ["identity", "ssh_config", "tlscert"] {
        file(old.join(name), 0, 0, 0o600);
    }
}

fn token(root: &Path, label: &str) -> Value {
    let host = json!({ "description": "web-1", "ek_public_hash": "a".repeat(64) });
    let path = root.join("web.yaml");
    json!({ "action": "token", "name": "web", "bot_name": "web", "hosts": [host], "labels": { "is": label }, "path": path })
}

fn token_absent(root: &Path) -> Value {
    json!({ "action": "token", "name": "web", "path": root.join("web.yaml"), "remove": ["web-1"] })
}

fn registry(root: &Path, digit: char) -> Value {
    let identity = json!({ "ek_public_hash": digit.to_string().repeat(64), "ek_cert_present": false });
    json!({
        "action": "registry", "registry": root.join("registry"), "host": "web-1", "identity": identity,
        "accept_identity_change": true,
    })
}

fn registry_before(root: &Path) {
    succeed(&registry(root, 'a'));
    directory(root.join("registry/archive"), 0, 0, 0o755);
}

fn registry_archived(root: &Path) -> Value {
    json!({ "action": "registry", "registry": root.join("registry"), "host": "web-1", "state": "archived" })
}
