//! TLS: which roots are trusted, and a connection in it.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::failure::Failure;
use super::host::Host;
use super::provider;
use crate::ekcert::pem_certificates;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::message::printable;

/// The roots in a PEM file: `certificate_invalid` where it holds anything but certificates.
pub(super) fn read_roots(path: &Path) -> Result<Vec<TrustAnchor<'static>>> {
    let name = printable(path);
    let content = host::read(path)?;
    let malformed = |what: &str| Error::new(Kind::CertificateInvalid, format!("{name} {what}"));
    let text = String::from_utf8(content).map_err(|_| {
        malformed("is no PEM text").hint("convert it: openssl x509 -inform DER -in FILE -out FILE.pem")
    })?;
    let certificates = pem_certificates(&text, &name).map_err(|error| match error.hint {
        Some(_) => Error { hint: Some("leave only the certificates in it".to_owned()), ..error },
        None => error,
    })?;
    certificates
        .iter()
        .map(|pem| {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
                malformed("holds a certificate that does not parse").detail(error.to_string())
            })?;
            let root = webpki::anchor_from_trusted_cert(&der).map_err(|error| {
                malformed("holds a certificate that is no root").detail(error.to_string())
            })?;
            Ok(root.to_owned())
        })
        .collect()
}

/// The system's roots (the files of `SSL_CERT_FILE` and `SSL_CERT_DIR`, where those are set), else Mozilla's, and these.
pub(super) fn configuration(more: &[TrustAnchor<'static>]) -> std::result::Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.extend(more.iter().cloned());
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(format!("TLS cannot be set up: {error}")))?;
    let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

/// Shakes hands with that host.
pub(super) fn wrap(
    transport: Box<dyn Transport>,
    host: &Host,
    configuration: Arc<ClientConfig>,
    details: &ConnectionDetails,
) -> std::result::Result<Box<dyn Transport>, ureq::Error> {
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Failure::new(format!("{name} is no name that a certificate can be for")))?,
        Host::Address(address) => ServerName::from(*address),
    };
    let failed = |error: rustls::Error| ureq::Error::from(Failure::of_tls(host, &error));
    let mut connection = ClientConnection::new(configuration, name).map_err(failed)?;
    let mut socket = TransportAdapter::new(transport, details.current_time.clone());
    socket.set_timeout(details.timeout);
    connection.complete_io(&mut socket).map_err(|error| of_io(host, error))?;
    let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
    let stream = StreamOwned::new(connection, socket);
    Ok(Box::new(Tls { host: host.clone(), buffers, stream }))
}

/// rustls hands its own errors out within those of input and output.
fn of_io(host: &Host, error: io::Error) -> ureq::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => Failure::of_tls(host, inner).into(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::new(format!("{host} ended the connection instead of answering in TLS")).into()
        }
        None => error.into(),
    }
}

struct Tls {
    host: Host,
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| of_io(&self.host, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = match self.stream.read(input) {
            Ok(amount) => amount,
            // The connection ended without TLS' word for it; what is missing by that, HTTP's lengths tell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(error.into()),
            Err(error) => return Err(of_io(&self.host, error)),
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TLS with {}", self.host)
    }
}
