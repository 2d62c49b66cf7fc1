//! What the tests share: running the real binary, and software TPMs in states made with tpm2-tools.

pub mod attest;
#[cfg(feature = "tss")]
pub mod broker;
pub mod certificates;
pub mod config;
pub mod der;
pub mod fleet;
pub mod go;
pub mod go_yaml;
pub mod hardened;
pub mod hostile;
pub mod issued;
pub mod issuing;
pub mod kinds;
pub mod log;
pub mod machine;
pub mod manufacturer;
pub mod messages;
pub mod mutation;
pub mod privileges;
pub mod random_state;
pub mod readers;
pub mod registry;
pub mod scenarios;
pub mod server;
pub mod stand_in;
pub mod states;
pub mod storage;
pub mod strace;
pub mod systemd;
pub mod texts;
pub mod tokens;
pub mod tree;
pub mod web_authority;
pub mod written;

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Variables that say how to get at servers and whom to trust.
const NETWORK_VARIABLES: [&str; 10] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Starts the binary with `input` on standard input, and these environment variables besides its own, of which those
/// that would lead it to the machine's proxies are taken away.
fn start(input: &[u8], environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tbot_tpm"));
    for name in NETWORK_VARIABLES {
        command.env_remove(name);
    }
    let mut child = command
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child
}

/// Ways to the TPM that this build has.
pub const BACKENDS: &[&str] = if cfg!(feature = "tss") { &["native", "esapi"] } else { &["native"] };

/// Runs the binary with `input` on standard input.
pub fn run_raw(input: &[u8]) -> Output {
    start(input, &[]).wait_with_output().unwrap()
}

/// The one line of JSON in an output; the exit status and `failed` must agree, and standard error
/// must be empty.
pub fn parse(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 1, "not one line: {text:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert!(answer.is_object(), "{answer}");
    assert!(answer.get("rc").is_none(), "{answer}");
    let failed = answer.get("failed") == Some(&Value::Bool(true));
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{answer}");
    answer
}

/// The answer to a request.
pub fn run(request: &Value) -> Value {
    parse(&run_raw(request.to_string().as_bytes()))
}

/// The answer to a request under these environment variables.
pub fn run_under(request: &Value, environment: &[(&str, &str)]) -> Value {
    parse(&start(request.to_string().as_bytes(), environment).wait_with_output().unwrap())
}

/// The answer to a request that must succeed.
pub fn succeed(request: &Value) -> Value {
    let answer = run(request);
    assert!(answer.get("failed").is_none(), "{answer}");
    answer
}

/// The message of a request that must fail with this kind.
pub fn fail(request: &Value, kind: &str) -> String {
    let answer = run(request);
    assert_eq!(answer["failed"], true, "{answer}");
    assert_eq!(answer["error"]["kind"], kind, "{answer}");
    answer["msg"].as_str().unwrap().to_owned()
}

/// Says something that is to be seen also where the test passes, as what `println!` says is not.
pub fn note(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Runs a program that must succeed, and returns its standard output.
pub fn tool(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How swtpm starts as a TPM 2.0.
const TPM_2_0: [&str; 3] = ["--tpm2", "--flags", "not-need-init,startup-clear"];

/// A software TPM of its own, fresh, which ends with the value.
pub struct SoftwareTpm {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl SoftwareTpm {
    /// Starts one on a free pair of loopback ports; another process may take a port in between, so
    /// several are tried.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &TPM_2_0)
    }

    /// The same as a TPM 1.2.
    pub fn start_tpm_1_2() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &["--flags", "not-need-init"])
    }

    /// Another one with the same seeds, and with what this one has kept.
    pub fn copy(&self) -> Self {
        let (directory, kept) = (tempfile::tempdir().unwrap(), "tpm2-00.permall");
        fs::copy(self.file(kept), directory.path().join(kept)).unwrap();
        Self::start_in(directory, &TPM_2_0)
    }

    fn start_in(directory: TempDir, version: &[&str]) -> Self {
        for _ in 0..20 {
            let port = free_port_pair();
            let mut process = Command::new("swtpm")
                .arg("socket")
                .args(version)
                .args(["--tpmstate", &format!("dir={}", directory.path().display())])
                .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
                .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)])
                .args(["--log", &format!("file={},level=20", directory.path().join("log").display())])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(directory.path().join("stderr")).unwrap())
                .spawn()
                .expect("swtpm is installed");
            if answers(port, &mut process) {
                return Self { process, port, directory };
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("swtpm does not start: {}", fs::read_to_string(directory.path().join("stderr")).unwrap());
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Where it takes commands; its control channel is at the next port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file in the TPM's own temporary directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs one of tpm2-tools against this TPM.
    pub fn tpm2(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        let tcti = self.tcti();
        let mut all = vec!["-T", tcti.as_str()];
        all.extend(arguments);
        tool(name, &all)
    }

    /// Defines an NV index that the platform owns, as manufacturers do, and writes it.
    pub fn write_nv(&self, index: &str, attributes: &str, content: &[u8]) {
        let size = content.len().to_string();
        let file = self.file("nv");
        fs::write(&file, content).unwrap();
        self.tpm2("tpm2_nvdefine", &["-C", "p", "-a", attributes, "-s", &size, index]);
        self.tpm2("tpm2_nvwrite", &["-C", "p", "-i", file.to_str().unwrap(), index]);
    }

    pub fn transient_handles(&self) -> String {
        String::from_utf8(self.tpm2("tpm2_getcap", &["handles-transient"])).unwrap()
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port_pair() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// Whether the TPM accepts connections within a few seconds, without connecting to it: a connection
/// is a session to swtpm.
fn answers(port: u16, process: &mut Child) -> bool {
    // Both channels: it ends where it finds the second port taken.
    let listening = [port, port + 1].map(|port| format!(":{port:04X} 00000000:0000 0A"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        if listening.iter().all(|address| sockets.contains(address)) {
            return process.try_wait().unwrap().is_none();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// A self-signed certificate in DER, made by openssl: its key as `openssl req -newkey` takes it, and
/// further arguments.
pub fn certificate(directory: &Path, key: &[&str], arguments: &[&str]) -> Vec<u8> {
    let mut all =
        vec!["req", "-x509", "-nodes", "-subj", "/CN=EK", "-outform", "DER", "-keyout", "/dev/null"];
    all.extend(["-days", "30", "-newkey"]);
    all.extend(key);
    all.extend(arguments);
    let der = tool("openssl", &all);
    fs::write(directory.join("certificate.der"), &der).unwrap();
    der
}

/// SHA-256 of a public key in PEM as PKIX DER, by openssl alone.
pub fn hash_by_openssl(public_key_pem: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (pem, der) = (directory.path().join("key.pem"), directory.path().join("key.der"));
    fs::write(&pem, public_key_pem).unwrap();
    tool(
        "openssl",
        &["pkey", "-pubin", "-in", pem.to_str().unwrap(), "-outform", "DER", "-out", der.to_str().unwrap()],
    );
    let digest = tool("openssl", &["dgst", "-sha256", "-r", der.to_str().unwrap()]);
    String::from_utf8(digest).unwrap()[..64].to_owned()
}
