//! Which hosts a registry has, so that nobody needs to look at its files.

use std::path::Path;

use serde_json::json;

use super::super::hosts;
use crate::error::Result;
use crate::protocol::{Answer, Request};
use crate::teleport::registry::{Archive, Unusable};
use crate::teleport::{Identity, Registry};

/// Which hosts the registry has or had, and which TPMs of its archive no host has.
pub(super) fn list(directory: &Path, request: &Request) -> Result<Answer> {
    if request.controls.check_mode && !directory.exists() {
        return Ok(Answer::new(false)
            .result("host_names", Vec::<String>::new())
            .result("withdrawn_hashes", Vec::<String>::new()));
    }
    let (registry, archive) = (Registry::read(directory)?, Archive::read(directory)?);
    let withdrawn = sorted(registry.withdrawn(&archive).filter_map(Identity::hash));
    let tpms = registry.identities.iter().chain(&archive.tpms);
    let names = sorted(
        tpms.filter_map(Identity::name)
            .chain(unreadable(&registry.unusable))
            .chain(unreadable(&archive.unusable)),
    );
    let of_archive =
        archive.unusable.iter().map(|file| format!("the archive: {}", hosts::warning(&file.problem)));
    Ok(Answer::new(false)
        .result("host_names", names)
        .result("withdrawn_hashes", withdrawn)
        .warnings(registry.unusable.iter().map(hosts::left_out).chain(of_archive).collect()))
}

/// What is recorded of the hosts that the registry has and had. A file that says nothing usable is an error: where only the contents are
/// known, nobody would know that its host keeps what it has.
pub(super) fn contents(directory: &Path, request: &Request) -> Result<Answer> {
    let (registry, archive) = if request.controls.check_mode && !directory.exists() {
        (Registry::default(), Archive::default())
    } else {
        (Registry::read(directory)?, Archive::read(directory)?)
    };
    if let Some(file) = registry.unusable.into_iter().chain(archive.unusable).next() {
        return Err(file.problem);
    }
    Ok(Answer::new(false).result("hosts", json!(registry.identities)).result("former", json!(archive.tpms)))
}

/// The hosts whose files these are.
fn unreadable(files: &[Unusable]) -> impl Iterator<Item = &str> {
    files.iter().filter_map(|file| file.name.as_deref())
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
