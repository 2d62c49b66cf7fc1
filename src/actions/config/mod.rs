//! `config`: the base of `tbot`'s configuration.

mod parameters;

use super::Action;
use crate::error::{Error, Result};
use crate::host::{AbsolutePath, Account, Accounts, Attributes, Change, Mode, TextFile, Trust};
use crate::protocol::{Answer, Diff, Earlier, Request};
use crate::secrets::{self, Known};
use crate::teleport::Version;
use crate::teleport::config::{self, ProxyAddress, Settings};
pub(super) use parameters::Parameters;
use parameters::State;

pub(super) struct Config {
    path: AbsolutePath,
    /// Whose the file is to be, or was.
    owner: Option<Account>,
    wanted: Wanted,
}

/// What is to become of the file.
enum Wanted {
    Written(Box<Content>),
    Removed,
    /// It stays, and is only to name this server, or none.
    Naming(ProxyAddress),
}

/// What the file is to have, and who may read it.
struct Content {
    settings: Settings,
    group: Account,
    mode: Mode,
    tbot_version: Option<Version>,
}

impl Action for Config {
    type Parameters = Parameters;

    fn checked(mut parameters: Parameters) -> Result<Self> {
        let (path, owner) = (parameters.path.clone(), parameters.owner.take());
        if parameters.state == State::Absent {
            return Ok(Self { path, owner, wanted: Wanted::Removed });
        }
        if parameters.state == State::SameProxy {
            let proxy = parameters.proxy_server.take();
            let proxy = proxy.ok_or_else(|| Error::invalid("`state: same_proxy` needs `proxy_server`"))?;
            return Ok(Self { path, owner, wanted: Wanted::Naming(proxy) });
        }
        let (group, mode) = (parameters.group.clone(), parameters.mode);
        let tbot_version = parameters.tbot_version.take();
        let settings = parameters.settings()?;
        settings.check()?;
        Ok(Self {
            path,
            owner,
            wanted: Wanted::Written(Box::new(Content { settings, group, mode, tbot_version })),
        })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let owner = self.owner.as_ref();
        match &self.wanted {
            Wanted::Written(content) => write(request, content, owner, &self.path),
            Wanted::Removed => remove(request, owner, &self.path),
            Wanted::Naming(proxy) => see_proxy(proxy, owner, &self.path),
        }
    }
}

fn write(
    request: &Request,
    wanted: &Content,
    owner: Option<&Account>,
    path: &AbsolutePath,
) -> Result<Answer> {
    let (accounts, missing) = super::find_accounts(request, owner, Some(&wanted.group))?;
    let trust = Trust::in_owner(accounts.user);
    let file = &TextFile::inspect(path.as_ref(), trust)?;
    let (place, path) = (path, path.as_str());
    let attributes = file.wanted(accounts, wanted.mode);
    let old = file.text().unwrap_or_default();
    let secrets = Known::in_text(old);
    let (content, warnings) =
        changed(old, wanted, &request.earlier, path).map_err(|error| secrets.hide_in_error(error))?;
    let is_same = file.text() == Some(content.as_str()) && file.attributes() == Some(attributes);
    let change = if is_same { Change::Keep } else { Change::Write(&content, attributes) };
    if !request.controls.check_mode {
        file.settle_in_directory(change, trust)?;
    }
    let diff = diff(file, path, &content, attributes);
    let answer = Answer::new(!is_same || !missing.is_empty())
        .result("path", path)
        // What was a secret may be named elsewhere, too.
        .result("content", secrets.hide(&secrets::mask(&content)))
        .warnings(missing)
        .warnings(warnings.iter().map(|warning| secrets.hide_in_message(warning)).collect())
        .diff(Some(diff));
    let former_config = file.text().map(str::to_owned);
    Ok(Answer { config: Some((place.clone(), content)), former_config, ..answer })
}

/// The text of the file with these settings, and what a person should know of it.
fn changed(old: &str, content: &Content, earlier: &Earlier, path: &str) -> Result<(String, Vec<String>)> {
    let current = config::parse(old, path)?;
    let mut wanted = content.settings.over(current.clone(), path)?;
    let known = || earlier.program_version.as_deref().and_then(Version::parse);
    if let Some(version) = content.tbot_version.clone().or_else(known) {
        config::refuse_gone(&wanted.values, &version, path)?;
    }
    if config::has_further_documents(old) {
        wanted.warnings.push(format!(
            "{path} has several YAML documents, and tbot reads the first alone: the others stay and change nothing"
        ));
    }
    // A file that says the same in another form keeps its form.
    if current.as_ref() == Some(&wanted.values) {
        return Ok((old.to_owned(), wanted.warnings));
    }
    Ok((config::write(old, &wanted.values, path)?, wanted.warnings))
}

fn remove(request: &Request, owner: Option<&Account>, path: &AbsolutePath) -> Result<Answer> {
    // A user that is gone by now owns nothing.
    let (accounts, _) = Accounts::find(owner, None)?;
    let file = &TextFile::inspect(path.as_ref(), Trust::in_owner(accounts.user))?;
    let path = path.as_str();
    file.text().map_or(Ok(()), |text| config::recognise(text, path))?;
    super::settle(request, file, Change::Remove)?;
    Ok(Answer::new(file.text().is_some()).result("path", path).result("content", "").diff(Some(Diff::of(
        path,
        file.text().unwrap_or_default(),
        "",
    ))))
}

fn see_proxy(proxy: &ProxyAddress, owner: Option<&Account>, path: &AbsolutePath) -> Result<Answer> {
    let (accounts, _) = Accounts::find(owner, None)?;
    let file = TextFile::inspect(path.as_ref(), Trust::in_owner(accounts.user))?;
    let values = config::parse(file.text().unwrap_or_default(), path.as_str())?.unwrap_or_default();
    config::refuse_other_server(&values, proxy, path.as_str())?;
    Ok(Answer::new(false).result("path", path.as_str()))
}

/// The texts, and above them what changes of owner, group and mode.
fn diff(file: &TextFile<'_>, path: &str, content: &str, attributes: Attributes) -> Diff {
    let changes = file.attributes() != Some(attributes);
    let describe = |attributes: Option<Attributes>, text: &str| {
        let description = attributes.filter(|_| changes).map(|attributes| attributes.describe());
        let lines = description.iter().flat_map(|description| description.lines());
        lines.map(|line| format!("# {line}\n")).chain([text.to_owned()]).collect::<String>()
    };
    let before = describe(file.attributes(), file.text().unwrap_or_default());
    Diff::of(path, before, describe(Some(attributes), content))
}
