//! `systemd`: the service unit that runs `tbot`.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Account, MARKER, Mode, ServiceUnit, UnitName};
use crate::protocol::{Answer, Diff, Request};

const PLANNED: [&str; 1] = ["hardening"];
const UNIT_MODE: Mode = Mode::new(0o644);
/// Where packages install units (systemd.unit(5), "Unit File Load Path").
const PACKAGE_DIRECTORIES: [&str; 3] =
    ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where a unit hides a package's (same section).
const OVERRIDING_DIRECTORIES: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    name: UnitName,
    user: Account,
    group: Account,
    config: AbsolutePath,
    tbot_path: AbsolutePath,
    anonymous_telemetry: bool,
    pid_file: Option<String>,
    supplementary_groups: Vec<Account>,
    directory: AbsolutePath,
    mode: Placement,
    force: bool,
    state: State,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            name: UnitName::known("tbot"),
            user: Account::known("teleport"),
            group: Account::known("teleport"),
            config: AbsolutePath::known("/etc/tbot.yaml"),
            tbot_path: AbsolutePath::known("/usr/local/bin/tbot"),
            anonymous_telemetry: false,
            pid_file: None,
            supplementary_groups: Vec::new(),
            directory: AbsolutePath::known("/etc/systemd/system"),
            mode: Placement::Auto,
            force: false,
            state: State::Present,
        }
    }
}

/// Where the directives go.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Placement {
    Auto,
    Unit,
    DropIn,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Present,
    Absent,
}

pub(super) fn run(request: &Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&PLANNED)?;
    if parameters.state == State::Absent {
        return Err(Error::not_in_this_version("`state: absent` of action `systemd`"));
    }
    if parameters.mode == Placement::DropIn {
        return Err(Error::not_in_this_version("`mode: drop_in` of action `systemd`"));
    }
    let path = Path::new(parameters.directory.as_str()).join(parameters.name.file_name());
    let content = unit(&parameters)?;
    let existing = host::read_if_exists(&path)?;
    let unchanged = existing.as_deref().is_some_and(|text| host::same_directives(text, &content));
    if !unchanged && !parameters.force {
        refuse_foreign_unit(&parameters, &path, existing.as_deref())?;
    }
    let mut warnings = Vec::new();
    if request.controls.check_mode {
        if !Path::new(parameters.directory.as_str()).is_dir() {
            warnings.push(format!(
                "there is no directory {}; an earlier task may make it",
                parameters.directory.as_str()
            ));
        }
    } else if !unchanged {
        host::replace(&path, &content, UNIT_MODE)?;
    }
    let header = path.display().to_string();
    Ok(Answer::new(!unchanged)
        .result("path", header.as_str())
        .result("content", content.as_str())
        .result("mode", "unit")
        .result("needs_daemon_reload", !unchanged)
        .warnings(warnings)
        .diff(Some(Diff::of(header, existing.unwrap_or_default(), content))))
}

fn unit(parameters: &Parameters) -> Result<String> {
    let pid_file = match parameters.pid_file.clone() {
        None => Some(format!("/run/{}.pid", parameters.name)),
        Some(given) => Some(given).filter(|path| !path.is_empty()),
    };
    let pid_file = pid_file
        .map(AbsolutePath::try_from)
        .transpose()
        .map_err(|e| Error::invalid(format!("parameter `pid_file` of action `systemd`: {e}")))?;
    ServiceUnit {
        name: &parameters.name,
        user: &parameters.user,
        group: &parameters.group,
        supplementary_groups: &parameters.supplementary_groups,
        config: &parameters.config,
        tbot_path: &parameters.tbot_path,
        anonymous_telemetry: parameters.anonymous_telemetry,
        pid_file: pid_file.as_ref(),
    }
    .render()
}

/// A unit that this program did not write stays, unless forced: another person or program relies on
/// it. So does a package's, which a unit in `directory` would hide.
fn refuse_foreign_unit(parameters: &Parameters, path: &Path, existing: Option<&str>) -> Result<()> {
    if existing.is_some_and(|text| !text.starts_with(MARKER)) {
        return Err(Error::new(
            Kind::Conflict,
            format!("{} exists, says something else and was not written by tbot_tpm", path.display()),
        )
        .hint("compare it with what check mode shows, then move it away or set `force: true`"));
    }
    let packaged = PACKAGE_DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(parameters.name.file_name()))
        .find(|unit| unit.exists());
    let hides = OVERRIDING_DIRECTORIES.contains(&parameters.directory.as_str());
    match packaged {
        Some(package_unit) if existing.is_none() && hides && parameters.mode == Placement::Auto => {
            Err(Error::new(
                Kind::Conflict,
                format!(
                    "{} is installed already, and {} would hide it",
                    package_unit.display(),
                    path.display()
                ),
            )
            .hint("give the service another `name`, or set `mode: unit` to hide the installed one"))
        }
        _ => Ok(()),
    }
}
