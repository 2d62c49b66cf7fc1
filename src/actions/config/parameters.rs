//! The parameters of `config`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Account, Mode};
use crate::teleport::config::{CaPin, ProxyAddress, Service, Settings, Storage};
use crate::teleport::{Name, Scope, Version};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::actions) struct Parameters {
    pub path: AbsolutePath,
    pub proxy_server: Option<ProxyAddress>,
    pub token: Option<Name>,
    pub scope: Option<Scope>,
    pub storage_path: Option<AbsolutePath>,
    pub storage_type: Option<StorageType>,
    pub ca_pins: Option<Vec<CaPin>>,
    pub services: Option<Vec<Service>>,
    pub extra: Map<String, Value>,
    pub defaults: Map<String, Value>,
    pub owner: Option<Account>,
    pub group: Account,
    pub mode: Mode,
    /// The version of `tbot` that is to run.
    pub tbot_version: Option<Version>,
    pub state: State,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            path: AbsolutePath::known("/etc/tbot.yaml"),
            proxy_server: None,
            token: None,
            scope: None,
            storage_path: None,
            storage_type: None,
            ca_pins: None,
            services: None,
            extra: Map::new(),
            defaults: Map::new(),
            owner: None,
            group: Account::known("teleport"),
            mode: Mode::new(0o640),
            tbot_version: None,
            state: State::Present,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageType {
    Directory,
    Memory,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Present,
    Absent,
    SameProxy,
}

impl Parameters {
    /// What they say of the file's content.
    pub fn settings(self) -> Result<Settings> {
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
            scope: self.scope,
            ca_pins: self.ca_pins,
            storage,
            services: self.services,
            extra: self.extra,
            defaults: self.defaults,
        })
    }
}
