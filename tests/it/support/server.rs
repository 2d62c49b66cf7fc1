//! An HTTP or HTTPS server in the tests' own process, on a free loopback port, that answers what it is told, however
//! wrong that is, and remembers what it was asked.
//!
//! ```ignore
//! let server = Server::http()
//!     .on("/ca.der", Reply::ok(der))
//!     .on("/moved", Reply::redirect(302, "/ca.der"))
//!     .on("/endless", Reply::endless("HTTP/1.1 200 OK\r\n\r\n"));
//! fetch(&server.url("/ca.der"));
//! assert_eq!(server.count("/ca.der"), 1);
//! assert!(server.heads()[0].contains("user-agent: tbot_tpm/"));
//! ```
//!
//! A route is what stands between the method and the version of a request's first line, so a server is a proxy too: by
//! routes such as `http://host.example:80/path` (the whole URL), and `host.example:443` with [`Reply::tunnel`] (CONNECT).
//! Every other path answers 404. Each connection takes one request. Its threads end with the tests' process.
//!
//! For HTTPS, [`WebAuthority`](super::web_authority::WebAuthority) issues certificates.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::web_authority::Certified;

/// What is both read and written: a connection in TLS, or without.
pub trait Stream: Read + Write + Send {
    /// The connection below, where there is no TLS.
    fn plain(&self) -> Option<&TcpStream>;
}

impl Stream for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

type Answer = dyn Fn(&str, &mut dyn Stream) -> io::Result<()> + Send + Sync;

/// How a route is answered: by what it writes, before the connection is closed.
#[derive(Clone)]
pub struct Reply(Arc<Answer>);

impl Reply {
    /// Anything: the request's head, and where to write the answer.
    pub fn by(answer: impl Fn(&str, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    /// These bytes and no others, head and all.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::by(move |_, stream| stream.write_all(&bytes))
    }

    /// Status 200 with this body, and its length.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    /// That status with this body, and its length.
    pub fn status(code: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut bytes =
            format!("HTTP/1.1 {code} Status\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        Self::raw(bytes)
    }

    /// A redirect with that status to that URL or path.
    pub fn redirect(code: u16, location: &str) -> Self {
        Self::raw(format!("HTTP/1.1 {code} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
    }

    /// These pieces, that long apart.
    pub fn slow(pieces: Vec<Vec<u8>>, apart: Duration) -> Self {
        Self::by(move |_, stream| {
            for piece in &pieces {
                stream.write_all(piece)?;
                stream.flush()?;
                thread::sleep(apart);
            }
            Ok(())
        })
    }

    /// This start, and then the letter x until the other side has enough.
    pub fn endless(start: &str) -> Self {
        let start = start.to_owned();
        Self::by(move |_, stream| {
            stream.write_all(start.as_bytes())?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        })
    }

    /// Nothing, until the other side gives up.
    pub fn silence() -> Self {
        Self::by(|_, stream| stream.read(&mut [0]).map(drop))
    }

    /// As a proxy answers CONNECT: a connection to that address, whatever the request named.
    pub fn tunnel(address: SocketAddr) -> Self {
        Self::by(move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let client = stream.plain().expect("a tunnel through a server without TLS").try_clone()?;
            let server = TcpStream::connect(address)?;
            let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || io::copy(&mut from_client, &mut to_server));
            io::copy(&mut &server, &mut &client).map(drop)
        })
    }
}

#[derive(Default)]
struct State {
    routes: Vec<(String, Reply)>,
    heads: Vec<String>,
    connections: usize,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    is_https: bool,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// On 127.0.0.1, without TLS.
    pub fn http() -> Self {
        Self::start("127.0.0.1:0", None)
    }

    /// On 127.0.0.1, in TLS with this certificate.
    pub fn https(certified: &Certified) -> Self {
        Self::start("127.0.0.1:0", Some(certified))
    }

    /// On 127.0.0.1, in such TLS.
    pub fn tls(configuration: Arc<ServerConfig>) -> Self {
        Self::serve("127.0.0.1:0", Some(configuration))
    }

    /// At that address (`[::1]:0`), in TLS where there is a certificate.
    pub fn start(address: &str, certified: Option<&Certified>) -> Self {
        Self::serve(address, certified.map(Certified::server_config))
    }

    fn serve(address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, is_https) = (Arc::clone(&state), tls.is_some());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                shared.lock().unwrap().connections += 1;
                thread::spawn(move || serve(stream?, tls, &shared));
            }
        });
        Self { address, is_https, state }
    }

    /// Answers that path so; the last word on a path counts.
    #[must_use]
    pub fn on(self, path: &str, reply: Reply) -> Self {
        self.set(path, reply);
        self
    }

    /// The same of a server that already runs.
    pub fn set(&self, path: &str, reply: Reply) {
        let mut state = self.state.lock().unwrap();
        state.routes.retain(|(route, _)| route != path);
        state.routes.push((path.to_owned(), reply));
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path here, by the address.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The URL of a path here, by a name.
    pub fn url_by(&self, name: &str, path: &str) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{name}:{}{path}", self.port())
    }

    /// How often that path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.heads().iter().filter(|head| target(head) == path).count()
    }

    /// How many connections came, with a request or without.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// The heads of all requests, in their order: the first line and the fields, without the blank line.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: &Mutex<State>) -> io::Result<()> {
    match tls {
        None => answer(stream, state),
        Some(configuration) => {
            let connection = ServerConnection::new(configuration).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            let outcome = answer_in(&mut stream, state);
            stream.conn.send_close_notify();
            stream.flush()?;
            outcome
        }
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    answer_in(&mut stream, state)
}

fn answer_in(stream: &mut dyn Stream, state: &Mutex<State>) -> io::Result<()> {
    let head = read_head(stream)?;
    let reply = {
        let mut state = state.lock().unwrap();
        state.heads.push(head.clone());
        let route = state.routes.iter().find(|(route, _)| *route == target(&head));
        route.map_or_else(|| Reply::status(404, "not here"), |(_, reply)| reply.clone())
    };
    (reply.0)(&head, stream)?;
    stream.flush()
}

fn read_head(stream: &mut dyn Stream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head[..head.len() - 4]).into_owned())
}

/// What a head asks for.
fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}
