//! Requests and responses: one flat JSON object in, one JSON object and a newline out.
//!
//! The format is Ansible's for binary modules ("Developing modules", "Binary modules"): parameters
//! and `_ansible_*` controls in one object; `changed`, or `failed` and `msg`, in the answer. Two controls are this
//! program's own: with `_tbot_validate_only` the action plugin asks on the controller what is wrong with the
//! parameters, and `_tbot_defaults` names those that come from `module_defaults`.

mod coerce;
mod earlier;
mod names;
mod pairs;
mod problem;
mod request;
mod response;

pub use coerce::{boolean, from_fields, from_value};
pub use earlier::Earlier;
pub use names::parameter_names;
pub use problem::nearest;
pub use request::{Controls, Request, read};
pub use response::{Answer, Diff, Difference, failure_of_one};

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};

/// Runs `action` on a parsed request and renders whatever comes of it, a panic included.
///
/// Returns the response, with its newline, and whether it says `failed`.
pub fn respond(
    request: Result<Request>,
    action: impl FnOnce(&mut Request) -> Result<Answer>,
) -> (String, bool) {
    let secrets = request.as_ref().map(|request| request.secrets().clone()).unwrap_or_default();
    let outcome = request.and_then(|mut request| {
        let answer = guarded(|| action(&mut request))?;
        let failed = answer.failure.is_some();
        guarded(|| Ok((response::render(&request, answer), failed)))
    });
    match outcome {
        Ok(answered) => answered,
        Err(error) => (response::render_failure(&secrets.hide_in_error(error)), true),
    }
}

/// Where the last panic was, in whichever thread: commands to a TPM run in one of their own.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

fn panicked_at() -> MutexGuard<'static, Option<String>> {
    PANICKED_AT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work`; a panic in it becomes an error of kind `internal`. What `work` owns is dropped on the
/// way, so the TPM's handles are flushed.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        *panicked_at() = info.location().map(ToString::to_string);
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(previous);
    outcome.unwrap_or_else(|payload| {
        let said = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = panicked_at().take().unwrap_or_default();
        Err(Error::new(Kind::Internal, "tbot_tpm ran into a defect of its own; please report it")
            .detail(format!("{said} ({place})")))
    })
}
