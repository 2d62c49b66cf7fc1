//! `token`: the join token that lets exactly the given TPMs in.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ekcert;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Mode, TextFile};
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::{self, Expiry, Identity, Label, Match, Name, Role, StoredToken, Token};

const PLANNED: [&str; 5] = ["prune", "remove", "replace", "retire", "shards"];
/// Whoever reads the file learns which hosts there are, so a new one is its owner's only.
const NEW_FILE_MODE: Mode = Mode::new(0o600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    name: Name,
    bot_name: Option<Name>,
    #[serde(default = "bot_role")]
    roles: Vec<Role>,
    hosts: Option<Vec<Identity>>,
    registry: Option<AbsolutePath>,
    #[serde(default)]
    ekcert_allowed_cas: Vec<String>,
    /// The token as the cluster has it; an empty list or text where it has none.
    current: Option<Value>,
    expires: Option<Expiry>,
    #[serde(default)]
    labels: BTreeMap<Label, Label>,
    #[serde(default, rename = "match")]
    compare: Match,
    #[serde(default = "default_max_bytes")]
    max_bytes: usize,
    #[serde(default)]
    allow_lockout: bool,
    path: Option<AbsolutePath>,
}

fn bot_role() -> Vec<Role> {
    vec![Role::bot()]
}

/// Below the 400 KiB that a cluster's storage may allow an item.
fn default_max_bytes() -> usize {
    400_000
}

pub(super) fn run(request: &Request) -> Result<Answer> {
    let parameters: Parameters = request.parameters(&PLANNED)?;
    let mut token =
        Token::new(parameters.name.clone(), parameters.bot_name.clone(), parameters.roles.clone())?;
    token.ekcert_allowed_cas = certificates(&parameters.ekcert_allowed_cas)?;
    token.expires.clone_from(&parameters.expires);
    token.labels.clone_from(&parameters.labels);
    let hosts = teleport::distinct(hosts(&parameters, request)?)?;
    if hosts.is_empty() && request.controls.check_mode {
        return Ok(Answer::new(true).warnings(vec![
            "no host is known yet; earlier tasks would have recorded some, so the token cannot be foreseen"
                .to_owned(),
        ]));
    }
    token.allow(&hosts, parameters.compare)?;
    refuse_size(&token, parameters.max_bytes)?;
    if !parameters.allow_lockout {
        refuse_lockout(&token, &hosts)?;
    }
    let replaced = Replaced::inspect(&parameters, &token)?;
    let mut warnings = replaced.check_losses(&token, &hosts, parameters.allow_lockout)?;
    if let Some(file) = &replaced.file {
        warnings.extend(super::foresee_directory(request, file));
    }
    let (changed, diff) = replaced.write(&token, request)?;
    Ok(answer(&token, &hosts, parameters.path.as_ref(), changed).warnings(warnings).diff(diff))
}

fn hosts(parameters: &Parameters, request: &Request) -> Result<Vec<Identity>> {
    match (&parameters.hosts, &parameters.registry) {
        (Some(hosts), None) => Ok(hosts.clone()),
        (None, Some(directory)) => {
            let directory: &Path = directory.as_ref();
            if request.controls.check_mode && !directory.exists() {
                return Ok(Vec::new());
            }
            teleport::read_registry(directory)
        }
        _ => Err(Error::invalid("action `token` needs either `hosts` or `registry`, and not both")),
    }
}

/// The certificates of texts and files, one a PEM text, without repetitions.
fn certificates(sources: &[String]) -> Result<Vec<String>> {
    let mut certificates: Vec<String> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let found = if source.contains("-----BEGIN") {
            ekcert::pem_certificates(source, &format!("`ekcert_allowed_cas[{index}]`"))?
        } else {
            let path = AbsolutePath::try_from(source.clone()).map_err(|e| {
                Error::invalid(format!("`ekcert_allowed_cas[{index}]` is neither PEM nor a path: {e}"))
            })?;
            let text = String::from_utf8_lossy(&host::read(path.as_ref())?).into_owned();
            ekcert::pem_certificates(&text, path.as_str())?
        };
        for certificate in found {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}

/// What would keep every host, or some, from joining although the cluster takes the token.
fn refuse_lockout(token: &Token, hosts: &[Identity]) -> Result<()> {
    let lockout = |message: String| Error::new(Kind::WouldLockOut, message);
    if token.expires.as_ref().is_some_and(Expiry::is_past) {
        return Err(lockout("the token would have expired already".to_owned()).hint("give a later `expires`"));
    }
    if token.ekcert_allowed_cas.is_empty() {
        return Ok(());
    }
    let without: Vec<String> =
        hosts.iter().filter(|host| host.ek_cert_present == Some(false)).map(Identity::label).collect();
    if without.is_empty() {
        return Ok(());
    }
    Err(lockout(format!(
        "with `ekcert_allowed_cas` the cluster refuses TPMs without an EK certificate: {}",
        without.join(", ")
    ))
    .hint("give those hosts a token of their own without CAs, or set `allow_lockout: true`"))
}

fn refuse_size(token: &Token, most: usize) -> Result<()> {
    let size = token.size();
    if size <= most {
        return Ok(());
    }
    Err(Error::new(
        Kind::TokenTooLarge,
        format!("the token has {size} bytes with {} rules, and `max_bytes` is {most}", token.rule_count()),
    )
    .hint("spread the hosts over several tokens"))
}

/// What the token takes the place of: the cluster's, where `current` tells, and the file's at `path`.
struct Replaced<'a> {
    current_is_given: bool,
    in_cluster: Option<StoredToken>,
    file: Option<TextFile<'a>>,
    in_file: Option<StoredToken>,
}

impl<'a> Replaced<'a> {
    fn inspect(parameters: &'a Parameters, token: &Token) -> Result<Self> {
        const CURRENT: &str = "the token in `current`";
        let in_cluster = match &parameters.current {
            None => None,
            Some(Value::String(text)) => StoredToken::parse(text, CURRENT, token)?,
            Some(parsed) => StoredToken::from_value(parsed.clone(), CURRENT, token)?,
        };
        let mut replaced =
            Self { current_is_given: parameters.current.is_some(), in_cluster, file: None, in_file: None };
        if let Some(path) = &parameters.path {
            let file = TextFile::inspect(path.as_ref())?;
            if let Some(text) = file.text() {
                replaced.in_file = StoredToken::parse(text, path.as_str(), token)?;
            }
            replaced.file = Some(file);
        }
        Ok(replaced)
    }

    /// Refuses to lose the rule of a host that is not given now, unless that is meant. What goes, and
    /// what the host of another TPM leaves behind, comes back as warnings.
    fn check_losses(&self, token: &Token, hosts: &[Identity], allow_lockout: bool) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for stored in [&self.in_cluster, &self.in_file].into_iter().flatten() {
            let losses = stored.losses(token, hosts);
            let lost = losses.lost.join(", ");
            if !lost.is_empty() && !allow_lockout {
                return Err(Error::new(
                    Kind::WouldLockOut,
                    format!("token `{}` lets hosts in that are not given now: {lost}", token.name),
                )
                .hint("give all hosts (the whole registry), or set `allow_lockout: true` to let these go"));
            }
            if !lost.is_empty() {
                warnings.push(format!("no longer let in, as `allow_lockout` allows: {lost}"));
            }
            let superseded = losses.superseded.into_iter();
            warnings.extend(superseded.map(|host| {
                format!("`{host}` joins by another TPM from now on; its former TPM's rule goes")
            }));
        }
        let mut seen = HashSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        Ok(warnings)
    }

    /// Writes the file where it says something else: whether it, or the cluster's token, changes, and
    /// the difference.
    fn write(&self, token: &Token, request: &Request) -> Result<(bool, Option<Diff>)> {
        let differs = |stored: &Option<StoredToken>| {
            !stored.as_ref().is_some_and(|stored| stored.means_the_same(token))
        };
        let content = token.to_yaml();
        if let Some(file) = self.file.as_ref().filter(|_| differs(&self.in_file)) {
            if !request.controls.check_mode {
                file.replace(&content, file.mode().unwrap_or(NEW_FILE_MODE))?;
            }
            let path = file.path().display().to_string();
            return Ok((true, Some(Diff::of(path, file.text().unwrap_or_default(), content))));
        }
        if !self.current_is_given || !differs(&self.in_cluster) {
            return Ok((false, None));
        }
        let before = self.in_cluster.as_ref().map(StoredToken::to_yaml).unwrap_or_default();
        Ok((true, Some(Diff::of(format!("token/{}", token.name), before, content))))
    }
}

fn answer(token: &Token, hosts: &[Identity], path: Option<&AbsolutePath>, changed: bool) -> Answer {
    let host_tokens: Map<String, Value> = hosts
        .iter()
        .filter_map(|host| Some((String::from(host.description.clone()?), json!(token.name))))
        .collect();
    let summary = json!([{ "name": token.name, "rules": token.rule_count(), "bytes": token.size() }]);
    Answer::new(changed)
        .result("content", token.to_yaml())
        .result("tokens", summary)
        .result("host_tokens", host_tokens)
        .result("path", json!(path.map(AbsolutePath::as_str)))
}
