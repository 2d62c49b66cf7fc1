//! Why there is no answer, in words for people.

use std::fmt;
use std::io;

use super::host::Host;
use super::tls_words;
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
        let is_untrusted = matches!(error, rustls::Error::InvalidCertificate(_));
        Self { message: tls_words::words(host, error), is_untrusted }
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
