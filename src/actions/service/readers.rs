//! Whether those who are to read what the bot writes can.

use std::thread;
use std::time::{Duration, Instant};

use super::Parameters;
use crate::error::{Error, Kind, Result};
use crate::host::{AbsolutePath, Account, Reader};
use crate::protocol::Request;
use crate::teleport::config::{self, Paths, Reader as Named};

/// Files of `tbot`'s outputs ("Machine & Workload Identity Configuration Reference"). Others in the directory are not meant for readers.
const FILES: [&str; 25] = [
    "aws_credentials",
    "identity",
    "jwt_svid",
    "key",
    "key-cert.pub",
    "key.pub",
    "known_hosts",
    "kubeconfig.yaml",
    "mongo.cas",
    "mongo.crt",
    "ssh_config",
    "ssh_host",
    "ssh_host-cert.pub",
    "ssh_host-user-ca.pub",
    "svid.pem",
    "svid_bundle.pem",
    "svid_crl.pem",
    "svid_key.pem",
    "teleport-database-ca.crt",
    "teleport-host-ca.crt",
    "teleport-user-ca.crt",
    "tls.cas",
    "tls.crt",
    "tls.key",
    "tlscert",
];
/// `tbot` may still be writing where it does not say that it is well.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);

/// Becomes each of them, and reads. What is in the way is an error.
pub(super) fn check(parameters: &Parameters, request: &Request) -> Result<()> {
    let start = Instant::now();
    let readers = readers(parameters, request)?;
    for (directory, reader) in &readers {
        while let Some(why) = reader.obstacle(directory.as_ref(), |name| FILES.contains(&name))? {
            if start.elapsed() > PATIENCE {
                return Err(Error::new(Kind::PermissionDenied, format!("the bot is well, but {why}")).hint(
                    "let them through each directory on the way (chmod o+x, or setfacl), on a file system that has ACLs; tbot \
                     itself lets the `readers` of a service into its directory",
                ));
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Each directory with one who is to read there: those that the configuration names, and those that the request does for all.
fn readers(parameters: &Parameters, request: &Request) -> Result<Vec<(AbsolutePath, Reader)>> {
    let file = &parameters.config;
    let text = match request.earlier.read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind == Kind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // What does not tell paths for certain has been said by those who need them.
    let values = config::parse(&text, file.as_str())?.unwrap_or_default();
    let Ok(paths) = Paths::of(&values.into()) else { return Ok(Vec::new()) };
    let account = |name: &str| Account::try_from(name.to_owned()).map_err(Error::invalid);
    let mut readers = Vec::new();
    for (path, named) in paths.readers {
        let reader = match named {
            Named::User(name) => Reader::user(&account(&name)?)?,
            Named::Group(name) => Reader::group(&account(&name)?)?,
        };
        readers.extend(AbsolutePath::try_from(path).map(|path| (path, reader)));
    }
    for path in paths.outputs {
        for user in &parameters.readers {
            let reader = Reader::user(user)?;
            readers.extend(AbsolutePath::try_from(path.clone()).map(|path| (path, reader)));
        }
    }
    Ok(readers)
}
