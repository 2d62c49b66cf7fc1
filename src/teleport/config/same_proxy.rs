//! Whether a file names the server that it is to name.

use serde_json::{Map, Value};

use super::ProxyAddress;
use super::join_uri::JoinUri;
use crate::error::{Error, Kind, Result};

/// The keys by which a file names its server. The first that is set counts.
const SERVERS: [&str; 3] = ["proxy_server", "auth_server", JOIN_URI];
const JOIN_URI: &str = "join_uri";
const HINT: &str = "nothing was changed; correct `tbot_proxy_server`, which the controller asks, or name its private CA in \
                    `tbot_proxy_ca_file`; if hosts are prepared before their cluster, set `tbot_allow_unreachable_proxy: true`";

/// Refuses another server than the proxy, which is known not to answer, as `would_lock_out`. A file that names none is new.
/// `path` is what to call it in errors.
pub fn refuse_other_server(values: &Map<String, Value>, proxy: &ProxyAddress, path: &str) -> Result<()> {
    let set = |key: &'static str| {
        let text = values.get(key)?.as_str().filter(|text| !text.is_empty())?;
        let (server, address) = address(key, text)?;
        Some((key, server, address))
    };
    let Some((key, server, address)) = SERVERS.into_iter().find_map(set) else { return Ok(()) };
    if proxy.is(&address, if server == "auth_server" { 3025 } else { 443 }) {
        return Ok(());
    }
    Err(Error::new(
        Kind::WouldLockOut,
        format!(
            "{path} has `{key}` with {address}, and {proxy} does not answer as a Teleport proxy: the bot would lose its cluster"
        ),
    )
    .hint(HINT))
}

/// The kind of server that a key's text names, and its address. With a URI that cannot be read, no bot works.
fn address(key: &'static str, text: &str) -> Option<(&'static str, String)> {
    if key != JOIN_URI {
        return Some((key, text.to_owned()));
    }
    let uri = JoinUri::parse(text)?;
    Some((uri.server, uri.address))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ProxyAddress, refuse_other_server};

    #[test]
    fn the_same_server_is_known_in_every_form() {
        let is_same = |values: &serde_json::Value| {
            let [whole, short] = ["example.teleport.sh:443", "example.teleport.sh"].map(|text| {
                let proxy = ProxyAddress::try_from(text.to_owned()).unwrap();
                refuse_other_server(values.as_object().unwrap(), &proxy, "/etc/tbot.yaml").is_ok()
            });
            assert_eq!(whole, short, "{values}");
            whole
        };
        for same in [
            json!({ "proxy_server": "example.teleport.sh:443" }),
            json!({ "proxy_server": "Example.Teleport.sh" }),
            json!({ "join_uri": "tbot+proxy+tpm://hosts@example.teleport.sh:443" }),
            json!({ "join_uri": "tbot+proxy+tpm://hosts@example.teleport.sh?x=y@z" }),
            json!({ "proxy_server": "", "services": [] }),
            json!({ "proxy_server": null }),
            json!({}),
        ] {
            assert!(is_same(&same), "{same}");
        }
        for other in [
            json!({ "proxy_server": "example.teleport.sh:3080" }),
            json!({ "proxy_server": "other.teleport.sh:443" }),
            json!({ "proxy_server": "other.teleport.sh:443", "auth_server": "example.teleport.sh:443" }),
            json!({ "auth_server": "example.teleport.sh" }),
            json!({ "join_uri": "tbot+proxy+tpm://example.teleport.sh:443@other.teleport.sh:443" }),
        ] {
            assert!(!is_same(&other), "{other}");
        }
    }
}
