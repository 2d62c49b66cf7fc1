//! The registry: a directory with one `HOST.json` identity a file, which the user keeps in version
//! control.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Description, Identity, document};
use crate::error::{Error, Kind, Result};
use crate::host;

/// What the registry holds.
#[derive(Debug, Default)]
pub struct Registry {
    /// The identities, by file name.
    pub identities: Vec<Identity>,
    /// The files that cannot be read or are malformed, each with the reason.
    pub problems: Vec<Error>,
}

impl Registry {
    /// Every identity in `directory`. A missing directory is `not_found`.
    ///
    /// A host's description is its file's name, whatever the file says. Files that do not end in `.json`
    /// and hidden ones are not part of the registry.
    pub fn read(directory: &Path) -> Result<Self> {
        let failed =
            |error: &io::Error| Error::io(&format!("read the registry {}", directory.display()), error);
        let mut hosts: BTreeMap<OsString, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(|e| failed(&e))? {
            let path = entry.map_err(|e| failed(&e))?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
                hosts.entry(path.file_stem().unwrap_or_default().to_owned()).or_default().push(path);
            }
        }
        let mut registry = Self::default();
        for mut paths in hosts.into_values() {
            paths.sort();
            match read_host(&paths) {
                Ok(identity) => registry.identities.push(identity),
                Err(problem) => registry.problems.push(problem),
            }
        }
        Ok(registry)
    }
}

/// The identity in the file of one host, or why its files, which differ in the case of `.json`, tell none.
fn read_host(paths: &[PathBuf]) -> Result<Identity> {
    if let [path] = paths {
        return read_entry(path);
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    Err(Error::new(
        Kind::Conflict,
        format!("the registry has several files of one host: {}", paths.join(", ")),
    )
    .hint("remove those that are out of date"))
}

fn read_entry(path: &Path) -> Result<Identity> {
    let wrong = |what: String| {
        Error::new(Kind::InvalidRequest, format!("the registry's file {} {what}", path.display()))
            .hint("correct it, restore it from version control, or remove it and identify the host again")
    };
    let bytes = host::read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|e| wrong(format!("is no text: {e}")))?;
    let Value::Object(mut fields) =
        document::parse_json(text).map_err(|e| wrong(format!("is no JSON object: {e}")))?
    else {
        return Err(wrong("is JSON, but no JSON object".to_owned()));
    };
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let host =
        Description::try_from(name.to_owned()).map_err(|e| wrong(format!("has no usable name: {e}")))?;
    fields.insert("description".to_owned(), Value::String(host.into()));
    let identity: Identity =
        serde_json::from_value(Value::Object(fields)).map_err(|e| wrong(format!("is no identity: {e}")))?;
    if identity.ek_public_hash.is_none() {
        return Err(wrong("has no `ek_public_hash`".to_owned()));
    }
    Ok(identity)
}
