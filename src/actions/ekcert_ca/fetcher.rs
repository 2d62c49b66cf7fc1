//! Requests for the certificates of issuers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::parameters::Terms;
use crate::ekcert::is_malformed_link;
use crate::ekcert::issuers::Permit;
use crate::error::Result;
use crate::net::{Client, Destinations, Host, Limits};

/// Bytes that a link may lead to.
const LARGEST_CERTIFICATE: usize = 64 * 1024;
const MOST_REDIRECTS: u32 = 3;
/// What a link may lead to (RFC 2585, section 4; RFC 8551, section 3.2).
const ACCEPTED: &str = "application/pkix-cert, application/pkcs7-mime, application/x-x509-ca-cert, */*;q=0.5";

/// Follows links, within the limits of the request.
pub(super) struct Fetcher {
    client: Client,
    pub limits: Limits,
    pub requests: AtomicUsize,
}

impl Fetcher {
    pub(super) fn new(terms: &mut Terms) -> Result<Self> {
        let destinations = terms.allowed_urls.take().map_or(Destinations::Public, Destinations::Hosts);
        let client = Client::new(destinations, terms.ca_file.as_ref().map(AsRef::as_ref))?;
        let limits = Limits {
            request: terms.time_a_request(),
            deadline: Instant::now() + terms.time_in_all(),
            bytes: LARGEST_CERTIFICATE,
            redirects: MOST_REDIRECTS,
        };
        Ok(Self { client, limits, requests: AtomicUsize::new(0) })
    }

    pub(super) fn get(&self, url: &str, permit: &Permit<'_>) -> std::result::Result<Vec<u8>, String> {
        if is_malformed_link(url) {
            return Err("it is malformed: download what it means, and give that in `ca_bundle`".to_owned());
        }
        let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        if !["http", "https"].contains(&scheme.as_str()) {
            return Err(
                "only http and https links are followed: download it, and give it in `ca_bundle`".to_owned()
            );
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let permit = |host: &Host| permit(&host.to_string());
        let response = self.client.get_where(url, Some(ACCEPTED), &self.limits, &permit);
        let response = response.map_err(|failure| failure.to_string())?;
        match response.status {
            200 => Ok(response.body),
            status => Err(format!("the answer has status {status}")),
        }
    }
}
