//! Where on the host a configuration lets `tbot` write.

use serde_json::Value;

/// Where `tbot` keeps its state if the configuration does not say.
const DEFAULT_STORAGE: &str = "/var/lib/teleport/bot";
/// Services to which other processes connect, and which look at these processes.
const WORKLOAD_APIS: [&str; 2] = ["workload-identity-api", "spiffe-workload-api"];

/// The directories that `tbot` works in, as Teleport's configuration reference describes them ("Machine &
/// Workload Identity Configuration Reference"). What is not well-formed is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// The directory of its own state; none where it keeps that in memory.
    pub storage: Option<String>,
    /// The directories of its outputs and services (`destination`), in their order, without repetitions.
    pub outputs: Vec<String>,
    /// The directories of the Unix sockets that it listens at (`listen: unix://PATH`), likewise.
    pub sockets: Vec<String>,
    /// Whether it serves a workload API, by which it attests the processes that connect.
    pub serves_workloads: bool,
}

impl Paths {
    /// Those of a configuration, as its parsed YAML.
    #[must_use]
    pub fn of(config: &Value) -> Self {
        let mut paths = Self { storage: storage(&config["storage"]), ..Self::default() };
        let lists = ["services", "outputs"].map(|name| config[name].as_array());
        for service in lists.into_iter().flatten().flatten() {
            if let Some(directory) = directory(&service["destination"]) {
                add(&mut paths.outputs, directory);
            }
            if let Some(parent) = socket_directory(&service["listen"]) {
                add(&mut paths.sockets, parent);
            }
            paths.serves_workloads |=
                service["type"].as_str().is_some_and(|kind| WORKLOAD_APIS.contains(&kind));
        }
        paths
    }
}

fn storage(storage: &Value) -> Option<String> {
    match storage {
        Value::Null => Some(DEFAULT_STORAGE.to_owned()),
        given => directory(given).map(str::to_owned),
    }
}

fn directory(destination: &Value) -> Option<&str> {
    let is_directory = destination["type"].as_str() == Some("directory");
    destination["path"].as_str().filter(|path| is_directory && path.starts_with('/'))
}

/// Where the socket is to be made.
fn socket_directory(listen: &Value) -> Option<&str> {
    let path = listen.as_str()?.strip_prefix("unix://")?;
    match path.rsplit_once('/')? {
        ("", _) => Some("/"),
        (parent, _) => Some(parent).filter(|parent| parent.starts_with('/')),
    }
}

fn add(paths: &mut Vec<String>, path: &str) {
    if !paths.iter().any(|known| known == path) {
        paths.push(path.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Paths;

    #[test]
    fn directories_are_those_of_storage_destinations_and_sockets() {
        let config = json!({
            "storage": { "type": "directory", "path": "/srv/bot" },
            "services": [
                { "type": "identity", "destination": { "type": "directory", "path": "/opt/a" } },
                { "type": "ssh-multiplexer", "destination": { "type": "directory", "path": "/opt/b" } },
                { "type": "identity", "destination": { "type": "kubernetes_secret", "name": "x" } },
                { "type": "identity", "destination": { "type": "memory" } },
                { "type": "application-tunnel", "listen": "tcp://127.0.0.1:1234" },
                { "type": "database-tunnel", "listen": "unix:///run/tunnels/db.sock" },
                { "type": "application-tunnel", "listen": "unix:///run/tunnels/app.sock" },
                { "type": "database-tunnel", "listen": "unix:///db.sock" },
            ],
            "outputs": [
                { "type": "application", "destination": { "type": "directory", "path": "/opt/c" } },
                { "type": "identity", "destination": { "type": "directory", "path": "/opt/a" } },
            ],
        });
        let expected = Paths {
            storage: Some("/srv/bot".to_owned()),
            outputs: ["/opt/a", "/opt/b", "/opt/c"].map(str::to_owned).to_vec(),
            sockets: ["/run/tunnels", "/"].map(str::to_owned).to_vec(),
            serves_workloads: false,
        };
        assert_eq!(Paths::of(&config), expected);
    }

    #[test]
    fn state_is_in_its_usual_directory_unless_the_configuration_says_otherwise() {
        let storage = |config| Paths::of(&config).storage;
        assert_eq!(storage(json!({})).as_deref(), Some("/var/lib/teleport/bot"));
        assert_eq!(storage(json!({ "storage": null })).as_deref(), Some("/var/lib/teleport/bot"));
        assert_eq!(storage(json!({ "storage": { "type": "memory" } })), None);
    }

    #[test]
    fn workload_apis_are_served_by_two_types_of_services() {
        for kind in ["workload-identity-api", "spiffe-workload-api"] {
            let service = json!({ "type": kind, "listen": "unix:///run/tbot/api.sock" });
            let paths = Paths::of(&json!({ "services": [service] }));
            assert!(paths.serves_workloads, "{kind}");
            assert_eq!(paths.sockets, ["/run/tbot"]);
        }
    }

    #[test]
    fn what_is_not_well_formed_is_left_out() {
        for config in [
            json!(null),
            json!([1]),
            json!({ "services": {}, "outputs": "x", "storage": [] }),
            json!({ "services": [1, null, { "type": 1, "listen": 2, "destination": "x" }], "storage": 1 }),
            json!({ "services": [{ "destination": { "type": "directory", "path": "relative" } }] }),
            json!({ "services": [{ "listen": "unix://" }, { "listen": "unix://a/b" }, { "listen": "unix:a" }] }),
        ] {
            let paths = Paths::of(&config);
            assert_eq!((paths.outputs, paths.sockets, paths.serves_workloads), (vec![], vec![], false));
        }
    }
}
