//! GET requests within limits.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::http::header;
use ureq::{Agent, Body};

use super::connector::Route;
use super::destinations::Destinations;
use super::failure::Failure;
use super::host::Host;
use super::proxy::Proxies;
use super::resolver::CheckedResolver;
use super::tls;
use super::trust::Trusted;
use super::url::Url;
use crate::error;
use crate::message::shortened;

/// What servers are told of this program (RFC 9110, section 10.1.5).
pub(super) const USER_AGENT: &str = concat!("tbot_tpm/", env!("CARGO_PKG_VERSION"));

/// Bytes of the longest head of an answer.
const LONGEST_HEAD: usize = 32 * 1024;

/// What a request may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long it may take: its redirects, names, connections, TLS, heads and bodies together.
    pub request: Duration,
    /// When it must be over, whatever `request` says: for many requests that share one time limit.
    pub deadline: Instant,
    /// Bytes of the longest body that is taken.
    pub bytes: usize,
    /// Redirects that are followed at most; never from https to http.
    pub redirects: u32,
}

/// The answer to a request, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Where it came from: the last URL after redirects.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// The body, in no content coding.
    pub body: Vec<u8>,
}

/// Asks HTTP and HTTPS servers; may be used from several threads at once.
#[derive(Debug)]
pub struct Client {
    destinations: Destinations,
    proxies: Proxies,
    trusted: Trusted,
    /// Made for the first https URL: reading the system's roots takes time.
    tls: OnceLock<Result<Arc<ClientConfig>, Failure>>,
}

impl Client {
    /// A client that goes to these destinations, by the proxies that the environment names. It trusts the system's
    /// TLS roots (else Mozilla's), and the certificates in `ca_file` (PEM), of CAs and of servers themselves: `not_found`, `permission_denied` or `io` where that
    /// cannot be read, `certificate_invalid` where it holds anything else than certificates.
    pub fn new(destinations: Destinations, ca_file: Option<&Path>) -> error::Result<Self> {
        let trusted = ca_file.map(Trusted::read).transpose()?.unwrap_or_default();
        let proxies = Proxies::from_environment(|name| std::env::var(name).ok());
        Ok(Self { destinations, proxies, trusted, tls: OnceLock::new() })
    }

    /// A client for this machine's own services: without proxies, to any destination.
    #[must_use]
    pub fn local() -> Self {
        let proxies = Proxies::default();
        Self { destinations: Destinations::Any, proxies, trusted: Trusted::default(), tls: OnceLock::new() }
    }

    /// Asks for a URL, and follows redirects; `accept` is the media type that is wanted.
    ///
    /// Every status is an answer, but a redirect that is not followed is a failure that says where it leads.
    pub fn get(&self, url: &str, accept: Option<&str>, limits: &Limits) -> Result<Response, Failure> {
        self.get_where(url, accept, limits, &|_| Ok(()))
    }

    /// The same, where each host is asked only if `permit` allows it: the URL's first, then that of each redirect, once
    /// the destinations allow it. Its error, in a few words, becomes the failure.
    pub fn get_where(
        &self,
        url: &str,
        accept: Option<&str>,
        limits: &Limits,
        permit: &dyn Fn(&Host) -> Result<(), String>,
    ) -> Result<Response, Failure> {
        let time = Time::starting_now(limits);
        let mut url = Url::parse(url)?;
        let mut followed = 0;
        loop {
            let context = |failure: Failure| match followed {
                0 => failure,
                _ => failure.after_redirect(&url.uri),
            };
            self.destinations.check(&url).map_err(context)?;
            permit(&url.host).map_err(Failure::new).map_err(context)?;
            let mut answer = self.ask(&url, accept, &time).map_err(context)?;
            let Some(location) = redirect(&answer) else {
                let body = read(answer.body_mut(), limits.bytes, &time).map_err(context)?;
                return Ok(Response { url: url.uri.to_string(), status: answer.status().as_u16(), body });
            };
            let next = follow(&url, &location, followed, limits).map_err(context)?;
            followed += 1;
            url = next;
        }
    }

    /// Asks once.
    fn ask(
        &self,
        url: &Url,
        accept: Option<&str>,
        time: &Time,
    ) -> Result<ureq::http::Response<Body>, Failure> {
        let proxy = self.proxies.choose(url)?;
        let needs_tls = url.is_https || proxy.as_ref().is_some_and(|proxy| proxy.is_https);
        let tls = if needs_tls { Some(self.tls()?) } else { None };
        let (host, port, destinations) = match &proxy {
            Some(proxy) => (proxy.host.clone(), proxy.port, None),
            None => (url.host.clone(), url.port, Some(self.destinations.clone())),
        };
        // A proxy that is asked for the whole URL is told who asks by a header of the request itself.
        let authorization = match &proxy {
            Some(proxy) if !url.is_https => proxy.authorization.clone(),
            _ => None,
        };
        let config = Agent::config_builder()
            .timeout_global(Some(time.left()?))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(USER_AGENT)
            .accept(accept.unwrap_or("*/*").to_owned())
            .accept_encoding("identity")
            .max_response_header_size(LONGEST_HEAD)
            .max_idle_connections(0)
            .build();
        let route = Route { url: url.clone(), proxy, tls, end: time.end };
        let agent = Agent::with_parts(config, route, CheckedResolver { host, port, destinations });
        let mut request = agent.get(&url.uri).header(header::CONNECTION, "close");
        if let Some(authorization) = authorization {
            request = request.header(header::PROXY_AUTHORIZATION, authorization);
        }
        request.call().map_err(|error| time.explain(error))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        self.tls.get_or_init(|| tls::configuration(&self.trusted).map(Arc::new)).clone()
    }
}

/// How long one request may still take.
struct Time {
    end: Instant,
    /// What is said where it is over.
    words: String,
}

impl Time {
    fn starting_now(limits: &Limits) -> Self {
        let now = Instant::now();
        let left = limits.deadline.saturating_duration_since(now).min(limits.request);
        let [whole, short] = [limits.request, left].map(|time| time.as_millis().div_ceil(1000));
        let reason = if short < whole { ", which were left of the time for all" } else { "" };
        Self { end: now + left, words: format!("no whole answer within {short} s{reason}") }
    }

    fn left(&self) -> Result<Duration, Failure> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Failure::new(&*self.words)) } else { Ok(left) }
    }

    fn explain(&self, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => Failure::new(&*self.words),
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Failure::new(&*self.words)
            }
            other => other.into(),
        }
    }
}

/// Where an answer sends its reader (RFC 9110, section 15.4), as it says it.
fn redirect(answer: &ureq::http::Response<Body>) -> Option<String> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(header::LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The next URL, where it may be asked.
fn follow(url: &Url, location: &str, followed: u32, limits: &Limits) -> Result<Url, Failure> {
    let next = url.join(location).map_err(|failure| failure.after_redirect(location.escape_debug()))?;
    let shown = shortened(&next.uri.to_string());
    if limits.redirects == 0 {
        return Err(Failure::new(format!("it redirects to {shown}, which is not followed")));
    }
    if followed >= limits.redirects {
        return Err(Failure::new(format!("more than {} redirects, the last to {shown}", limits.redirects)));
    }
    if url.is_https && !next.is_https {
        return Err(Failure::new(format!("it redirects from https to {shown}")));
    }
    Ok(next)
}

/// The body, as far as it may go.
fn read(body: &mut Body, most: usize, time: &Time) -> Result<Vec<u8>, Failure> {
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    let outcome = body.as_reader().take(one_more).read_to_end(&mut content);
    outcome.map_err(|error| time.explain(error.into()))?;
    if content.len() > most {
        return Err(Failure::new(format!("more than {most} bytes")));
    }
    Ok(content)
}
