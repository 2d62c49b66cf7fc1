//! What a request says to a proxy: CONNECT for https, the whole URL for http.

use std::io::Write;

use ureq::unversioned::transport::{Buffers, ConnectionDetails, NextTimeout, Transport, TransportAdapter};

use super::client::USER_AGENT;
use super::failure::Failure;
use super::proxy::Proxy;
use super::url::Url;

/// Bytes of the longest answer to CONNECT.
const LONGEST_HEAD: usize = 16 * 1024;

/// Has the proxy connect to the URL's host (RFC 9110, section 9.3.6).
pub(super) fn connect(
    transport: Box<dyn Transport>,
    proxy: &Proxy,
    url: &Url,
    details: &ConnectionDetails,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let authority = format!("{}:{}", url.host, url.port);
    let authorization = proxy.authorization.as_ref();
    let authorization =
        authorization.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    let head = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n{authorization}\r\n"
    );
    let mut socket = TransportAdapter::new(transport, details.current_time.clone());
    socket.set_timeout(details.timeout);
    socket.write_all(head.as_bytes())?;
    let mut transport = socket.into_inner();
    let failed = |what: String| {
        ureq::Error::from(Failure::new(format!("the proxy {}:{} {what}", proxy.host, proxy.port)))
    };
    loop {
        let is_more = transport.maybe_await_input(details.timeout)?;
        let input = transport.buffers().input();
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let status = status(&input[..end]).ok_or_else(|| failed("does not speak HTTP".to_owned()))?;
            if !(200..300).contains(&status) {
                return Err(failed(format!("refuses to connect to {authority} (status {status})")));
            }
            transport.buffers().input_consume(end + 4);
            return Ok(transport);
        }
        if !is_more || input.len() > LONGEST_HEAD {
            return Err(failed("does not answer CONNECT".to_owned()));
        }
    }
}

/// The status that the first line of a head tells (RFC 9112, section 4).
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|status| status.len() == 3)?.parse().ok()
}

/// A connection to a proxy that asks it for the whole URL (RFC 9112, section 3.2.2), since many connect to the ports of
/// https only.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) inner: Box<dyn Transport>,
    /// `http://HOST:PORT`, until it has been said.
    pub(super) origin: Option<String>,
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let Some(origin) = self.origin.take() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let output = self.inner.buffers().output();
        let too_long = || ureq::Error::from(Failure::new("the URL is too long"));
        // The method, a blank, and the path: "GET /ca.der HTTP/1.1".
        let path = output[..amount].iter().position(|byte| *byte == b' ').ok_or_else(too_long)? + 1;
        let whole = amount + origin.len();
        if whole > output.len() {
            return Err(too_long());
        }
        output.copy_within(path..amount, path + origin.len());
        output[path..path + origin.len()].copy_from_slice(origin.as_bytes());
        self.inner.transmit_output(whole, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
