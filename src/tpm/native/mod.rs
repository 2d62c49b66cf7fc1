//! The native way to the TPM: commands marshalled by tpm2-protocol, straight to the device or socket.
//!
//! What comes back is untrusted: every length, tag and handle is checked before it is used. The
//! response's header and the property list are read here, since tpm2-protocol takes only codes and
//! properties that it knows.

mod response;
mod transport;

use tpm2_protocol::TpmWriter;
use tpm2_protocol::basic::{TpmHandle, TpmUint16, TpmUint32};
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{
    Tpm2bData, Tpm2bNvPublic, Tpm2bPublic, Tpm2bSensitiveCreate, TpmCap, TpmRh, TpmSt, TpmaSession,
    TpmlPcrSelection, TpmsAuthCommand, TpmtPublic,
};
use tpm2_protocol::frame::{
    TpmCreatePrimaryCommand, TpmCreatePrimaryResponse, TpmFlushContextCommand, TpmFlushContextResponse,
    TpmFrame, TpmGetCapabilityCommand, TpmNvReadCommand, TpmNvReadPublicCommand, TpmNvReadPublicResponse,
    TpmNvReadResponse, TpmReadPublicCommand, tpm_marshal_command,
};
use tpm2_protocol::{TpmError, TpmUnmarshal};

use self::response::{Response, counted};
use self::transport::Transport;
use super::commands::{
    Commands, Failure, HandleList, NvAuthorization, NvPublic, Outcome, Primary, PropertyList,
};
use super::public::{Key, Public};
use super::tcti::Tcti;
use crate::error::{Error, Kind, Result};

/// A connection, and the primary keys that it made and did not flush yet.
pub(super) struct Native {
    transport: Transport,
    primaries: Vec<u32>,
}

impl Native {
    /// Opens the device or socket that `tcti` names; none where this way does not speak it.
    pub(super) fn open(tcti: &Tcti) -> Option<Result<Self>> {
        let transport = Transport::open(tcti)?;
        Some(transport.map(|transport| Self { transport, primaries: Vec::new() }))
    }

    /// Sends a command that needs no authorisation.
    fn send(&mut self, command: &impl TpmFrame) -> Outcome<Response> {
        self.exchange(command, TpmSt::NoSessions, &[], 0)
    }

    /// Sends a command authorised with an empty password, and expects that many handles back.
    fn send_authorized(&mut self, command: &impl TpmFrame, handles: usize) -> Outcome<Response> {
        let empty_password = TpmsAuthCommand {
            session_handle: TpmHandle::new(TpmRh::Pw as u32),
            session_attributes: TpmaSession::CONTINUE_SESSION,
            ..TpmsAuthCommand::default()
        };
        self.exchange(command, TpmSt::Sessions, &[empty_password], handles)
    }

    fn exchange(
        &mut self,
        command: &impl TpmFrame,
        tag: TpmSt,
        sessions: &[TpmsAuthCommand],
        handles: usize,
    ) -> Outcome<Response> {
        let mut buffer = [0; TPM_MAX_COMMAND_SIZE];
        let mut writer = TpmWriter::new(&mut buffer);
        tpm_marshal_command(command, tag, sessions, &mut writer).map_err(not_marshalled)?;
        let answer = self.transport.exchange(writer.as_bytes()).map_err(Failure::Broken)?;
        Response::parse(answer, tag == TpmSt::Sessions, handles)
    }
}

impl Commands for Native {
    fn properties(&mut self, first: u32, count: u32) -> Outcome<PropertyList> {
        let response = self.send(&TpmGetCapabilityCommand {
            handles: [],
            cap: TpmCap::TpmProperties,
            property: TpmUint32::new(first),
            property_count: TpmUint32::new(count),
        })?;
        response::properties(response.parameters()?, first, count)
    }

    fn nv_indexes(&mut self, first: u32, count: u32) -> Outcome<HandleList> {
        let response = self.send(&TpmGetCapabilityCommand {
            handles: [],
            cap: TpmCap::Handles,
            property: TpmUint32::new(first),
            property_count: TpmUint32::new(count),
        })?;
        response::handles(response.parameters()?, first, count)
    }

    fn nv_public(&mut self, index: u32) -> Outcome<NvPublic> {
        let response = self.send(&TpmNvReadPublicCommand { handles: [TpmHandle::new(index)] })?;
        let read: TpmNvReadPublicResponse = response.unmarshal()?;
        let Tpm2bNvPublic { inner: public } = read.nv_public;
        if public.nv_index.value() != index {
            return Err(Failure::malformed("the public area of another NV index than asked for"));
        }
        Ok(NvPublic::new(public.data_size.value(), public.attributes.bits()))
    }

    fn nv_read(&mut self, index: u32, by: NvAuthorization, size: u16, offset: u16) -> Outcome<Vec<u8>> {
        let authority = match by {
            NvAuthorization::Index => index,
            NvAuthorization::Owner => TpmRh::Owner as u32,
        };
        let command = TpmNvReadCommand {
            handles: [TpmHandle::new(authority), TpmHandle::new(index)],
            size: TpmUint16::new(size),
            offset: TpmUint16::new(offset),
        };
        let read: TpmNvReadResponse = self.send_authorized(&command, 0)?.unmarshal()?;
        if read.data.len() != usize::from(size) {
            return Err(Failure::malformed("another number of bytes than were to be read from NV memory"));
        }
        Ok(read.data.to_vec())
    }

    fn read_public(&mut self, handle: u32) -> Outcome<Option<Key>> {
        let response = self.send(&TpmReadPublicCommand { handles: [TpmHandle::new(handle)] })?;
        let (public, rest) = counted(response.parameters()?)?;
        let (name, rest) = counted(rest)?;
        let (qualified_name, rest) = counted(rest)?;
        if !rest.is_empty() {
            return Err(Failure::malformed("bytes after the end of a key's public area and names"));
        }
        let public = Public(public.to_vec());
        if !public.has_name(name) {
            return Err(Failure::malformed("a key whose name is not that of its public area"));
        }
        // The public area of a key of an unknown type cannot be read, and that is no defect of the TPM.
        let known = TpmtPublic::unmarshal(&public.0).is_ok_and(|(_, rest)| rest.is_empty());
        Ok(known.then(|| Key { public, name: name.to_vec(), qualified_name: qualified_name.to_vec() }))
    }

    fn create_primary(&mut self, template: &Public) -> Outcome<Primary> {
        let (in_public, _) = TpmtPublic::unmarshal(&template.0).map_err(not_marshalled)?;
        let command = TpmCreatePrimaryCommand {
            handles: [TpmHandle::new(TpmRh::Endorsement as u32)],
            in_sensitive: Tpm2bSensitiveCreate::default(),
            in_public: Tpm2bPublic::from(in_public),
            outside_info: Tpm2bData::default(),
            creation_pcr: TpmlPcrSelection::default(),
        };
        let response = self.send_authorized(&command, 1)?;
        let handle = response.handle()?;
        // From here on the key is there, and is flushed whatever the rest of the answer holds.
        self.primaries.push(handle);
        let created: TpmCreatePrimaryResponse = response.unmarshal()?;
        let (public, _) = counted(response.parameters()?)?;
        let public = Public(public.to_vec());
        if !public.has_name(&created.name) {
            return Err(Failure::malformed("a new key whose name is not that of its public area"));
        }
        Ok(Primary { handle, public })
    }

    fn flush(&mut self, primary: u32) -> Outcome<()> {
        self.primaries.retain(|handle| *handle != primary);
        let command = TpmFlushContextCommand { handles: [], flush_handle: TpmHandle::new(primary) };
        let TpmFlushContextResponse { handles: [] } = self.send(&command)?.unmarshal()?;
        Ok(())
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        for handle in std::mem::take(&mut self.primaries) {
            let _ = self.flush(handle);
        }
    }
}

/// A command that does not fit the wire format, which the values given here cannot bring about.
fn not_marshalled(error: TpmError) -> Failure {
    Failure::Broken(Error::new(Kind::Internal, format!("a TPM command could not be written: {error}")))
}
