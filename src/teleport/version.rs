//! Versions of Teleport.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A semantic version (<https://semver.org>, 2.0.0) such as `18.2.0` or `17.0.0-rc.1`, in the order of their precedence.
///
/// It becomes part of URLs and names of packages, so nothing else passes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Version(semver::Version);

impl Version {
    /// The version that the text names, with or without a leading `v`; none where it is no such text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok().map(Self)
    }

    /// The version in what `tbot version` prints: `Teleport v17.5.1 git:v17.5.1-0-g1234567 go1.23`, perhaps with a word such as
    /// `Enterprise` before it.
    #[must_use]
    pub fn of_program(output: &str) -> Option<Self> {
        let mut lines = output.lines().filter_map(|line| line.strip_prefix("Teleport "));
        lines.find_map(|line| line.split_whitespace().find_map(|word| Self::parse(word.strip_prefix('v')?)))
    }

    /// Its first number.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.0.major
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
            .filter(|_| !text.starts_with('v'))
            .ok_or_else(|| format!("invalid version {text:?}: write a whole one without a leading v, such as 17.5.1 or 18.0.0-rc.1"))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_programs_version_is_found_in_what_it_prints() {
        for (output, version) in [
            ("Teleport v17.5.1 git:v17.5.1-0-g1234567 go1.23\n", Some("17.5.1")),
            ("a warning\nTeleport Enterprise v18.0.0-rc.1 git: go1.24", Some("18.0.0-rc.1")),
            ("Teleport", None),
            ("tbot v1.2.3", None),
            ("Teleport 17.5.1", None),
            ("", None),
        ] {
            assert_eq!(Version::of_program(output).map(|it| it.to_string()).as_deref(), version, "{output}");
        }
    }

    #[test]
    fn versions_have_the_order_of_their_precedence() {
        let order = ["1.9.9", "17.5.1-alpha", "17.5.1-rc.2", "17.5.1-rc.10", "17.5.1", "17.10.0", "18.0.0"];
        for pair in order.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_version_is_a_semantic_one() {
        for (text, version) in [
            ("18.2.0", "18.2.0"),
            ("v17.0.0-aa", "17.0.0-aa"),
            ("0.0.0", "0.0.0"),
            ("1.2.3-rc.1+build.007", "1.2.3-rc.1+build.007"),
            ("1.2.3+a-b", "1.2.3+a-b"),
            ("1.2.3--", "1.2.3--"),
        ] {
            assert_eq!(Version::parse(text).map(|it| it.to_string()).as_deref(), Some(version));
        }
        for wrong in [
            "",
            "v",
            "18",
            "18.2",
            "18.2.0.1",
            "18.2.x",
            "018.2.0",
            "18.2.0-",
            "18.2.0-01",
            "18.2.0-a..b",
            "18.2.0+",
            "1.0; rm -rf",
            "18.2.0/../..",
            "18.2.0 ",
            "18.2.0\n",
            "18.2.0-ä",
            "vv1.2.3",
            "-1.2.3",
        ] {
            assert_eq!(Version::parse(wrong), None, "{wrong:?}");
        }
    }
}
