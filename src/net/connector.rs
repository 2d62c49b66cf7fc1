//! From addresses to a connection on which the request can be sent.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use ureq::unversioned::transport::{ConnectionDetails, Connector, TcpConnector, Transport};

use super::bounded::Bounded;
use super::failure::Failure;
use super::proxy::Proxy;
use super::tls;
use super::tunnel::{self, Forwarded};
use super::url::Url;

/// Connects to the host of a URL, or to its proxy and through that.
pub(super) struct Route {
    pub(super) url: Url,
    pub(super) proxy: Option<Proxy>,
    /// Where the URL or the proxy needs it.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// When all of it must be over.
    pub(super) end: Instant,
}

impl Connector<()> for Route {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Box<dyn Transport>>, ureq::Error> {
        let mut transport = self.dial(details)?;
        if let Some(proxy) = &self.proxy {
            if proxy.is_https {
                transport = tls::wrap(transport, &proxy.host, self.tls()?, details)?;
            }
            if !self.url.is_https {
                let origin = Some(format!("http://{}:{}", self.url.host, self.url.port));
                return Ok(Some(Box::new(Forwarded { inner: transport, origin })));
            }
            transport = tunnel::connect(transport, proxy, &self.url, details)?;
        }
        if self.url.is_https {
            transport = tls::wrap(transport, &self.url.host, self.tls()?, details)?;
        }
        Ok(Some(transport))
    }
}

impl Route {
    fn dial(&self, details: &ConnectionDetails) -> Result<Box<dyn Transport>, ureq::Error> {
        let connected = TcpConnector::default().connect(details, None::<()>);
        let transport = connected.map_err(|error| match error {
            ureq::Error::Io(_) => {
                let addresses: Vec<String> = details.addrs.iter().map(SocketAddr::to_string).collect();
                let proxy = if self.proxy.is_some() { ", the proxy" } else { "" };
                Failure::new(format!("{} ({}{proxy})", Failure::from(error), addresses.join(", "))).into()
            }
            other => other,
        })?;
        let inner: Box<dyn Transport> = Box::new(transport.ok_or(ureq::Error::ConnectionFailed)?);
        Ok(Box::new(Bounded { inner, end: self.end }))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, ureq::Error> {
        self.tls.clone().ok_or(ureq::Error::TlsRequired)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Route to {}", self.url.uri)
    }
}
