//! `registry`: one host's identity in the registry, recorded or archived.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Action, settle};
use crate::ekcert::EkPublicHash;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Accounts, Attributes, Change, Mode, TextFile};
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::HostName;
use crate::teleport::registry::{self, Entry, Found};

/// What a registry holds is no secret, and version control and other users may read it.
const NEW_DIRECTORY_MODE: Mode = Mode::new(0o755);
const NEW_FILE_MODE: Mode = Mode::new(0o644);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    registry: AbsolutePath,
    host: HostName,
    identity: Option<Found>,
    #[serde(default)]
    accept_identity_change: bool,
    #[serde(default)]
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Present,
    Archived,
}

pub(super) struct Recording {
    registry: AbsolutePath,
    host: HostName,
    /// None where the entry is to be archived.
    identity: Option<Found>,
    accept_identity_change: bool,
}

impl Action for Recording {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        let Parameters { registry, host, identity, accept_identity_change, state } = parameters;
        let identity = match (state, identity) {
            (State::Archived, _) => None,
            (State::Present, Some(found)) => Some(found),
            (State::Present, None) => {
                return Err(Error::invalid("action `registry` needs parameter `identity`")
                    .hint("give what `identify` returned for the host, or `state: archived`"));
            }
        };
        Ok(Self { registry, host, identity, accept_identity_change })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let directory = self.registry.as_ref();
        let path = registry::entry_path(directory, &self.host);
        let mut is_there = TextFile::inspect(&path)?.has_directory();
        let writes = !request.controls.check_mode;
        if writes && !is_there && self.identity.is_some() {
            host::make_directory(directory, NEW_DIRECTORY_MODE)?;
            is_there = true;
        }
        // Two hosts with one TPM would not see each other, and two runs could archive one entry.
        let _lock = (writes && is_there).then(|| host::lock_directory(directory)).transpose()?;
        if is_there {
            registry::refuse_other_files(directory, &self.host)?;
        }
        let place = Place { request, directory, host: &self.host, file: TextFile::inspect(&path)? };
        let former = place.former()?;
        match &self.identity {
            Some(found) => place.record(found, former.as_ref(), self.accept_identity_change),
            None => place.archive(former.as_ref()),
        }
    }
}

/// Where a host's entry is, or is to be.
struct Place<'a> {
    request: &'a Request,
    directory: &'a Path,
    host: &'a HostName,
    file: TextFile<'a>,
}

/// What an answer says besides whether something changed.
struct Outcome<'a> {
    archived: Option<PathBuf>,
    former: Option<&'a EkPublicHash>,
    after: Option<Map<String, Value>>,
    text: &'a str,
}

impl Place<'_> {
    fn former(&self) -> Result<Option<Entry>> {
        let parse = |text: &str| Entry::parse(self.file.path(), text.as_bytes(), self.host.as_str());
        self.file.text().map(parse).transpose()
    }

    fn record(&self, found: &Found, former: Option<&Entry>, accept: bool) -> Result<Answer> {
        if let Some(former) = former.filter(|_| !accept) {
            former.refuse_change(found, self.host, self.file.path())?;
        }
        if self.file.has_directory() {
            registry::refuse_shared(self.directory, self.host, found.hash())?;
        }
        let fields = Entry::recording(found, self.host, former);
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

    fn archive(&self, former: Option<&Entry>) -> Result<Answer> {
        let archived = former.map(|former| self.keep(former)).transpose()?;
        settle(self.request, &self.file, Change::Remove)?;
        let former = former.map(Entry::hash);
        self.answer(former.is_some(), Outcome { archived, former, after: None, text: "" })
    }

    /// Keeps the entry that is there in the archive, on the disk. An older one of the same TPM gives way.
    fn keep(&self, entry: &Entry) -> Result<PathBuf> {
        let path = registry::archived_path(self.directory, self.host, entry.hash());
        if let Some(text) = TextFile::inspect(&path)?.text() {
            let other = Entry::parse(&path, text.as_bytes(), self.host.as_str())?;
            if other.hash() != entry.hash() {
                let message = format!("{} is the archived entry of another TPM", path.display());
                return Err(Error::new(Kind::Conflict, message).hint("give that file another name"));
            }
        }
        if !self.request.controls.check_mode {
            host::make_directory(path.parent().unwrap_or(self.directory), NEW_DIRECTORY_MODE)?;
            let file = TextFile::inspect(&path)?;
            // Whoever may not read the entry may not read it there.
            let mode = self.file.attributes().map_or(NEW_FILE_MODE, |entry| entry.mode);
            let text = self.file.text().unwrap_or_default();
            file.settle(Change::Write(text, attributes(&file, mode)))?;
        }
        Ok(path)
    }

    fn answer(&self, changed: bool, outcome: Outcome<'_>) -> Result<Answer> {
        let mut archived = registry::archived_files(self.directory, self.host)?;
        archived.extend(outcome.archived);
        archived.sort();
        archived.dedup();
        let archived: Vec<String> = archived.iter().map(|path| path.display().to_string()).collect();
        let path = self.file.path().display().to_string();
        let before = self.file.text().unwrap_or_default();
        Ok(Answer::new(changed)
            .result("path", path.as_str())
            .result("archived", archived)
            .result("former_ek_public_hash", json!(outcome.former))
            .result("identity", json!(outcome.after))
            .diff(Some(Diff::of(path, before, outcome.text))))
    }
}

/// Those of the file that is there, or of a new one.
fn attributes(file: &TextFile<'_>, new: Mode) -> Attributes {
    file.wanted(Accounts::default(), file.attributes().map_or(new, |found| found.mode))
}
