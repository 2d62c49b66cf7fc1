//! What a hardened service has to be left, as the configuration of `tbot` says.

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::unit::Use;
use crate::host::{self, AbsolutePath, is_shared_directory};
use crate::teleport::config::{DEFAULT_STORAGE, Paths};
use crate::teleport::parse_documents;

/// What `tbot` uses by the configuration that is there now. Where there is none yet, that is its usual
/// storage, with a warning. One that cannot be read as `tbot` would read it is a `conflict`.
pub(super) fn find(parameters: &Parameters, warnings: &mut Vec<String>) -> Result<Use> {
    let file = parameters.config();
    let paths = match host::read(file.as_ref()) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|error| unreadable(file, &error.to_string()))?;
            let mut documents = parse_documents(&text).map_err(|why| unreadable(file, &why))?;
            if documents.len() > 1 {
                return Err(unreadable(file, "it has several YAML documents"));
            }
            Paths::of(&documents.pop().unwrap_or_default()).map_err(|why| unreadable(file, &why))?
        }
        Err(error) if error.kind == Kind::NotFound => {
            warnings.push(format!(
                "there is no {} yet, so the service is hardened as if it used the default storage and wrote nothing \
                 else; write the configuration first, or run this again after it",
                file.as_str()
            ));
            Paths { storage: Some(DEFAULT_STORAGE.to_owned()), ..Paths::default() }
        }
        Err(error) => return Err(error),
    };
    let makes_sockets = !paths.sockets.is_empty() || paths.serves_workloads;
    let (writes, may_write) = match &parameters.read_write_paths {
        Some(given) => (Vec::new(), given.clone()),
        None => {
            (absolute(file, paths.storage)?, absolute(file, paths.outputs.into_iter().chain(paths.sockets))?)
        }
    };
    Ok(Use {
        writes,
        may_write,
        reads: vec![file.clone(), parameters.tbot_path().clone()],
        makes_sockets,
        looks_at_processes: paths.serves_workloads,
    })
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
