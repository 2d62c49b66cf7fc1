//! Why there is no answer, in words for people.

use std::fmt;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;

use super::host::Host;
use crate::message::shortened;

/// Why there is no answer: one clause, to stand after a colon ("the connection was refused (192.0.2.1:80)").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    /// Whether the server's certificate is not trusted.
    pub is_untrusted: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_untrusted: false }
    }

    /// The same, after a redirect to there.
    pub(super) fn after_redirect(self, url: impl fmt::Display) -> Self {
        let message = format!("it redirects to {}: {}", shortened(&url.to_string()), self.message);
        Self { message, ..self }
    }

    /// What came of TLS with that host.
    pub(super) fn of_tls(host: &Host, error: &rustls::Error) -> Self {
        let message = match error {
            rustls::Error::InvalidCertificate(why) => {
                let message = format!("the certificate of {host} is not trusted: {}", reason(why));
                return Self { message, is_untrusted: true };
            }
            rustls::Error::InvalidMessage(_) => format!("{host} does not speak TLS there"),
            rustls::Error::AlertReceived(alert) => format!("{host} refused TLS ({alert:?})"),
            rustls::Error::PeerIncompatible(_) => {
                format!("{host} offers no TLS 1.2 or 1.3 with a cipher of today")
            }
            other => format!("TLS with {host} failed: {}", shortened(&other.to_string())),
        };
        Self::new(message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What goes through ureq as its own error, to be found again by [`Failure::from`].
impl From<Failure> for ureq::Error {
    fn from(failure: Failure) -> Self {
        Self::Other(Box::new(failure))
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Other(other) => match other.downcast::<Self>() {
                Ok(failure) => *failure,
                Err(other) => Self::new(shortened(&other.to_string())),
            },
            ureq::Error::Io(error) => Self::new(io_words(&error)),
            ureq::Error::Timeout(_) => Self::new("no whole answer in time"),
            ureq::Error::LargeResponseHeader(_, most) => {
                Self::new(format!("the head of the answer has more than {most} bytes"))
            }
            ureq::Error::Protocol(what) => {
                Self::new(format!("what answers does not speak HTTP ({})", shortened(&what.to_string())))
            }
            ureq::Error::BodyStalled => Self::new("the answer breaks off"),
            other => Self::new(shortened(&other.to_string())),
        }
    }
}

/// An error of the operating system in words.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        io::ErrorKind::UnexpectedEof => "the answer breaks off".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the connection was cut".to_owned()
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads there".to_owned(),
        _ => {
            let text = error.to_string();
            let plain = text.find(" (os error").map_or(text.as_str(), |end| &text[..end]);
            shortened(plain)
        }
    }
}

fn reason(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired => "it has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("it expired on {}", day(*not_after)),
        CertificateError::NotValidYet => "it is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", day(*not_before))
        }
        CertificateError::UnknownIssuer => "no root that is trusted here issued it".to_owned(),
        CertificateError::BadSignature => "its signature does not verify".to_owned(),
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it names no host (in its subject alternative names)".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("it is for {}", shortened(&presented.join(", ")))
        }
        CertificateError::BadEncoding => "it does not parse".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for servers (extended key usage)".to_owned()
        }
        CertificateError::Other(other) => shortened(&other.0.to_string()),
        other => shortened(&other.to_string()),
    }
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "a day that no calendar has".to_owned(), |time| time.date().to_string())
}
