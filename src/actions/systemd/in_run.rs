//! Directories of outputs and sockets below `/run`, which is empty after a boot, so that systemd has to make them for the service.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Parameters, uses};
use crate::host::unit::{ForeignService, Found};
use crate::host::{AbsolutePath, Accounts, Mode, is_shared_directory, user_name};
use crate::protocol::Earlier;

/// What systemd gives a directory that it makes (systemd.exec(5), `RuntimeDirectoryMode=`).
const MODE: Mode = Mode::new(0o755);

/// What they are called below `/run`. Why one is not for systemd to make goes into `warnings`.
pub(super) fn find(
    parameters: &Parameters,
    earlier: &Earlier,
    found: &Found<'_>,
    unit: &ForeignService,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    // What is wrong with the configuration is said by those who need all of it.
    let Ok(paths) = uses::read(parameters.config(unit), earlier, true, &mut Vec::new()) else {
        return Vec::new();
    };
    let own = found.own_runtime_directories();
    let accounts = Accounts::find(Some(&parameters.user), Some(&parameters.group)).unwrap_or_default().0;
    let mut needed = Vec::new();
    for path in paths.outputs.iter().chain(&paths.sockets) {
        let Ok(path) = AbsolutePath::try_from(path.clone()) else { continue };
        let Some(name) = path.below_run().map(str::to_owned) else { continue };
        if unit.runtime_directories.contains(&path)
            || is_shared_directory(path.as_ref())
            || needed.contains(&name)
            || is_made_at_boot(&path)
        {
            continue;
        }
        let is_ours = own.iter().any(|own| own.below_run() == Some(&name));
        match obstacle(&path, &name, accounts).filter(|_| !is_ours) {
            None => needed.push(name),
            Some(why) => warnings.push(format!(
                "{} {why}, so systemd does not make it for the service, and it may be gone after a boot: use a directory of \
                 the bot's own, such as /run/{}-sockets",
                path.as_str(),
                parameters.name
            )),
        }
    }
    needed
}

/// Why systemd is not to make a directory. One that is there would get another owner and mode, with all in it.
fn obstacle(path: &AbsolutePath, name: &str, accounts: Accounts) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if !name.chars().all(is_plain) {
        return Some("has other characters than letters, digits, - _ . in its name".to_owned());
    }
    let there = fs::symlink_metadata(path.as_str()).ok()?;
    let is_as_systemd_makes_it = there.is_dir()
        && (Some(there.uid()), Some(there.gid())) == (accounts.user, accounts.group)
        && Mode::new(there.mode()) == MODE;
    (!is_as_systemd_makes_it)
        .then(|| format!("belongs to {} with mode {}", user_name(there.uid()), Mode::new(there.mode())))
}

/// Whether it is there, and a configuration for systemd-tmpfiles names it (tmpfiles.d(5)).
fn is_made_at_boot(path: &AbsolutePath) -> bool {
    let configurations = ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/lib/tmpfiles.d"].into_iter();
    let files = configurations.filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let is_named =
        |text: String| text.lines().any(|line| line.split_whitespace().nth(1) == Some(path.as_str()));
    let is_there = fs::symlink_metadata(path.as_str()).is_ok();
    is_there && files.filter_map(|file| fs::read_to_string(file.path()).ok()).any(is_named)
}
