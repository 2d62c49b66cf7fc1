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
    /// The version that the cluster would have its hosts have: one that is newer stays.
    cluster_version: Option<Version>,
    /// What the cluster itself runs, and the oldest that it lets in.
    server_version: Option<Version>,
    min_client_version: Option<Version>,
    #[serde(default)]
    allow_downgrade: bool,
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
        let wanted = self.version.as_ref().or(self.cluster_version.as_ref());
        let to_install = match (&found, wanted) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(found), Some(wanted)) => found != wanted && (self.version.is_some() || found < wanted),
        };
        if let (Some(found), Some(wanted), true, false) = (&found, wanted, to_install, self.allow_downgrade)
            && found > wanted
        {
            let message = format!(
                "{} is version {found}, newer than the wanted {wanted}; nothing was changed",
                self.path.as_str()
            );
            return Err(Error::new(Kind::Conflict, message).hint(
                "allow the older one with `allow_downgrade` (`tbot_allow_downgrade`), or want the version that is there (`tbot_version`)",
            ));
        }
        let then = if to_install { wanted } else { found.as_ref() };
        let warnings = then.map(|version| self.misfits(version)).unwrap_or_default();
        let text = |version: Option<&Version>| version.map(ToString::to_string);
        Ok(Answer::new(false)
            .result("path", self.path.as_str())
            .result("found_version", text(found.as_ref()))
            .result("wanted_version", text(wanted))
            .result("to_install", to_install)
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

    /// In what a version does not fit the cluster.
    fn misfits(&self, version: &Version) -> Vec<String> {
        let mut misfits = Vec::new();
        let mut note =
            |why: String| misfits.push(format!("{} of version {version} {why}", self.path.as_str()));
        if let Some(server) = &self.server_version {
            if version > server {
                note(format!(
                    "is newer than the cluster, which runs {server}: set `tbot_version` to that, and `tbot_allow_downgrade`"
                ));
            }
            if version.major() + 1 < server.major() {
                note(format!("is more than one major version behind the cluster, which runs {server}"));
            }
        }
        if let Some(oldest) = self.min_client_version.as_ref().filter(|oldest| version < *oldest) {
            note(format!("is older than the oldest client that the cluster accepts, {oldest}"));
        }
        misfits
    }
}
