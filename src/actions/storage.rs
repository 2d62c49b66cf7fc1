//! `storage`: the private directory that holds the bot's credentials.

use serde::Deserialize;
use serde_json::json;

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Account, Accounts, Directory, Mode};
use crate::protocol::{Answer, Diff, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    path: String,
    owner: Option<Account>,
    group: Option<Account>,
    mode: Mode,
    state: State,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            path: "/var/lib/teleport/bot".to_owned(),
            owner: None,
            group: None,
            mode: Mode::new(0o700),
            state: State::Directory,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Directory,
    Absent,
}

pub(super) struct Storage {
    path: AbsolutePath,
    parameters: Parameters,
}

impl Action for Storage {
    type Parameters = Parameters;

    fn checked(mut parameters: Parameters) -> Result<Self> {
        let path = AbsolutePath::try_from(std::mem::take(&mut parameters.path)).map_err(|why| {
            Error::new(
                Kind::UnsafePath,
                format!("parameter `path` of action `storage`: {why}; nothing was changed"),
            )
        })?;
        host::refuse_of_the_system(&path)?;
        Ok(Self { path, parameters })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let Self { path, parameters } = &self;
        match parameters.state {
            State::Directory => prepare(request, path, parameters),
            State::Absent => remove(request, path, parameters),
        }
    }
}

fn prepare(request: &Request, path: &AbsolutePath, parameters: &Parameters) -> Result<Answer> {
    let (accounts, missing) =
        super::find_accounts(request, parameters.owner.as_ref(), parameters.group.as_ref())?;
    let directory = Directory::inspect(path, accounts)?;
    let wanted = directory.wanted(parameters.mode);
    let (before, after) = (directory.describe(), directory.describe_wanted(wanted));
    let changed = before != after || !missing.is_empty();
    if changed && !request.controls.check_mode {
        directory.apply(wanted)?;
    }
    let mut warnings = missing;
    if wanted.mode.bits() & 0o077 != 0 {
        warnings.push(format!("mode {} lets others than the owner at the bot's credentials", wanted.mode));
    }
    warnings.extend(directory.warnings());
    let path = directory.path().display().to_string();
    Ok(Answer::new(changed)
        .result("path", path.as_str())
        .result("owner", host::user_name(wanted.user))
        .result("group", host::group_name(wanted.group))
        .result("mode", wanted.mode.to_string())
        .result("created", directory.attributes().is_none())
        .warnings(warnings)
        .diff(Some(Diff::of(path, before, after))))
}

fn remove(request: &Request, path: &AbsolutePath, parameters: &Parameters) -> Result<Answer> {
    // The account may have gone before its directory does.
    let (accounts, _) = Accounts::find(parameters.owner.as_ref(), parameters.group.as_ref())?;
    let directory = Directory::inspect(path, accounts)?;
    let inventory = directory.inventory()?;
    let changed = directory.attributes().is_some();
    if changed && !request.controls.check_mode {
        directory.remove(&inventory)?;
    }
    let path = directory.path().display().to_string();
    let files: Vec<String> = inventory.files.iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { String::new() } else { format!("files:\n  {}\n", files.join("\n  ")) };
    let before = directory.describe() + &files;
    Ok(Answer::new(changed)
        .result("path", path.as_str())
        .result("created", json!(false))
        .diff(Some(Diff::of(path, before, "state: absent\n"))))
}
