//! Whether two values of a configuration say the same.

use serde_json::Value;

use super::check::{BOOLEANS, truth};
use super::{CaPin, ProxyAddress};
use crate::host::AbsolutePath;

/// Whether two values differ only in how a path, the address of a proxy, the pins of CAs or a boolean are written.
pub(super) fn is_the_same(name: &str, old: &Value, new: &Value) -> bool {
    let path = |value: &Value| AbsolutePath::try_from(value.as_str()?.to_owned()).ok();
    let proxy = |value: &Value| ProxyAddress::try_from(value.as_str()?.to_owned()).ok();
    let pins = |value: &Value| serde_json::from_value::<Vec<CaPin>>(value.clone()).ok();
    match name {
        "path" => path(old).is_some_and(|old| Some(old) == path(new)),
        "proxy_server" => proxy(old).is_some_and(|old| Some(old) == proxy(new)),
        name if BOOLEANS.contains(&name) => truth(old).is_some() && truth(old) == truth(new),
        "ca_pins" => pins(old).is_some_and(|old| Some(old) == pins(new)),
        _ => false,
    }
}
