//! `token`: the join token that lets exactly the given TPMs in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ekcert;
use crate::error::{Error, Kind, Result};
use crate::host::{self, AbsolutePath, Mode};
use crate::protocol::{Answer, Diff, Request};
use crate::teleport::{self, Identity, Match, Name, Role, StoredToken, Token};

const PLANNED: [&str; 5] = ["prune", "remove", "replace", "retire", "shards"];
/// Whoever reads the file learns which hosts there are, so a new one is its owner's only.
const FILE_MODE: Mode = Mode::new(0o600);

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
    expires: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
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
    token.expires = parameters.expires.as_deref().map(instant).transpose()?;
    token.labels.clone_from(&parameters.labels);
    let hosts = teleport::distinct(hosts(&parameters, request)?)?;
    if hosts.is_empty() && request.controls.check_mode {
        return Ok(Answer::new(true).warnings(vec![
            "no host is known yet; earlier tasks would have recorded some, so the token cannot be foreseen"
                .to_owned(),
        ]));
    }
    token.allow(&hosts, parameters.compare)?;
    if !parameters.allow_lockout {
        refuse_lockout(&token, &hosts)?;
    }
    refuse_size(&token, parameters.max_bytes)?;
    let stored = Stored::read(&parameters, &token)?;
    let warnings = stored.check_losses(&token, parameters.allow_lockout)?;
    let (changed, diff) = write(&token, stored, &parameters, request)?;
    Ok(answer(&token, &hosts, changed, parameters.path.as_ref()).warnings(warnings).diff(diff))
}

fn hosts(parameters: &Parameters, request: &Request) -> Result<Vec<Identity>> {
    match (&parameters.hosts, &parameters.registry) {
        (Some(hosts), None) => Ok(hosts.clone()),
        (None, Some(directory)) => match teleport::read_registry(directory.as_ref()) {
            Err(error) if error.kind == Kind::NotFound && request.controls.check_mode => Ok(Vec::new()),
            other => other,
        },
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
            let text = host::read_if_exists(path.as_ref())?.ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no CA file {}", path.as_str()))
            })?;
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

fn instant(text: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).map(|instant| instant.to_offset(time::UtcOffset::UTC)).map_err(
        |_| {
            Error::invalid(format!(
                "parameter `expires` is an RFC 3339 time such as 2030-01-31T12:00:00Z, not {text:?}"
            ))
        },
    )
}

/// What would keep every host, or some, from joining although the cluster takes the token.
fn refuse_lockout(token: &Token, hosts: &[Identity]) -> Result<()> {
    let lockout = |message: String| Error::new(Kind::WouldLockOut, message);
    if token.expires.is_some_and(|instant| instant <= OffsetDateTime::now_utc()) {
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

/// The token as it is in the cluster, where `current` tells, and in the file at `path`.
struct Stored {
    current: Option<StoredToken>,
    file_text: Option<String>,
    file: Option<StoredToken>,
}

impl Stored {
    fn read(parameters: &Parameters, token: &Token) -> Result<Self> {
        const CURRENT: &str = "the token in `current`";
        let current = match &parameters.current {
            None => None,
            Some(Value::String(text)) => StoredToken::parse(text, CURRENT, token)?,
            Some(parsed) => StoredToken::from_value(parsed.clone(), CURRENT, token)?,
        };
        let Some(path) = &parameters.path else { return Ok(Self { current, file_text: None, file: None }) };
        let file_text = host::read_if_exists(path.as_ref())?;
        let file = match &file_text {
            Some(text) => StoredToken::parse(text, path.as_str(), token)?,
            None => None,
        };
        Ok(Self { current, file_text, file })
    }

    /// Refuses to lose a rule of a host that is not given now. Returns warnings on replaced TPMs.
    fn check_losses(&self, token: &Token, allow_lockout: bool) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for stored in [&self.current, &self.file].into_iter().flatten() {
            let losses = stored.losses(token);
            if !losses.lost.is_empty() && !allow_lockout {
                return Err(Error::new(
                    Kind::WouldLockOut,
                    format!(
                        "token `{}` lets hosts in that are not given now: {}",
                        token.name,
                        losses.lost.join(", ")
                    ),
                )
                .hint("give all hosts (the whole registry), or set `allow_lockout: true` to let these go"));
            }
            for host in losses.superseded {
                let warning =
                    format!("`{host}` joins by another TPM from now on; its former TPM's rule goes");
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(warnings)
    }
}

/// Writes the token to `path`, if there is one and it says something else: whether that, or the
/// cluster's token, changes, and the difference.
fn write(
    token: &Token,
    stored: Stored,
    parameters: &Parameters,
    request: &Request,
) -> Result<(bool, Option<Diff>)> {
    let same = |found: &Option<StoredToken>| found.as_ref().is_some_and(|found| found.means_the_same(token));
    let cluster_changes = parameters.current.is_some() && !same(&stored.current);
    let Some(path) = parameters.path.as_ref().filter(|_| !same(&stored.file)) else {
        return Ok((cluster_changes, None));
    };
    let content = token.to_yaml();
    if !request.controls.check_mode {
        host::replace(path.as_ref(), &content, FILE_MODE)?;
    }
    Ok((true, Some(Diff::of(path.as_str(), stored.file_text.unwrap_or_default(), content))))
}

fn answer(token: &Token, hosts: &[Identity], changed: bool, path: Option<&AbsolutePath>) -> Answer {
    let host_tokens: Map<String, Value> = hosts
        .iter()
        .filter_map(|host| Some((String::from(host.description.clone()?), json!(token.name))))
        .collect();
    let summary = json!([{ "name": token.name, "rules": token.rule_count(), "bytes": token.size() }]);
    let answer = Answer::new(changed)
        .result("content", token.to_yaml())
        .result("tokens", summary)
        .result("host_tokens", host_tokens);
    match path {
        Some(path) => answer.result("path", path.as_str()),
        None => answer,
    }
}
