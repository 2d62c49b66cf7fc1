//! The registry: a directory with one `HOST.json` identity a file, which the user keeps in version
//! control.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Description, Identity};
use crate::error::{Error, Kind, Result};
use crate::host;

/// Every identity in `directory`, by file name. A file that cannot be read or is malformed is an
/// error, since a token without its host would lock the host out. A missing directory is `not_found`.
///
/// A host's description is its file's name, whatever the file says. Files that do not end in `.json`
/// and hidden ones are not part of the registry.
pub fn read(directory: &Path) -> Result<Vec<Identity>> {
    let failed = |error: &io::Error| Error::io(&format!("read the registry {}", directory.display()), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| failed(&e))? {
        let path = entry.map_err(|e| failed(&e))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_entry(path)).collect()
}

fn read_entry(path: &Path) -> Result<Identity> {
    let wrong = |what: String| {
        Error::new(Kind::InvalidRequest, format!("the registry's file {} {what}", path.display()))
            .hint("correct it, restore it from version control, or remove it and identify the host again")
    };
    let bytes = host::read(path)?;
    let mut fields: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|e| wrong(format!("is no JSON object: {e}")))?;
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
