//! `config`: the base of `tbot`'s configuration.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Action;
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Account, Attributes, Change, Mode, TextFile};
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::Name;
use crate::teleport::config::{self, CaPin, HostPort, Service, Settings, Storage};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    path: AbsolutePath,
    proxy_server: Option<HostPort>,
    token: Option<Name>,
    storage_path: Option<AbsolutePath>,
    storage_type: Option<StorageType>,
    ca_pins: Option<Vec<CaPin>>,
    services: Option<Vec<Service>>,
    extra: Map<String, Value>,
    defaults: Map<String, Value>,
    owner: Option<Account>,
    group: Account,
    mode: Mode,
    state: State,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            path: AbsolutePath::known("/etc/tbot.yaml"),
            proxy_server: None,
            token: None,
            storage_path: None,
            storage_type: None,
            ca_pins: None,
            services: None,
            extra: Map::new(),
            defaults: Map::new(),
            owner: None,
            group: Account::known("teleport"),
            mode: Mode::new(0o640),
            state: State::Present,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StorageType {
    Directory,
    Memory,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Present,
    Absent,
}

pub(super) struct Config {
    path: AbsolutePath,
    /// None where the file is to go.
    content: Option<Content>,
}

/// What the file is to have, and whose it is to be.
struct Content {
    settings: Settings,
    owner: Option<Account>,
    group: Account,
    mode: Mode,
}

impl Action for Config {
    type Parameters = Parameters;

    fn checked(mut parameters: Parameters) -> Result<Self> {
        let path = parameters.path.clone();
        if parameters.state == State::Absent {
            return Ok(Self { path, content: None });
        }
        let (owner, group, mode) = (parameters.owner.take(), parameters.group.clone(), parameters.mode);
        let settings = parameters.settings()?;
        settings.check()?;
        Ok(Self { path, content: Some(Content { settings, owner, group, mode }) })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let path = self.path.as_str();
        let file = TextFile::inspect(self.path.as_ref())?;
        match &self.content {
            Some(content) => write(request, content, &file, path),
            None => remove(request, &file, path),
        }
    }
}

fn write(request: &Request, wanted: &Content, file: &TextFile<'_>, path: &str) -> Result<Answer> {
    let (accounts, missing) = super::find_accounts(request, wanted.owner.as_ref(), Some(&wanted.group))?;
    let attributes = file.wanted(accounts, wanted.mode);
    let current = config::parse(file.text().unwrap_or_default(), path)?;
    let wanted = wanted.settings.over(current.clone(), path)?;
    let old = file.text().unwrap_or_default();
    // A file that says the same in another form keeps its form.
    let content = if current.as_ref() == Some(&wanted.values) {
        old.to_owned()
    } else {
        config::write(old, &wanted.values, path)?
    };
    let is_same = file.text() == Some(content.as_str()) && file.attributes() == Some(attributes);
    let change = if is_same { Change::Keep } else { Change::Write(&content, attributes) };
    super::settle(request, file, change)?;
    let diff = diff(file, path, &content, attributes);
    Ok(Answer::new(!is_same || !missing.is_empty())
        .result("path", path)
        .result("content", content)
        .warnings(missing)
        .warnings(wanted.warnings)
        .warnings(super::foresee_directory(request, file))
        .diff(Some(diff)))
}

fn remove(request: &Request, file: &TextFile<'_>, path: &str) -> Result<Answer> {
    file.text().map_or(Ok(()), |text| config::recognise(text, path))?;
    super::settle(request, file, Change::Remove)?;
    Ok(Answer::new(file.text().is_some()).result("path", path).result("content", "").diff(Some(Diff::of(
        path,
        file.text().unwrap_or_default(),
        "",
    ))))
}

/// The texts, and above them what changes of owner, group and mode.
fn diff(file: &TextFile<'_>, path: &str, content: &str, attributes: Attributes) -> Diff {
    let changes = file.attributes() != Some(attributes);
    let describe = |attributes: Option<Attributes>, text: &str| {
        let description = attributes.filter(|_| changes).map(|attributes| attributes.describe());
        let lines = description.iter().flat_map(|description| description.lines());
        lines.map(|line| format!("# {line}\n")).chain([text.to_owned()]).collect::<String>()
    };
    let before = describe(file.attributes(), file.text().unwrap_or_default());
    Diff::of(path, before, describe(Some(attributes), content))
}

impl Parameters {
    fn settings(self) -> Result<Settings> {
        let storage = match (self.storage_type, self.storage_path) {
            (Some(StorageType::Memory), Some(_)) => {
                return Err(Error::invalid(
                    "parameter `storage_path` of action `config` has no use with `storage_type: memory`; give one of them",
                ));
            }
            (Some(StorageType::Memory), None) => Some(Storage::Memory),
            (None, None) => None,
            (_, path) => Some(Storage::Directory(path)),
        };
        Ok(Settings {
            proxy_server: self.proxy_server,
            token: self.token,
            ca_pins: self.ca_pins,
            storage,
            services: self.services,
            extra: self.extra,
            defaults: self.defaults,
        })
    }
}
