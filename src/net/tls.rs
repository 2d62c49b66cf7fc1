//! TLS: how it is set up, and a connection in it.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::failure::Failure;
use super::host::Host;
use super::provider;
use super::trust::Trusted;

/// TLS as a client that trusts these certificates besides the system's roots, with HTTP/1.1 in it.
pub(super) fn configuration(trusted: &Trusted) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(provider::provider());
    let verifier = trusted.verifier(&provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Failure::new("TLS cannot be set up"))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut configuration = builder.with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

/// Shakes hands with that host.
pub(super) fn wrap(
    transport: Box<dyn Transport>,
    host: &Host,
    configuration: Arc<ClientConfig>,
    details: &ConnectionDetails,
) -> Result<Box<dyn Transport>, ureq::Error> {
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

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| of_io(&self.host, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
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
