//! What the configurations of all bots would be, before anything is done.

use serde_json::Value;

use super::parts::Fields;
use super::{config, of_instance};
use crate::actions::Action;
use crate::actions::config::Config;
use crate::error::{Error, Result};
use crate::protocol::{Request, from_fields};

/// What the configuration of a bot is to be, with the name of the bot; the unnamed one has none.
#[derive(Clone)]
pub(super) struct Intent {
    pub name: Option<String>,
    /// None where the bot has no part for it, or goes.
    pub config: Option<Fields>,
}

/// The configurations, in the same order. One that cannot be is an error, and so is one that the program does not start with.
pub(super) fn foresee(intents: &[Intent], request: &Request) -> Result<Vec<Option<Value>>> {
    let mut asking = request.clone();
    asking.controls.check_mode = true;
    intents.iter().map(|intent| intent.foresee(&asking)).collect()
}

impl Intent {
    fn foresee(&self, asking: &Request) -> Result<Option<Value>> {
        let Some(fields) = &self.config else { return Ok(None) };
        let foreseen = Config::checked(from_fields("config", fields.clone())?)?.run(asking);
        let foreseen = foreseen.map_err(|error| {
            let error = Error { message: format!("config failed: {}", error.message), ..error };
            match &self.name {
                Some(name) => of_instance(name, error),
                None => error,
            }
        })?;
        let Some((path, text)) = foreseen.config else { return Ok(None) };
        Ok(Some(config::parse(&text, path.as_str())?.unwrap_or_default().into()))
    }
}
