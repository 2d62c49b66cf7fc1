//! What a hardened service has to be left, as the configuration of `tbot` says.

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::unit::{ForeignService, Use};
use crate::host::{AbsolutePath, is_shared_directory};
use crate::protocol::Earlier;
use crate::secrets::Known;
use crate::teleport::config::{self, DEFAULT_STORAGE, Paths};

/// What `tbot` uses by the configuration that is there now. Where there is none yet, that is its usual
/// storage, with a warning. One that cannot be read as `tbot` would read it is a `conflict`.
///
/// `has_command` says whether the command is ours, or that of the unit that a drop-in adds to.
pub(super) fn find(
    parameters: &Parameters,
    unit: &ForeignService,
    has_command: bool,
    earlier: &Earlier,
    warnings: &mut Vec<String>,
) -> Result<Use> {
    let file = parameters.config(unit);
    if !has_command && unit.config.is_none() {
        warnings.push(format!(
            "the command of the unit that the drop-in adds to does not say its configuration in plain words, so the \
             service is hardened by {}; give `config`, and the drop-in has a command that does",
            file.as_str()
        ));
    }
    let paths = read(file, earlier, parameters.read_write_paths.is_some(), warnings)?;
    let makes_sockets = !paths.sockets.is_empty() || paths.serves_workloads;
    let program = if has_command { Some(parameters.tbot_path(unit)) } else { unit.program.as_ref() };
    let named = paths.named.into_iter().filter_map(|path| AbsolutePath::try_from(path).ok());
    let mut reads: Vec<AbsolutePath> =
        named.chain([Some(file), program].into_iter().flatten().cloned()).collect();
    let (writes, may_write) = match &parameters.read_write_paths {
        Some(given) => (Vec::new(), given.clone()),
        None => {
            (absolute(file, paths.storage)?, absolute(file, paths.outputs.into_iter().chain(paths.sockets))?)
        }
    };
    let real: Vec<AbsolutePath> =
        writes.iter().chain(&may_write).chain(&reads).filter_map(AbsolutePath::resolved).collect();
    reads.extend(real);
    Ok(Use {
        writes,
        may_write,
        reads,
        has: unit.runtime_directories.clone(),
        makes_sockets,
        looks_at_processes: paths.serves_workloads,
    })
}

pub(super) fn read(
    file: &AbsolutePath,
    earlier: &Earlier,
    are_paths_given: bool,
    warnings: &mut Vec<String>,
) -> Result<Paths> {
    let bytes = match earlier.read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == Kind::NotFound => {
            let paths = if are_paths_given {
                "served no workloads"
            } else {
                "used the default storage and wrote nothing else"
            };
            warnings.push(format!(
                "there is no {} yet, so the service is hardened as if it {paths}; write the configuration first, or \
                 run this again after it",
                file.as_str()
            ));
            return Ok(Paths { storage: Some(DEFAULT_STORAGE.to_owned()), ..Paths::default() });
        }
        Err(error) => return Err(error),
    };
    let text = String::from_utf8(bytes).map_err(|error| unreadable(file, &error.to_string()))?;
    let values = config::parse(&text, file.as_str())?.unwrap_or_default();
    Paths::of(&values.into()).map_err(|why| Known::in_text(&text).hide_in_error(unreadable(file, &why)))
}

/// Paths that a service may be let write to: none that is shared with others.
fn absolute(file: &AbsolutePath, paths: impl IntoIterator<Item = String>) -> Result<Vec<AbsolutePath>> {
    let parsed = paths.into_iter().map(|path| match AbsolutePath::try_from(path) {
        Ok(path) if is_shared_directory(path.as_ref()) => Err(unreadable(
            file,
            &format!("it has tbot write right into {}, which is not its own", path.as_str()),
        )
        .hint("use a directory below it, or give `read_write_paths`")),
        parsed => parsed.map_err(|why| unreadable(file, &why)),
    });
    parsed.collect()
}

fn unreadable(file: &AbsolutePath, why: &str) -> Error {
    Error::new(
        Kind::Conflict,
        format!("{} does not tell what the service may be kept from: {why}", file.as_str()),
    )
    .hint("correct it, or do without `hardening`")
}
