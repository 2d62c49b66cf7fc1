//! `systemd`: the service unit that runs `tbot`.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::{
    self, AbsolutePath, Account, Accounts, Change, MARKER, Mode, ServiceUnit, TextFile, UnitName,
};
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

pub(super) fn run(request: &mut Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&PLANNED)?;
    if parameters.state == State::Absent {
        return Err(Error::not_in_this_version("`state: absent` of action `systemd`"));
    }
    if parameters.mode == Placement::DropIn {
        return Err(Error::not_in_this_version("`mode: drop_in` of action `systemd`"));
    }
    let path = Path::new(parameters.directory.as_str()).join(parameters.name.file_name());
    let file = TextFile::inspect(&path)?;
    let wanted = unit(&parameters)?;
    let mode_now = file.attributes().map(|found| found.mode);
    let says_the_same = file.text().is_some_and(|text| host::same_directives(text, &wanted));
    // A unit that says the same in another form keeps its form.
    let content = file.text().filter(|_| says_the_same).unwrap_or(&wanted);
    let changed = !says_the_same || mode_now != Some(UNIT_MODE);
    if !says_the_same && !parameters.force {
        refuse_foreign_unit(&parameters, &path, file.text())?;
    }
    let attributes = file.wanted(Accounts::default(), UNIT_MODE);
    let change = if changed { Change::Write(content, attributes) } else { Change::Keep };
    super::settle(request, &file, change)?;
    let describe = |mode: Option<Mode>, text: &str| {
        mode.map_or_else(String::new, |mode| format!("# mode: '{mode}'\n{text}"))
    };
    let before = describe(mode_now, file.text().unwrap_or_default());
    Ok(Answer::new(changed)
        .result("path", path.display().to_string())
        .result("content", content)
        .result("mode", "unit")
        .result("needs_daemon_reload", !says_the_same)
        .warnings(super::foresee_directory(request, &file))
        .diff(Some(Diff::of(path.display().to_string(), before, describe(Some(UNIT_MODE), content)))))
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
        .hint(
            "to see what would replace it, use check mode with `force: true`; then force it, or move it away",
        ));
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
