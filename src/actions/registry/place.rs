//! A host's entry, where it is or is to be: recorded, or moved to the archive.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::session::Session;
use super::{NEW_DIRECTORY_MODE, NEW_FILE_MODE, archived};
use crate::error::{Error, Kind, Result};
use crate::host::{self, Accounts, Attributes, Change, Mode, TextFile, Trust};
use crate::protocol::{Answer, Diff};
use crate::teleport::registry::{self, Entry, Found, RuleText};
use crate::teleport::{HostName, Identity};

/// Where a host's entry is, or is to be.
pub(super) struct Place<'a> {
    pub host: &'a HostName,
    pub file: TextFile<'a>,
}

/// An entry that was put into the archive, and what was in its place.
struct Kept {
    path: PathBuf,
    before: Option<(String, Attributes)>,
}

impl Place<'_> {
    pub(super) fn former(&self) -> Result<Option<Entry>> {
        let parse = |text: &str| Entry::parse(self.file.path(), text.as_bytes(), self.host.as_str());
        self.file.text().map(parse).transpose()
    }

    pub(super) fn record(
        &self,
        session: &mut Session<'_>,
        found: &Found,
        former: Option<&Entry>,
        text: Option<&RuleText>,
        accept: bool,
    ) -> Result<Answer> {
        if !accept && let Some(former) = former {
            former
                .refuse_change(found, self.host, self.file.path())
                .map_err(|error| session.index.note_archived(error, self.host, found))?;
        }
        let fields = Entry::recording(found, self.host, former, text);
        let identity = Entry::identity_of(&fields)?;
        session.index.refuse_shared(self.host, &identity)?;
        if !accept {
            session.index.refuse_archived(self.host, former, found)?;
        }
        // An entry that says the same in another form keeps its form.
        let is_same = former.is_some_and(|former| *former.fields() == fields);
        let text = match self.file.text() {
            Some(text) if is_same => text.to_owned(),
            _ => registry::text(&fields),
        };
        let replaced = former.filter(|former| former.hash() != found.hash());
        let change =
            if is_same { Change::Keep } else { Change::Write(&text, attributes(&self.file, NEW_FILE_MODE)) };
        self.change(session, replaced, Some(identity), change)?;
        self.answer(session, !is_same, replaced, Some(fields), &text)
    }

    pub(super) fn archive(&self, session: &mut Session<'_>, former: Option<&Entry>) -> Result<Answer> {
        self.change(session, former, None, Change::Remove)?;
        self.answer(session, former.is_some(), former, None, "")
    }

    /// Changes the entry, after the archive has the one that goes: whenever the run ends, the former TPM is known. Where the
    /// entry cannot be changed, the archive stays as it was.
    fn change(
        &self,
        session: &mut Session<'_>,
        goes: Option<&Entry>,
        comes: Option<Identity>,
        change: Change<'_>,
    ) -> Result<()> {
        let kept = if let Some(entry) = goes {
            Some((entry, self.keep(session, entry)?))
        } else {
            session.index.archived_of(self.host)?;
            None
        };
        let done = if session.writes() { self.file.settle_swept(change) } else { Ok(()) };
        if done.is_err() && self.is_as_before() {
            if let Some((_, kept)) = kept {
                kept.undo();
            }
            return done;
        }
        // Also where the disk failed after that.
        if let Some((entry, kept)) = kept {
            session.index.archived(self.host, Some(entry.hash()), kept.path);
        }
        if let Some(identity) = comes {
            session.index.recorded(self.host, identity);
        }
        done
    }

    /// Whether the entry is still what was found at first.
    fn is_as_before(&self) -> bool {
        let now = TextFile::inspect(self.file.path(), Trust::in_team());
        now.is_ok_and(|now| now.text() == self.file.text())
    }

    /// Keeps the entry that is there in the archive, on the disk. An older one of the same TPM gives way.
    fn keep(&self, session: &Session<'_>, entry: &Entry) -> Result<Kept> {
        let directory = session.index.directory();
        let path = registry::archived_path(directory, self.host, entry.hash());
        let file = TextFile::inspect(&path, Trust::in_team())?;
        if let Some(text) = file.text() {
            let other = Entry::parse(&path, text.as_bytes(), self.host.as_str())?;
            if other.hash() != entry.hash() {
                let message = format!("{} is the archived entry of another TPM", path.display());
                return Err(Error::new(Kind::Conflict, message).hint("give that file another name"));
            }
        }
        // What the answer says must not fail once something was written.
        session.index.archived_of(self.host)?;
        let before = file.text().map(str::to_owned).zip(file.attributes());
        if session.writes() {
            let folder = path.parent().unwrap_or(directory);
            host::make_directory(folder, NEW_DIRECTORY_MODE, Trust::in_team())?;
            let file = TextFile::inspect(&path, Trust::in_team())?;
            // Whoever may not read the entry may not read it there.
            let mode = self.file.attributes().map_or(NEW_FILE_MODE, |entry| entry.mode);
            let text = self.file.text().unwrap_or_default();
            file.settle_swept(Change::Write(text, attributes(&file, mode)))?;
        }
        Ok(Kept { path, before })
    }

    fn answer(
        &self,
        session: &Session<'_>,
        changed: bool,
        gone: Option<&Entry>,
        fields: Option<Map<String, Value>>,
        after: &str,
    ) -> Result<Answer> {
        let path = self.file.path().display().to_string();
        let before = self.file.text().unwrap_or_default();
        Ok(Answer::new(changed)
            .result("path", path.as_str())
            .result("archived", archived(session, self.host)?)
            .result("former_ek_public_hash", json!(gone.map(Entry::hash)))
            .result("identity", fields.map_or(Value::Null, Value::Object))
            .diff(Some(Diff::of(path, before, after))))
    }
}

impl Kept {
    /// Puts back what was there, as far as that is possible: an archived entry of a TPM in use does no harm.
    fn undo(&self) {
        let change = match &self.before {
            Some((text, attributes)) => Change::Write(text, *attributes),
            None => Change::Remove,
        };
        let _ = TextFile::inspect(&self.path, Trust::in_team()).and_then(|file| file.settle_swept(change));
    }
}

/// Those of the file that is there, or of a new one.
fn attributes(file: &TextFile<'_>, new: Mode) -> Attributes {
    file.wanted(Accounts::default(), file.attributes().map_or(new, |found| found.mode))
}
