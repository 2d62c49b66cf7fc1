//! The systemd service unit that runs `tbot`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use super::{AbsolutePath, Account};
use crate::error::{Error, Result};

/// The first line of every unit written here, by which a later run knows its own.
pub const MARKER: &str = "# Written by tbot_tpm. Put changes of your own into a drop-in: systemctl edit";

/// The name of a service unit without its `.service` (systemd.unit(5)).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitName(Cow<'static, str>);

impl UnitName {
    /// A name that is known to be one when this is compiled: a default.
    #[must_use]
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name of the unit's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.service", self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let name = text.strip_suffix(".service").unwrap_or(&text);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
            return Err(format!("{text:?} is no unit name: use letters, digits, and any of : - _ ."));
        }
        Ok(Self(Cow::Owned(name.to_owned())))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What `tbot install systemd` writes, and the groups that open the TPM's device to `tbot`.
#[derive(Debug)]
pub struct ServiceUnit<'a> {
    /// The unit's name.
    pub name: &'a UnitName,
    /// `User=`.
    pub user: &'a Account,
    /// `Group=`.
    pub group: &'a Account,
    /// `SupplementaryGroups=`.
    pub supplementary_groups: &'a [Account],
    /// The configuration that `tbot` starts with.
    pub config: &'a AbsolutePath,
    /// The `tbot` executable.
    pub tbot_path: &'a AbsolutePath,
    /// `TELEPORT_ANONYMOUS_TELEMETRY`.
    pub anonymous_telemetry: bool,
    /// The pid file, or none to run without.
    pub pid_file: Option<&'a AbsolutePath>,
}

impl ServiceUnit<'_> {
    /// The unit's text (systemd.service(5), systemd.exec(5)).
    pub fn render(&self) -> Result<String> {
        let tbot = plain(self.tbot_path, "tbot_path")?;
        let config = plain(self.config, "config")?;
        let mut service = vec![
            "Type=simple".to_owned(),
            format!("User={}", self.user.as_str()),
            format!("Group={}", self.group.as_str()),
        ];
        if !self.supplementary_groups.is_empty() {
            let groups: Vec<&str> = self.supplementary_groups.iter().map(Account::as_str).collect();
            service.push(format!("SupplementaryGroups={}", groups.join(" ")));
        }
        let pid_file = self.pid_file.map(|file| plain(file, "pid_file")).transpose()?;
        let pid_flag = pid_file.map(|file| format!(" --pid-file={file}")).unwrap_or_default();
        service.extend([
            "Restart=always".to_owned(),
            "RestartSec=5".to_owned(),
            format!("Environment=\"TELEPORT_ANONYMOUS_TELEMETRY={}\"", u8::from(self.anonymous_telemetry)),
            format!("ExecStart={tbot} start -c {config}{pid_flag}"),
            "ExecReload=/bin/kill -HUP $MAINPID".to_owned(),
        ]);
        service.extend(pid_file.map(|file| format!("PIDFile={file}")));
        service.push("LimitNOFILE=524288".to_owned());
        Ok(format!(
            "{MARKER} {name}\n[Unit]\nDescription=\"{name} - Teleport Machine & Workload Identity Service\"\n\
             After=network.target\n\n[Service]\n{service}\n\n[Install]\nWantedBy=multi-user.target\n",
            name = self.name,
            service = service.join("\n")
        ))
    }
}

/// A path that systemd reads as it stands. Others would need quoting, which this version does not do.
fn plain<'a>(path: &'a AbsolutePath, parameter: &str) -> Result<&'a str> {
    let text = path.as_str();
    let safe = |c: char| c.is_ascii_alphanumeric() || "/_-.:+@,=".contains(c);
    if text.chars().all(safe) {
        return Ok(text);
    }
    Err(Error::invalid(format!(
        "parameter `{parameter}`: {text:?} has characters that mean something to systemd; use letters, digits and / _ - . : + @ , ="
    )))
}

/// Whether two units say the same: the same directives in the same sections, whatever their order
/// between different names, the comments and the empty lines.
#[must_use]
pub fn same_directives(one: &str, other: &str) -> bool {
    directives(one) == directives(other)
}

/// Section and directive of each line; directives of one name keep their order, which matters for
/// lists such as `ExecStart=`.
fn directives(unit: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in unit.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            line.clone_into(&mut section);
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let value = value.trim();
        // Not every version of tbot puts the description in quotes.
        let value = if name.trim() == "Description" { value.trim_matches('"') } else { value };
        found.push((section.clone(), name.trim().to_owned(), value.to_owned()));
    }
    found.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    found
}

#[cfg(test)]
mod tests {
    use super::{UnitName, same_directives};

    #[test]
    fn units_are_compared_by_what_they_say() {
        let one = "# a\n[Unit]\nAfter=network.target\nDescription=tbot - x\n[Service]\nUser=a\nGroup=b\n";
        let same = "[Unit]\nDescription=\"tbot - x\"\nAfter = network.target\n\n[Service]\nGroup=b\nUser=a\n";
        assert!(same_directives(one, same));
        assert!(!same_directives(one, &same.replace("User=a", "User=root")));
        assert!(!same_directives(one, &same.replace("[Service]", "[Install]")));
        assert!(!same_directives(
            "[Service]\nExecStart=/a\nExecStart=/b\n",
            "[Service]\nExecStart=/b\nExecStart=/a\n"
        ));
    }

    #[test]
    fn a_unit_name_stays_inside_its_directory() {
        assert_eq!(UnitName::try_from("tbot.service".to_owned()).unwrap().file_name(), "tbot.service");
        for wrong in ["", "../tbot", "a/b", "a b", ".hidden", "a\nb", "tbot@"] {
            assert!(UnitName::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
