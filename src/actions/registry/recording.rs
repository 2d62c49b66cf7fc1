//! Recording what `identify` finds, in the same request.

use serde_json::Value;

use super::change::{Accepted, Change};
use super::session::Session;
use super::{Parameters, State};
use crate::error::{Error, Result};
use crate::host::AbsolutePath;
use crate::protocol::{Answer, Request, from_value};
use crate::teleport::HostName;
use crate::teleport::registry::RuleText;

/// Where an identity is recorded once it is known.
pub(in crate::actions) struct Recording {
    registry: AbsolutePath,
    host: HostName,
    rule_description: Option<RuleText>,
    accepted: Accepted,
}

impl Recording {
    pub(in crate::actions) fn checked(parameters: Parameters) -> Result<Self> {
        let Parameters { registry, host, rule_description, accept_identity_change: accepted, .. } =
            parameters;
        let is_more = parameters.identity.is_some()
            || parameters.hosts.is_some()
            || !matches!(parameters.state, State::Present);
        match host {
            Some(host) if !is_more => Ok(Self { registry, host, rule_description, accepted }),
            _ => Err(Error::invalid("parameter `record` of action `identify` records the identity of one host").hint(
                "give `registry` and `host`, and where you want `rule_description` and `accept_identity_change`",
            )),
        }
    }

    /// Records an identity, as `identify` has found it.
    pub(in crate::actions) fn run(self, identity: Value, request: &Request) -> Result<Answer> {
        let found = Some(from_value("registry", "identity", identity)?);
        let change = Change::new(&State::Present, self.host, found, self.rule_description, &self.accepted)?;
        Session::open(request, &self.registry, true)?.apply(&change)
    }
}
