//! Where on the host a configuration lets `tbot` write.

use serde_json::Value;

use super::DEFAULT_STORAGE;

/// Services to which other processes connect, and which look at these processes.
const WORKLOAD_APIS: [&str; 2] = ["workload-identity-api", "spiffe-workload-api"];

/// The directories that `tbot` works in, as Teleport's configuration reference describes them ("Machine &
/// Workload Identity Configuration Reference").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// The directory of its own state; none where it keeps that in memory.
    pub storage: Option<String>,
    /// The directories of its outputs and services (`destination`), in their order, without repetitions.
    pub outputs: Vec<String>,
    /// The directories of the Unix sockets that it listens at (`listen: unix://PATH`), likewise.
    pub sockets: Vec<String>,
    /// The TCP ports that it listens at.
    pub ports: Vec<u16>,
    /// Every absolute path that the configuration names, wherever: certificates, tokens and the like too.
    pub named: Vec<String>,
    /// Whom `tbot` lets read in which of the outputs, by their ACLs.
    pub readers: Vec<(String, Reader)>,
    /// Whether it serves a workload API, by which it attests the processes that connect.
    pub serves_workloads: bool,
}

/// One of a destination's `readers`, by name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// `user`.
    User(String),
    /// `group`.
    Group(String),
}

impl Paths {
    /// Those of a configuration, as its parsed YAML. What does not tell a path for certain is an error, in one
    /// sentence: a service that was kept from a path by mistake would not work.
    pub fn of(config: &Value) -> Result<Self, String> {
        if !(config.is_null() || config.is_object()) {
            return Err("it is no mapping of keys to values".to_owned());
        }
        let mut paths = Self { storage: storage(&config["storage"])?, ..Self::default() };
        name_all(config, &mut paths.named);
        paths.ports.extend(config["diag_addr"].as_str().and_then(port_of));
        for name in ["services", "outputs"] {
            let services = match &config[name] {
                Value::Null => continue,
                Value::Array(services) => services,
                _ => return Err(format!("`{name}` is no list")),
            };
            for (index, service) in services.iter().enumerate() {
                paths.take(service).map_err(|why| format!("`{name}[{index}]{why}"))?;
            }
        }
        Ok(paths)
    }

    /// Adds those of one service. An error begins where the service's name ends.
    fn take(&mut self, service: &Value) -> Result<(), String> {
        let kind = service["type"].as_str().ok_or("` has no `type`")?;
        let destination = &service["destination"];
        if let Some(path) = directory(destination).map_err(|why| format!(".destination` {why}"))? {
            add(&mut self.outputs, path);
            self.readers.extend(readers(destination).map(|reader| (path.to_owned(), reader)));
        }
        if let Some(path) = socket(&service["listen"]).map_err(|why| format!(".listen` {why}"))? {
            add(&mut self.sockets, path.rsplit_once('/').map_or("", |(directory, _)| directory));
        }
        self.ports.extend(service["listen"].as_str().and_then(port));
        self.serves_workloads |= WORKLOAD_APIS.contains(&kind);
        Ok(())
    }
}

fn name_all(value: &Value, named: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let path = text.strip_prefix("unix://").unwrap_or(text);
            if path.starts_with('/') {
                add(named, path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| name_all(item, named)),
        Value::Object(fields) => fields.values().for_each(|field| name_all(field, named)),
        _ => {}
    }
}

fn storage(storage: &Value) -> Result<Option<String>, String> {
    match storage {
        Value::Null => Ok(Some(DEFAULT_STORAGE.to_owned())),
        given => {
            directory(given).map(|path| path.map(str::to_owned)).map_err(|why| format!("`storage` {why}"))
        }
    }
}

/// The path of a destination; none where it is of a type that is no directory.
fn directory(destination: &Value) -> Result<Option<&str>, &'static str> {
    match (destination, destination["type"].as_str(), destination["path"].as_str()) {
        (Value::Null, ..) => Ok(None),
        (_, None, _) => Err("has no `type`"),
        (_, Some("directory"), Some(path)) if path.starts_with('/') => Ok(Some(path)),
        (_, Some("directory"), _) => Err("has no absolute `path`"),
        (_, Some(_), _) => Ok(None),
    }
}

/// The readers of a destination. Where `acls` is off, `tbot` lets nobody in.
fn readers(destination: &Value) -> impl Iterator<Item = Reader> {
    let named = |reader: &Value, kind: &str| match &reader[kind] {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let is_off = destination["acls"] == "off" || destination["acls"] == false;
    let list = destination["readers"].as_array().filter(|_| !is_off).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(move |reader| {
        named(reader, "user").map(Reader::User).or_else(|| named(reader, "group").map(Reader::Group))
    })
}

/// The path of the Unix socket at a URL (RFC 3986); none where it is of another scheme.
fn socket(listen: &Value) -> Result<Option<&str>, &'static str> {
    let url = match listen {
        Value::Null => return Ok(None),
        Value::String(url) => url,
        _ => return Err("is no text"),
    };
    let Some((scheme, rest)) = url.split_once(':') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("unix") {
        return Ok(None);
    }
    // Without a host: unix:///PATH, or unix:/PATH.
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') || path.starts_with("//") || path.contains(['%', '?', '#']) {
        return Err("is no plain unix:///PATH");
    }
    Ok(Some(path))
}

/// The port of `tcp://HOST:PORT`.
fn port(listen: &str) -> Option<u16> {
    let (scheme, rest) = listen.split_once("://")?;
    if scheme.eq_ignore_ascii_case("tcp") { port_of(rest.trim_end_matches('/')) } else { None }
}

/// The port of `HOST:PORT`.
fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

fn add(paths: &mut Vec<String>, path: &str) {
    let path = if path.is_empty() { "/" } else { path };
    if !paths.iter().any(|known| known == path) {
        paths.push(path.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Paths, Reader};

    #[test]
    fn directories_are_those_of_storage_destinations_and_sockets() {
        let config = json!({
            "onboarding": { "token": "/etc/token", "ca_path": "/home/ca.pem" },
            "storage": { "type": "directory", "path": "/srv/bot" },
            "services": [
                {
                    "type": "identity",
                    "destination": {
                        "type": "directory", "path": "/opt/a", "readers": [{ "user": "web" }, { "group": 1000 }, {}],
                    },
                },
                {
                    "type": "ssh-multiplexer",
                    "destination": { "type": "directory", "path": "/opt/b", "acls": "off", "readers": [{ "user": "web" }] },
                },
                { "type": "identity", "destination": { "type": "kubernetes_secret", "name": "x" } },
                { "type": "identity", "destination": { "type": "memory" } },
                { "type": "application-tunnel", "listen": "tcp://127.0.0.1:1234" },
                { "type": "database-tunnel", "listen": "unix:///run/tunnels/db.sock" },
                { "type": "application-tunnel", "listen": "unix:/run/tunnels/app.sock" },
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
            ports: vec![1234],
            named: [
                "/etc/token",
                "/home/ca.pem",
                "/srv/bot",
                "/opt/a",
                "/opt/b",
                "/run/tunnels/db.sock",
                "/db.sock",
                "/opt/c",
            ]
            .map(str::to_owned)
            .to_vec(),
            readers: vec![
                ("/opt/a".to_owned(), Reader::User("web".to_owned())),
                ("/opt/a".to_owned(), Reader::Group("1000".to_owned())),
            ],
            serves_workloads: false,
        };
        assert_eq!(Paths::of(&config), Ok(expected));
    }

    #[test]
    fn state_is_in_its_usual_directory_unless_the_configuration_says_otherwise() {
        let storage = |config| Paths::of(&config).unwrap().storage;
        assert_eq!(storage(json!({})).as_deref(), Some("/var/lib/teleport/bot"));
        assert_eq!(storage(json!({ "storage": null })).as_deref(), Some("/var/lib/teleport/bot"));
        assert_eq!(storage(json!({ "storage": { "type": "memory" } })), None);
    }

    #[test]
    fn workload_apis_are_served_by_two_types_of_services() {
        for kind in ["workload-identity-api", "spiffe-workload-api"] {
            let service = json!({ "type": kind, "listen": "unix:///run/tbot/api.sock" });
            let paths = Paths::of(&json!({ "services": [service] })).unwrap();
            assert!(paths.serves_workloads, "{kind}");
            assert_eq!(paths.sockets, ["/run/tbot"]);
        }
    }

    #[test]
    fn what_tells_no_path_for_certain_is_an_error_that_names_it() {
        let service = |fields: Value| json!({ "services": [{ "type": "identity" }, fields] });
        let destination = |value: Value| service(json!({ "type": "identity", "destination": value }));
        let listen = |value: Value| service(json!({ "type": "application-tunnel", "listen": value }));
        for (config, expected) in [
            (json!([1]), "no mapping"),
            (json!({ "storage": "/srv/bot" }), "`storage` has no `type`"),
            (json!({ "storage": {} }), "`storage` has no `type`"),
            (json!({ "storage": { "path": "/srv/bot" } }), "`storage` has no `type`"),
            (json!({ "storage": { "type": "directory" } }), "`storage` has no absolute `path`"),
            (json!({ "services": {} }), "`services` is no list"),
            (json!({ "outputs": "x" }), "`outputs` is no list"),
            (json!({ "outputs": [1] }), "`outputs[0]` has no `type`"),
            (service(json!({ "destination": null })), "`services[1]` has no `type`"),
            (destination(json!("/opt/x")), "`services[1].destination` has no `type`"),
            (destination(json!({ "directory": "/opt/x" })), "`services[1].destination` has no `type`"),
            (destination(json!({ "type": "directory" })), "no absolute `path`"),
            (destination(json!({ "type": "directory", "path": "x" })), "no absolute `path`"),
            (listen(json!(1)), "`services[1].listen` is no text"),
            (listen(json!("unix:")), "unix:///PATH"),
            (listen(json!("unix://run/x.sock")), "unix:///PATH"),
            (listen(json!("unix:x.sock")), "unix:///PATH"),
            (listen(json!("Unix:////run/x.sock")), "unix:///PATH"),
            (listen(json!("unix:///run/a%20b.sock")), "unix:///PATH"),
        ] {
            let why = Paths::of(&config).unwrap_err();
            assert!(why.contains(expected), "{config}: {why}");
        }
        for config in
            [json!(null), json!({ "services": null, "outputs": [] }), listen(json!("tcp://[::1]:1"))]
        {
            let paths = Paths::of(&config).unwrap();
            assert_eq!((paths.outputs, paths.sockets), (vec![], vec![]));
        }
    }
}
