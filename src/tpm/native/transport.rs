//! Bytes to the TPM and back: a device node, or a software TPM's socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;

use super::response::{HEADER_LENGTH, announced_size};
use crate::error::{Error, Kind, Result};
use crate::tpm::device;
use crate::tpm::tcti::Tcti;

/// An open way to send one command at a time. Calls block: the time limit is the caller's.
pub(super) enum Transport {
    /// One write takes a command, one read gives the whole response.
    Device(File),
    /// A stream, in which the header tells where a response ends.
    Socket(Box<dyn Socket>),
}

pub(super) trait Socket: Read + Write {}
impl Socket for TcpStream {}
impl Socket for UnixStream {}

impl Transport {
    /// None where this way does not speak the TCTI.
    pub(super) fn open(tcti: &Tcti) -> Option<Result<Self>> {
        Some(match tcti {
            Tcti::Device(path) => device::open(path).map(Self::Device),
            Tcti::SwtpmTcp { host, port } => {
                Self::connected(tcti, TcpStream::connect((host.as_str(), *port)))
            }
            Tcti::SwtpmUnix(path) => Self::connected(tcti, UnixStream::connect(path)),
            Tcti::Library(_) => return None,
        })
    }

    fn connected(tcti: &Tcti, stream: io::Result<impl Socket + 'static>) -> Result<Self> {
        match stream {
            Ok(stream) => Ok(Self::Socket(Box::new(stream))),
            Err(error) => Err(device::socket_error(tcti, &error)),
        }
    }

    /// Sends one command, and returns the whole response.
    pub(super) fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Device(file) => exchange_with_device(file, command),
            Self::Socket(socket) => exchange_over_socket(socket.as_mut(), command),
        }
        .map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    "it closed the connection before its answer was complete".into()
                }
                _ => error.to_string(),
            };
            Error::new(Kind::TpmError, format!("the TPM broke off: {what}"))
                .hint("see `dmesg`, or the software TPM's log")
        })
    }
}

fn exchange_with_device(file: &mut File, command: &[u8]) -> io::Result<Vec<u8>> {
    file.write_all(command)?;
    let mut answer = vec![0; TPM_MAX_COMMAND_SIZE];
    let length = loop {
        match file.read(&mut answer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            length => break length?,
        }
    };
    answer.truncate(length);
    Ok(answer)
}

fn exchange_over_socket(socket: &mut dyn Socket, command: &[u8]) -> io::Result<Vec<u8>> {
    socket.write_all(command)?;
    let mut header = [0; HEADER_LENGTH];
    socket.read_exact(&mut header)?;
    let size = announced_size(&header);
    if !(HEADER_LENGTH..=TPM_MAX_COMMAND_SIZE).contains(&size) {
        return Err(io::Error::other(format!("it announced an answer of {size} bytes")));
    }
    let mut answer = vec![0; size];
    answer[..HEADER_LENGTH].copy_from_slice(&header);
    socket.read_exact(&mut answer[HEADER_LENGTH..])?;
    Ok(answer)
}
