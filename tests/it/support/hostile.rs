//! A TPM that lies: a server in front of a software TPM, or of nothing, which answers as a test says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{SoftwareTpm, parse};

/// Command codes (TPM 2.0 Library, part 2, section 6.5.2).
pub const CREATE_PRIMARY: u32 = 0x131;
pub const NV_READ: u32 = 0x14E;
pub const FLUSH_CONTEXT: u32 = 0x165;
pub const NV_READ_PUBLIC: u32 = 0x169;
pub const READ_PUBLIC: u32 = 0x173;
pub const GET_CAPABILITY: u32 = 0x17A;
/// All that `identify` sends.
pub const COMMANDS: [u32; 6] =
    [GET_CAPABILITY, READ_PUBLIC, NV_READ_PUBLIC, NV_READ, CREATE_PRIMARY, FLUSH_CONTEXT];

/// A command as it arrived.
pub struct Command<'a> {
    pub bytes: &'a [u8],
    pub code: u32,
    /// The how-manieth of this code, from 1.
    pub nth: usize,
}

/// What is answered to a command.
pub enum Reply {
    /// What the TPM answers.
    Honest,
    /// What the TPM answers, after this was done to it.
    Altered(Alteration),
    /// These bytes; the TPM is not asked.
    Instead(Vec<u8>),
    /// These bytes, after which the connection is closed; the TPM is not asked.
    Last(Vec<u8>),
    /// What the TPM answers, byte by byte, with a wait before each.
    Slowly(Duration),
    /// These bytes and then nothing, ever; the TPM is not asked.
    Stuck(Vec<u8>),
}

type Alteration = Box<dyn Fn(&mut Vec<u8>)>;
type Rule = Box<dyn Fn(&Command) -> Reply + Send + Sync>;

struct Shared {
    rule: Rule,
    seen: Mutex<Vec<u32>>,
    /// The server itself failed: what the client then says of the TPM proves nothing.
    broke: AtomicBool,
}

/// Notes a panic of the thread that has it.
struct Guard<'a>(&'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.broke.fetch_or(thread::panicking(), Ordering::SeqCst);
    }
}

/// The server. What it holds back stays held back until the client goes away.
pub struct Hostile {
    pub tcti: String,
    shared: Arc<Shared>,
}

trait Connection: Read + Write + Send {
    fn close(&self);
}

impl Connection for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Connection for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Hostile {
    /// A server with nothing behind it. Its control channel says yes to everything.
    pub fn alone(rule: impl Fn(&Command) -> Reply + Send + Sync + 'static) -> Self {
        Self::on_tcp(None, Box::new(rule), |client| answer_control(client, true))
    }

    /// A server with nothing behind it, whose control channel never answers either.
    pub fn silent() -> Self {
        Self::on_tcp(None, Box::new(|_| Reply::Stuck(Vec::new())), |client| answer_control(client, false))
    }

    /// A server in front of a software TPM. Its control channel says yes to everything.
    pub fn before(tpm: &SoftwareTpm, rule: impl Fn(&Command) -> Reply + Send + Sync + 'static) -> Self {
        Self::on_tcp(Some(tpm.port()), Box::new(rule), |client| answer_control(client, true))
    }

    /// A server in front of a software TPM that changes each of its answers of success to that command.
    pub fn altering(tpm: &SoftwareTpm, code: u32, alter: fn(&mut Vec<u8>)) -> Self {
        Self::before(tpm, move |command| {
            if command.code == code {
                Reply::Altered(Box::new(move |response| {
                    if response[6..10] == [0; 4] {
                        alter(response);
                    }
                }))
            } else {
                Reply::Honest
            }
        })
    }

    /// A server with nothing behind it, on a Unix domain socket.
    pub fn on_unix_socket(path: &Path, rule: impl Fn(&Command) -> Reply + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared =
            Arc::new(Shared { rule: Box::new(rule), seen: Mutex::default(), broke: AtomicBool::new(false) });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), None, &served);
            }
        });
        Self { tcti: format!("swtpm:path={}", path.display()), shared }
    }

    fn on_tcp(upstream: Option<u16>, rule: Rule, control_with: impl Fn(TcpStream) + Send + 'static) -> Self {
        let (data, control) = listener_pair();
        let port = data.local_addr().unwrap().port();
        let shared = Arc::new(Shared { rule, seen: Mutex::default(), broke: AtomicBool::new(false) });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in data.incoming() {
                serve(stream.unwrap(), upstream, &served);
            }
        });
        thread::spawn(move || {
            for stream in control.incoming() {
                control_with(stream.unwrap());
            }
        });
        Self { tcti: format!("swtpm:host=127.0.0.1,port={port}"), shared }
    }

    /// How often this command arrived.
    pub fn count(&self, code: u32) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|seen| **seen == code).count()
    }

    /// The answer of `identify`, by this way, with a second for each command.
    pub fn identify(&self, backend: &str) -> Value {
        self.identify_within(1, backend)
    }

    /// The same with a time limit that no slow machine reaches.
    pub fn identify_patiently(&self, backend: &str) -> Value {
        self.identify_within(60, backend)
    }

    /// The same with this many seconds.
    pub fn identify_within(&self, timeout: u64, backend: &str) -> Value {
        let request =
            json!({ "action": "identify", "tcti": self.tcti, "backend": backend, "timeout": timeout });
        let answer = identify(&request);
        assert!(!self.shared.broke.load(Ordering::SeqCst), "the server failed: {answer}");
        answer
    }
}

/// Runs the binary, which must end by itself: a hang is a failure of the test.
pub fn identify(request: &Value) -> Value {
    let mut child = Process::new(env!("CARGO_BIN_EXE_tbot_tpm"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it hangs on {request}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let answer = parse(&child.wait_with_output().unwrap());
    assert_ne!(answer["error"]["kind"], "internal", "{answer}");
    answer
}

/// A response without sessions: a header and these parameters.
pub fn response(code: u32, parameters: &[u8]) -> Vec<u8> {
    let size = u32::try_from(10 + parameters.len()).unwrap();
    [&0x8001_u16.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), parameters].concat()
}

/// Makes the size in the header that of the response.
pub fn correct_size(response: &mut [u8]) {
    let size = u32::try_from(response.len()).unwrap();
    response[2..6].copy_from_slice(&size.to_be_bytes());
}

/// Changes the parameters of a response with one session and this many handles; every size stays right.
pub fn change_parameters(response: &mut Vec<u8>, handles: usize, change: impl FnOnce(&mut Vec<u8>)) {
    let start = 10 + 4 * handles + 4;
    let size = u32::from_be_bytes(response[start - 4..start].try_into().unwrap()) as usize;
    let sessions = response.split_off(start + size);
    let mut parameters = response.split_off(start);
    change(&mut parameters);
    let size = u32::try_from(parameters.len()).unwrap();
    response.truncate(start - 4);
    response.extend(size.to_be_bytes());
    response.extend(parameters);
    response.extend(sessions);
    correct_size(response);
}

/// Two neighbouring ports, since libtss2 looks for the control channel at the next one.
fn listener_pair() -> (TcpListener, TcpListener) {
    loop {
        let data = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = data.local_addr().unwrap().port();
        if let Some(Ok(control)) = port.checked_add(1).map(|next| TcpListener::bind(("127.0.0.1", next))) {
            return (data, control);
        }
    }
}

/// Serves one connection until the client closes it, a rule says so, or the TPM does.
fn serve(mut client: impl Connection, upstream: Option<u16>, shared: &Shared) {
    let _guard = Guard(shared);
    let mut tpm = None;
    while let Some(bytes) = frame(&mut client) {
        let code = u32::from_be_bytes(bytes[6..10].try_into().unwrap());
        let nth = {
            let mut seen = shared.seen.lock().unwrap();
            seen.push(code);
            seen.iter().filter(|seen| **seen == code).count()
        };
        let mut ask = || {
            let tpm = tpm.get_or_insert_with(|| {
                let port = upstream.expect("there is a TPM behind the server");
                TcpStream::connect(("127.0.0.1", port)).unwrap()
            });
            tpm.write_all(&bytes).unwrap();
            frame(tpm).expect("the TPM answers")
        };
        let goes_on = match (shared.rule)(&Command { bytes: &bytes, code, nth }) {
            Reply::Honest => client.write_all(&ask()).is_ok(),
            Reply::Altered(alter) => {
                let mut answer = ask();
                alter(&mut answer);
                client.write_all(&answer).is_ok() && is_whole(&answer)
            }
            Reply::Instead(answer) => client.write_all(&answer).is_ok(),
            Reply::Last(answer) => {
                let _ = client.write_all(&answer);
                false
            }
            Reply::Slowly(wait) => ask().iter().all(|byte| {
                thread::sleep(wait);
                client.write_all(&[*byte]).is_ok()
            }),
            Reply::Stuck(answer) => {
                let _ = client.write_all(&answer);
                let _ = client.read(&mut [0]);
                false
            }
        };
        if !goes_on {
            break;
        }
    }
    client.close();
}

/// Whether a response is as long as it says. After any other the connection is closed, or the client would
/// wait for the rest.
pub fn is_whole(response: &[u8]) -> bool {
    response.len() >= 10 && announced_size(response) == Some(response.len())
}

fn announced_size(frame: &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(frame.get(2..6)?.try_into().ok()?) as usize)
}

/// One command or response; none at the end.
fn frame(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 10];
    stream.read_exact(&mut bytes).ok()?;
    bytes.resize(announced_size(&bytes)?, 0);
    stream.read_exact(&mut bytes[10..]).ok()?;
    Some(bytes)
}

/// A control channel without a TPM: success (four zero bytes) for every command, or nothing.
fn answer_control(mut client: TcpStream, says_yes: bool) {
    while client.read(&mut [0; 64]).is_ok_and(|length| length > 0) {
        if says_yes && client.write_all(&[0; 4]).is_err() {
            return;
        }
    }
}
