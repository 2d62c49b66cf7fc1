//! What a hardened service has to be left, as the configuration of `tbot` says.

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::unit::Use;
use crate::host::{self, AbsolutePath};
use crate::teleport::config::Paths;
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
            Paths::of(&documents.pop().unwrap_or_default())
        }
        Err(error) if error.kind == Kind::NotFound => {
            warnings.push(format!(
                "there is no {} yet, so the service is hardened as if it used the default storage and wrote nothing \
                 else; write the configuration first, or run this again after it",
                file.as_str()
            ));
            Paths::of(&serde_json::Value::Null)
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

fn absolute(file: &AbsolutePath, paths: impl IntoIterator<Item = String>) -> Result<Vec<AbsolutePath>> {
    let parsed = paths.into_iter().map(|path| match AbsolutePath::try_from(path) {
        Ok(path) if path.as_str() == "/" => {
            Err("it lets tbot write to the root of the file system".to_owned())
        }
        parsed => parsed,
    });
    parsed.collect::<std::result::Result<_, String>>().map_err(|why| unreadable(file, &why))
}

fn unreadable(file: &AbsolutePath, why: &str) -> Error {
    Error::new(
        Kind::Conflict,
        format!("{} does not tell what the service may be kept from: {why}", file.as_str()),
    )
    .hint("correct it, or do without `hardening`")
}
