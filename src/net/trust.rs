//! Which servers are trusted: those whose certificate a root vouches for, and those whose very certificate was given.
//!
//! A Teleport proxy without a certificate of its own makes a self-signed one with `CA:TRUE`, which webpki never takes for
//! a server's. So a certificate that was given is compared byte by byte; its name and its validity count all the same.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use time::OffsetDateTime;

use super::failure::Failure;
use super::tls_words::Reason;
use crate::ekcert::{ServerCertificate, pem_certificates};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::message::printable;

/// The certificates of a file, which are trusted besides the system's roots.
#[derive(Debug, Clone, Default)]
pub(super) struct Trusted {
    /// Those of CAs, which vouch for others.
    roots: Vec<TrustAnchor<'static>>,
    /// All of them, each of which may be a server's own.
    certificates: Vec<CertificateDer<'static>>,
}

impl Trusted {
    /// The certificates in a PEM file: `certificate_invalid` where it holds anything but certificates.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = printable(path);
        let content = host::read(path)?;
        let malformed = |what: &str| Error::new(Kind::CertificateInvalid, format!("{name} {what}"));
        let text = String::from_utf8(content).map_err(|_| {
            malformed("is not a PEM text").hint("convert it: openssl x509 -inform DER -in FILE -out FILE.pem")
        })?;
        let texts = pem_certificates(&text, &name).map_err(|error| match error.hint {
            Some(_) => Error { hint: Some("leave only the certificates in it".to_owned()), ..error },
            None => error,
        })?;
        let mut trusted = Self::default();
        for pem in texts {
            let unreadable = || malformed("holds a certificate that does not parse");
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
            if ServerCertificate::from_der(&der).ok_or_else(unreadable)?.is_ca {
                let root = webpki::anchor_from_trusted_cert(&der)
                    .map_err(|_| malformed("holds the certificate of a CA that cannot be used as a root"))?;
                trusted.roots.push(root.to_owned());
            }
            trusted.certificates.push(der);
        }
        Ok(trusted)
    }

    /// Trusts these, and the system's roots (the files of `SSL_CERT_FILE` and `SSL_CERT_DIR`, where those are set), else
    /// Mozilla's.
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> std::result::Result<Arc<dyn ServerCertVerifier>, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots.extend(self.roots.iter().cloned());
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|_| Failure::new("no root certificate is trusted here"))?;
        Ok(Arc::new(Verifier { certificates: self.certificates.clone(), by_roots }))
    }
}

#[derive(Debug)]
struct Verifier {
    /// Servers' own certificates.
    certificates: Vec<CertificateDer<'static>>,
    by_roots: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let verified = if self.certificates.iter().any(|given| given.as_ref() == end_entity.as_ref()) {
            verify_given(end_entity, server_name, now)
        } else {
            self.by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        verified.map_err(|error| match error {
            TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Reason::other_name(ServerCertificate::from_der(end_entity).map(|read| read.hosts)).into(),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.by_roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.by_roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

/// Whether a certificate that was given is that server's, and valid now.
fn verify_given(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> std::result::Result<ServerCertVerified, TlsError> {
    let read = ServerCertificate::from_der(certificate).ok_or(CertificateError::BadEncoding)?;
    let seconds = |time: OffsetDateTime| {
        let seconds = u64::try_from(time.unix_timestamp()).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    };
    let (not_before, not_after) = (seconds(read.validity.not_before), seconds(read.validity.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    // Of X.509 versions before 3, which have no names of hosts, webpki reads nothing.
    if read.hosts.is_empty() {
        return Err(CertificateError::NotValidForName.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    Ok(ServerCertVerified::assertion())
}
