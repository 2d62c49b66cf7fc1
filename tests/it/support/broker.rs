//! tpm2-abrmd, a resource manager of the TPM in user space, in front of a software TPM and on a D-Bus of
//! its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::SoftwareTpm;

/// As it is found without asking for another.
pub const TABRMD: &str = "tabrmd:bus_type=session";

/// Both processes end with the value, and give the TPM free.
pub struct Broker {
    bus: Child,
    address: String,
    daemon: Child,
}

impl Broker {
    /// Starts both, the broker with these further arguments.
    pub fn start(tpm: &SoftwareTpm, arguments: &[&str]) -> Self {
        let socket = format!("--address=unix:path={}", tpm.file("bus").display());
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address", &socket])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let daemon = Command::new("/usr/sbin/tpm2-abrmd")
            .args(["--session", "--allow-root", &format!("--tcti={}", tpm.tcti())])
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tpm2-abrmd is installed");
        let broker = Self { bus, address, daemon };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !broker.answers() {
            assert!(Instant::now() < deadline, "tpm2-abrmd does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        broker
    }

    fn answers(&self) -> bool {
        let mut getcap = Command::new("tpm2_getcap");
        getcap.args(["-T", TABRMD, "properties-variable"]).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        getcap.output().unwrap().status.success()
    }

    /// The answers to this request, asked by as many processes at the same time.
    pub fn ask_at_once(&self, request: &Value, processes: usize) -> Vec<Value> {
        let ask =
            |_| super::start(request.to_string().as_bytes(), &[("DBUS_SESSION_BUS_ADDRESS", &self.address)]);
        let asked: Vec<Child> = (0..processes).map(ask).collect();
        asked.into_iter().map(|child| super::parse(&child.wait_with_output().unwrap())).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for process in [&mut self.daemon, &mut self.bus] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
