//! TCTI strings: which TPM, and by what way. "TCTI" is the TSS's name for a way to send commands to a
//! TPM (TCG TSS 2.0 TCTI Specification); the strings are those of tpm2-tools (`tpm2_getcap -T`).

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::device::Device;
use crate::error::{Error, Result};

/// The way to the TPM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Native wherever it speaks the TCTI.
    #[default]
    Auto,
    /// This program's own.
    Native,
    /// Through libtss2.
    Esapi,
}

/// A TPM, as a TCTI string names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcti {
    /// `device:PATH`: a character device.
    Device(PathBuf),
    /// `swtpm:host=HOST,port=PORT`: a software TPM on a TCP socket.
    SwtpmTcp {
        /// A name or an address; `localhost` where the string has none.
        host: String,
        /// 2321 where the string has none.
        port: u16,
    },
    /// `swtpm:path=PATH`: a software TPM on a Unix domain socket.
    SwtpmUnix(PathBuf),
    /// `tabrmd` or `mssim`, with their configuration, which only libtss2 speaks.
    Library(String),
}

/// The TPM that a request means: looked for only when it is to be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TpmChoice {
    /// This machine's TPM, as `tbot` chooses it.
    OfThisMachine,
    /// A TPM that is named.
    At(Tcti),
}

impl TpmChoice {
    /// Reads a TCTI string; none, and `device` alone, are this machine's TPM.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None | Some("device" | "device:") => Ok(Self::OfThisMachine),
            Some(text) => Tcti::parse(text).map(Self::At),
        }
    }

    /// The way to it: `tpm_not_found` where this machine has none.
    pub fn find(self) -> Result<Tcti> {
        match self {
            Self::OfThisMachine => Ok(Tcti::Device(Device::of_this_machine()?.path)),
            Self::At(tcti) => Ok(tcti),
        }
    }
}

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 2321;

impl Tcti {
    /// What people call it: the device node, or the TCTI string of a TPM that has none.
    #[must_use]
    pub fn device(&self) -> String {
        match self {
            Self::Device(path) => path.display().to_string(),
            other => other.to_string(),
        }
    }

    /// Whether this leads to tpm2-abrmd, which shares a TPM among programs.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        matches!(self, Self::Library(text) if text.split(':').next() == Some("tabrmd"))
    }

    /// Reads a TCTI string that names a TPM.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, configuration) = text.split_once(':').unwrap_or((text, ""));
        match (name, configuration) {
            ("device", path) if path.starts_with('/') => Ok(Self::Device(path.into())),
            ("swtpm", configuration) => Self::parse_swtpm(configuration).ok_or_else(|| not_understood(text)),
            ("mssim", configuration) if Self::parse_address(configuration).is_some() => {
                Ok(Self::Library(text.to_owned()))
            }
            ("tabrmd", _) => Ok(Self::Library(text.to_owned())),
            _ => Err(not_understood(text)),
        }
    }

    fn parse_swtpm(configuration: &str) -> Option<Self> {
        if let Some(path) = configuration.strip_prefix("path=") {
            return path.starts_with('/').then(|| Self::SwtpmUnix(path.into()));
        }
        let (host, port) = Self::parse_address(configuration)?;
        Some(Self::SwtpmTcp { host, port })
    }

    /// `host=…,port=…`, either or both left out. Other keys are none: libtss2 ignores them, and would
    /// connect to another TPM than the one that was meant.
    fn parse_address(configuration: &str) -> Option<(String, u16)> {
        let (mut host, mut port) = (DEFAULT_HOST, DEFAULT_PORT);
        for part in configuration.split(',').filter(|_| !configuration.is_empty()) {
            match part.split_once('=')? {
                ("host", given) if !given.is_empty() => host = given,
                ("port", given) => port = given.parse().ok()?,
                _ => return None,
            }
        }
        Some((host.to_owned(), port))
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(formatter, "device:{}", path.display()),
            Self::SwtpmTcp { host, port } => write!(formatter, "swtpm:host={host},port={port}"),
            Self::SwtpmUnix(path) => write!(formatter, "swtpm:path={}", path.display()),
            Self::Library(text) => formatter.write_str(text),
        }
    }
}

fn not_understood(text: &str) -> Error {
    Error::invalid(format!("`{text}` is no TCTI that this version knows")).hint(
        "write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, swtpm:path=/run/tpm.sock, mssim:host=…,port=… \
         or tabrmd",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Tcti {
        Tcti::SwtpmTcp { host: host.to_owned(), port }
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("device:/dev/tpmrm0", Tcti::Device("/dev/tpmrm0".into())),
            ("swtpm", tcp("localhost", 2321)),
            ("swtpm:port=7", tcp("localhost", 7)),
            ("swtpm:host=::1,port=65535", tcp("::1", 65535)),
            ("swtpm:path=/run/a,b=c", Tcti::SwtpmUnix("/run/a,b=c".into())),
            ("tabrmd:bus_type=session", Tcti::Library("tabrmd:bus_type=session".to_owned())),
            ("mssim", Tcti::Library("mssim".to_owned())),
        ] {
            assert_eq!(Tcti::parse(text).unwrap(), expected);
        }
    }

    #[test]
    fn the_machines_own_tpm_is_not_looked_for_yet() {
        for text in [None, Some("device"), Some("device:")] {
            assert_eq!(TpmChoice::parse(text), Ok(TpmChoice::OfThisMachine), "{text:?}");
        }
        assert_eq!(TpmChoice::parse(Some("swtpm:port=7")), Ok(TpmChoice::At(tcp("localhost", 7))));
        assert!(TpmChoice::parse(Some("")).is_err());
    }

    #[test]
    fn what_could_mean_another_tpm_is_refused() {
        for wrong in [
            "",
            "nonsense:x",
            "/dev/tpm0",
            "device:tpm0",
            "device",
            "devices:/dev/tpm0",
            "swtpm:port=65536",
            "swtpm:port=",
            "swtpm:host=",
            "swtpm:host=a,path=/b",
            "swtpm:path=b",
            "swtpm:prot=7",
            "swtpm:host=a,",
            "mssim:path=/a",
        ] {
            assert!(Tcti::parse(wrong).is_err(), "{wrong}");
        }
    }
}
