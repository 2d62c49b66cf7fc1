//! `program`: the version of `tbot` that a host has, and whether another one is to be installed. It changes nothing.

use std::path::Path;

use serde::Deserialize;

use super::Action;
use crate::error::{Error, Kind, Result};
use crate::host::{AbsolutePath, program};
use crate::protocol::{Answer, Request};
use crate::teleport::Version;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default = "usual_path")]
    path: AbsolutePath,
    /// The version to have, whatever the cluster has.
    version: Option<Version>,
    /// What action `cluster` answered.
    #[serde(default)]
    cluster: Cluster,
    /// Whether the version to have is the cluster's where none is given.
    #[serde(default)]
    follow_cluster: bool,
    #[serde(default)]
    allow_downgrade: bool,
}

/// The part of an answer of action `cluster` that counts here. What is no version says nothing.
#[derive(Default, Deserialize)]
struct Cluster {
    server_version: Option<String>,
    min_client_version: Option<String>,
    auto_update: Option<AutoUpdate>,
    /// Why it did not answer.
    msg: Option<String>,
}

#[derive(Deserialize)]
struct AutoUpdate {
    agent_version: Option<String>,
}

fn usual_path() -> AbsolutePath {
    AbsolutePath::known("/usr/local/bin/tbot")
}

impl Action for Parameters {
    type Parameters = Self;

    fn checked(parameters: Self) -> Result<Self> {
        Ok(parameters)
    }

    fn run(self, _: &Request) -> Result<Answer> {
        let found = self.found();
        let wanted = self.wanted();
        if found.is_none() && wanted.is_none() && self.follow_cluster {
            return Err(self.unknown_version());
        }
        let to_install = match (&found, &wanted) {
            (None, _) => true,
            (Some(_), None) => false,
            // A newer one than the cluster's stays: nobody asked for another.
            (Some(found), Some(wanted)) => found != wanted && (self.version.is_some() || found < wanted),
        };
        if let (Some(found), Some(wanted), true, false) = (&found, &wanted, to_install, self.allow_downgrade)
            && found > wanted
        {
            let path = self.path.as_str();
            return Err(Error::new(
                Kind::Conflict,
                format!("{path} is version {found}, newer than the wanted {wanted}; nothing was changed"),
            )
            .hint("allow the older one with `allow_downgrade`, or give the version that is to stay as `version`"));
        }
        let then = if to_install { &wanted } else { &found };
        let warnings = self.misfits(then.as_ref());
        let text = |version: Option<Version>| version.map(|version| version.to_string());
        Ok(Answer::new(false)
            .result("path", self.path.as_str())
            .result("to_install", to_install)
            .result("found_version", text(found))
            .result("wanted_version", text(wanted))
            .warnings(warnings))
    }
}

impl Parameters {
    /// What the program says of itself; none where it is not there, or says no version.
    fn found(&self) -> Option<Version> {
        let path = self.path.as_str();
        let said = Path::new(path).exists().then(|| program::run(path, &["version"], "").ok())??;
        Version::of_program(&said.output)
    }

    /// The version to have; none where any will do. Where the cluster says which its agents are to have, as its own install script
    /// goes by, this is it.
    fn wanted(&self) -> Option<Version> {
        let of_cluster = || {
            let agents =
                self.cluster.auto_update.as_ref().and_then(|update| known(update.agent_version.as_ref()));
            agents.or_else(|| known(self.cluster.server_version.as_ref()))
        };
        self.version.clone().or_else(|| self.follow_cluster.then(of_cluster).flatten())
    }

    fn unknown_version(&self) -> Error {
        let why = match &self.cluster.msg {
            Some(why) => why.trim_end_matches('.'),
            None => "no proxy said it",
        };
        let path = self.path.as_str();
        let message = format!(
            "there is no {path}, and the version to install is the cluster's, which is not known: {why}"
        );
        Error::new(Kind::NotFound, message).hint("set `version`, or have the cluster tell it")
    }

    /// In what a version does not fit the cluster.
    fn misfits(&self, version: Option<&Version>) -> Vec<String> {
        let mut misfits = Vec::new();
        if let (None, Some(why)) = (known(self.cluster.server_version.as_ref()), &self.cluster.msg) {
            let path = self.path.as_str();
            misfits.push(format!(
                "the cluster's version is not known, so it was not checked whether {path} fits it: {why}"
            ));
        }
        let Some(version) = version else { return misfits };
        let mut note =
            |why: String| misfits.push(format!("{} of version {version} {why}", self.path.as_str()));
        if let Some(server) = known(self.cluster.server_version.as_ref()) {
            if *version > server {
                note(format!(
                    "is newer than the cluster, which runs {server}: install that version, with `allow_downgrade`"
                ));
            }
            if version.major() + 1 < server.major() {
                note(format!("is more than one major version behind the cluster, which runs {server}"));
            }
        }
        if let Some(oldest) =
            known(self.cluster.min_client_version.as_ref()).filter(|oldest| version < oldest)
        {
            note(format!("is older than the oldest client that the cluster accepts, {oldest}"));
        }
        misfits
    }
}

fn known(version: Option<&String>) -> Option<Version> {
    version.and_then(|text| Version::parse(text))
}
