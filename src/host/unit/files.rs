//! The two files of a service in one directory, its unit and its drop-in, and what is to become of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::installed::{self, LOAD_PATH};
use super::{Author, ForeignService, Form, UnitName, Wanted, hardening};
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Accounts, Attributes, Change, Mode, TextFile, Trust, user_name};

const FILE_MODE: Mode = Mode::new(0o644);
/// Sorts before `override.conf`, which `systemctl edit` writes, so that what that says wins (systemd.unit(5)).
const DROP_IN: &str = "10-tbot-tpm.conf";

/// Where a request wants a service's directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In a drop-in where another unit of that name is, else in a unit.
    Auto,
    /// In a unit.
    Unit,
    /// In a drop-in.
    DropIn,
}

/// The places of a service's files.
#[derive(Debug)]
pub struct UnitFiles<'a> {
    name: &'a UnitName,
    directory: &'a Path,
    unit: PathBuf,
    drop_ins: PathBuf,
    drop_in: PathBuf,
}

/// What is in these places.
#[derive(Debug)]
pub struct Found<'a> {
    files: &'a UnitFiles<'a>,
    /// None where there is a link, which is another's unit or masks one.
    unit: Option<TextFile<'a>>,
    drop_in: TextFile<'a>,
}

/// What is to become of one of the files.
#[derive(Debug)]
pub struct Step<'a> {
    /// Which of the two it is.
    pub form: Form,
    file: &'a TextFile<'a>,
    change: Change<'a>,
    /// Whether systemd reads it differently afterwards.
    pub matters: bool,
}

impl<'a> UnitFiles<'a> {
    /// Those of the service of this name in `directory`.
    #[must_use]
    pub fn new(directory: &'a AbsolutePath, name: &'a UnitName) -> Self {
        let directory: &Path = directory.as_ref();
        let unit = directory.join(name.file_name());
        let drop_ins = directory.join(format!("{}.d", name.file_name()));
        let drop_in = drop_ins.join(DROP_IN);
        Self { name, directory, unit, drop_ins, drop_in }
    }

    /// Looks at both. Anything else than a file or link in the unit's place, or than a file in the drop-in's,
    /// and a link in place of the drop-in's directory, is `unsafe_path`.
    pub fn inspect(&self) -> Result<Found<'_>> {
        let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if is_link(&self.drop_ins) {
            let message = format!("{} is a symbolic link; nothing was changed", self.drop_ins.display());
            return Err(Error::new(Kind::UnsafePath, message).hint("remove it, or make it a directory"));
        }
        let unit =
            if is_link(&self.unit) { None } else { Some(TextFile::inspect(&self.unit, Trust::in_root())?) };
        Ok(Found { files: self, unit, drop_in: TextFile::inspect(&self.drop_in, Trust::in_root())? })
    }
}

impl Found<'_> {
    /// Whether the directives go into a unit or a drop-in, if they are `wanted` in a unit. A masked unit is
    /// `unsafe_path`, and so is a link where a unit is wanted.
    pub fn form(&self, placement: Placement, wanted: impl FnOnce() -> Option<Wanted>) -> Result<Form> {
        if self.unit.is_none() && installed::is_masked(&self.files.unit)? {
            let message = format!("{} is masked, so nothing can start it", self.files.unit.display());
            let hint = format!("unmask it first: systemctl unmask {}", self.files.name.file_name());
            return Err(Error::new(Kind::UnsafePath, message).hint(hint));
        }
        match placement {
            Placement::DropIn => Ok(Form::DropIn),
            Placement::Unit if self.unit.is_none() => {
                TextFile::inspect(&self.files.unit, Trust::in_root()).map(|_| Form::Unit)
            }
            Placement::Auto if self.is_added_to(wanted)? => Ok(Form::DropIn),
            Placement::Unit | Placement::Auto => Ok(Form::Unit),
        }
    }

    /// What a drop-in alone is no good for: there has to be a unit, and it is not one that was written here,
    /// since that goes when the drop-in comes.
    pub fn obstacle_to_drop_in(&self) -> Result<Option<String>> {
        if self.foreign_unit()?.is_some() {
            return Ok(None);
        }
        let name = self.files.name.file_name();
        Ok(Some(if self.unit.as_ref().is_some_and(is_ours) {
            format!(
                "{} is the only unit of its name, and a drop-in alone starts nothing",
                self.files.unit.display()
            )
        } else {
            format!("there is no unit {name} that the drop-in could add to, and alone it starts nothing")
        }))
    }

    /// Whether removing the unit that was written here would leave none.
    #[must_use]
    pub fn has_our_unit(&self) -> bool {
        self.unit.as_ref().is_some_and(is_ours)
    }

    /// Whether a drop-in belongs to the unit, if nothing else is asked for: the unit is a package's, a linked one or
    /// `teleport-update`'s, there is one in another directory, or it is another's that has our drop-in already.
    fn is_added_to(&self, wanted: impl FnOnce() -> Option<Wanted>) -> Result<bool> {
        let Some(file) = &self.unit else { return Ok(true) };
        if is_ours(&self.drop_in) && self.foreign_unit()?.is_some() {
            return Ok(true);
        }
        let Some(text) = file.text().filter(|_| !is_ours(file)) else {
            return Ok(self.elsewhere()?.is_some());
        };
        // What needs no change needs none of the others asked: package managers take longest to answer.
        let is_right = wanted().is_some_and(|wanted| wanted.is_said_by(text)) && has_right_attributes(file);
        let is_updaters = Author::of(text) == Author::TeleportUpdate;
        let is_managed =
            || Ok(is_updaters || self.elsewhere()?.is_some() || installed::is_packaged(&self.files.unit));
        if is_right { Ok(false) } else { is_managed() }
    }

    /// A unit of this name in another directory.
    fn elsewhere(&self) -> Result<Option<PathBuf>> {
        installed::elsewhere(&LOAD_PATH, self.files.directory, self.files.name)
    }

    /// Another's unit of this name, anywhere.
    fn foreign_unit(&self) -> Result<Option<PathBuf>> {
        match &self.unit {
            Some(file) if file.text().is_none() || is_ours(file) => self.elsewhere(),
            _ => Ok(Some(self.files.unit.clone())),
        }
    }

    /// What another's unit says of the service. One that cannot be read says nothing to systemd either.
    pub fn foreign_service(&self) -> Result<ForeignService> {
        let text = self.foreign_unit()?.and_then(|unit| host::read(&unit).ok());
        Ok(text.map(|bytes| ForeignService::of(&String::from_utf8_lossy(&bytes))).unwrap_or_default())
    }

    /// The directories below `/run` that systemd makes for the service by what was written here.
    #[must_use]
    pub fn own_runtime_directories(&self) -> Vec<AbsolutePath> {
        let own = self.unit.iter().chain([&self.drop_in]).filter(|file| is_ours(file));
        own.filter_map(TextFile::text).flat_map(|text| ForeignService::of(text).runtime_directories).collect()
    }

    /// Whether the service is hardened by what was written here.
    #[must_use]
    pub fn is_hardened(&self) -> bool {
        let mut own = self.unit.iter().chain([&self.drop_in]).filter(|file| is_ours(file));
        own.any(|file| file.text().is_some_and(|text| text.lines().any(|line| line == hardening::TELLING)))
    }

    /// What makes one of the two files say `wanted`, and the other go where it was written here. A file that
    /// says so already keeps its form. Another's in the place is a `conflict`, unless forced.
    pub fn present<'b>(&'b self, wanted: &'b Wanted, force: bool) -> Result<Vec<Step<'b>>> {
        let form = wanted.form;
        let (file, other) = match form {
            Form::Unit => (self.unit.as_ref(), Some(&self.drop_in)),
            Form::DropIn => (Some(&self.drop_in), self.unit.as_ref()),
        };
        let mut steps = Vec::new();
        if let Some(file) = file {
            let kept = file.text().filter(|text| wanted.is_said_by(text));
            if kept.is_none() && !force && file.text().is_some() && !is_ours(file) {
                return Err(conflict(file));
            }
            let is_right = kept.is_some() && has_right_attributes(file);
            let content = kept.unwrap_or(&wanted.text);
            let change =
                if is_right { Change::Keep } else { Change::Write(content, file.wanted(owner(), FILE_MODE)) };
            steps.push(Step { form, file, change, matters: kept.is_none() });
        }
        let other_form = if form == Form::Unit { Form::DropIn } else { Form::Unit };
        steps.extend(other.map(|file| Step::removal(other_form, file, is_ours(file))));
        Ok(steps)
    }

    /// What makes both files go that were written here. What others wrote stays, whatever it says, but where its removal
    /// is forced; and a unit goes by force only where a unit was asked for. A link and a package's unit stay in any case.
    #[must_use]
    pub fn absent(&self, placement: Placement, force: bool) -> Vec<Step<'_>> {
        let unit = self.unit.as_ref().map(|file| {
            // Package managers take long to answer, so they are asked last.
            let is_forced = || {
                let is_wanted = force && placement == Placement::Unit && file.text().is_some();
                is_wanted && !installed::is_packaged(file.path())
            };
            Step::removal(Form::Unit, file, is_ours(file) || is_forced())
        });
        let drop_in = &self.drop_in;
        let goes = is_ours(drop_in) || (force && drop_in.text().is_some());
        unit.into_iter().chain([Step::removal(Form::DropIn, drop_in, goes)]).collect()
    }

    /// What is there after these steps of [`Self::absent`], and why, one sentence each.
    pub fn left_in_place(&self, steps: &[Step<'_>]) -> Result<Vec<String>> {
        let kept = steps.iter().filter(|step| !step.is_change());
        let mut left: Vec<String> = kept.filter_map(Step::reason_to_stay).collect();
        if self.unit.is_none() && !installed::is_masked(&self.files.unit)? {
            left.push(format!("{} stays: it is a symbolic link", self.files.unit.display()));
        }
        if let Some(path) = self.elsewhere()? {
            let directory = self.files.directory.display();
            left.push(format!("{} stays: it is in another directory than {directory}", path.display()));
        }
        Ok(left)
    }
}

/// Root's, where root writes it: whoever owns a unit decides what runs. Its group may only read.
fn owner() -> Accounts {
    let user = Some(0).filter(|_| rustix::process::geteuid().is_root());
    Accounts { user, group: None }
}

fn has_right_attributes(file: &TextFile<'_>) -> bool {
    file.attributes() == Some(file.wanted(owner(), FILE_MODE))
}

fn author(file: &TextFile<'_>) -> Option<Author> {
    file.text().map(Author::of)
}

fn is_ours(file: &TextFile<'_>) -> bool {
    author(file) == Some(Author::TbotTpm)
}

/// Another person or program relies on the file.
fn conflict(file: &TextFile<'_>) -> Error {
    let author = author(file).unwrap_or(Author::Other);
    let message = format!("{} exists, says something else and {}", file.path().display(), author.describe());
    let way_out = match author {
        Author::TeleportUpdate => "use `mode: drop_in`, which adds to it",
        _ => {
            "to see what would replace it, use check mode with `force: true`; then force it, or move it away"
        }
    };
    Error::new(Kind::Conflict, message).hint(way_out)
}

impl<'a> Step<'a> {
    fn removal(form: Form, file: &'a TextFile<'a>, goes: bool) -> Self {
        let change = if goes { Change::Remove } else { Change::Keep };
        Self { form, file, change, matters: goes }
    }

    /// Why a file stays that is not this program's, in one sentence; none where there is no file.
    fn reason_to_stay(&self) -> Option<String> {
        let author = author(self.file)?;
        let why = match author {
            Author::TeleportUpdate => "teleport-update manages it, and would write it again",
            Author::Tbot => "`tbot install systemd` wrote it; remove it yourself where it is to go",
            Author::TbotTpm | Author::Other => {
                "tbot_tpm did not write it; remove it, or its package, yourself where it is to go"
            }
        };
        Some(format!("{} stays: {why}", self.path().display()))
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.change != Change::Keep
    }

    /// The file's text afterwards; empty where there is none.
    #[must_use]
    pub fn content(&self) -> &str {
        match self.change {
            Change::Keep => self.file.text().unwrap_or_default(),
            Change::Write(content, _) => content,
            Change::Remove => "",
        }
    }

    /// Owner, mode and text before and after, for a diff.
    #[must_use]
    pub fn describe(&self) -> (String, String) {
        let describe = |attributes: Attributes, text: &str| {
            format!("# owner: {}, mode: '{}'\n{text}", user_name(attributes.user), attributes.mode)
        };
        let now = self.file.attributes().map(|found| describe(found, self.file.text().unwrap_or_default()));
        let before = now.unwrap_or_default();
        let after = match self.change {
            Change::Keep => before.clone(),
            Change::Write(content, attributes) => describe(attributes, content),
            Change::Remove => String::new(),
        };
        (before, after)
    }

    /// Does it. Directories are made where they are missing, and the drop-in's goes with the last file in it.
    pub fn settle(&self) -> Result<()> {
        let drop_ins = self.file.directory();
        self.file.settle_in_directory(self.change, Trust::in_root()).inspect_err(|_| {
            if self.form == Form::DropIn && !self.file.has_directory() {
                // Empty as it is; one that others have put something into stays.
                let _ = fs::remove_dir(drop_ins);
            }
        })?;
        if self.form == Form::DropIn && self.change == Change::Remove {
            // It fails where there are others' drop-ins, or another run was faster. Empty as it is after a crash, it
            // means nothing to systemd, and a later run leaves it: it may be someone else's.
            let _ = fs::remove_dir(drop_ins);
        }
        Ok(())
    }
}
