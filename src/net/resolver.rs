//! Names to addresses, which are checked before anything connects to them.

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::destinations::Destinations;
use super::failure::{Failure, io_words};
use super::host::Host;

/// Resolves the one host to which a request connects: the URL's, or the proxy's. The addresses that it returns are
/// those that are connected to, so nothing can change between the check and the connection.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    pub(super) host: Host,
    pub(super) port: u16,
    /// Which addresses are allowed; none are checked where the host is a proxy.
    pub(super) destinations: Option<Destinations>,
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let uri: Uri =
            format!("http://{}:{}/", self.host, self.port).parse().map_err(ureq::http::Error::from)?;
        let found = DefaultResolver::default().resolve(&uri, config, timeout);
        let addresses = found.map_err(|error| match error {
            ureq::Error::Io(error) => self.unresolved(&io_words(&error)).into(),
            ureq::Error::HostNotFound => self.unresolved("it has no address").into(),
            other => other,
        })?;
        if let Some(destinations) = &self.destinations {
            addresses.iter().try_for_each(|address| destinations.check_address(&self.host, address.ip()))?;
        }
        Ok(addresses)
    }
}

impl CheckedResolver {
    fn unresolved(&self, why: &str) -> Failure {
        let why = why.strip_prefix("failed to lookup address information: ").unwrap_or(why);
        Failure::new(format!("the name {} cannot be resolved ({why})", self.host))
    }
}
