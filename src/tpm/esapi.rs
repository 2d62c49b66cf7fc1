//! The way to the TPM through tss-esapi and libtss2, which speaks every TCTI.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use tss_esapi::Context;
use tss_esapi::constants::CapabilityType;
use tss_esapi::constants::response_code::Tss2ResponseCode;
use tss_esapi::handles::{
    KeyHandle, NvIndexHandle, NvIndexTpmHandle, ObjectHandle, PersistentTpmHandle, TpmHandle,
};
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::CapabilityData;
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::{Marshall, UnMarshall};

use super::commands::{
    Commands, Failure, HandleList, NvAuthorization, NvPublic, Outcome, Primary, PropertyList,
};
use super::device;
use super::patience::Patience;
use super::public::{Key, Public};
use super::response_code::ResponseCode;
use super::tcti::Tcti;
use crate::error::{Error, Kind, Result};

/// `TSS2_TCTI_RC_NO_CONNECTION` (TCG TSS 2.0 Overview and Common Structures Specification, section 2.4).
const NO_CONNECTION: ResponseCode = ResponseCode(0x000A_0008);
/// What libtss2 makes of an answer with a TPM 1.2's tag, and of nothing else that comes from a TPM
/// (`Tss2_Sys_ExecuteFinish`).
const TSS2_SYS_RC_GENERAL_FAILURE: ResponseCode = ResponseCode(0x0008_0001);

/// Sends what libtss2 logs to standard error nowhere, for the rest of the process: over ssh Ansible
/// takes it for part of the answer.
pub fn silence_libraries() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(null);
    }
}

/// A connection. tss-esapi itself flushes what was made through it when it is dropped.
pub(super) struct Esapi {
    context: Context,
    /// libtss2's handles of the NV indexes that were looked at.
    indexes: BTreeMap<u32, NvIndexHandle>,
}

impl Esapi {
    /// `limit` is for a resource manager that has no connection to give at once.
    pub(super) fn open(tcti: &Tcti, limit: Duration) -> Result<Self> {
        match tcti {
            // For its errors, and before libtss2 writes to what may be any file.
            Tcti::Device(path) => drop(device::open(path)?),
            // libtss2 3 would leave the path out and connect to localhost, to some other TPM.
            Tcti::SwtpmUnix(_) => {
                return Err(Error::invalid(format!("the esapi backend does not speak the TCTI `{tcti}`"))
                    .hint("use `backend: native`"));
            }
            Tcti::SwtpmTcp { .. } | Tcti::Library(_) => {}
        }
        let context = connect(tcti, limit).map_err(|error| not_connected(tcti, error))?;
        Ok(Self { context, indexes: BTreeMap::new() })
    }

    fn object(&mut self, handle: TpmHandle) -> Outcome<ObjectHandle> {
        self.context.tr_from_tpm_public(handle).map_err(failure)
    }

    fn nv_index(&mut self, index: u32) -> Outcome<NvIndexHandle> {
        if let Some(handle) = self.indexes.get(&index) {
            return Ok(*handle);
        }
        let handle = NvIndexTpmHandle::new(index).map_err(failure)?;
        let handle = NvIndexHandle::from(self.object(handle.into())?);
        self.indexes.insert(index, handle);
        Ok(handle)
    }

    /// One property; none where the TPM has not got it, or tss-esapi does not know it.
    fn property(&mut self, number: u32) -> Option<(u32, u32)> {
        let (data, _) = self.context.get_capability(CapabilityType::TpmProperties, number, 1).ok()?;
        let CapabilityData::TpmProperties(list) = data else { return None };
        list.first()
            .map(|found| (u32::from(found.property()), found.value()))
            .filter(|found| found.0 == number)
    }
}

impl Commands for Esapi {
    fn properties(&mut self, first: u32, count: u32) -> Outcome<PropertyList> {
        match self.context.get_capability(CapabilityType::TpmProperties, first, count) {
            Ok((CapabilityData::TpmProperties(list), more)) => Ok(PropertyList {
                list: list.iter().map(|found| (u32::from(found.property()), found.value())).collect(),
                more,
            }),
            Ok(_) => Err(Failure::malformed("another capability than asked for")),
            // It refuses a list with one property that it does not know.
            Err(tss_esapi::Error::WrapperError(_)) => {
                let list = (first..first + count).filter_map(|number| self.property(number)).collect();
                Ok(PropertyList { list, more: false })
            }
            Err(error) => Err(failure(error)),
        }
    }

    fn nv_indexes(&mut self, first: u32, count: u32) -> Outcome<HandleList> {
        match self.context.get_capability(CapabilityType::Handles, first, count) {
            Ok((CapabilityData::Handles(list), more)) => {
                Ok(HandleList { list: list.iter().map(|found| u32::from(*found)).collect(), more })
            }
            Ok(_) => Err(Failure::malformed("another capability than asked for")),
            Err(error) => Err(failure(error)),
        }
    }

    fn nv_public(&mut self, index: u32) -> Outcome<NvPublic> {
        let handle = self.nv_index(index)?;
        let (public, _) = self.context.nv_read_public(handle).map_err(failure)?;
        if u32::from(public.nv_index()) != index {
            return Err(Failure::malformed("the public area of another NV index than asked for"));
        }
        let size = u16::try_from(public.data_size())
            .map_err(|_| Failure::malformed("an NV index larger than a TPM can have"))?;
        Ok(NvPublic::new(size, public.attributes().try_into().map_err(failure)?))
    }

    fn nv_read(&mut self, index: u32, by: NvAuthorization, size: u16, offset: u16) -> Outcome<Vec<u8>> {
        let handle = self.nv_index(index)?;
        let authority = match by {
            NvAuthorization::Index => NvAuth::NvIndex(handle),
            NvAuthorization::Owner => NvAuth::Owner,
        };
        let data = self
            .context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.nv_read(authority, handle, size, offset)
            })
            .map_err(failure)?;
        if data.len() != usize::from(size) {
            return Err(Failure::malformed("another number of bytes than were to be read from NV memory"));
        }
        Ok(data.to_vec())
    }

    fn read_public(&mut self, handle: u32) -> Outcome<Option<Key>> {
        let handle = PersistentTpmHandle::new(handle).map_err(failure)?;
        let object = self.object(handle.into())?;
        match self.context.read_public(KeyHandle::from(object)) {
            Ok((public, name, qualified_name)) => Ok(public.marshall().ok().map(|public| Key {
                public: Public(public),
                name: name.value().to_vec(),
                qualified_name: qualified_name.value().to_vec(),
            })),
            Err(tss_esapi::Error::WrapperError(_)) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    fn create_primary(&mut self, template: &Public) -> Outcome<Primary> {
        let template = tss_esapi::structures::Public::unmarshall(&template.0).map_err(failure)?;
        let created = self
            .context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
            })
            .map_err(failure)?;
        let public = created.out_public.marshall().map_err(failure)?;
        Ok(Primary { handle: created.key_handle.into(), public: Public(public) })
    }

    fn flush(&mut self, primary: u32) -> Outcome<()> {
        self.context.flush_context(ObjectHandle::from(primary)).map_err(failure)
    }
}

/// Connects. tpm2-abrmd takes 27 connections at once unless told otherwise, and refuses further ones; to
/// libtss2 that is the same as no tpm2-abrmd, which may also just be starting.
fn connect(tcti: &Tcti, limit: Duration) -> tss_esapi::Result<Context> {
    let name = TctiNameConf::from_str(&tcti.to_string())?;
    let mut patience = Patience::of(limit);
    loop {
        match Context::new(name.clone()) {
            Err(tss_esapi::Error::Tss2Error(code))
                if response_code(code) == NO_CONNECTION && tcti.is_broker() && patience.pause() => {}
            outcome => return outcome,
        }
    }
}

fn failure(error: tss_esapi::Error) -> Failure {
    match error {
        tss_esapi::Error::Tss2Error(code) => match response_code(code) {
            TSS2_SYS_RC_GENERAL_FAILURE => Failure::tpm_1_2(),
            code => Failure::Code(code),
        },
        tss_esapi::Error::WrapperError(kind) => Failure::malformed(kind.to_string()),
    }
}

/// The number of a code, which tss-esapi shows in its text alone ("Response code value: 0x18b").
fn response_code(code: Tss2ResponseCode) -> ResponseCode {
    let text = match code {
        Tss2ResponseCode::FormatZero(code) => code.to_string(),
        Tss2ResponseCode::FormatOne(code) => code.to_string(),
        Tss2ResponseCode::Success => String::new(),
    };
    let digits = text.rsplit("0x").next().unwrap_or_default();
    ResponseCode(u32::from_str_radix(digits, 16).unwrap_or_default())
}

/// Why libtss2 could not connect: looks for itself, since the library's codes do not tell.
fn not_connected(tcti: &Tcti, error: tss_esapi::Error) -> Error {
    let tried = match tcti {
        Tcti::SwtpmTcp { host, port } => TcpStream::connect((host.as_str(), *port)).err(),
        _ => None,
    };
    if let Some(error) = tried {
        return device::socket_error(tcti, &error);
    }
    let code = match error {
        tss_esapi::Error::Tss2Error(code) => response_code(code).to_string(),
        tss_esapi::Error::WrapperError(kind) => kind.to_string(),
    };
    let name = tcti.to_string();
    let module = name.split(':').next().unwrap_or_default();
    Error::new(Kind::TpmError, format!("the TPM at `{name}` cannot be opened"))
        .hint(format!("check that it is running and that libtss2-tcti-{module} is installed"))
        .detail(code)
}
