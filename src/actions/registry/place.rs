//! A host's entry, where it is or is to be: recorded, or moved to the archive.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::settle;
use super::{NEW_DIRECTORY_MODE, NEW_FILE_MODE, archived};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::host::{self, Accounts, Attributes, Change, Mode, TextFile, Trust};
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::HostName;
use crate::teleport::registry::{self, Entry, Found, RuleText};

/// Where a host's entry is, or is to be.
pub(super) struct Place<'a> {
    pub request: &'a Request,
    pub directory: &'a Path,
    pub host: &'a HostName,
    pub file: TextFile<'a>,
}

/// What an answer says besides whether something changed.
struct Outcome<'a> {
    archived: Option<PathBuf>,
    former: Option<&'a EkPublicHash>,
    after: Option<Map<String, Value>>,
    text: &'a str,
}

impl Place<'_> {
    pub(super) fn former(&self) -> Result<Option<Entry>> {
        let parse = |text: &str| Entry::parse(self.file.path(), text.as_bytes(), self.host.as_str());
        self.file.text().map(parse).transpose()
    }

    pub(super) fn record(
        &self,
        found: &Found,
        former: Option<&Entry>,
        text: Option<&RuleText>,
        accept: bool,
    ) -> Result<Answer> {
        if !accept && let Some(former) = former {
            former
                .refuse_change(found, self.host, self.file.path())
                .map_err(|error| registry::note_archived(error, self.directory, self.host, found))?;
        }
        let fields = Entry::recording(found, self.host, former, text);
        if self.file.has_directory() {
            registry::refuse_shared(self.directory, self.host, &Entry::identity_of(&fields)?)?;
        }
        if !accept {
            registry::refuse_archived(self.directory, self.host, former, found)?;
        }
        // An entry that says the same in another form keeps its form.
        let is_same = former.is_some_and(|former| *former.fields() == fields);
        let text = match self.file.text() {
            Some(text) if is_same => text.to_owned(),
            _ => registry::text(&fields),
        };
        // Before its place is taken: whenever the run ends, the former TPM is known.
        let replaced = former.filter(|former| former.hash() != found.hash());
        let archived = replaced.map(|replaced| self.keep(replaced)).transpose()?;
        let change =
            if is_same { Change::Keep } else { Change::Write(&text, attributes(&self.file, NEW_FILE_MODE)) };
        settle(self.request, &self.file, change)?;
        let former = replaced.map(Entry::hash);
        self.answer(!is_same, Outcome { archived, former, after: Some(fields), text: &text })
    }

    pub(super) fn archive(&self, former: Option<&Entry>) -> Result<Answer> {
        let archived = former.map(|former| self.keep(former)).transpose()?;
        settle(self.request, &self.file, Change::Remove)?;
        let former = former.map(Entry::hash);
        self.answer(former.is_some(), Outcome { archived, former, after: None, text: "" })
    }

    /// Keeps the entry that is there in the archive, on the disk. An older one of the same TPM gives way.
    fn keep(&self, entry: &Entry) -> Result<PathBuf> {
        let path = registry::archived_path(self.directory, self.host, entry.hash());
        if let Some(text) = TextFile::inspect(&path, Trust::in_team())?.text() {
            let other = Entry::parse(&path, text.as_bytes(), self.host.as_str())?;
            if other.hash() != entry.hash() {
                let message = format!("{} is the archived entry of another TPM", path.display());
                return Err(Error::new(Kind::Conflict, message).hint("give that file another name"));
            }
        }
        if !self.request.controls.check_mode {
            host::make_directory(
                path.parent().unwrap_or(self.directory),
                NEW_DIRECTORY_MODE,
                Trust::in_team(),
            )?;
            let file = TextFile::inspect(&path, Trust::in_team())?;
            // Whoever may not read the entry may not read it there.
            let mode = self.file.attributes().map_or(NEW_FILE_MODE, |entry| entry.mode);
            let text = self.file.text().unwrap_or_default();
            file.settle(Change::Write(text, attributes(&file, mode)))?;
        }
        Ok(path)
    }

    fn answer(&self, changed: bool, outcome: Outcome<'_>) -> Result<Answer> {
        let path = self.file.path().display().to_string();
        let before = self.file.text().unwrap_or_default();
        Ok(Answer::new(changed)
            .result("path", path.as_str())
            .result("archived", archived(self.directory, self.host, outcome.archived)?)
            .result("former_ek_public_hash", json!(outcome.former))
            .result("identity", json!(outcome.after))
            .diff(Some(Diff::of(path, before, outcome.text))))
    }
}

/// Those of the file that is there, or of a new one.
fn attributes(file: &TextFile<'_>, new: Mode) -> Attributes {
    file.wanted(Accounts::default(), file.attributes().map_or(new, |found| found.mode))
}
