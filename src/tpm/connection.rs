//! A connection to one TPM: what is done with it, whichever way leads there.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::Slot;
use super::commands::{Commands, Failure, NvAuthorization, NvPublic, Outcome};
use super::native::Native;
use super::patience::Patience;
use super::properties::{self, Properties};
use super::public::{Public, UNIQUE_LENGTH};
use super::response_code::ResponseCode;
use super::tcti::{Backend, Tcti};
use super::watch::Watched;
use crate::error::{Error, Kind, Result};

/// How long to wait for a TPM command before giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(Duration);

impl TimeLimit {
    /// Making a key takes a chip seconds, at times a minute: it gets as many times as long.
    const CREATE_PRIMARY: u32 = 10;
    /// All of the commands together, of which a TPM can make any number necessary.
    const ALTOGETHER: u32 = 20;

    /// This long for any command, ten times as long for `TPM2_CreatePrimary`, and twenty times as long for
    /// all of them together.
    #[must_use]
    pub fn of(command: Duration) -> Self {
        Self(command)
    }
}

/// A connection to a TPM. What keys occupy in it is flushed when the connection is dropped, on a panic too.
#[derive(Debug)]
pub struct Tpm {
    connection: Watched,
    limit: TimeLimit,
    /// When all of it has to be done.
    end: Instant,
}

/// What reading an NV index found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NvIndex {
    /// There is no such index.
    Absent,
    /// It is there, but locked, never written, or readable only with a password or by someone else.
    Refused(ResponseCode),
    /// Its content.
    Content(Vec<u8>),
}

impl Tpm {
    /// Connects to a TPM.
    pub fn connect(tcti: &Tcti, backend: Backend, limit: TimeLimit) -> Result<Self> {
        let end = Instant::now() + limit.0.saturating_mul(TimeLimit::ALTOGETHER);
        let target = tcti.clone();
        let connection = Watched::open(tcti.to_string(), limit.0, move || open(&target, backend, limit))?;
        Ok(Self { connection, limit, end })
    }

    /// Sends a command, again where the TPM asks for that, until it answers or the time is up.
    fn command<T: Send + 'static>(
        &mut self,
        limit: Duration,
        send: impl Fn(&mut dyn Commands) -> Outcome<T> + Clone + Send + 'static,
    ) -> Outcome<T> {
        let limit = limit.min(self.end.saturating_duration_since(Instant::now()));
        let mut patience = Patience::of(limit);
        loop {
            match self.connection.run(limit, send.clone()) {
                Err(Failure::Code(code)) if code.asks_to_retry() && patience.pause() => {}
                outcome => return outcome,
            }
        }
    }

    /// What the TPM says of itself.
    pub fn properties(&mut self) -> Result<Properties> {
        let mut found = Vec::new();
        for wanted in properties::WANTED {
            let (mut first, last) = wanted.into_inner();
            // A TPM may give fewer at a time than asked for.
            while first <= last {
                let count = last - first + 1;
                let answer = self
                    .command(self.limit.0, move |tpm| tpm.properties(first, count))
                    .map_err(|failure| failure.while_doing("show its properties"))?;
                first = match answer.list.last() {
                    Some((number, _)) if answer.more && *number >= first => number.saturating_add(1),
                    _ => last + 1,
                };
                found.extend(answer.list);
            }
        }
        Ok(Properties::from_list(&found))
    }

    /// Reads an NV index in blocks of that many bytes, or finds that it is absent or that the TPM
    /// refuses to let it be read.
    pub(super) fn read_nv(&mut self, index: u32, by: NvAuthorization, block: u16) -> Result<NvIndex> {
        match self.try_read_nv(index, by, block) {
            Ok(content) => Ok(NvIndex::Content(content)),
            Err(Failure::Code(code)) if code.is_absent() => Ok(NvIndex::Absent),
            Err(Failure::Code(code)) if !code.is_passing() => Ok(NvIndex::Refused(code)),
            Err(failure) => Err(failure.while_doing(&format!("let NV index {index:#010x} be read"))),
        }
    }

    /// The NV indexes in a range, in ascending order.
    pub(super) fn nv_indexes(&mut self, range: &RangeInclusive<u32>) -> Result<Vec<u32>> {
        let (mut first, last) = (*range.start(), *range.end());
        let mut found = Vec::new();
        loop {
            let count = last - first + 1;
            let answer = self
                .command(self.limit.0, move |tpm| tpm.nv_indexes(first, count))
                .map_err(|failure| failure.while_doing("list its NV indexes"))?;
            found.extend(answer.list.iter().filter(|index| (first..=last).contains(*index)));
            match answer.list.last() {
                Some(index) if answer.more && (first..last).contains(index) => first = index + 1,
                _ => return Ok(found),
            }
        }
    }

    fn try_read_nv(&mut self, index: u32, by: NvAuthorization, block: u16) -> Outcome<Vec<u8>> {
        let size = self.nv_public(index)?.size;
        self.read_nv_bytes(index, by, block, size)
    }

    fn nv_public(&mut self, index: u32) -> Outcome<NvPublic> {
        self.command(self.limit.0, move |tpm| tpm.nv_public(index))
    }

    /// The first bytes of an index, as many as `size` says.
    fn read_nv_bytes(&mut self, index: u32, by: NvAuthorization, block: u16, size: u16) -> Outcome<Vec<u8>> {
        let limit = self.limit.0;
        let mut content = Vec::with_capacity(usize::from(size));
        for offset in (0..size).step_by(usize::from(block)) {
            let length = block.min(size - offset);
            content.extend(self.command(limit, move |tpm| tpm.nv_read(index, by, length, offset))?);
        }
        Ok(content)
    }

    /// What a run of NV indexes holds, one after another, at most so many bytes, and why that is not all where it is not.
    ///
    /// Each index is read with its own, empty password. One where a wrong password would count towards lockout is not
    /// tried: nothing tells beforehand whether it has a password.
    pub(super) fn read_nv_run(
        &mut self,
        range: &RangeInclusive<u32>,
        block: u16,
        most: u16,
    ) -> (Vec<u8>, Option<String>) {
        let mut content = Vec::new();
        let indexes = match self.nv_indexes(range) {
            Ok(indexes) => indexes,
            Err(error) => return (content, Some(error.message)),
        };
        for index in indexes {
            let left = most - u16::try_from(content.len()).unwrap_or(most);
            match self.read_nv_safely(index, block, left) {
                Ok(Ok(part)) => content.extend(part),
                Ok(Err(why)) => return (content, Some(why)),
                Err(failure) => {
                    let error = failure.while_doing(&format!("let NV index {index:#010x} be read"));
                    return (content, Some(error.message));
                }
            }
        }
        (content, None)
    }

    /// All of an index of at most so many bytes, or why it is not tried.
    fn read_nv_safely(
        &mut self,
        index: u32,
        block: u16,
        most: u16,
    ) -> Outcome<std::result::Result<Vec<u8>, String>> {
        let public = self.nv_public(index)?;
        if !public.is_safe_to_try {
            return Ok(Err(format!(
                "NV index {index:#010x} is not one that anyone may try to read (authread, no_da, ordinary)"
            )));
        }
        if public.size > most {
            return Ok(Err(format!("NV index {index:#010x} makes it longer than a chain is")));
        }
        self.read_nv_bytes(index, NvAuthorization::Index, block, public.size).map(Ok)
    }

    /// What is at a persistent handle.
    pub(super) fn read_slot(&mut self, handle: u32) -> Result<Slot> {
        match self.command(self.limit.0, move |tpm| tpm.read_public(handle)) {
            Ok(key) => Ok(key.map_or(Slot::Unknown, Slot::Key)),
            Err(Failure::Code(code)) if code.is_absent() => Ok(Slot::Empty),
            Err(Failure::Code(code)) if !code.is_passing() => Ok(Slot::Unknown),
            Err(failure) => Err(failure.while_doing(&format!("show the key at {handle:#010x}"))),
        }
    }

    /// Makes the default RSA 2048 EK with this `unique` anew in the endorsement hierarchy, shows its public
    /// area, and flushes it whatever comes of that.
    pub fn with_primary_ek<T>(
        &mut self,
        unique: &[u8; UNIQUE_LENGTH],
        read: impl FnOnce(&Public) -> Result<T>,
    ) -> Result<T> {
        let template = Public::ek_template(unique)
            .map_err(|error| Error::new(Kind::Internal, format!("no EK template: {error}")))?;
        let limit = self.limit.0.saturating_mul(TimeLimit::CREATE_PRIMARY);
        let primary =
            self.command(limit, move |tpm| tpm.create_primary(&template)).map_err(create_primary_error)?;
        let outcome = read(&primary.public);
        self.command(self.limit.0, move |tpm| tpm.flush(primary.handle))
            .map_err(|failure| failure.while_doing("flush the EK"))?;
        outcome
    }
}

fn open(tcti: &Tcti, backend: Backend, limit: TimeLimit) -> Result<Box<dyn Commands>> {
    let native = if backend == Backend::Esapi { None } else { Native::open(tcti) };
    match native {
        Some(native) => Ok(Box::new(native?)),
        None if backend == Backend::Native => Err(Error::invalid(format!(
            "the native backend does not speak the TCTI `{tcti}`"
        ))
        .hint("use `backend: auto`, or a TCTI such as device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321")),
        None => open_library(tcti, limit),
    }
}

#[cfg(feature = "tss")]
fn open_library(tcti: &Tcti, limit: TimeLimit) -> Result<Box<dyn Commands>> {
    // Its own reason is worth more than that the time was up.
    Ok(Box::new(super::esapi::Esapi::open(tcti, limit.0 / 10 * 9)?))
}

#[cfg(not(feature = "tss"))]
fn open_library(tcti: &Tcti, _: TimeLimit) -> Result<Box<dyn Commands>> {
    Err(Error::invalid(format!("this build of tbot_tpm has no libtss2, which `{tcti}` was to be reached by")).hint(
        "leave `backend` out and use a TCTI such as device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321, or build \
         tbot_tpm from source with its default features",
    ))
}

fn create_primary_error(failure: Failure) -> Error {
    match failure {
        Failure::Code(code) if code.is_wrong_password() => Error::new(
            Kind::TpmAuth,
            "the TPM's endorsement hierarchy has a password, so tbot cannot make its EK",
        )
        .hint("clear it with `tpm2_changeauth -c endorsement -p PASSWORD`")
        .detail(code.to_string()),
        failure => failure.while_doing("make the EK"),
    }
}
