//! Versions of Teleport.

use std::fmt;

use serde::Serialize;

/// A semantic version (<https://semver.org>, 2.0.0) such as `18.2.0` or `17.0.0-rc.1`.
///
/// It becomes part of URLs and names of packages, so nothing else passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version that the text names, with or without a leading `v`; none where it is no such text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = split(text, '+');
        let (core, prerelease) = split(rest, '-');
        let core: Vec<&str> = core.split('.').collect();
        let is_version = core.len() == 3
            && core.iter().all(|number| is_digits(number) && is_number(number))
            && prerelease.is_none_or(|words| words.split('.').all(|word| is_word(word) && is_number(word)))
            && build.is_none_or(|words| words.split('.').all(is_word));
        is_version.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Numbers have no leading zero.
fn is_number(text: &str) -> bool {
    !(is_digits(text) && text.len() > 1 && text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::Version;

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
