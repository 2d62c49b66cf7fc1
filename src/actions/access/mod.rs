//! `access`: the account that the bot runs as, and its access to the TPM.

mod device;

use rustix::process::geteuid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Action;
use super::seconds::Seconds;
use crate::error::{Error, Kind, Result};
use crate::host::udev;
use crate::host::{self, AbsolutePath, Account, ServiceAccount, Standing, TextFile, Trust, User};
use crate::protocol::{Answer, Diff, Request};
use crate::tpm::{Backend, Node, Tcti, Tpm, TpmChoice};
use device::{DeviceAccess, describe_node};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    user: Account,
    group: Account,
    supplementary_groups: Vec<Account>,
    tcti: Option<String>,
    create: bool,
    udev_rule: AbsolutePath,
    timeout: Seconds,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            user: Account::known("teleport"),
            group: Account::known("teleport"),
            supplementary_groups: vec![Account::known(TSS)],
            tcti: None,
            create: true,
            udev_rule: AbsolutePath::known("/etc/udev/rules.d/91-tbot-tpm.rules"),
            timeout: Seconds::default(),
        }
    }
}

/// The group that distributions give the TPM to.
const TSS: &str = "tss";

pub(super) struct Access {
    tpm: TpmChoice,
    parameters: Parameters,
}

impl Action for Access {
    type Parameters = Parameters;

    fn checked(parameters: Parameters) -> Result<Self> {
        Ok(Self { tpm: TpmChoice::parse(parameters.tcti.as_deref())?, parameters })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let Self { tpm, parameters } = self;
        let tcti = tpm.find()?;
        let account = ServiceAccount {
            user: &parameters.user,
            group: &parameters.group,
            supplementary_groups: &parameters.supplementary_groups,
        };
        let mut standing = account.look_up()?;
        let file = TextFile::inspect(parameters.udev_rule.as_ref(), Trust::in_root())?;
        let device = DeviceAccess::plan(&tcti, &standing, &file, &parameters)?;
        let makes_account = parameters.create && !standing.is_complete();
        if makes_account {
            standing.check_names()?;
        }
        let changed = makes_account || device.needs_rule;
        let diff = Diff::of(
            format!("access to {}", tcti.device()),
            standing.describe() + &device.before,
            if parameters.create { standing.describe_wanted() } else { standing.describe() } + &device.after,
        );
        let mut warnings = Vec::new();
        let is_made = !changed || !request.controls.check_mode;
        if is_made {
            if changed && !geteuid().is_root() {
                return Err(needs_root(&standing, &device));
            }
            if makes_account {
                standing = account.make(&standing)?;
            }
            if device.needs_rule {
                device.give(&file, &standing)?;
            }
        } else if device.needs_rule {
            warnings.extend(udev::obstacle().map(|why| format!("{why}, so that the udev rule will fail")));
            warnings.extend(super::foresee_directory(request, &file));
        }
        let answer = Answer::new(changed)
            .result("user", parameters.user.as_str())
            .result("group", parameters.group.as_str())
            .result("uid", json!(standing.user.as_ref().map(|user| user.uid)))
            .result("gid", json!(standing.gid))
            .result("groups", groups(&standing, parameters.create))
            .result("absent_groups", json!(standing.absent_groups))
            .result("device", tcti.device())
            .result("udev_rule", json!(device.rule.as_ref().map(|_| parameters.udev_rule.as_str())))
            .diff(Some(diff));
        let verified = match &standing.user {
            Some(user) if is_made => {
                let node = device.path.map(Node::look).transpose()?;
                verify(user, &tcti, node, &parameters)?;
                true
            }
            Some(_) => false,
            None if is_made && !request.controls.check_mode => return Err(no_user(&parameters.user)),
            None => {
                warnings.extend((!parameters.create).then(|| no_user(&parameters.user).message));
                false
            }
        };
        Ok(answer.result("verified", verified).warnings(warnings))
    }
}

fn groups(standing: &Standing, create: bool) -> Value {
    if create { json!(standing.wanted_groups()) } else { json!(standing.groups.keys().collect::<Vec<_>>()) }
}

/// Asks the TPM for its properties as that user.
fn verify(user: &User, tcti: &Tcti, node: Option<Node>, parameters: &Parameters) -> Result<()> {
    let ask =
        || Tpm::connect(tcti, Backend::Auto, parameters.timeout.limit()).and_then(|mut tpm| tpm.properties());
    let asked = if geteuid().is_root() {
        host::as_user(user, ask)
    } else if geteuid().as_raw() == user.uid {
        ask()
    } else {
        let message = format!("only root can see whether the user `{}` gets at the TPM", user.name);
        return Err(Error::new(Kind::PermissionDenied, message).hint("run as root (become: true)"));
    };
    match asked {
        Ok(_) => Ok(()),
        Err(error) if error.kind == Kind::TpmPermission => {
            let state = node.map(|node| format!(", which is {}", describe_node(node))).unwrap_or_default();
            let message = format!("the user `{}` may not use the TPM {}{state}", user.name, tcti.device());
            let hint = error.hint.unwrap_or_default();
            Err(Error { message, hint: Some(hint), ..Error::new(error.kind, "") }.detail(error.message))
        }
        Err(error) => Err(error),
    }
}

fn needs_root(standing: &Standing, device: &DeviceAccess<'_>) -> Error {
    let mut missing = standing.missing();
    missing.extend(device.needs_rule.then(|| "a udev rule for the TPM".to_owned()));
    let message = format!("only root can make what is missing: {}", missing.join(", "));
    Error::new(Kind::PermissionDenied, message).hint("run as root (become: true)")
}

fn no_user(user: &Account) -> Error {
    Error::new(Kind::NotFound, format!("there is no user `{}` on this host", user.as_str()))
        .hint("make it first, or leave `create` at true")
}
