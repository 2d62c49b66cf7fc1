//! Files beside the tokens' own that say which tokens a cluster has, so that the loss of one stops the next run: made anew, it would
//! have none of the rules that others have put into it.

use std::collections::BTreeSet;

use crate::actions::settle;
use crate::error::{Error, Kind, Result};
use crate::host::{AbsolutePath, Accounts, Change, Mode, TextFile, Trust};
use crate::ordered;
use crate::protocol::Request;

const HEAD: &str = "# The cluster has these tokens. The loss of one of them stops the next run.";
const MODE: Mode = Mode::new(0o644);

/// The tokens that the text of such a file names.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    let is_name =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.contains(char::is_whitespace);
    text.lines().map(str::trim).filter(is_name).map(str::to_owned)
}

/// What it says of tokens of these names.
pub(super) fn text<'n>(names: impl Iterator<Item = &'n str>) -> String {
    std::iter::once(HEAD).chain(names).flat_map(|line| [line, "\n"]).collect()
}

/// The same, or nothing where there is none, which is how a file is told to go.
pub(super) fn text_or_none<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names = names.peekable();
    if names.peek().is_none() { String::new() } else { text(names) }
}

/// The file of a unit's tokens.
pub(super) struct Mark {
    path: AbsolutePath,
}

impl Mark {
    /// The one beside a file of tokens.
    pub(super) fn beside(file: &AbsolutePath) -> Result<Self> {
        Ok(Self { path: beside(file)? })
    }

    /// The tokens that it names.
    pub(super) fn names(&self) -> Result<BTreeSet<String>> {
        let file = self.file()?;
        Ok(ordered::set(names(file.text().unwrap_or_default())))
    }

    /// Brings it up to date; without a name it goes.
    pub(super) fn keep(&self, request: &Request, names: &BTreeSet<&str>) -> Result<()> {
        let file = self.file()?;
        let text = text(names.iter().copied());
        let change = match file.text() {
            None if names.is_empty() => Change::Keep,
            Some(_) if names.is_empty() => Change::Remove,
            Some(found) if found == text => Change::Keep,
            _ => Change::Write(&text, file.wanted(Accounts::default(), MODE)),
        };
        settle(request, &file, change)
    }

    /// Takes out the names of tokens that are about to be removed. What is removed and still named would be taken for lost.
    pub(super) fn forget(&self, request: &Request, tokens: &[String]) -> Result<()> {
        let names = self.names()?;
        let left: BTreeSet<&str> =
            names.iter().filter(|name| !tokens.contains(name)).map(String::as_str).collect();
        if left.len() < names.len() { self.keep(request, &left) } else { Ok(()) }
    }

    fn file(&self) -> Result<TextFile<'_>> {
        TextFile::inspect(self.path.as_ref(), Trust::in_team())
    }
}

/// Where it is, beside a file of tokens.
pub(super) fn beside(file: &AbsolutePath) -> Result<AbsolutePath> {
    AbsolutePath::try_from(format!("{}.applied", file.as_str())).map_err(Error::invalid)
}

/// Refuses to go on where the cluster has lost tokens.
pub(super) fn refuse_lost(lost: &[String]) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the cluster has no token {}, although a run before has applied it; nothing was applied",
        lost.join(", ")
    );
    Err(Error::new(Kind::Conflict, message).hint(
        "check that tctl talks to the right cluster; if somebody has removed the token, or it has expired, set `recreate: true` to \
         make it anew",
    ))
}
