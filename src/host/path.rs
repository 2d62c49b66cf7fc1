//! Absolute paths.

use std::borrow::Cow;
use std::fs;
use std::path::{Component, Path};

use serde::Deserialize;

/// An absolute path without `.` or `..` components and control characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AbsolutePath(Cow<'static, str>);

impl AbsolutePath {
    /// A path that is known to be absolute and plain when this is compiled: a default.
    #[must_use]
    pub const fn known(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it leads, by what of it is there.
    #[must_use]
    pub fn resolved(&self) -> Option<Self> {
        let path: &Path = self.as_ref();
        let mut places = path.ancestors();
        let (found, rest) =
            places.find_map(|place| Some((fs::canonicalize(place).ok()?, path.strip_prefix(place).ok()?)))?;
        Self::try_from(found.join(rest).to_str()?.to_owned()).ok()
    }

    /// The directory that it is in; none for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let parent = Path::new(self.as_str()).parent()?.to_str()?;
        Some(Self(Cow::Owned(parent.to_owned())))
    }

    /// What it is called below `/run`, which is empty after a boot (file-hierarchy(7)); none where it lies elsewhere.
    #[must_use]
    pub fn below_run(&self) -> Option<&str> {
        let path = self.as_str();
        path.strip_prefix("/var/run/").or_else(|| path.strip_prefix("/run/"))
    }
}

impl AsRef<Path> for AbsolutePath {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("the path {text:?} is not absolute; write it from the root (/…)"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("the path {text:?} has control characters"));
        }
        let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !Path::new(&text).components().all(is_plain) {
            return Err(format!("the path {text:?} has a `..` component; write where it leads"));
        }
        // Without doubled and trailing slashes and `.` components.
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        Ok(Self(Cow::Owned(format!("/{}", parts.join("/")))))
    }
}

impl From<AbsolutePath> for String {
    fn from(path: AbsolutePath) -> Self {
        path.0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::AbsolutePath;

    #[test]
    fn paths_are_absolute_and_plain() {
        let path = |text: &str| AbsolutePath::try_from(text.to_owned()).map(String::from);
        assert_eq!(path("/var//lib/./bot/"), Ok("/var/lib/bot".to_owned()));
        for wrong in ["", "bot", "./bot", "/var/../etc", "/var/li\nb"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
