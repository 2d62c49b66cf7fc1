//! The errors and alerts of TLS in words for people: no name of a library's type is one.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError};
use time::OffsetDateTime;

use super::host::Host;
use crate::message::shortened;

/// What came of TLS with that host, in one clause.
pub(super) fn words(host: &Host, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => {
            format!("the certificate of {host} is not trusted: {}", certificate(why))
        }
        Error::InvalidMessage(_) => format!("{host} does not speak TLS there"),
        Error::AlertReceived(alert) => format!("{host} refused TLS: {}", alert_words(*alert)),
        Error::PeerIncompatible(_) => format!("{host} offers no TLS 1.2 or 1.3 with a cipher of today"),
        Error::NoApplicationProtocol => format!("{host} does not offer HTTP/1.1 in TLS (ALPN)"),
        Error::NoCertificatesPresented => format!("{host} shows no certificate"),
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord
        | Error::BadMaxFragmentSize => format!("{host} does not keep to the rules of TLS"),
        Error::DecryptError => {
            format!("what {host} sent cannot be decrypted: something on the way may have changed it")
        }
        Error::FailedToGetCurrentTime => {
            format!("TLS with {host} failed: this machine's clock cannot be read")
        }
        Error::FailedToGetRandomBytes => {
            format!("TLS with {host} failed: this machine gives no random numbers")
        }
        _ => format!("TLS with {host} failed"),
    }
}

/// Why a certificate is not trusted ("it expired on 2021-01-01").
fn certificate(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::Expired => "it has expired",
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("it expired on {}", day(*not_after));
        }
        CertificateError::NotValidYet => "it is not valid yet",
        CertificateError::NotValidYetContext { not_before, .. } => {
            return format!("it is not valid before {}", day(*not_before));
        }
        CertificateError::UnknownIssuer => "no root that is trusted here issued it",
        CertificateError::BadSignature => "its signature does not verify",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name"
        }
        CertificateError::BadEncoding => "it does not parse",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for servers (extended key usage)"
        }
        CertificateError::Revoked => "it was revoked",
        CertificateError::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed with an algorithm that is not accepted, such as SHA-1"
        }
        CertificateError::Other(OtherError(other)) => {
            if let Some(Reason(words)) = other.downcast_ref() {
                return words.clone();
            }
            other.downcast_ref().map_or(UNKNOWN, path)
        }
        _ => UNKNOWN,
    };
    words.to_owned()
}

const UNKNOWN: &str = "it cannot be verified";
const UNKNOWN_EXTENSION: &str = "it has a critical extension that is not known here";

/// The same in webpki's errors, for which rustls has none of its own.
fn path(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CaUsedAsEndEntity => {
            "it is the certificate of a CA, which is only trusted as a server's own if it was given"
        }
        webpki::Error::EndEntityUsedAsCa => "a certificate that is not a CA's issued it",
        webpki::Error::NameConstraintViolation => {
            "its CA may not issue certificates for this name (name constraints)"
        }
        webpki::Error::PathLenConstraintViolated => {
            "its chain has more CAs than one of them allows (path length)"
        }
        webpki::Error::MaximumNameConstraintComparisonsExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => "its chain is too long",
        webpki::Error::UnsupportedCertVersion => "it is not an X.509 certificate of version 3",
        webpki::Error::UnsupportedCriticalExtension => UNKNOWN_EXTENSION,
        webpki::Error::BadDer
        | webpki::Error::BadDerTime
        | webpki::Error::EmptyEkuExtension
        | webpki::Error::ExtensionValueInvalid
        | webpki::Error::InvalidNetworkMaskConstraint
        | webpki::Error::InvalidSerialNumber
        | webpki::Error::MalformedDnsIdentifier
        | webpki::Error::MalformedExtensions
        | webpki::Error::MalformedNameConstraint
        | webpki::Error::SignatureAlgorithmMismatch
        | webpki::Error::TrailingData(_) => "it is malformed",
        _ => UNKNOWN,
    }
}

/// What an alert means (RFC 8446, section 6.2; RFC 5246, section 7.2.2).
fn alert_words(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "it wants a certificate of the client, and there is none to show"
        }
        AlertDescription::UnrecognisedName => "it does not serve this name",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it accepts none of the ciphers that are offered"
        }
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
            "it speaks neither TLS 1.2 nor TLS 1.3"
        }
        AlertDescription::NoApplicationProtocol => "it does not offer HTTP/1.1 in TLS (ALPN)",
        AlertDescription::AccessDenied => "it denies access",
        AlertDescription::InternalError => "it has an internal error",
        AlertDescription::UserCanceled => "it gave up",
        AlertDescription::EncryptedClientHelloRequired => "it wants an encrypted ClientHello",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateUnobtainable
        | AlertDescription::UnknownCA => "it does not accept the client's certificate",
        AlertDescription::UnexpectedMessage
        | AlertDescription::BadRecordMac
        | AlertDescription::DecryptionFailed
        | AlertDescription::RecordOverflow
        | AlertDescription::DecompressionFailure
        | AlertDescription::IllegalParameter
        | AlertDescription::DecodeError
        | AlertDescription::DecryptError
        | AlertDescription::MissingExtension
        | AlertDescription::UnsupportedExtension => "it could not read what was sent",
        other => return format!("it sent alert {}", u8::from(other)),
    };
    words.to_owned()
}

/// Why a certificate is not trusted, in words of this program, on its way through rustls.
#[derive(Debug)]
pub(super) struct Reason(String);

impl Reason {
    /// It is for these hosts; none where it cannot be read.
    pub(super) fn other_name(hosts: Option<Vec<String>>) -> Self {
        Self(match hosts {
            None => "it is for another name".to_owned(),
            Some(hosts) if hosts.is_empty() => {
                "it has no subjectAltName with a DNS name or an IP address, so it is for no host".to_owned()
            }
            Some(hosts) => format!("it is for {}", shortened(&hosts.join(", "))),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        CertificateError::Other(OtherError(Arc::new(reason))).into()
    }
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "a day that no calendar has".to_owned(), |time| time.date().to_string())
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error, OtherError};
    use std::sync::Arc;

    use super::super::host::Host;
    use super::words;

    fn said(error: &Error) -> String {
        words(&Host::parse("example.com").unwrap(), error)
    }

    #[test]
    fn each_alert_has_words_or_its_number() {
        for number in 0..=u8::MAX {
            let alert = AlertDescription::from(number);
            let said = said(&Error::AlertReceived(alert));
            assert!(!said.contains(&format!("{alert:?}")), "{said}");
            assert!(said.starts_with("example.com refused TLS: it "), "{said}");
        }
    }

    #[test]
    fn errors_have_words_without_names_of_types() {
        let of_webpki = |error| CertificateError::Other(OtherError(Arc::new(error)));
        let certificates = [
            of_webpki(webpki::Error::CaUsedAsEndEntity),
            of_webpki(webpki::Error::EndEntityUsedAsCa),
            of_webpki(webpki::Error::MaximumPathDepthExceeded),
            of_webpki(webpki::Error::UnsupportedCertVersion),
            of_webpki(webpki::Error::NameConstraintViolation),
            of_webpki(webpki::Error::UnsupportedNameType),
            CertificateError::ApplicationVerificationFailure,
            CertificateError::InvalidOcspResponse,
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
        ];
        for error in certificates.into_iter().map(Error::InvalidCertificate) {
            let said = said(&error);
            let why = said.strip_prefix("the certificate of example.com is not trusted: ").unwrap();
            let is_name = |word: &str| {
                word.chars().any(char::is_lowercase) && word.chars().skip(1).any(char::is_uppercase)
            };
            assert!(!why.replace("'s", "").split(' ').any(is_name), "{said}");
        }
        for error in [Error::DecryptError, Error::HandshakeNotComplete, Error::General("SomeName".to_owned())]
        {
            assert!(!said(&error).contains("Name") && !said(&error).contains("Error"), "{error:?}");
        }
    }
}
