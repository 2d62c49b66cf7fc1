//! The registry while hosts are recorded or archived one after the other: read once, and locked where it is written to.

use std::os::fd::OwnedFd;

use super::NEW_DIRECTORY_MODE;
use super::change::Change;
use super::place::Place;
use super::unreadable;
use crate::error::Result;
use crate::host::{self, AbsolutePath, TextFile, Trust};
use crate::protocol::{Answer, Request};
use crate::teleport::registry::{self, Index};

pub(super) struct Session<'a> {
    pub request: &'a Request,
    pub index: Index<'a>,
    /// Two hosts with one TPM would not see each other without it, and two runs could archive one entry.
    _lock: Option<OwnedFd>,
}

impl<'a> Session<'a> {
    /// Opens the registry, which is made where it is missing and something is to be recorded. In check mode one that is not there
    /// counts as empty.
    pub(super) fn open(request: &'a Request, registry: &'a AbsolutePath, records: bool) -> Result<Self> {
        let directory = registry.as_ref();
        let writes = !request.controls.check_mode;
        let mut is_there = host::has_directory(directory, Trust::in_team())?;
        if writes && !is_there && records {
            host::make_directory(directory, NEW_DIRECTORY_MODE, Trust::in_team())?;
            is_there = true;
        }
        if !is_there {
            return Ok(Self { request, index: Index::empty(directory), _lock: None });
        }
        let lock = writes.then(|| host::lock_directory(directory)).transpose()?;
        if writes {
            host::sweep_directory(directory);
            host::sweep_directory(&registry::archive_folder(directory));
        }
        Ok(Self { request, index: Index::read(directory)?, _lock: lock })
    }

    /// Makes one change: all of it, or nothing.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Answer> {
        let Change { host, found, rule_description, accept } = change;
        self.index.refuse_other_files(host)?;
        let path = registry::entry_path(self.index.directory(), host);
        let there = TextFile::inspect(&path, Trust::in_team()).and_then(|file| {
            let place = Place { host, file };
            let former = place.former()?;
            Ok((place, former))
        });
        match (there, found) {
            (Ok((place, former)), Some(found)) => {
                place.record(self, found, former.as_ref(), rule_description.as_ref(), *accept)
            }
            (Ok((place, former)), None) => place.archive(self, former.as_ref()),
            (Err(problem), None) if unreadable::is_content(&problem, &path) => {
                unreadable::archive(self, host, &path, &problem)
            }
            (Err(problem), _) => Err(problem),
        }
    }

    /// Whether files are written, and not only looked at.
    pub(super) fn writes(&self) -> bool {
        !self.request.controls.check_mode
    }
}
