//! HTTP and HTTPS: the client, proxies, which addresses it may go to.
//!
//! A [`Client`] makes GET requests, each within the [`Limits`] that its caller sets. It goes only where its
//! [`Destinations`] allow, also after a redirect and after the name has been resolved; it sends neither cookies nor
//! credentials.

mod address;
mod bounded;
mod client;
mod connector;
mod destinations;
mod failure;
mod host;
mod no_proxy;
mod provider;
mod proxy;
mod resolver;
mod tls;
mod tls_words;
mod trust;
mod tunnel;
mod url;

pub use client::{Client, Limits, Response};
pub use destinations::{Destinations, HostPattern};
pub use failure::Failure;
pub use host::Host;
