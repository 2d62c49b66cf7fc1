//! `storage`: the private directory that holds the bot's credentials.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::host::{self, AbsolutePath, Account, Attributes, Directory, Mode};
use crate::protocol::{Answer, Diff, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    path: AbsolutePath,
    owner: Option<Account>,
    group: Option<Account>,
    mode: Mode,
    state: State,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            path: AbsolutePath::known("/var/lib/teleport/bot"),
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

pub(super) fn run(request: &mut Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&[])?;
    if parameters.state == State::Absent {
        return Err(Error::not_in_this_version("`state: absent` of action `storage`"));
    }
    let path = &parameters.path;
    let directory = Directory::inspect(path)?;
    let (accounts, missing) =
        super::find_accounts(request, parameters.owner.as_ref(), parameters.group.as_ref())?;
    let wanted = Attributes::wanted(directory.current, accounts, parameters.mode);
    let changed = directory.current != Some(wanted) || !missing.is_empty();
    if changed && !request.controls.check_mode {
        directory.apply(wanted)?;
    }
    let mut warnings = missing;
    if wanted.mode.bits() & 0o077 != 0 {
        warnings.push(format!("mode {} lets others than the owner at the bot's credentials", wanted.mode));
    }
    let describe = |found: Attributes| format!("state: directory\n{}", found.describe());
    let before = directory.current.map_or_else(|| "state: absent\n".to_owned(), describe);
    Ok(Answer::new(changed)
        .result("path", path.as_str())
        .result("owner", host::user_name(wanted.user))
        .result("group", host::group_name(wanted.group))
        .result("mode", wanted.mode.to_string())
        .result("created", directory.current.is_none())
        .warnings(warnings)
        .diff(Some(Diff::of(path.as_str(), before, describe(wanted)))))
}
