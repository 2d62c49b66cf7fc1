//! HTTP and HTTPS.

mod client;
