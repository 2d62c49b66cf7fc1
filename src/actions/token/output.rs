//! Where the tokens go: into the file at `path`, and by the answer to the cluster.

use std::collections::HashSet;

use crate::actions::{foresee_directory, settle};
use crate::error::{Kind, Result};
use crate::host::{AbsolutePath, Accounts, Change, Mode, TextFile, Trust};
use crate::message::shown;
use crate::protocol::{Diff, Request};
use crate::teleport::{self, Identity, Merged, Rule, Source, Token, Wanted};

/// Whoever reads the file learns which hosts there are, so a new one is its owner's only.
const NEW_FILE_MODE: Mode = Mode::new(0o600);

/// The tokens that there are: in the cluster, where `current` tells, and in the file.
pub(in crate::actions) struct Output<'a> {
    in_cluster: Option<Vec<Token>>,
    file: Option<TextFile<'a>>,
    in_file: Vec<Token>,
}

/// What was written, or would be in check mode.
pub(in crate::actions) struct Written {
    pub changed: bool,
    pub content: String,
    pub diff: Option<Diff>,
}

impl<'a> Output<'a> {
    /// Reads the file, beside the tokens that the cluster has, where these are known. A file that holds anything but
    /// join tokens is a `conflict`.
    pub(in crate::actions) fn inspect(
        path: Option<&'a AbsolutePath>,
        in_cluster: Option<Vec<Token>>,
    ) -> Result<Self> {
        let Some(path) = path else { return Ok(Self { in_cluster, file: None, in_file: Vec::new() }) };
        let file = TextFile::inspect(path.as_ref(), Trust::in_team())?;
        let source = Source { name: path.as_str(), malformed: Kind::Conflict };
        let in_file = teleport::parse_tokens(file.text().unwrap_or_default(), source)?;
        Ok(Self { in_cluster, file: Some(file), in_file })
    }

    /// The tokens that the hosts are merged into: the cluster's, or else the file's.
    pub(in crate::actions) fn current(&self) -> &[Token] {
        self.in_cluster.as_deref().unwrap_or(&self.in_file)
    }

    /// The tokens that the file has.
    pub(in crate::actions) fn in_file(&self) -> &[Token] {
        &self.in_file
    }

    /// The tokens that differ from the cluster's; none where it is not known what that has.
    pub(in crate::actions) fn changed<'t>(&self, merged: &'t [Token]) -> Vec<&'t Token> {
        let Some(in_cluster) = &self.in_cluster else { return Vec::new() };
        let is_same = |token: &&Token| in_cluster.iter().any(|old| old.means_the_same(token));
        merged.iter().filter(|token| !is_same(token)).collect()
    }

    /// Whether it is known which hosts have rules already.
    pub(in crate::actions) fn knows_current(&self) -> bool {
        // A token that the cluster has lost had the rules of its file.
        self.in_cluster
            .as_ref()
            .map_or(!self.in_file.is_empty(), |tokens| !tokens.is_empty() || self.in_file.is_empty())
    }

    /// Whether there is a rule of this TPM.
    pub(super) fn has_rule_of(&self, tpm: &Identity) -> bool {
        let is_its =
            |rule: &Rule| tpm.hash().is_some_and(|hash| rule.ek_public_hash.eq_ignore_ascii_case(hash));
        self.current().iter().flat_map(Token::rules).any(is_its)
    }

    /// Refuses to overwrite a file with another fleet's tokens. Rules that neither the cluster has nor the
    /// request leads to go, which is a warning.
    pub(in crate::actions) fn check_file(&self, merged: &Merged, wanted: &Wanted) -> Result<Option<String>> {
        wanted.check_own(&self.in_file)?;
        let Some(in_cluster) = &self.in_cluster else { return Ok(None) };
        let known: HashSet<&str> =
            in_cluster.iter().chain(&merged.tokens).flat_map(Token::rules).map(tpm).collect();
        let goes =
            |rule: &&Rule| !known.contains(tpm(rule)) && !known.contains(&*tpm(rule).to_ascii_lowercase());
        let labels: Vec<&str> =
            self.in_file.iter().flat_map(Token::rules).filter(goes).map(Rule::label).collect();
        Ok((!labels.is_empty()).then(|| {
            format!("rules of the file that the cluster's tokens do not have leave it: {}", shown(&labels))
        }))
    }

    /// What check mode says of the file's directory.
    pub(in crate::actions) fn foresee(&self, request: &Request) -> Vec<String> {
        self.file.as_ref().map_or(Vec::new(), |file| foresee_directory(request, file))
    }

    /// Writes the file where it says something else, and removes it where no token is left.
    pub(in crate::actions) fn write(&self, merged: &Merged, request: &Request) -> Result<Written> {
        let content = documents(&merged.tokens, Token::to_yaml);
        let diff = |header: String, before: &[Token]| {
            let [before, after] =
                [before, &merged.tokens].map(|tokens| documents(tokens, Token::to_bare_yaml));
            request.controls.diff.then(|| Diff::of(header, before, after))
        };
        if let Some(file) = &self.file {
            let mode = file.attributes().map_or(NEW_FILE_MODE, |found| found.mode);
            let change = match content.as_str() {
                _ if are_same(&self.in_file, &merged.tokens) => Change::Keep,
                "" => Change::Remove,
                content => Change::Write(content, file.wanted(Accounts::default(), mode)),
            };
            settle(request, file, change)?;
            if change != Change::Keep {
                let diff = diff(file.path().display().to_string(), &self.in_file);
                return Ok(Written { changed: true, content, diff });
            }
        }
        let changes_cluster = |current: &&Vec<Token>| !are_same(current, &merged.tokens);
        let diff = self.in_cluster.as_ref().filter(changes_cluster).map(|current| {
            let header = merged.tokens.iter().map(|token| &token.name).chain(&merged.delete).next();
            diff(header.map_or_else(String::new, |name| format!("token/{name}")), current)
        });
        Ok(Written { changed: diff.is_some(), content, diff: diff.flatten() })
    }
}

/// What a rule knows a TPM by: its hash, or else its serial number.
fn tpm(rule: &Rule) -> &str {
    if rule.ek_public_hash.is_empty() { &rule.ek_certificate_serial } else { &rule.ek_public_hash }
}

/// Whether both have the same tokens, which are in the order of their names where they were merged.
fn are_same(some: &[Token], merged: &[Token]) -> bool {
    let find = |name| some.iter().find(|token| token.name == name);
    some.len() == merged.len()
        && merged.iter().all(|token| find(token.name.clone()).is_some_and(|old| old.means_the_same(token)))
}

/// One document a token; those of several begin with `---`.
fn documents(tokens: &[Token], text: impl Fn(&Token) -> String) -> String {
    match tokens {
        [token] => text(token),
        _ => tokens.iter().flat_map(|token| ["---\n".to_owned(), text(token)]).collect(),
    }
}
