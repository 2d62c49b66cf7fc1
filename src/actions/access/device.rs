//! The TPM's device, and the udev rule that lets the bot's user use it.

use std::path::Path;

use super::{Parameters, TSS};
use crate::error::{Error, Kind, Result};
use crate::host::udev::{self, UdevDevice};
use crate::host::{self, Attributes, Mode, Standing, TextFile};
use crate::tpm::{Node, Tcti};

/// What is to be done so that the user gets at the TPM's device.
pub(super) struct DeviceAccess<'a> {
    /// None of a TPM that is no device.
    pub path: Option<&'a Path>,
    device: Option<UdevDevice>,
    /// The rule file that is there afterwards, where it is ours.
    pub rule: Option<String>,
    /// Whether it is to be written or applied.
    pub needs_rule: bool,
    pub before: String,
    pub after: String,
}

impl<'a> DeviceAccess<'a> {
    /// Looks at the device and its rule.
    pub fn plan(
        tcti: &'a Tcti,
        standing: &Standing,
        file: &TextFile<'_>,
        parameters: &Parameters,
    ) -> Result<Self> {
        let Tcti::Device(path) = tcti else {
            let [before, after] = [String::new(), String::new()];
            return Ok(Self { path: None, device: None, rule: None, needs_rule: false, before, after });
        };
        let path = path.as_path();
        let node = Node::look(path)?;
        let uid = standing.user.as_ref().map(|user| user.uid);
        let is_open = node.is_open_to(uid, &standing.wanted_gids());
        let device = UdevDevice::of(path);
        let has_rule = device.is_some()
            && udev::is_ours(file).or_else(|error| if is_open { Ok(false) } else { Err(error) })?;
        let current = file.text().filter(|_| has_rule).map(str::to_owned);
        let prefers_tss = parameters.supplementary_groups.iter().any(|group| group.as_str() == TSS);
        let group = standing.plain_group(if prefers_tss { TSS } else { parameters.group.as_str() });
        let wanted = device.as_ref().filter(|_| parameters.create && (has_rule || !is_open));
        let rule = wanted.map(|device| device.rule(&group)).or_else(|| current.clone());
        let needs_rule = wanted.is_some() && (rule != current || !is_open);
        let describe = |rule: Option<&str>, device: &str| {
            let rule = rule.map_or_else(
                || "absent\n".to_owned(),
                |rule| format!("|\n  {}\n", rule.trim().replace('\n', "\n  ")),
            );
            format!("device: {device}\nudev_rule: {rule}")
        };
        let is = describe_node(node);
        let becomes =
            if needs_rule { format!("{}:{group} 0660", host::user_name(node.user)) } else { is.clone() };
        let (before, after) = (describe(current.as_deref(), &is), describe(rule.as_deref(), &becomes));
        Ok(Self { path: Some(path), device, rule, needs_rule, before, after })
    }

    /// Gives the device to the rule's group.
    pub fn give(&self, file: &TextFile<'_>, standing: &Standing) -> Result<()> {
        let (Some(path), Some(device), Some(rule)) = (self.path, &self.device, &self.rule) else {
            return Ok(());
        };
        let refused = |why: &str| {
            let node = Node::look(path).map(describe_node).unwrap_or_default();
            let message =
                format!("{why}, and the device {} stays {node}, closed to the bot's user", path.display());
            Error::new(Kind::TpmPermission, message).hint(
                "check that systemd-udevd runs and that no later rule undoes this one (udevadm test). Otherwise give the \
                 device to one of the user's groups by hand, for a container on its host",
            )
        };
        if let Some(obstacle) = udev::obstacle() {
            return Err(refused(obstacle));
        }
        udev::write(file, rule)?;
        device.apply()?;
        let uid = standing.user.as_ref().map(|user| user.uid);
        if Node::look(path)?.is_open_to(uid, &standing.wanted_gids()) {
            return Ok(());
        }
        Err(refused(&format!("udev has applied the rule {}", file.path().display())))
    }
}

/// `OWNER:GROUP MODE`.
pub(super) fn describe_node(node: Node) -> String {
    let Node { user, group, mode } = node;
    let attributes = Attributes { user, group, mode: Mode::new(mode) };
    format!("{}:{} {}", host::user_name(user), host::group_name(group), attributes.mode)
}
