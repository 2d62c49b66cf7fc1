//! The one error type: a kind that programs can act on, a sentence for the person, and what to do.

use serde::Serialize;

/// What went wrong, in a form that playbooks can branch on (`error.kind` of a failed response).
///
/// A kind keeps its meaning from the version that first ships it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself is wrong: not a JSON object, an unknown action or parameter, a missing or
    /// malformed value, or something that this version does not do. Correct the request.
    InvalidRequest,
    /// There is no TPM 2.0 where one was looked for. Check the firmware settings or `tcti`.
    TpmNotFound,
    /// The TPM is there but may not be opened. Run as root, or join the device's group.
    TpmPermission,
    /// Something else holds the TPM, or all of its object slots, or the TPM asks for the same again
    /// until the time is up. Use its resource manager; try again later.
    TpmBusy,
    /// A hierarchy has a password that would have to be empty. `tbot` fails the same way.
    TpmAuth,
    /// The TPM, or the library in front of it, answered with an error, with nonsense, or not in time.
    TpmError,
    /// The EK certificate holds a key of a type that Teleport cannot hash, so `tbot` cannot join; or a CA above it holds a
    /// key whose signatures this version cannot verify, such as P-224. Such hosts need a token without CAs.
    EkUnsupported,
    /// The TPM is not the expected one: a replaced mainboard, or something worse.
    IdentityChanged,
    /// A certificate (of a CA, say) is not one PEM block that parses as X.509.
    CertificateInvalid,
    /// A CA that issued an EK certificate is not known to be the manufacturer's: it has no chain to a trusted root, and
    /// is not pinned. Compare its fingerprint, and trust it or not.
    UntrustedCa,
    /// The cluster lets no host join by its TPM, since it is no Teleport Enterprise. Use one that is, or say that this one
    /// is to be taken for one.
    JoinWouldFail,
    /// Carrying on would leave a host unable to join. Nothing was written.
    WouldLockOut,
    /// The token is larger than what a cluster's storage takes. Split the fleet over tokens.
    TokenTooLarge,
    /// Two things contradict each other: two hosts with one TPM, or a file that another program or
    /// person wrote where ours should go. Nothing was written.
    Conflict,
    /// A path that could lead somewhere else than it says, or to a system directory.
    UnsafePath,
    /// The operating system refused; usually this needs root.
    PermissionDenied,
    /// The service does not run, or says that it is not healthy, and the time to wait is over. See the last lines of
    /// its journal in `detail`.
    NotReady,
    /// A file, user or group that the request names does not exist.
    NotFound,
    /// A server that had to be asked did not answer, is not trusted, or is not what it should be. The message says
    /// which; check the address, the way there (proxies, too), and its certificate.
    Network,
    /// Any other error of the operating system: a full disk, a read-only file system.
    Io,
    /// A defect of this program (a panic). Please report it.
    Internal,
}

/// A failure: its kind, one sentence a person can act on, and optionally detail and a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind, for programs.
    pub kind: Kind,
    /// What happened, to what, and usually what to do: becomes `msg`.
    pub message: String,
    /// Facts for whoever looks closer: the operating system's or the TPM's own words.
    pub detail: Option<String>,
    /// What to do about it, where `message` does not say so already.
    pub hint: Option<String>,
}

/// A result whose error is the crate's own.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None, hint: None }
    }

    /// A request that cannot be served as it stands.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    /// An error of the operating system while doing `what` ("write /etc/tbot.yaml").
    #[must_use]
    pub fn io(what: &str, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            std::io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
            _ => Kind::Io,
        };
        let failure = Self::new(kind, format!("cannot {what}: {error}"));
        match kind {
            Kind::PermissionDenied if rustix::process::geteuid().is_root() => failure.hint(
                "it is kept even from root: see lsattr(1), and what SELinux, AppArmor or a container may say",
            ),
            Kind::PermissionDenied => {
                failure.hint("run as root (become: true), or use a path that this user may write to")
            }
            _ => match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    failure.hint("make room on that file system, then run this again")
                }
                std::io::ErrorKind::NotADirectory => failure.hint("a file is where a directory is named"),
                std::io::ErrorKind::ReadOnlyFilesystem => {
                    failure.hint("mount that file system writable, or use a path on another one")
                }
                _ => failure,
            },
        }
    }

    /// Adds facts for whoever looks closer.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
